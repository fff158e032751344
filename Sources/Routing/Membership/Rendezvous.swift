import SwarmCore

/// Who monitors whom: the five nodes with the highest rendezvous weight (Thaler and Ravishankar 1998) for the watched
/// node. Everybody computes the same answer from the same member list, and a change of the list moves few watches.
package enum Rendezvous {
    /// What `subject` contributes to its monitors' weights.
    package static func salt(of subject: NodeID) -> UInt64 { mix(subject.bytes.word1 &+ 0x9e37_79b9_7f4a_7c15) }

    /// The weight of the monitor whose id begins with `prefix`: uniform, and independent for each pair.
    package static func weight(_ prefix: UInt64, salt: UInt64) -> UInt64 { mix(prefix ^ salt) }

    /// The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
    package static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

/// Whom this node watches, kept up to date member by member.
///
/// A node's rank for a subject is the number of members that outweigh it; below five it monitors. Ranks are kept for
/// the subjects where this node stands well enough: a join changes a rank by at most one, and so does a leave. Who
/// stood too low to be kept rises by one with each leave, so the list stays complete for ranks below a horizon that
/// falls by one each time; when it reaches five, the list is made anew.
package struct WatchList: Sendable {
    private struct Subject: Sendable {
        let id: NodeID
        let ownWeight: UInt64
        var rank: Int
    }

    /// Bits of the id that members in its scope share with this node.
    package let depth: Int
    private let own: NodeID
    /// In no particular order, but the same in every process.
    private var subjects: [Subject] = []
    private var horizon = Self.fullHorizon
    /// Whether the watches may have changed since `watched` was asked.
    private(set) var isChanged = false

    /// Sixteen leaves between two walks of the list.
    private static var fullHorizon: Int { RoutingLimits.monitors + 16 }

    package init(own: NodeID, depth: Int, table: IDTable<PresentMember>) {
        self.own = own
        self.depth = depth
        rebuild(from: table)
    }

    /// Whether the list must be made anew to be complete.
    package var isStale: Bool { horizon < RoutingLimits.monitors }

    /// `id` has been entered in `table`.
    package mutating func joined(_ id: NodeID, in table: IDTable<PresentMember>) {
        guard id.sharesPrefix(depth, with: own) else { return }
        for index in subjects.indices.reversed() where outweighs(id, for: subjects[index]) {
            subjects[index].rank += 1
            if subjects[index].rank >= horizon { subjects.swapRemove(at: index) }
            isChanged = true
        }
        enter(id, from: table, scope(in: table))
    }

    /// `id` is gone from the table.
    package mutating func left(_ id: NodeID) {
        guard id.sharesPrefix(depth, with: own) else { return }
        for index in subjects.indices.reversed() {
            if subjects[index].id == id {
                subjects.swapRemove(at: index)
                isChanged = true
            } else if outweighs(id, for: subjects[index]) {
                subjects[index].rank -= 1
                isChanged = true
            }
        }
        horizon -= 1
        subjects.removeAll { $0.rank >= horizon }
    }

    /// Ranks this node anew for every member. Subjects for which its weight is too low to stand within the horizon
    /// (but for one list in 10^9) are passed over at the price of one weight.
    package mutating func rebuild(from table: IDTable<PresentMember>) {
        subjects = []
        horizon = Self.fullHorizon
        isChanged = true
        let scope = scope(in: table)
        for index in scope { enter(table[index].id, from: table, scope) }
    }

    /// Those to be probed.
    package mutating func takeWatched() -> [NodeID] {
        isChanged = false
        var watched: [NodeID] = []
        for subject in subjects where subject.rank < RoutingLimits.monitors { watched.append(subject.id) }
        return watched
    }

    private func outweighs(_ id: NodeID, for subject: Subject) -> Bool {
        let weight = Rendezvous.weight(id.bytes.word0, salt: Rendezvous.salt(of: subject.id))
        return weight > subject.ownWeight || (weight == subject.ownWeight && id < own)
    }

    private func scope(in table: IDTable<PresentMember>) -> Range<Int> {
        table.range(ofPrefix: own, bits: depth)
    }

    private mutating func enter(_ id: NodeID, from table: IDTable<PresentMember>, _ scope: Range<Int>) {
        let salt = Rendezvous.salt(of: id)
        let ownWeight = Rendezvous.weight(own.bytes.word0, salt: salt)
        // Among n members, 4 × horizon are expected above this weight: a rank below the horizon is out of reach.
        let reach = 4 * Self.fullHorizon
        if scope.count > reach, ownWeight < .max - .max / UInt64(scope.count) * UInt64(reach) { return }
        var rank = 0
        for index in scope where Rendezvous.weight(table.prefixes[index], salt: salt) >= ownWeight {
            let other = table[index].id
            if other == id || (other > own && other.bytes.word0 == own.bytes.word0) { continue }
            rank += 1
            if rank >= horizon { return }
        }
        subjects.append(Subject(id: id, ownWeight: ownWeight, rank: rank))
        isChanged = true
    }
}

extension NodeID {
    /// Whether the first `bits` (at most 64) bits are the same.
    func sharesPrefix(_ bits: Int, with other: NodeID) -> Bool {
        bits == 0 || (bytes.word0 ^ other.bytes.word0) >> UInt64(64 - bits) == 0
    }
}

extension Array {
    /// Removes an element in constant time; the last takes its place.
    mutating func swapRemove(at index: Int) {
        swapAt(index, count - 1)
        removeLast()
    }
}
