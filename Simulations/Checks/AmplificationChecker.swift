import Composition
import SwarmCore

/// Nobody can make a node send much to a third party: to an address that has not shown that it receives what is sent
/// there, at most three times the bytes that came from it are answered (as in RFC 9000 §8.1).
///
/// An address has shown it once a response or transport packet from it names a connection id that this node issued.
/// First messages of handshakes are not answers: a node sends them where it wants to go, and few. Bounded to a million
/// pairs of node and address; once some of them are forgotten, an account begins with a first message only, so that
/// nobody who was proved is taken for a stranger.
package final class AmplificationChecker: Checker {
    package static var factor: UInt64 { 3 }
    package let name = "amplification"
    package let interests: CheckerInterests = [.sendings, .deliveries]
    package weak var log: ViolationLog?

    private struct Balance {
        var received: UInt64 = 0
        var answered: UInt64 = 0
        var isProved = false
    }

    private var balances = WordTable<Balance>(limit: 1 << 20, empty: Balance())
    /// Connection ids that a node has told others: to whom does not matter, they are random.
    private var issued = WordTable<Bool>(limit: 1 << 20, empty: false)

    package init() {}

    package func sent(
        _ datagram: Span<UInt8>, from node: SimulatedNode, to destination: NetworkAddress, in simulation: Simulation
    ) {
        guard datagram.count >= 10, (0xc1...0xc4).contains(datagram[0]), node.isHonest else { return }
        switch datagram[0] {
        case 0xc1:
            issued[Self.key(node, connection: datagram.loadUInt32(at: 2))] = true
            return
        case 0xc2: issued[Self.key(node, connection: datagram.loadUInt32(at: 2))] = true
        default: break
        }
        let key = Self.key(node, address: destination)
        guard var balance = balances[key] ?? newBalance, !balance.isProved else { return }
        balance.answered += UInt64(datagram.count)
        balances[key] = balance
        guard balance.answered > Self.factor * balance.received else { return }
        violate(
            "\(balance.answered) bytes went to \(destination), which has proved nothing and sent \(balance.received)",
            at: node, in: simulation)
    }

    package func delivered(
        _ datagram: Span<UInt8>, from source: NetworkAddress, to node: SimulatedNode, in simulation: Simulation
    ) {
        guard datagram.count >= 10, node.isHonest else { return }
        let key = Self.key(node, address: source)
        let start = datagram[0] == 0xc1 ? Balance() : newBalance
        guard var balance = balances[key] ?? start, !balance.isProved else { return }
        balance.received += UInt64(datagram.count)
        // An injected copy is a forgery: it proves nothing about its source.
        if !simulation.isInjecting {
            let connection: UInt32? =
                switch datagram[0] {
                case 0xc2: datagram.loadUInt32(at: 6)
                case 0xc4: datagram.loadUInt32(at: 1)
                default: nil
                }
            if let connection, issued[Self.key(node, connection: connection)] ?? issued.hasForgotten {
                balance.isProved = true
            }
        }
        balances[key] = balance
    }

    /// Of a pair that is not in the table; nil where it may have been.
    private var newBalance: Balance? { balances.hasForgotten ? nil : Balance() }

    private static func key(_ node: SimulatedNode, address: NetworkAddress) -> UInt64 {
        let place = (address.high ^ address.low &* 0xbf58_476d_1ce4_e5b9) &+ UInt64(address.port)
        return place &* 0x94d0_49bb_1331_11eb ^ (UInt64(node.index) << 32 | UInt64(node.life))
    }

    private static func key(_ node: SimulatedNode, connection: UInt32) -> UInt64 {
        UInt64(connection) << 32 | UInt64(UInt32(truncatingIfNeeded: node.index))
    }
}
