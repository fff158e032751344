import Composition
import MediaRelay
import Simulations
import SwarmCore
import Testing

/// Media as packets: real workers, simulated handshakes, the engine's network.
@Suite struct MediaPacketTests {
    @Test func aStreamCrossesARelay() throws {
        let swarm = try MediaFixture(.packets, nodes: 3, maxChildren: 1)
        _ = try #require(swarm.publish(at: 0), "\(String(describing: swarm.refusal))")
        swarm.simulation.run(for: .seconds(2))
        let near = try #require(swarm.play(at: 1))
        swarm.simulation.run(for: .seconds(2))
        let far = try #require(swarm.play(at: 2))
        swarm.simulation.run(for: .seconds(6))
        #expect(swarm.route(at: 2) == [0, 1, 2])
        for (client, node) in [(near, 1), (far, 2)] {
            let viewer = try #require(swarm.viewer(client, at: node))
            #expect(
                viewer.packetsReceived > 300 && viewer.packetsLost == 0 && viewer.packetsDuplicate == 0, "\(viewer)")
            #expect((viewer.timeToFirstKeyFrame ?? .seconds(9)) < .seconds(2))
            #expect(!viewer.isWithoutMedia && viewer.longestGap < .milliseconds(200), "\(viewer)")
        }
        #expect(swarm.simulation.defects.isEmpty, "\(swarm.simulation.defects)")
    }
}
