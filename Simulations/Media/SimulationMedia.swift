import MediaRelay
import SwarmCore

/// The media of one run: made once, before the first node starts; from then on every node that boots gets its media
/// workers, in the fidelity chosen, and network faults begun through `Simulation.begin` reach them.
///
///     let media = SimulationMedia(.flow, in: simulation)
///     …nodes start; simulation.publish(name, at: node); simulation.play(name, at: other)…
///     media.figures()
package final class SimulationMedia {
    package enum Fidelity: String, CaseIterable, Sendable {
        /// Rates and trees: for thousands of nodes.
        case flow
        /// Every packet: for tens to hundreds.
        case packets
    }

    package let fidelity: Fidelity
    /// The flow fidelity's fabric.
    package let fabric: FlowFabric?
    private unowned let simulation: Simulation
    private let clients: ClientPaths
    /// Egress capacity of every node; what of it is in use is told to the control plane each second.
    private let capacityBitsPerSecond: Double?
    /// Measures of viewers whose nodes have died (packet fidelity; the fabric keeps its own).
    private var lost: [ViewerMeasure] = []

    package init(
        _ fidelity: Fidelity, in simulation: Simulation, clients: ClientPaths? = nil,
        flow: FlowConfiguration = FlowConfiguration(), capacityBitsPerSecond: Double? = nil
    ) {
        self.fidelity = fidelity
        self.simulation = simulation
        self.capacityBitsPerSecond = capacityBitsPerSecond
        let clients = clients ?? ClientPaths(seed: simulation.options.seed)
        self.clients = clients
        fabric = fidelity == .flow ? Self.makeFabric(in: simulation, clients, flow) : nil
        simulation.equip = { [self] node, life in makePlane(for: node, identityOf: life) }
        simulation.faultListener = { [self] fault in fabric?.note(fault) }
        guard capacityBitsPerSecond != nil else { return }
        simulation.repeatEvery(.seconds(1)) { [self] _ in
            tellLoads()
            return true
        }
    }

    private static func makeFabric(
        in simulation: Simulation, _ clients: ClientPaths, _ configuration: FlowConfiguration
    ) -> FlowFabric {
        let relay = FlowRelay()
        let fabric = FlowFabric(
            configuration: configuration, clients: clients, seed: simulation.options.seed,
            surroundings: FlowSurroundings(
                time: { [unowned simulation] in MonotonicInstant(nanoseconds: simulation.now) },
                oneWay: { [unowned simulation] from, to in
                    let milliseconds = simulation.network.oneWayMilliseconds(from: from, to: to)
                    return Interval(nanoseconds: Int64(milliseconds * 1_000_000))
                },
                report: { [unowned simulation] node, worker, event in
                    simulation.hop(simulation.nodes[node], .report(worker: worker, event))
                },
                wake: { [unowned simulation] due in
                    simulation.schedule(at: due.nanoseconds) { _ in relay.fabric?.wake() }
                }))
        relay.fabric = fabric
        return fabric
    }

    private func makePlane(for node: SimulatedNode, identityOf life: UInt32?) -> any MediaPlane {
        if let fabric {
            let configuration = simulation.configuration(of: node.index, life: node.life, identityOf: life)
            let plane = FlowMedia(fabric: fabric, node: node.index, id: configuration.identity.id)
            fabric.setCapacity(capacityBitsPerSecond, of: node.index)
            return plane
        }
        let ports = (0..<simulation.options.workers).map { AddressPlan.swarmPort + 1 + UInt16($0) }
        let configuration = PacketMediaConfiguration(
            workerAddresses: ports.map { AddressPlan.address(of: node.index, port: $0) },
            clientHosts: (2...251).map { AddressPlan.address(of: node.index, host: $0, port: 0) },
            paths: clients, suite: simulation.suite)
        // The composition takes children 1 and 2 of the node's generator (`Simulation.configuration`).
        let generator = simulation.generator(of: node.index, life: node.life).child(3)
        let plane = PacketMedia(configuration, generator: generator)
        plane.onStop = { [unowned self] plane in
            lost += plane.viewers(at: node.clock.now(simulation.now)).map(\.closed)
        }
        return plane
    }

    private func tellLoads() {
        guard let capacityBitsPerSecond else { return }
        for node in simulation.nodes {
            guard let swarm = node.swarm, node.pausedUntil <= simulation.now else { continue }
            swarm.machine.updateLoad(
                egressBitsPerSecond(of: node) / capacityBitsPerSecond, at: node.clock.now(simulation.now))
            simulation.arm(node)
        }
    }

    // MARK: Measures

    /// What the node sends: at flow fidelity now, at packet fidelity since this was last asked.
    package func egressBitsPerSecond(of node: SimulatedNode) -> Double {
        if let fabric { return node.isUp ? fabric.egressBitsPerSecond(of: node.index) : 0 }
        return (node.media as? PacketMedia)?.takeEgressBitsPerSecond(at: node.clock.now(simulation.now)) ?? 0
    }

    /// Gaps, and egress at packet fidelity, count from here on: called before a fault whose cost is to be measured.
    package func forgetGaps() {
        fabric?.forgetGaps()
        for node in simulation.nodes {
            (node.media as? PacketMedia)?.forgetGaps(at: node.clock.now(simulation.now))
            _ = egressBitsPerSecond(of: node)
        }
    }

    /// Every viewer of the run, those of dead nodes included, in an order that the seed decides.
    package func viewers() -> [ViewerMeasure] {
        if let fabric { return fabric.viewers() }
        return lost + simulation.nodes.flatMap { node in node.media?.viewers(at: node.clock.now(simulation.now)) ?? [] }
    }

    /// Viewers of nodes that are up whose session goes on and who see nothing: what a liveness check asks once the swarm
    /// has had its time (`SwarmTruth.unserved`).
    package func unserved() -> [(node: Int, text: String)] {
        var found: [(node: Int, text: String)] = []
        for node in simulation.nodes where node.isUp {
            for viewer in node.media?.viewers(at: node.clock.now(simulation.now)) ?? [] where !viewer.isClosed {
                if viewer.timeToFirstKeyFrame == nil {
                    found.append((node.index, "viewer \(viewer.client.raw) has never seen a key frame"))
                } else if viewer.isWithoutMedia {
                    let gap = viewer.longestGap.milliseconds
                    found.append((node.index, "viewer \(viewer.client.raw) has had no media for up to \(gap) ms"))
                }
            }
        }
        return found
    }

    package func figures() -> MediaFigures {
        MediaFigures(viewers(), egress: simulation.nodes.filter(\.isUp).map { egressBitsPerSecond(of: $0) })
    }
}

extension ViewerMeasure {
    /// The same viewer after its node has died.
    fileprivate var closed: ViewerMeasure {
        var measure = self
        measure.isClosed = true
        measure.isWithoutMedia = false
        return measure
    }
}

/// What a run's viewers met, in the units of reports. Nil where there is nothing to tell.
package struct MediaFigures: Sendable {
    package var viewers = 0
    /// Of those whose session goes on, without media at this moment.
    package var viewersWithoutMedia = 0
    package var timeToKeyFrameMillisecondsMedian: Double?
    package var timeToKeyFrameMillisecondsP99: Double?
    /// Of each viewer's longest gap since gaps were last forgotten, over all viewers that have had media.
    package var gapMillisecondsMedian: Double?
    package var gapMillisecondsP99: Double?
    package var gapMillisecondsMaximum: Double?
    package var lossRatio: Double?
    package var packetsDuplicate: UInt64 = 0
    /// Over the nodes that are up: how far the busiest is above the mean.
    package var utilisationMaximumOverMean: Double?

    init(_ measures: [ViewerMeasure], egress: [Double]) {
        var starts = Distribution()
        var gaps = Distribution()
        var received: UInt64 = 0
        var missing: UInt64 = 0
        for measure in measures {
            viewers += 1
            if measure.isWithoutMedia { viewersWithoutMedia += 1 }
            received += measure.packetsReceived
            missing += measure.packetsLost
            packetsDuplicate += measure.packetsDuplicate
            guard let start = measure.timeToFirstKeyFrame else { continue }
            starts.add(start.fractionalMilliseconds)
            gaps.add(measure.longestGap.fractionalMilliseconds)
        }
        timeToKeyFrameMillisecondsMedian = starts.quantile(0.5)
        timeToKeyFrameMillisecondsP99 = starts.quantile(0.99)
        gapMillisecondsMedian = gaps.quantile(0.5)
        gapMillisecondsP99 = gaps.quantile(0.99)
        gapMillisecondsMaximum = gaps.maximum
        if received + missing > 0 { lossRatio = Double(missing) / Double(received + missing) }
        let sum = egress.reduce(0, +)
        if sum > 0, let most = egress.max() { utilisationMaximumOverMean = most * Double(egress.count) / sum }
    }
}

/// Lets an action find the fabric without owning it.
private final class FlowRelay {
    weak var fabric: FlowFabric?
}
