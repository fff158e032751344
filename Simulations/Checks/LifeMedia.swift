import Composition
import SwarmCore

/// The shows of a random life: streams with media behind them, and people who watch them from anywhere.
///
/// Publishers and viewers come before the faults and while they last; after them a few more join each show that is
/// still on, and everybody whose session goes on must have media.
final class LifeMedia {
    /// Shows of one life: with as many children as nodes take (8 and more), no tree is short of places.
    private static var shows: Int { 6 }

    private let media: SimulationMedia
    private unowned let simulation: Simulation
    private let suite: CheckSuite
    private var draw: SeededGenerator
    /// Which node publishes each show, in the order of their beginnings.
    private(set) var shows: [(name: StreamName, node: Int, life: UInt32)] = []
    private var lateRefusals: [(node: Int, text: String)] = []
    private var serial = 0
    private(set) var viewersBegun = 0

    /// Before the first node starts.
    init(
        _ fidelity: SimulationMedia.Fidelity, in simulation: Simulation, suite: CheckSuite,
        using generator: SeededGenerator
    ) {
        media = SimulationMedia(fidelity, in: simulation)
        self.simulation = simulation
        self.suite = suite
        draw = generator
    }

    func beginShow() {
        guard serial < Self.shows, let name = StreamName("show/\(serial)"), let node = somebody() else { return }
        serial += 1
        let life = node.life
        simulation.publish(name, at: node) { [weak self] outcome in
            guard case .began = outcome else { return }
            self?.shows.append((name, node.index, life))
        }
    }

    /// One more viewer of one of the shows. `mustSucceed` once nothing is broken any more.
    func addViewer(of show: StreamName? = nil, mustSucceed: Bool = false) {
        let on = showsThatAreOn
        guard !on.isEmpty, let node = somebody() else { return }
        let name = show ?? on[draw.integer(below: on.count)].name
        simulation.play(name, at: node) { [weak self] outcome in
            guard let self else { return }
            switch outcome {
            case .began: viewersBegun += 1
            case .refused, .unusableAnswer:
                if mustSucceed { lateRefusals.append((node.index, "\(name): \(outcome)")) }
            }
        }
    }

    /// Shows whose publisher's node is up in the same life and still has the stream as its own.
    var showsThatAreOn: [(name: StreamName, node: Int, life: UInt32)] {
        shows.filter { show in
            let node = simulation.nodes[show.node]
            return node.life == show.life && node.swarm?.machine.route(of: show.name)?.isOrigin == true
        }
    }

    private func somebody() -> SimulatedNode? {
        let living = simulation.nodes.filter { $0.isHonest && $0.pausedUntil <= simulation.now }
        return living.isEmpty ? nil : living[draw.integer(below: living.count)]
    }

    /// After the last fault: in `time` from now, some more viewers join each show.
    func joinLate(after time: Interval) {
        simulation.schedule(after: time) { [weak self] _ in
            guard let self else { return }
            for show in showsThatAreOn {
                for _ in 0..<4 { addViewer(of: show.name, mustSucceed: true) }
            }
        }
    }

    /// Viewers that should see something and do not, or saw something twice.
    func unserved() -> [(node: Int, text: String)] {
        var found = lateRefusals
        for node in simulation.nodes where node.isUp {
            for viewer in node.media?.viewers(at: node.clock.now(simulation.now)) ?? [] {
                if viewer.packetsDuplicate > 0 {
                    suite.log.report(
                        Violation(
                            checker: "duplicates", node: node.index, time: simulation.now,
                            text: "viewer \(viewer.client.raw) got \(viewer.packetsDuplicate) packets twice"))
                }
                guard !viewer.isClosed else { continue }
                if viewer.timeToFirstKeyFrame == nil {
                    found.append((node.index, "viewer \(viewer.client.raw) never saw a key frame"))
                } else if viewer.isWithoutMedia {
                    found.append((node.index, "viewer \(viewer.client.raw) has no media"))
                }
            }
        }
        return found
    }

    /// Every node is asked for its workers' counters: no frame was ever first sent twice over one link.
    func auditWorkers() {
        for node in simulation.nodes where node.isHonest {
            simulation.ask(node, .statistics) { [suite, simulation] reply in
                guard case .statistics(let statistics) = reply else { return }
                for link in statistics.workers.flatMap(\.links) where link.framesFirstSentTwice > 0 {
                    suite.log.report(
                        Violation(
                            checker: "duplicates", node: node.index, time: simulation.now,
                            text: "\(link.framesFirstSentTwice) of \(link.framesFirstSent) frames went twice to "
                                + "\(link.peer.short)"))
                }
            }
        }
        simulation.run(for: .seconds(1))
    }
}
