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

    /// An Internet of jitter, bursts, copies and flipped bits: repairs leave next to nothing missing, and every checker of
    /// the simulator is content with what workers send.
    @Test func anOrdinaryNetworkIsRepaired() throws {
        let swarm = try MediaFixture(.packets, nodes: 6, maxChildren: 2, network: NetworkConfiguration())
        _ = try #require(swarm.publish(at: 0), "\(String(describing: swarm.refusal))")
        swarm.simulation.run(for: .seconds(2))
        for node in 1..<6 { _ = try #require(swarm.play(at: node), "\(String(describing: swarm.refusal))") }
        swarm.simulation.run(for: .seconds(20))
        let figures = swarm.media.figures()
        #expect(figures.viewers == 5 && figures.viewersWithoutMedia == 0)
        #expect((figures.lossRatio ?? 1) < 0.002, "\(figures)")
        #expect(figures.packetsDuplicate * 1000 < swarm.media.viewers().reduce(0) { $0 + $1.packetsReceived })
        #expect((figures.gapMillisecondsMaximum ?? 9e9) < 1_000, "\(figures)")
    }

    /// The plug of a client is pulled: its node notices by the consent time-out (30 s), and nothing is left of it.
    @Test func aVanishedViewerIsForgotten() throws {
        let swarm = try MediaFixture(.packets, nodes: 2)
        _ = try #require(swarm.publish(at: 0))
        swarm.simulation.run(for: .seconds(2))
        let viewer = try #require(swarm.play(at: 1))
        swarm.simulation.run(for: .seconds(5))
        #expect(swarm.statistics(at: 1)?.viewers == 1)
        swarm.nodes[1].media?.vanish(viewer, at: swarm.nodes[1].clock.now(swarm.simulation.now))
        swarm.simulation.run(for: .seconds(28))
        #expect(swarm.statistics(at: 1)?.viewers == 1)
        swarm.simulation.run(for: .seconds(12))
        #expect(swarm.statistics(at: 1)?.viewers == 0 && swarm.statistics(at: 1)?.streams == 0)
    }

    /// The digest covers every delivered datagram, media included: the same in a process with other hash seeds.
    @Test func aRunIsAFunctionOfItsSeed() async throws {
        let digest = try Self.digest()
        await #expect(processExitsWith: .success) { [digest = digest as String] in
            guard try MediaPacketTests.digest() == digest else { preconditionFailure("another run") }
        }
    }

    private static func digest() throws -> String {
        let swarm = try MediaFixture(.packets, nodes: 4, maxChildren: 1, network: NetworkConfiguration())
        _ = swarm.publish(at: 0)
        swarm.simulation.run(for: .seconds(1))
        for node in 1..<4 { _ = swarm.play(at: node) }
        swarm.simulation.run(for: .seconds(1))
        swarm.simulation.crash(swarm.nodes[1])
        swarm.simulation.run(for: .seconds(4))
        return "\(swarm.simulation.digest) \(swarm.media.viewers())"
    }
}
