import SwarmCore

/// Which addresses the simulated hosts have: each node a public IPv4 /24 of its own from 1.0.0.0 on, the node at .1, its
/// clients from .2 on, the outside of its NAT box, if it has one, at .254. So an address tells its node without a table, and
/// no two honest nodes share a subnet.
package enum AddressPlan {
    private static var first: UInt32 { 0x0100_0000 }
    package static var swarmPort: UInt16 { 7788 }
    /// The host number of a NAT box's outside.
    package static var natHost: UInt8 { 254 }

    /// The most nodes of one run: up to 223.255.255.0, where multicast begins.
    package static var capacity: Int { Int((0xe000_0000 as UInt32 - first) >> 8) }

    /// Host number `host` (1 for the node itself) of node `index`.
    package static func address(of index: Int, host: UInt8 = 1, port: UInt16 = swarmPort) -> NetworkAddress {
        precondition(index >= 0 && index < capacity, "node \(index) of at most \(capacity)")
        return NetworkAddress(ipv4: first + UInt32(index) << 8 + UInt32(host), port: port)
    }

    /// The node whose subnet holds `address`, or nil.
    package static func index(of address: NetworkAddress) -> Int? {
        guard address.isIPv4, address.ipv4 >= first, address.ipv4 < 0xe000_0000 else { return nil }
        return Int((address.ipv4 - first) >> 8)
    }
}
