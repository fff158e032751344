import MediaRelay
import SwarmCore

/// The flow fabric on the engine's heap.
extension Simulation {
    /// A fabric for this run. `oneWay(from, to)` answers for the present; whoever changes what it answers calls
    /// `FlowFabric.pathsChanged`. Each node gets a `FlowMedia` as its `media` before it starts.
    package func makeFlowFabric(
        configuration: FlowConfiguration = FlowConfiguration(), clients: ClientPaths? = nil,
        oneWay: @escaping (Int, Int) -> Interval?
    ) -> FlowFabric {
        let relay = FlowRelay()
        let fabric = FlowFabric(
            configuration: configuration, clients: clients ?? ClientPaths(seed: options.seed), seed: options.seed,
            surroundings: FlowSurroundings(
                time: { [unowned self] in MonotonicInstant(nanoseconds: now) }, oneWay: oneWay,
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
