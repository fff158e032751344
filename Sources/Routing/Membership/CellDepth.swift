import SwarmCore

/// The sizes at which member lists are divided, and their reasons.
///
/// Up to `fullMembers` nodes everybody knows everybody. Beyond, a node follows the members whose ids begin with the same
/// `depth` bits, its *cell*; so the news of one join or death costs a cell, not the swarm. Ids are hashes: a cell is a
/// fair sample of the swarm, and its size times 2^depth estimates the swarm's.
package struct CellSizes: Sendable {
    /// The largest list that is not divided.
    package var fullMembers = RoutingLimits.fullMembers
    /// A larger cell is halved.
    package var maximum = RoutingLimits.cellMaximum
    /// A smaller cell is joined with its sibling.
    package var minimum = RoutingLimits.cellMinimum
    /// Bits of the first division: 2,048 nodes make 8 cells of 256.
    package var firstDepth = 3
    /// Members of other cells that a node remembers.
    package var foreign = RoutingLimits.foreignMembers

    package init() {}

    func limit(at depth: Int) -> Int {
        depth == 0 ? fullMembers : maximum
    }
    func deeper(than depth: Int) -> Int {
        depth == 0 ? firstDepth : depth + 1
    }
    func shallower(than depth: Int) -> Int {
        depth <= firstDepth ? 0 : depth - 1
    }

    /// Where nodes of one region differ in depth, one that would have this many in the deeper cell follows the deeper…
    var deeperWins: Int { minimum + minimum / 2 }
    /// …and one that has fewer than this in its own follows the shallower; between the two both stay as they are.
    var shallowerWins: Int { minimum + minimum / 4 }
}

/// A node's depth, and what it has heard of others'.
struct CellDepth: Sendable {
    /// Bits of the id that members of the cell share.
    var bits = 0
    /// False for a newcomer until it has heard from a member of its cell which depth is right.
    var isSettled = true
    /// An unsettled node settles by itself then: nobody knows better.
    var settlesAt = MonotonicInstant.distantFuture
    var changed: MonotonicInstant?
    /// Since when the cell is too small.
    var smallSince: MonotonicInstant?
    /// The deepest heard from a member of the cell that divides more finely, and until when that is believed.
    var deeperHeard = 0
    var deeperUntil = MonotonicInstant.zero

    /// In messages; a newcomer asks to be told.
    static var unknown: UInt8 { 0xff }
    /// 2^24 cells of 128 are two thousand million nodes.
    static var maximum: Int { 24 }
    /// A cell must be too small, and a depth must have lasted, for this long before it is left for a shallower one.
    static var patience: Interval { .seconds(10) }

    var told: UInt8 { isSettled ? UInt8(bits) : Self.unknown }
}

/// A member of another cell, as somebody vouched for it.
struct ForeignMember: Identified {
    var record: MemberRecord
    /// When it was last known to be alive, by those who watch it.
    var vouched: MonotonicInstant

    var id: NodeID { record.id }
}

/// A bounded, aged sample of the rest of the swarm, spread over the distances: as many of each length of common prefix.
/// So a newcomer is led towards its cell in as many steps as there are bits (Maymounkov and Mazières 2002, §2.2), and
/// the sibling, which may have to be joined, is known best.
struct ForeignSample: Sendable {
    private(set) var members = IDTable<ForeignMember>()
    let limit: Int

    init(limit: Int) { self.limit = limit }

    /// An entry not vouched for within this time is dropped: twice what a sync with each distance takes at depth 8.
    static var lifetime: Interval { .seconds(180) }
    /// Fresher entries are rarely displaced, so that a talkative liar does not own the sample.
    private static var protection: Interval { .seconds(60) }

    /// Notes that `record` was alive at `vouched`.
    mutating func offer(
        _ record: MemberRecord, vouched: MonotonicInstant, own: NodeID, depth: Int, at instant: MonotonicInstant,
        using generator: inout SeededGenerator
    ) {
        guard instant - vouched < Self.lifetime else { return }
        if let index = members.index(of: record.id) {
            members.update(at: index) { member in
                if record.version > member.record.version { member.record = record }
                member.vouched = max(member.vouched, vouched)
            }
            return
        }
        let distance = record.id.sharedPrefix(with: own)
        let rivals = members.elements.indices.filter { members[$0].id.sharedPrefix(with: own) == distance }
        let share = max(2, limit / max(depth, 1))
        guard rivals.count >= min(share, limit) || members.count >= limit else {
            return members.insert(ForeignMember(record: record, vouched: vouched))
        }
        // A full sample in which this distance has nothing yet keeps what it has: shares shift with the depth only.
        guard let oldest = rivals.min(by: { members[$0].vouched < members[$1].vouched }) else { return }
        if instant - members[oldest].vouched > Self.protection {
            members.remove(at: oldest)
        } else if generator.integer(below: 8) == 0 {
            members.remove(at: rivals[generator.integer(below: rivals.count)])
        } else {
            return
        }
        members.insert(ForeignMember(record: record, vouched: vouched))
    }

    mutating func remove(_ id: NodeID) {
        if let index = members.index(of: id) { members.remove(at: index) }
    }

    /// Removes and returns those nobody has vouched for lately.
    mutating func takeExpired(at instant: MonotonicInstant) -> [MemberRecord] {
        var expired: [MemberRecord] = []
        for index in members.elements.indices.reversed() where instant - members[index].vouched >= Self.lifetime {
            expired.append(members[index].record)
            members.remove(at: index)
        }
        return expired
    }

    /// Removes and returns those that share `depth` bits with `own`.
    mutating func takeCell(of own: NodeID, depth: Int) -> [MemberRecord] {
        var inside: [MemberRecord] = []
        for index in members.elements.indices.reversed() where members[index].id.sharesPrefix(depth, with: own) {
            inside.append(members[index].record)
            members.remove(at: index)
        }
        return inside
    }

    /// Up to `count` in the order of their XOR distance from `id`, which itself is left out.
    func nearest(to id: NodeID, count: Int) -> [ForeignMember] {
        let others = members.elements.filter { $0.id != id }
        return Array(others.sorted { $0.id.distance(to: id.bytes) < $1.id.distance(to: id.bytes) }.prefix(count))
    }
}

extension NodeID {
    /// How many leading bits are the same, at most 64.
    func sharedPrefix(with other: NodeID) -> Int { (bytes.word0 ^ other.bytes.word0).leadingZeroBitCount }
}
