import MediaRelay
import Simulations
import SwarmCore
import Testing

/// Small swarms with media to which everything happens, then nothing: the checkers hold throughout, and afterwards every
/// viewer whose session goes on has media.
@Suite struct MediaLifeTests {
    @Test(arguments: SimulationMedia.Fidelity.allCases, UInt64(1)...2)
    func viewersAreServedAgain(fidelity: SimulationMedia.Fidelity, seed: UInt64) throws {
        let count = 7
        let swarm = try MediaFixture(
            fidelity, nodes: count, maxChildren: 2, seed: seed, network: NetworkConfiguration())
        let simulation = swarm.simulation
        _ = try #require(swarm.publish(at: 0), "\(String(describing: swarm.refusal))")
        simulation.run(for: .seconds(2))
        for node in 1..<count { _ = try #require(swarm.play(at: node), "\(String(describing: swarm.refusal))") }
        var generator = SeededGenerator(seed: seed).child(77)
        for _ in 0..<8 {
            strike(swarm, using: &generator)
            simulation.run(for: .milliseconds(1500 + Int64(generator.integer(below: 3000))))
        }
        simulation.endAllFaults()
        simulation.run(for: .seconds(30))
        let described = "fidelity \(fidelity), seed \(seed)"
        let unserved = swarm.media.unserved().map(\.text)
        #expect(unserved.isEmpty, "\(described): \(unserved)")
        swarm.checks.finish(simulation)
        #expect(swarm.checks.violations.isEmpty, "\(described): \(swarm.checks.violations.prefix(3))")
        // Whoever comes now is served too.
        for node in 1..<count where swarm.nodes[node].isUp {
            let late = try #require(
                swarm.play(at: node), "\(described), node \(node): \(String(describing: swarm.refusal))")
            simulation.run(for: .seconds(3))
            #expect(swarm.viewer(late, at: node)?.timeToFirstKeyFrame != nil, "\(described), node \(node)")
        }
    }

    /// One fault; the origin may stall or be cut off, but lives.
    private func strike(_ swarm: MediaFixture, using generator: inout SeededGenerator) {
        let simulation = swarm.simulation
        let node = swarm.nodes[1 + generator.integer(below: swarm.nodes.count - 1)]
        let span = Interval.milliseconds(200 + Int64(generator.integer(below: 2500)))
        switch generator.integer(below: 5) {
        case 0 where node.isUp:
            let life = node.life
            simulation.crash(node)
            simulation.schedule(after: span) { simulation in
                simulation.start(
                    node, seeds: simulation.nodes[0].host.map { [$0.contact] } ?? [], identityOf: life)
            }
        case 1: simulation.pause(swarm.nodes[generator.integer(below: swarm.nodes.count)], for: span)
        case 2: swarm.cutOff([node.index], for: span)
        case 3: swarm.cutOff([0], for: span)
        default:
            simulation.begin(
                NetworkFault(
                    .latency(from: NodeSet([node.index]), to: .all, factor: 1, addedMilliseconds: 80),
                    from: simulation.now, until: simulation.now + UInt64(span.nanoseconds)))
        }
    }

    @Test func theCheckerSeesWhatIsWrong() throws {
        var worker = WorkerStatistics(token: 0, worker: 0)
        worker.links = [
            WorkerStatistics.Link(
                handle: LinkHandle(3), peer: NodeID(Bytes32(1, 2, 3, 4)), isEstablished: true)
        ]
        #expect(MediaChecker.faults(of: worker).isEmpty)
        worker.links[0].framesFirstSentTwice = 2
        #expect(MediaChecker.faults(of: worker).count == 1)
        let swarm = try MediaFixture(.flow, nodes: 2)
        _ = try #require(swarm.publish(at: 0))
        swarm.simulation.run(for: .seconds(1))
        let feed = try #require(swarm.fabric?.feeds(of: 0).first)
        #expect(MediaChecker.fault(of: feed, nodes: 2) == nil)
        #expect(MediaChecker.fault(of: feed, nodes: -1) != nil)
    }
}
