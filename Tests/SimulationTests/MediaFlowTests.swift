import MediaRelay
import Simulations
import SwarmCore
import Testing

/// Media as rates: what viewers meet when the control plane of real nodes drives a `FlowFabric`.
@Suite struct MediaFlowTests {
    @Test func aStreamCrossesARelay() throws {
        let swarm = try MediaFixture(.flow, nodes: 3, maxChildren: 1)
        _ = try #require(swarm.publish(at: 0), "\(String(describing: swarm.refusal))")
        swarm.simulation.run(for: .seconds(2))
        let near = try #require(swarm.play(at: 1))
        swarm.simulation.run(for: .seconds(2))
        let far = try #require(swarm.play(at: 2))
        swarm.simulation.run(for: .seconds(6))
        #expect(swarm.route(at: 2) == [0, 1, 2])
        for (client, node) in [(near, 1), (far, 2)] {
            let viewer = try #require(swarm.viewer(client, at: node))
            #expect(viewer.packetsReceived > 300 && viewer.longestGap == .zero, "\(viewer)")
            let first = try #require(viewer.timeToFirstKeyFrame)
            #expect(first > .milliseconds(40) && first < .seconds(2), "\(first)")
        }
        let fabric = try #require(swarm.fabric)
        #expect(fabric.feeds(of: 2).first?.hops == 2)
        #expect(fabric.egressBitsPerSecond(of: 0) == 1_064_000)
        #expect(fabric.egressBitsPerSecond(of: 1) == 2 * 1_064_000)
    }

    @Test func aDeadRelayIsReplaced() throws {
        let swarm = try MediaFixture(.flow, nodes: 3, maxChildren: 1)
        _ = try #require(swarm.publish(at: 0), "\(String(describing: swarm.refusal))")
        swarm.simulation.run(for: .seconds(2))
        _ = try #require(swarm.play(at: 1))
        swarm.simulation.run(for: .seconds(2))
        let far = try #require(swarm.play(at: 2))
        swarm.simulation.run(for: .seconds(3))
        #expect(swarm.route(at: 2) == [0, 1, 2])
        swarm.simulation.crash(swarm.nodes[1])
        swarm.simulation.run(for: .seconds(15))
        #expect(swarm.route(at: 2) == [0, 2])
        let viewer = try #require(swarm.viewer(far, at: 2))
        #expect(!viewer.isWithoutMedia)
        #expect(viewer.longestGap > .milliseconds(900) && viewer.longestGap < .seconds(8), "\(viewer.longestGap)")
        #expect(swarm.fabric?.gaps == [viewer.longestGap])
    }
}
