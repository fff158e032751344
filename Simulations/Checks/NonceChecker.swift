import Composition
import SwarmCore

/// No nonce is used twice: under one key, which one connection id of one receiver stands for, the counters of link and
/// media packets only grow.
///
/// Bounded to a million connections; the oldest are forgotten first.
package final class NonceChecker: Checker {
    package let name = "nonces"
    package let interests: CheckerInterests = .sendings
    package weak var log: ViolationLog?
    private var newest = WordTable<UInt64>(limit: 1 << 20, empty: 0)

    package init() {}

    package func sent(
        _ datagram: Span<UInt8>, from node: SimulatedNode, to destination: NetworkAddress, in simulation: Simulation
    ) {
        let counter: UInt64
        switch datagram.isEmpty ? 0 : datagram[0] {
        case 0xc4 where datagram.count >= 13: counter = datagram.loadUInt64(at: 5)
        case 0xd0 where datagram.count >= 9: counter = UInt64(datagram.loadUInt32(at: 5))
        default: return
        }
        guard node.isHonest else { return }
        // Where it goes, the connection, and who sends: of two nodes with one connection id each has a key of its own.
        let place = destination.low << 16 | UInt64(destination.port)
        let key =
            (place &* 0xbf58_476d_1ce4_e5b9)
            ^ (UInt64(datagram.loadUInt32(at: 1)) << 32 | UInt64(node.index)) ^ UInt64(node.life) << 24
        if let last = newest[key], counter <= last {
            violate(
                "counter \(counter) after \(last) on connection \(datagram.loadUInt32(at: 1)) of \(destination)",
                at: node, in: simulation)
        }
        newest[key] = counter
    }
}
