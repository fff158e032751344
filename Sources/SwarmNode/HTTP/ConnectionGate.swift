import NIOCore
import SwarmCore
import Synchronization

/// Keeps one host from taking every connection. Hosts are counted by IPv4 address or IPv6 /64 network, what one
/// subscriber has; this machine itself may have more, for the proxies that run on it.
final class ConnectionGate: Sendable {
    /// Never larger than `HTTPLimits.connections`: a host without connections has no entry.
    private let counts = Mutex<[UInt64: Int]>([:])

    /// Whether the connection may stay; if so, it is counted until it closes.
    func admit(_ channel: any Channel) -> Bool {
        guard let host = channel.remoteAddress?.ipAddress, let address = NetworkAddress(host: host, port: 0) else {
            return true
        }
        guard admit(address) else { return false }
        channel.closeFuture.whenComplete { _ in self.leave(address) }
        return true
    }

    func admit(_ address: NetworkAddress) -> Bool {
        let limit = address.isLoopback ? HTTPLimits.connectionsOfThisMachine : HTTPLimits.connectionsPerHost
        let key = Self.key(address)
        return counts.withLock { counts in
            let count = counts[key, default: 0]
            guard count < limit else { return false }
            counts[key] = count + 1
            return true
        }
    }

    func leave(_ address: NetworkAddress) {
        let key = Self.key(address)
        counts.withLock { counts in
            guard let count = counts[key], count > 1 else {
                counts[key] = nil
                return
            }
            counts[key] = count - 1
        }
    }

    private static func key(_ address: NetworkAddress) -> UInt64 { address.isIPv4 ? address.low : address.high }
}
