import SwarmCore

/// The member list, sorted by id, with the timers of those who are suspected, failed or gone.
struct MemberTable: Sendable {
    struct Expiry: Sendable {
        let id: NodeID
        var at: MonotonicInstant
    }

    let own: NodeID
    private(set) var members: [Member] = []
    /// One for each member that is not alive: the end of a suspicion or of a tombstone.
    private(set) var expiries: [Expiry] = []
    private(set) var presentCount = 0

    init(own: NodeID) { self.own = own }

    func index(of id: NodeID) -> Int? {
        let place = insertionIndex(of: id)
        return place < members.count && members[place].id == id ? place : nil
    }

    func insertionIndex(of id: NodeID) -> Int {
        var low = 0
        var high = members.count
        while low < high {
            let middle = (low + high) / 2
            if members[middle].id < id { low = middle + 1 } else { high = middle }
        }
        return low
    }

    mutating func heard(_ id: NodeID, at instant: MonotonicInstant) {
        if let index = index(of: id) { members[index].lastHeard = instant }
    }

    /// Adds a member that is alive. A full table gives up its oldest tombstone; false where it has none.
    mutating func insert(_ description: MemberDescription, at instant: MonotonicInstant) -> Bool {
        if members.count >= Limits.members {
            var oldest: Int?
            for index in members.indices where !members[index].status.isPresent {
                if oldest.map({ members[index].statusSince < members[$0].statusSince }) ?? true { oldest = index }
            }
            guard let oldest else { return false }
            remove(members[oldest].id)
        }
        let member = Member(
            description: description, status: .alive, statusSince: instant, lastHeard: nil, quality: LinkQuality(),
            accusers: [])
        members.insert(member, at: insertionIndex(of: description.contact.id))
        presentCount += 1
        return true
    }

    mutating func remove(_ id: NodeID) {
        guard let index = index(of: id) else { return }
        if members[index].status.isPresent { presentCount -= 1 }
        members.remove(at: index)
        expiries.removeAll { $0.id == id }
    }

    /// Replaces the description; the member is alive afterwards.
    mutating func revive(at index: Int, with description: MemberDescription, at instant: MonotonicInstant) {
        let isRestart = members[index].description.instance != description.instance
        members[index].description = description
        if isRestart { members[index].quality = LinkQuality() }
        setStatus(.alive, at: index, expires: nil, instant: instant)
    }

    mutating func setStatus(
        _ status: MemberStatus, at index: Int, expires: MonotonicInstant?, instant: MonotonicInstant
    ) {
        if members[index].status.isPresent != status.isPresent { presentCount += status.isPresent ? 1 : -1 }
        if members[index].status != status { members[index].statusSince = instant }
        members[index].status = status
        if status == .alive { members[index].accusers = [] }
        setExpiry(of: members[index].id, at: expires)
    }

    mutating func setExpiry(of id: NodeID, at instant: MonotonicInstant?) {
        expiries.removeAll { $0.id == id }
        if let instant { expiries.append(Expiry(id: id, at: instant)) }
    }

    mutating func setVersion(_ version: UInt64, at index: Int) { members[index].description.version = version }

    /// False when the accuser is known already or two are.
    mutating func addAccuser(_ accuser: UInt64, at index: Int) -> Bool {
        guard members[index].accusers.count < 2, !members[index].accusers.contains(accuser) else { return false }
        members[index].accusers.append(accuser)
        return true
    }

    mutating func answered(at index: Int, after roundTrip: Interval) {
        members[index].quality.answered(after: roundTrip)
    }
    mutating func probeEnded(at index: Int, lost: Bool) { members[index].quality.probeEnded(lost: lost) }

    /// What a member told us itself, between two versions of its description.
    mutating func refresh(at index: Int, load: UInt16, coordinate: Coordinate) {
        members[index].description.load = load
        members[index].description.coordinate = coordinate
    }

    var nextDeadline: MonotonicInstant? {
        var deadline: MonotonicInstant?
        for expiry in expiries { deadline = Deadline.earlier(deadline, expiry.at) }
        return deadline
    }

    /// Sixteen hashes of who is present in which version, by the first four bits of the id. `own` is part of it, so
    /// that two nodes that agree have the same.
    func bucketHashes(own description: MemberDescription) -> [UInt64] {
        var hashes = [UInt64](repeating: 0, count: 16)
        func add(_ id: NodeID, _ version: UInt64, _ status: MemberStatus) {
            let state = Rendezvous.mix(version << 2 | UInt64(status.rawValue))
            hashes[Self.bucket(of: id)] ^= Rendezvous.mix(id.bytes.word0 ^ Rendezvous.mix(id.bytes.word1 ^ state))
        }
        add(description.contact.id, description.version, .alive)
        for member in members where member.status.isPresent {
            add(member.id, member.description.version, member.status)
        }
        return hashes
    }

    static func bucket(of id: NodeID) -> Int { Int(id.bytes.word0 >> 60) }
}
