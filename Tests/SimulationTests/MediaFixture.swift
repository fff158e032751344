import Composition
import MediaRelay
import Simulations
import SwarmCore
import Testing

/// A small swarm with media, on the engine, in either fidelity. Clients are 5 ms away, whoever draws how often, so that the
/// fidelities can be compared.
final class MediaFixture {
    let simulation: Simulation
    let media: SimulationMedia
    let name: StreamName
    let checks: CheckSuite
    /// Why the last request led to no session.
    private(set) var refusal: MediaClientOutcome?

    init(
        _ fidelity: SimulationMedia.Fidelity, nodes count: Int, maxChildren: Int = 32, seed: UInt64 = 7,
        network: NetworkConfiguration = .undisturbed, capacityBitsPerSecond: Double? = nil
    ) throws {
        name = try #require(StreamName("room/demo"))
        var options = SimulationOptions(seed: seed)
        options.maxChildren = maxChildren
        let matrix = LatencyMatrix(name: "even", everywhere: 20)
        simulation = Simulation(options, network: NetworkModel(network, matrix: matrix, seed: seed))
        var clients = ClientPaths(seed: seed)
        clients.delay = .milliseconds(5)...Interval.milliseconds(5)
        media = SimulationMedia(
            fidelity, in: simulation, clients: clients, capacityBitsPerSecond: capacityBitsPerSecond)
        checks = CheckSuite(CheckSuite.standard() + [MediaChecker(media)])
        checks.attach(to: simulation)
        for _ in 0..<count { simulation.addNode() }
        for node in simulation.nodes {
            simulation.start(node, seeds: node.index == 0 ? [] : simulation.nodes[0].host.map { [$0.contact] } ?? [])
            simulation.run(for: .milliseconds(100))
        }
        simulation.run(for: .seconds(20))
    }

    var fabric: FlowFabric? { media.fabric }
    var nodes: [SimulatedNode] { simulation.nodes }

    /// The client's number, once its session has begun; nil where it was refused.
    @discardableResult
    func publish(at node: Int) -> MediaClientID? { begin { simulation.publish(name, at: nodes[node], done: $0) } }

    @discardableResult
    func play(at node: Int) -> MediaClientID? { begin { simulation.play(name, at: nodes[node], done: $0) } }

    private func begin(_ request: (@escaping (MediaClientOutcome) -> Void) -> Void) -> MediaClientID? {
        var outcome: MediaClientOutcome?
        request { outcome = $0 }
        for _ in 0..<80 where outcome == nil { simulation.run(for: .milliseconds(100)) }
        if case .began(let client, _)? = outcome { return client }
        refusal = outcome
        return nil
    }

    func viewer(_ client: MediaClientID, at node: Int) -> ViewerMeasure? {
        nodes[node].media?.viewers(at: nodes[node].clock.now(simulation.now)).first { $0.client == client }
    }

    /// The nodes between the origin and `node`, ends included, as the node itself shows its route.
    func route(at node: Int) -> [Int]? {
        var hops: [Int]?
        simulation.ask(nodes[node], .route(name)) { [self] reply in
            guard case .route(let trace) = reply else { return }
            hops = trace.hops.compactMap { hop in nodes.firstIndex { $0.host?.contact.id == hop.node } }
        }
        return hops
    }

    func statistics(at node: Int) -> NodeStatistics? {
        var statistics: NodeStatistics?
        simulation.ask(nodes[node], .statistics) { reply in
            if case .statistics(let told) = reply { statistics = told }
        }
        simulation.run(for: .milliseconds(20))
        return statistics
    }

    /// Parts `set` from all others for `span`.
    func cutOff(_ set: Set<Int>, for span: Interval) {
        let groups = nodes.map { UInt8(set.contains($0.index) ? 1 : 0) }
        simulation.begin(
            NetworkFault(
                .partition(groups: groups, isOneWay: false), from: simulation.now,
                until: simulation.now + UInt64(span.nanoseconds)))
    }
}
