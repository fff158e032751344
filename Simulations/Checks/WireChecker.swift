import Composition
import SwarmCore

/// Nothing leaves a node in the clear: what goes to another node's swarm socket is a link packet of a possible length,
/// what goes to its workers a media link's, to clients only what their protocols have (RFC 7983).
///
/// The counted ciphers hide nothing, so with them the shape is all there is to see. With real ones the texts in
/// `secrets` (names of streams, say) are looked for in every datagram as well.
package final class WireChecker: Checker {
    package let name = "wire"
    package let interests: CheckerInterests = .sendings
    package weak var log: ViolationLog?
    /// Texts that no datagram may contain while ciphers are real; of at least four bytes.
    package var secrets: [String] = []

    /// Shortest and longest packet of each kind, from PROTOCOL.md, "Links".
    private static let initiation = 416...Limits.datagramBytes
    private static let response = 10 + 48 + 1 + 32...Limits.datagramBytes
    private static let cookie = 16...128
    private static let transport = 13 + 16...Limits.datagramBytes
    /// Type, connection id, counter and tag.
    private static let media = 9 + 16...Limits.receiveBytes

    package init() {}

    package func sent(
        _ datagram: Span<UInt8>, from node: SimulatedNode, to destination: NetworkAddress, in simulation: Simulation
    ) {
        guard node.isHonest, let to = AddressPlan.index(of: destination) else { return }
        if !Self.isWellFormed(datagram, to: destination, node: to) {
            let first = datagram.isEmpty ? 0 : datagram[0]
            violate(
                "\(datagram.count) bytes beginning with \(first) went to \(destination)", at: node, in: simulation)
        }
        guard simulation.options.hasRealCryptography else { return }
        for secret in secrets where Self.contains(datagram, secret) {
            violate("the text \"\(secret)\" went to \(destination) in the clear", at: node, in: simulation)
        }
    }

    private static func isWellFormed(_ datagram: Span<UInt8>, to destination: NetworkAddress, node: Int) -> Bool {
        guard !datagram.isEmpty else { return false }
        // A box's ports tell nothing of the socket behind them.
        if destination == AddressPlan.address(of: node, host: AddressPlan.natHost, port: destination.port) {
            return isLink(datagram) || isMediaLink(datagram)
        }
        if destination.port == AddressPlan.swarmPort { return isLink(datagram) }
        if destination == AddressPlan.address(of: node, port: destination.port) { return isMediaLink(datagram) }
        switch datagram[0] {
        case 0...3, 20...63, 128...191: return true
        default: return false
        }
    }

    private static func isLink(_ datagram: Span<UInt8>) -> Bool {
        let count = datagram.count
        switch datagram[0] {
        case 0xc1: return initiation.contains(count) && datagram[1] == 1
        case 0xc2: return response.contains(count) && datagram[1] == 1
        case 0xc3: return cookie.contains(count)
        case 0xc4: return transport.contains(count) && datagram.loadUInt32(at: 1) != 0
        default: return false
        }
    }

    private static func isMediaLink(_ datagram: Span<UInt8>) -> Bool {
        datagram[0] == 0xd0 && media.contains(datagram.count)
    }

    private static func contains(_ datagram: Span<UInt8>, _ text: String) -> Bool {
        let wanted = Array(text.utf8)
        guard wanted.count >= 4, datagram.count >= wanted.count else { return false }
        for start in 0...(datagram.count - wanted.count) where datagram[start] == wanted[0] {
            var length = 1
            while length < wanted.count, datagram[start + length] == wanted[length] { length += 1 }
            if length == wanted.count { return true }
        }
        return false
    }
}
