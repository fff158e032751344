import SwarmCore

package enum NetworkDrop: Int, CaseIterable, Sendable { case loss }
package enum Transit: Sendable {
    case dropped(NetworkDrop); case arrives(at: UInt64, copyAt: UInt64?, flippedBit: Int?)
}
package struct NetworkModel {
    package init() {}
    package mutating func addNode(_ index: Int, site: Int?) {}
    package mutating func send(from: Int, to: Int, byteCount: Int, at now: UInt64, ordinal: UInt32) -> Transit {
        var hash = (UInt64(from) << 32 | UInt64(to)) &* 0x9e37_79b9_7f4a_7c15 ^ now ^ UInt64(ordinal)
        hash ^= hash >> 29
        hash = hash &* 0xbf58_476d_1ce4_e5b9
        return .arrives(at: now + 20_000_000 + (hash >> 8) % 60_000_000, copyAt: nil, flippedBit: nil)
    }
}
