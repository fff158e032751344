import CSwarmShims
import SwarmCore

/// The host's own addresses, for telling peers and clients where it is.
package enum LocalAddresses {
    /// Interfaces that are up, without loopback and link-local addresses; IPv4 first, port 0, at most 16.
    package static func all() -> [NetworkAddress] {
        var found = InlineArray<16, swarm_address>(repeating: swarm_address())
        var span = found.mutableSpan
        let count = unsafe span.withUnsafeMutableBufferPointer { buffer in
            unsafe swarm_local_addresses(buffer.baseAddress, UInt32(buffer.count))
        }
        return (0..<Int(count)).map { NetworkAddress(high: found[$0].high, low: found[$0].low, port: 0) }
    }
}
