import MediaRelay
import SwarmCore

/// The flow fabric on the engine's heap.
extension Simulation {
    /// A fabric for this run; its owner keeps it as long as the run. `isOpen(from, to)` says whether a path lets anything
    /// through at present; whoever changes what it answers calls `FlowFabric.pathsChanged`. Distances are the network's,
    /// without jitter. Each node gets a `FlowMedia` as its `media` before it starts.
    package func makeFlowFabric(
        configuration: FlowConfiguration = FlowConfiguration(), clients: ClientPaths? = nil,
        isOpen: @escaping (Int, Int) -> Bool = { _, _ in true }
    ) -> FlowFabric {
        let relay = FlowRelay()
        let fabric = FlowFabric(
            configuration: configuration, clients: clients ?? ClientPaths(seed: options.seed), seed: options.seed,
            surroundings: FlowSurroundings(
                time: { [unowned self] in MonotonicInstant(nanoseconds: now) },
                oneWay: { [unowned self] from, to in
                    guard isOpen(from, to) else { return nil }
                    let milliseconds = network.oneWayMilliseconds(from: from, to: to)
                    return Interval(nanoseconds: Int64(milliseconds * 1_000_000))
                },
                report: { [unowned self] node, worker, event in
                    hop(nodes[node], .report(worker: worker, event))
                },
                wake: { [unowned self] due in
                    schedule(at: due.nanoseconds) { _ in relay.fabric?.wake() }
                }))
        relay.fabric = fabric
        return fabric
    }
}

/// Lets an action find the fabric without owning it.
private final class FlowRelay {
    weak var fabric: FlowFabric?
}
