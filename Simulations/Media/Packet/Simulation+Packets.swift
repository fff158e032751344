import MediaRelay
import SwarmCore

extension Simulation {
    /// Packet-level media for node `index` in the life that begins: to be its `media` before it starts.
    package func makePacketMedia(of index: Int, life: UInt32, paths: ClientPaths? = nil) -> PacketMedia {
        let ports = (0..<options.workers).map { AddressPlan.swarmPort + 1 + UInt16($0) }
        let configuration = PacketMediaConfiguration(
            workerAddresses: ports.map { AddressPlan.address(of: index, port: $0) },
            clientHosts: (2...251).map { AddressPlan.address(of: index, host: $0, port: 0) },
            paths: paths ?? ClientPaths(seed: options.seed), suite: suite)
        // The composition takes children 1 and 2 of the node's generator (`configuration(of:life:)`).
        return PacketMedia(configuration, generator: generator(of: index, life: life).child(3))
    }
}
