import Composition
import SwarmCore

/// Somebody on the path who records what reaches honest nodes and plays it to them again, from the true source or from
/// elsewhere. Also the checker of the promise against it: a replayed datagram changes nothing but counters.
///
/// As a checker it records; the playing is scheduled by `begin`, and is part of the run and its digest.
package final class ReplayAttack: Checker {
    /// Datagrams remembered: some seconds of a small swarm's control traffic.
    private static var memory: Int { 2048 }

    private struct Recording {
        let node: Int
        let life: UInt32
        let source: NetworkAddress
        let bytes: [UInt8]
    }

    package let name = "replays"
    package let interests: CheckerInterests = .deliveries
    package weak var log: ViolationLog?
    private var recordings: [Recording] = []
    private var oldest = 0
    private var generator: SeededGenerator
    /// Datagrams played again.
    package private(set) var replays = 0

    package init(using generator: SeededGenerator) { self.generator = generator }

    package func delivered(
        _ datagram: Span<UInt8>, from source: NetworkAddress, to node: SimulatedNode, in simulation: Simulation
    ) {
        guard !simulation.isInjecting, node.isHonest, !datagram.isEmpty, (0xc1...0xc4).contains(datagram[0]) else {
            return
        }
        let recording = Recording(node: node.index, life: node.life, source: source, bytes: datagram.copied())
        if recordings.count < Self.memory {
            recordings.append(recording)
        } else {
            recordings[oldest] = recording
            oldest = (oldest + 1) % Self.memory
        }
    }

    /// Plays one recorded datagram every `interval` until `end` (nanoseconds since the start of the run).
    package func begin(every interval: Interval, until end: UInt64, in simulation: Simulation) {
        simulation.repeatEvery(interval) { [weak self] simulation in
            guard let self, simulation.now < end else { return false }
            replay(in: simulation)
            return true
        }
    }

    private func replay(in simulation: Simulation) {
        guard !recordings.isEmpty else { return }
        let recording = recordings[generator.integer(below: recordings.count)]
        let node = simulation.nodes[recording.node]
        let elsewhere = NetworkAddress(ipv4: 0xe000_0002, port: 4242)
        let source = generator.next() & 3 == 0 ? elsewhere : recording.source
        guard node.isHonest, node.life == recording.life, let swarm = node.swarm else { return }
        let before = swarm.machine.stateFingerprint
        guard simulation.inject(recording.bytes, from: source, to: node) else { return }
        replays += 1
        judge(before: before, after: swarm.machine.stateFingerprint, recording.bytes[0], node, simulation)
    }

    /// Apart from `replay`, so that a test can show it a node that believes a copy.
    package func judge(
        before: UInt64, after: UInt64, _ kind: UInt8, _ node: SimulatedNode, _ simulation: Simulation
    ) {
        guard before != after else { return }
        violate("a replayed packet \(kind) changed what it holds", at: node, in: simulation)
    }
}
