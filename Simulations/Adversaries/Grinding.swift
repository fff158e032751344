import SwarmCore
import SwarmCrypto

/// Makes identities until their ids lie next to a key: what an attacker does to own the nodes nearest to a stream's
/// name.
package enum IDGrinder {
    /// Identities tried per call at most: 2^24.
    package static var tryLimit: Int { 1 << 24 }

    /// Up to `count` identities whose ids share at least `bits` leading bits with `key`; each takes 2^bits tries on
    /// average. Fewer where `tries` runs out.
    package static func grind(
        _ count: Int, near key: Bytes32, bits: Int, tries: Int = tryLimit, suite: CryptoSuite,
        using generator: inout SeededGenerator
    ) -> [Identity] {
        var found: [Identity] = []
        for _ in 0..<min(tries, tryLimit) where found.count < count {
            let seed = Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
            let identity = Identity(seed: seed, suite: suite)
            if identity.id.distance(to: key).leadingZeroBitCount >= bits { found.append(identity) }
        }
        return found
    }

    /// How many bits `ground` ids must share with a key so that they are nearer than all but a few of `nodes` honest
    /// ones: log2 of the number of nodes, and three more.
    package static func bits(against nodes: Int) -> Int {
        Int.bitWidth - max(1, nodes).leadingZeroBitCount + 3
    }
}
