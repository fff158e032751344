import SwarmCore

/// An estimate of how many nodes the swarm has, from how densely ids lie.
///
/// Each sample is the density around one point: own neighbourhood, and the ends of lookups that ran to their full end.
/// Own neighbourhood may be known in part only, the less the farther from this node, and that makes it seem sparse, never
/// dense: so the densest of three views of it counts. The median of all samples is taken, the lower one of two, so that
/// whoever crowds the surroundings of a few keys, or of this node, changes little; a key that is looked up again and again
/// counts once. What is taken for too few costs wider regions, what is taken for too many hides records.
package struct SwarmSize: Sendable {
    private static var capacity: Int { 16 }
    private var samples: [(point: UInt64, size: Double)] = []
    private var next = 0
    private var own = 1.0
    private var ownVersion: UInt64 = .max
    package private(set) var estimate = 1.0

    package init() {}

    /// The number of nodes of which, on average, number `rank` lies at `distance` (its first 64 bits) from a point.
    static func density(rank: Int, distance: UInt64) -> Double {
        Double(max(rank - 1, 1)) / (Double(max(distance, 1)) * 0x1p-64)
    }

    /// The full end of a lookup: `distance` (its first 64 bits) is that of its answering node number `rank`.
    package mutating func note(around point: Bytes32, rank: Int, distance: UInt64) {
        let sample = (point: point.word0, size: Self.density(rank: rank, distance: distance))
        if let known = samples.firstIndex(where: { $0.point == sample.point }) {
            samples[known] = sample
        } else if samples.count < Self.capacity {
            samples.append(sample)
        } else {
            samples[next] = sample
            next = (next + 1) % Self.capacity
        }
        settle()
    }

    /// Looks at own neighbourhood anew where the table has changed.
    package mutating func look(at table: RoutingTable) {
        guard table.changes != ownVersion else { return }
        ownVersion = table.changes
        own = Double(table.count + 1)
        let distances = Self.apart(table.distances)
        let siblings = table.configuration.siblings
        for rank in [siblings / 4, siblings / 2, siblings] where rank > 0 && rank <= distances.count {
            own = max(own, Self.density(rank: rank, distance: distances[rank - 1]))
        }
        settle()
    }

    /// Of ids that lie together, as those ground next to a key do as seen from its neighbourhood, only the first: of 40 by
    /// chance one or two are taken for such.
    private static func apart(_ sorted: [UInt64]) -> [UInt64] {
        var kept: [UInt64] = []
        for distance in sorted where kept.last.map({ distance - $0 > distance >> 10 }) ?? true { kept.append(distance) }
        return kept
    }

    private mutating func settle() {
        let all = (samples.map(\.size) + [own]).sorted()
        estimate = all[(all.count - 1) / 2]
    }
}
