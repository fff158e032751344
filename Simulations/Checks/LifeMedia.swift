import Composition
import SwarmCore

/// The shows of a random life: streams with media behind them, and people who watch them from anywhere.
///
/// Publishers and viewers come before the faults and while they last; after them a few more join each show that is
/// still on, and everybody whose session goes on must have media.
final class LifeMedia {
    /// Shows of one life: with as many children as nodes take (8 and more), no tree is short of places.
    private static var shows: Int { 6 }

    private unowned let simulation: Simulation
    private var draw: SeededGenerator
    /// Which node publishes each show, in the order of their beginnings.
    private(set) var shows: [(name: StreamName, node: Int, life: UInt32)] = []
    private var lateRefusals: [(node: Int, text: String)] = []
    private var serial = 0
    private(set) var viewersBegun = 0

    init(in simulation: Simulation, using generator: SeededGenerator) {
        self.simulation = simulation
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

    /// Viewers that should see something and do not. That a viewer gets a packet twice is no fault: it asks for what it
    /// misses, and both may come; that no frame is first sent twice is `MediaChecker`'s.
    func unserved() -> [(node: Int, text: String)] {
        var found = lateRefusals
        for node in simulation.nodes where node.isUp {
            for viewer in node.media?.viewers(at: node.clock.now(simulation.now)) ?? [] {
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
}
