import MediaRelay
import Simulations
import SwarmCore
import Testing

/// One scenario in both fidelities: what viewers meet must agree.
@Suite struct MediaFidelityTests {
    private struct Outcome {
        var nearStart = Interval.zero
        var farStart = Interval.zero
        var crashGap = Interval.zero
        var partitionGap = Interval.zero
        var pauseGap = Interval.zero
    }

    private func run(_ fidelity: SimulationMedia.Fidelity, seed: UInt64) throws -> Outcome {
        let swarm = try MediaFixture(fidelity, nodes: 3, maxChildren: 1, seed: seed)
        var outcome = Outcome()
        _ = try #require(swarm.publish(at: 0), "\(String(describing: swarm.refusal))")
        swarm.simulation.run(for: .seconds(2))
        let near = try #require(swarm.play(at: 1))
        swarm.simulation.run(for: .seconds(2))
        let far = try #require(swarm.play(at: 2))
        swarm.simulation.run(for: .milliseconds(3000 + 7 * Int64(seed)))
        try #require(swarm.route(at: 2) == [0, 1, 2])
        outcome.nearStart = try #require(swarm.viewer(near, at: 1)?.timeToFirstKeyFrame)
        outcome.farStart = try #require(swarm.viewer(far, at: 2)?.timeToFirstKeyFrame)
        func gap(after fault: () -> Void) throws -> Interval {
            swarm.media.forgetGaps()
            fault()
            swarm.simulation.run(for: .seconds(12))
            return try #require(swarm.viewer(far, at: 2)?.longestGap)
        }
        outcome.crashGap = try gap { swarm.simulation.crash(swarm.nodes[1]) }
        try #require(swarm.route(at: 2) == [0, 2])
        outcome.partitionGap = try gap { swarm.cutOff([2], for: .milliseconds(1500)) }
        outcome.pauseGap = try gap { swarm.simulation.pause(swarm.nodes[0], for: .milliseconds(700)) }
        return outcome
    }

    /// Both drive the same control plane, so what differs is the media: a start to the millisecond, a gap to a frame of
    /// video (33 ms), because packets come in frames and rates do not.
    @Test(arguments: [UInt64(7), 8])
    func startsAndGapsAgree(seed: UInt64) throws {
        let flow = try run(.flow, seed: seed)
        let packets = try run(.packets, seed: seed)
        let described = "flow \(flow), packets \(packets)"
        #expect((flow.nearStart - packets.nearStart).nanoseconds.magnitude <= 2_000_000, "\(described)")
        #expect((flow.farStart - packets.farStart).nanoseconds.magnitude <= 2_000_000, "\(described)")
        for pair in [
            (flow.crashGap, packets.crashGap), (flow.partitionGap, packets.partitionGap),
            (flow.pauseGap, packets.pauseGap),
        ] {
            #expect((pair.0 - pair.1).nanoseconds.magnitude <= 50_000_000, "\(described)")
        }
        #expect(packets.crashGap > .milliseconds(950) && packets.crashGap < .seconds(2), "\(described)")
    }
}
