import SwarmCore

/// The part of the key space whose nodes hold the records of one key: as wide around the key as k nodes take on average.
///
/// The width follows from the size of the whole swarm, not from the nodes that are found near the key. So whoever grinds
/// ids next to a key makes its region crowded, but not smaller: the honest nodes in it are holders all the same, and are
/// found by looking at other points of the region than the key.
package struct HolderRegion: Hashable, Sendable {
    /// Equal parts by distance from the key; part 0 is the key's own.
    package static var parts: Int { 8 }

    package let key: Bytes32
    /// Ids are inside whose distance's first 64 bits are not above.
    package let radius: UInt64

    /// Around `key` in a swarm of about `swarmSize` nodes, wide enough for `holders` of them.
    package init(key: Bytes32, swarmSize: Double, holders: Int) {
        self.key = key
        let share = Double(holders) / max(swarmSize, 1)
        radius = share < 1 ? UInt64(share * 0x1p64) : .max
    }

    package func contains(_ id: NodeID) -> Bool { id.bytes.word0 ^ key.word0 <= radius }

    /// Within `factor` times the region's width: nodes judge its size differently.
    package func contains(_ id: NodeID, within factor: UInt64) -> Bool {
        let (limit, overflow) = radius.multipliedReportingOverflow(by: factor)
        return overflow || id.bytes.word0 ^ key.word0 <= limit
    }

    /// Which part of the region an id in it belongs to.
    package func part(of id: NodeID) -> Int {
        let width = radius / UInt64(Self.parts) + 1
        return min(Int((id.bytes.word0 ^ key.word0) / width), Self.parts - 1)
    }

    /// A point in the middle of a part, to look for nodes around it.
    package func point(inPart part: Int) -> Bytes32 {
        guard part > 0 else { return key }
        let width = radius / UInt64(Self.parts)
        var point = key
        point.word0 ^= width * UInt64(part) + width / 2
        return point
    }

    /// Where a search looks around: the key, and every other part from the one next to the key's own on.
    package var points: [Bytes32] { [key] + stride(from: 1, to: Self.parts, by: 2).map { point(inPart: $0) } }

    /// The holders among `found`, nodes that answered, nearest first: everybody in the region, but at least the `fewest`
    /// nearest and at most `most`. Where there are more, each part of the region gives as many as the others, at random
    /// within: ids crowded together take the places of their own part only.
    package func holders(
        among found: [Contact], fewest: Int, most: Int, using generator: inout SeededGenerator
    ) -> [Contact] {
        let inside = found.prefix { contains($0.id) }
        guard inside.count > most else { return Array(found.prefix(max(inside.count, fewest))) }
        var parts = [[Contact]](repeating: [], count: Self.parts)
        for contact in inside { parts[part(of: contact.id)].append(contact) }
        for index in parts.indices { parts[index].shuffle(using: &generator) }
        var chosen: [Contact] = []
        var round = 0
        while chosen.count < most {
            for part in parts where round < part.count && chosen.count < most { chosen.append(part[round]) }
            round += 1
        }
        return chosen.sorted { $0.id.distance(to: key) < $1.id.distance(to: key) }
    }
}
