import MediaRelay
import Simulations
import SwarmCore
import Testing

/// One scenario in both fidelities: what viewers meet must agree.
@Suite struct MediaFidelityTests {
    private struct Outcome {
        var nearStart = Interval.zero
        var farStart = Interval.zero
        var gap = Interval.zero
        var healGap = Interval.zero
    }

    private func run(_ fidelity: MediaFixture.Fidelity, seed: UInt64) throws -> Outcome {
        let swarm = try MediaFixture(fidelity, nodes: 3, maxChildren: 1, seed: seed)
        var outcome = Outcome()
        _ = try #require(swarm.publish(at: 0), "\(String(describing: swarm.refusal))")
        swarm.simulation.run(for: .seconds(2))
        let near = try #require(swarm.play(at: 1))
        swarm.simulation.run(for: .seconds(2))
        let far = try #require(swarm.play(at: 2))
        swarm.simulation.run(for: .seconds(3))
        try #require(swarm.route(at: 2) == [0, 1, 2])
        outcome.nearStart = try #require(swarm.viewer(near, at: 1)?.timeToFirstKeyFrame)
        outcome.farStart = try #require(swarm.viewer(far, at: 2)?.timeToFirstKeyFrame)
        swarm.simulation.crash(swarm.nodes[1])
        swarm.simulation.run(for: .seconds(15))
        try #require(swarm.route(at: 2) == [0, 2])
        outcome.gap = try #require(swarm.viewer(far, at: 2)?.longestGap)
        swarm.forgetGaps()
        swarm.cutOff([2])
        swarm.simulation.run(for: .milliseconds(1500))
        swarm.heal()
        swarm.simulation.run(for: .seconds(15))
        outcome.healGap = try #require(swarm.viewer(far, at: 2)?.longestGap)
        return outcome
    }

    @Test(arguments: [UInt64(7), 8, 9, 10, 11])
    func startsAndGapsAgree(seed: UInt64) throws {
        let flow = try run(.flow, seed: seed)
        let packets = try run(.packets, seed: seed)
        print("seed \(seed)")
        print("flow", flow.nearStart.milliseconds, flow.farStart.milliseconds, flow.gap.milliseconds, flow.healGap.milliseconds)
        print("pack", packets.nearStart.milliseconds, packets.farStart.milliseconds, packets.gap.milliseconds, packets.healGap.milliseconds)
    }
}
