import SwarmCore

/// A walk through the member list in the order of ids, the gone and the node itself included.
struct MemberWalk {
    enum Step {
        case own(NodeID)
        case present(Int, NodeID)
        case gone(Int, NodeID)

        var id: NodeID {
            switch self {
            case .own(let id), .present(_, let id), .gone(_, let id): id
            }
        }
    }

    private let own: NodeID
    private var ownIsDue: Bool
    private var presentIndex: Int
    private var goneIndex: Int

    init(after cursor: NodeID, own: MemberRecord, _ table: MemberTable) {
        self.own = own.id
        ownIsDue = own.id > cursor
        presentIndex = table.present.insertionIndex(of: cursor)
        goneIndex = table.gone.insertionIndex(of: cursor)
        if presentIndex < table.present.count, table.present[presentIndex].id == cursor { presentIndex += 1 }
        if goneIndex < table.gone.count, table.gone[goneIndex].id == cursor { goneIndex += 1 }
    }

    mutating func next(_ table: MemberTable) -> Step? {
        let present = presentIndex < table.present.count ? table.present[presentIndex].id : nil
        let gone = goneIndex < table.gone.count ? table.gone[goneIndex].id : nil
        if ownIsDue, own < present ?? Self.beyond, own < gone ?? Self.beyond {
            ownIsDue = false
            return .own(own)
        }
        if let present, present < gone ?? Self.beyond {
            presentIndex += 1
            return .present(presentIndex - 1, present)
        }
        if let gone {
            goneIndex += 1
            return .gone(goneIndex - 1, gone)
        }
        return nil
    }

    /// Passes over present members that `isUnwanted` says it of, by the first words of their ids and their digests alone,
    /// as long as nobody else comes between and all are clearly below `until`. Returns the last one.
    mutating func skip(
        below until: NodeID, _ table: MemberTable, where isUnwanted: (_ prefix: UInt64, _ digest: UInt32) -> Bool
    ) -> NodeID? {
        var bound = until.bytes.word0
        if ownIsDue { bound = min(bound, own.bytes.word0) }
        if goneIndex < table.gone.count { bound = min(bound, table.gone.prefixes[goneIndex]) }
        let start = presentIndex
        while presentIndex < table.present.count, table.present.prefixes[presentIndex] < bound,
            isUnwanted(table.present.prefixes[presentIndex], table.present.elements[presentIndex].digest)
        {
            presentIndex += 1
        }
        return presentIndex > start ? table.present[presentIndex - 1].id : nil
    }

    private static var beyond: NodeID { NodeID(Bytes32(.max, .max, .max, .max)) }
}

extension MemberWalk.Step {
    /// Who, in which version and state: differs where one side has something to tell the other.
    func digest(own: MemberRecord, _ table: MemberTable) -> UInt32 {
        let hash: UInt64
        switch self {
        case .own(let id): hash = MemberTable.hash(id, version: own.version, .alive)
        case .present(let index, _): return table.present[index].digest
        case .gone(let index, let id):
            hash = MemberTable.hash(id, version: table.gone[index].version, table.gone[index].status)
        }
        return UInt32(truncatingIfNeeded: hash)
    }

    /// A member as news: present members with their description, the others by status alone.
    func entries(own: MemberRecord, _ table: MemberTable) -> (first: News, second: News?) {
        switch self {
        case .own: return (.alive(own), nil)
        case .present(let index, let id):
            let record = table.present[index].record
            guard table.present[index].isSuspected, let place = table.suspicions.index(of: id) else {
                return (.alive(record), nil)
            }
            let suspicion = table.suspicions[place]
            return (.alive(record), .status(.suspected, id, version: suspicion.version, accuser: suspicion.accuser))
        case .gone(let index, let id):
            let member = table.gone[index]
            return (.status(member.status, id, version: member.version, accuser: 0), nil)
        }
    }
}

/// What a PULL asks for: members with ids above `after` up to `until`, in some buckets, but for those whose digests it
/// names.
struct PullRequest {
    let after: NodeID
    let until: NodeID
    let buckets: UInt16
    let digests: [UInt32]
}

/// The answer to one PULL, written page by page.
struct PullAnswer {
    private let request: PullRequest
    private let own: MemberRecord
    private var walk: MemberWalk
    private var pending: MemberWalk.Step?
    /// The last member that was dealt with.
    private(set) var reached: NodeID
    private(set) var isComplete = false

    init(_ request: PullRequest, own: MemberRecord, _ table: MemberTable) {
        self.request = request
        self.own = own
        walk = MemberWalk(after: request.after, own: own, table)
        reached = request.after
    }

    /// Writes entries until the message or the range ends, and returns their count.
    mutating func fill(_ writer: inout ByteWriter, byteLimit: Int, _ table: MemberTable) -> Int {
        var count = 0
        var room = byteLimit
        let request = request
        var expected = 0
        func isUnwanted(_ prefix: UInt64, _ digest: UInt32) -> Bool {
            guard (request.buckets >> UInt16(table.bucket(ofPrefix: prefix))) & 1 == 1 else { return true }
            // Both sides walk in the order of ids, so the digest is most often the one after the last that was found.
            if expected >= request.digests.count || request.digests[expected] != digest {
                guard let place = request.digests.firstIndex(of: digest) else { return false }
                expected = place
            }
            expected += 1
            return true
        }
        while true {
            if pending == nil, let skipped = walk.skip(below: request.until, table, where: isUnwanted) {
                reached = skipped
            }
            guard let step = pending ?? walk.next(table), step.id <= request.until else { break }
            pending = step
            if !isUnwanted(step.id.bytes.word0, step.digest(own: own, table)) {
                let news = step.entries(own: own, table)
                let size = news.first.byteCount + (news.second?.byteCount ?? 0)
                guard size <= room, count + 2 <= RoutingLimits.newsEntriesPerMessage else { return count }
                room -= size
                count += news.second == nil ? 1 : 2
                news.first.write(to: &writer)
                news.second?.write(to: &writer)
            }
            reached = step.id
            pending = nil
        }
        isComplete = true
        return count
    }
}
