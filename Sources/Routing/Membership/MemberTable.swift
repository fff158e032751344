import SwarmCore

/// A monotonic instant in steps of 2^24 ns (17 ms): four bytes reach 834 days, and a table of thousands feels them.
struct CoarseInstant: Sendable, Comparable {
    private var steps: UInt32

    /// Before every instant: never.
    static var never: CoarseInstant { CoarseInstant(steps: 0) }

    private init(steps: UInt32) { self.steps = steps }
    /// Rounded down, but never to `never`.
    init(_ instant: MonotonicInstant) { steps = max(1, UInt32(clamping: instant.nanoseconds >> 24)) }

    var instant: MonotonicInstant? { steps == 0 ? nil : MonotonicInstant(nanoseconds: UInt64(steps) << 24) }
    static func < (a: CoarseInstant, b: CoarseInstant) -> Bool { a.steps < b.steps }
}

/// A member that is alive or suspected: 24 bytes, and 8 for the first word of its id.
package struct PresentMember: Identified {
    var record: MemberRecord
    var since: CoarseInstant
    /// The last message from it, but for those this node probes or is probed by: `PeerWatch` and `Callers` know better.
    var heard = CoarseInstant.never
    /// The lower half of what it adds to its bucket's hash: kept, so that a sync need not look at every record.
    fileprivate(set) var digest: UInt32 = 0
    var isSuspected = false

    package init(record: MemberRecord, since: MonotonicInstant) {
        self.record = record
        self.since = CoarseInstant(since)
    }

    package var id: NodeID { record.id }
}

/// The end of a suspicion, and who raised it.
struct Suspicion: Identified {
    let id: NodeID
    /// May be above that of the description: the news came first.
    var version: UInt64
    var since: MonotonicInstant
    var expires = MonotonicInstant.distantFuture
    /// First eight bytes of the ids of those who suspect it; at most two are kept.
    private(set) var accuser: UInt64
    private(set) var secondAccuser: UInt64?

    init(id: NodeID, version: UInt64, since: MonotonicInstant, accuser: UInt64) {
        self.id = id
        self.version = version
        self.since = since
        self.accuser = accuser
    }

    var isConfirmed: Bool { secondAccuser != nil }

    /// False when the accuser is known already or two are.
    mutating func add(_ accuser: UInt64) -> Bool {
        guard secondAccuser == nil, accuser != self.accuser else { return false }
        secondAccuser = accuser
        return true
    }
}

/// A member that failed or left, remembered for longer than any news about it is on its way.
struct GoneMember: Identified {
    let record: MemberRecord
    var status: MemberStatus
    var version: UInt64
    var since: MonotonicInstant
    var expires: MonotonicInstant

    var id: NodeID { record.id }
}

/// The member list: who is present, who is suspected among them, and who is gone.
struct MemberTable: Sendable {
    private(set) var present = IDTable<PresentMember>()
    private(set) var suspicions = IDTable<Suspicion>()
    private(set) var gone = IDTable<GoneMember>()
    /// The end of the first suspicion or tombstone.
    private(set) var nextExpiry = MonotonicInstant.distantFuture
    /// The bits of the id that all members share; the buckets follow them.
    private(set) var depth = 0
    /// XOR over the present members of each bucket, for the anti-entropy sync.
    private var hashes = [UInt64](repeating: 0, count: Self.buckets)

    static var buckets: Int { 16 }

    var count: Int { present.count + gone.count }

    /// What is known of one member.
    enum Standing: Equatable {
        case stranger
        case alive
        case suspected
        case gone(MemberStatus)

        var status: MemberStatus? {
            switch self {
            case .stranger: nil
            case .alive: .alive
            case .suspected: .suspected
            case .gone(let status): status
            }
        }
    }

    func standing(of id: NodeID) -> Standing {
        if let index = present.index(of: id) { return present[index].isSuspected ? .suspected : .alive }
        if let index = gone.index(of: id) { return .gone(gone[index].status) }
        return .stranger
    }

    /// The version that counts: that of the description, or a later one that came with a suspicion or an end.
    func version(of id: NodeID) -> UInt64? {
        if let index = suspicions.index(of: id) { return suspicions[index].version }
        if let index = present.index(of: id) { return present[index].record.version }
        return gone.index(of: id).map { gone[$0].version }
    }

    func record(of id: NodeID) -> MemberRecord? {
        if let index = present.index(of: id) { return present[index].record }
        return gone.index(of: id).map { gone[$0].record }
    }

    // MARK: Changes

    /// Enters or updates a member, which is alive afterwards. A full table gives up its oldest tombstone; false where
    /// it has none.
    mutating func setAlive(_ record: MemberRecord, at instant: MonotonicInstant) -> Bool {
        if let index = present.index(of: record.id) {
            toggleHash(at: index)
            endSuspicion(of: record.id)
            present.update(at: index) { member in
                if member.isSuspected { member.since = CoarseInstant(instant) }
                member.isSuspected = false
                member.record = record
            }
            toggleHash(at: index)
            return true
        }
        if let index = gone.index(of: record.id) {
            gone.remove(at: index)
        } else if count >= Limits.members, !forgetOldest() {
            return false
        }
        present.insert(PresentMember(record: record, since: instant))
        if let index = present.index(of: record.id) { toggleHash(at: index) }
        return true
    }

    /// Marks a present member as suspected. The expiry is set apart, since it depends on who watches.
    mutating func suspect(at index: Int, version: UInt64, accuser: UInt64, at instant: MonotonicInstant) {
        toggleHash(at: index)
        let id = present[index].id
        endSuspicion(of: id)
        present.update(at: index) { member in
            if !member.isSuspected { member.since = CoarseInstant(instant) }
            member.isSuspected = true
        }
        suspicions.insert(Suspicion(id: id, version: version, since: instant, accuser: accuser))
        toggleHash(at: index)
    }

    /// False when the accuser is known already or two are.
    mutating func addAccuser(_ accuser: UInt64, to id: NodeID) -> Bool {
        guard let index = suspicions.index(of: id) else { return false }
        return suspicions.update(at: index) { $0.add(accuser) }
    }

    mutating func setSuspicionEnd(of id: NodeID, at instant: MonotonicInstant) {
        guard let index = suspicions.index(of: id) else { return }
        suspicions.update(at: index) { $0.expires = instant }
        nextExpiry = min(nextExpiry, instant)
    }

    /// Makes a present member a tombstone.
    mutating func bury(
        at index: Int, as status: MemberStatus, version: UInt64, at instant: MonotonicInstant,
        until expires: MonotonicInstant
    ) {
        let member = present[index]
        toggleHash(at: index)
        endSuspicion(of: member.id)
        present.remove(at: index)
        gone.insert(
            GoneMember(record: member.record, status: status, version: version, since: instant, expires: expires))
        nextExpiry = min(nextExpiry, expires)
    }

    /// A later word about somebody who is gone already.
    mutating func changeTombstone(
        at index: Int, to status: MemberStatus, version: UInt64, at instant: MonotonicInstant,
        until expires: MonotonicInstant
    ) {
        gone.update(at: index) { member in
            member.status = status
            member.version = version
            member.since = instant
            member.expires = expires
        }
        nextExpiry = min(nextExpiry, expires)
    }

    mutating func heard(at index: Int, _ instant: MonotonicInstant) {
        present.update(at: index) { $0.heard = CoarseInstant(instant) }
    }

    /// Ends the tombstones that are due (`forgotten`: of those that failed), and returns whose suspicions are. `nextExpiry` holds afterwards if every
    /// suspicion returned is ended or put off.
    mutating func takeExpired(at instant: MonotonicInstant, forgotten: inout [MemberRecord]) -> [NodeID] {
        guard nextExpiry <= instant else { return [] }
        nextExpiry = .distantFuture
        for index in gone.elements.indices.reversed() {
            if gone[index].expires <= instant {
                if gone[index].status == .failed { forgotten.append(gone[index].record) }
                gone.remove(at: index)
            } else {
                nextExpiry = min(nextExpiry, gone[index].expires)
            }
        }
        var due: [NodeID] = []
        for suspicion in suspicions.elements {
            if suspicion.expires <= instant {
                due.append(suspicion.id)
            } else {
                nextExpiry = min(nextExpiry, suspicion.expires)
            }
        }
        return due
    }

    /// Follows only the members that share `depth` bits with `own` from now on, and returns the living among the others.
    mutating func setDepth(_ depth: Int, own: NodeID) -> [MemberRecord] {
        self.depth = depth
        let inside = present.range(ofPrefix: own, bits: depth)
        var outside: [MemberRecord] = []
        for index in present.elements.indices where !inside.contains(index) && !present[index].isSuspected {
            outside.append(present[index].record)
        }
        present.keep(inside)
        suspicions.keep(suspicions.range(ofPrefix: own, bits: depth))
        gone.keep(gone.range(ofPrefix: own, bits: depth))
        hashes = [UInt64](repeating: 0, count: Self.buckets)
        for index in present.elements.indices { toggleHash(at: index) }
        return outside
    }

    private mutating func endSuspicion(of id: NodeID) {
        if let index = suspicions.index(of: id) { suspicions.remove(at: index) }
    }

    private mutating func forgetOldest() -> Bool {
        var oldest: Int?
        for index in gone.elements.indices where oldest.map({ gone[index].since < gone[$0].since }) ?? true {
            oldest = index
        }
        guard let oldest else { return false }
        gone.remove(at: oldest)
        return true
    }

    // MARK: Sync

    /// Sixteen hashes of who is present in which version, by the four bits of the id after those all share. `record`,
    /// this node's own, is part of it, so that two nodes that agree have the same.
    func bucketHashes(own record: MemberRecord) -> [UInt64] {
        var hashes = hashes
        hashes[bucket(of: record.id)] ^= Self.hash(record.id, version: record.version, .alive)
        return hashes
    }

    func bucket(of id: NodeID) -> Int { bucket(ofPrefix: id.bytes.word0) }

    func bucket(ofPrefix prefix: UInt64) -> Int { Int(truncatingIfNeeded: (prefix << UInt64(depth)) >> 60) }

    static func hash(_ id: NodeID, version: UInt64, _ status: MemberStatus) -> UInt64 {
        let state = Rendezvous.mix(version << 2 | UInt64(status.rawValue))
        return Rendezvous.mix(id.bytes.word0 ^ Rendezvous.mix(id.bytes.word1 ^ state))
    }

    /// Adds the member at `index` as it is to its bucket's hash, or takes it out.
    private mutating func toggleHash(at index: Int) {
        let member = present[index]
        let version =
            member.isSuspected ? version(of: member.id) ?? member.record.version : member.record.version
        let hash = Self.hash(member.id, version: version, member.isSuspected ? .suspected : .alive)
        hashes[bucket(of: member.id)] ^= hash
        present.update(at: index) { $0.digest = UInt32(truncatingIfNeeded: hash) }
    }
}
