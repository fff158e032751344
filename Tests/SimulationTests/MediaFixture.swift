import Composition
import MediaRelay
import Simulations
import SwarmCore
import Testing

/// A small swarm with media, on the engine, in either fidelity.
final class MediaFixture {
    enum Fidelity { case flow, packets }

    let simulation: Simulation
    let name: StreamName
    private(set) var fabric: FlowFabric?
    /// All clients are 5 ms away, so that the fidelities can be compared whoever draws how often.
    private var paths: ClientPaths
    /// Why the last request led to no session.
    private(set) var refusal: MediaClientOutcome?
    /// Nodes that hear nothing from the others and are not heard: a partition for the flow fabric.
    private var cutOff: Set<Int> = []

    init(_ fidelity: Fidelity, nodes count: Int, maxChildren: Int = 32, seed: UInt64 = 7) throws {
        name = try #require(StreamName("room/demo"))
        var options = SimulationOptions(seed: seed)
        options.maxChildren = maxChildren
        let matrix = LatencyMatrix(name: "even", everywhere: 20)
        simulation = Simulation(options, network: NetworkModel(.undisturbed, matrix: matrix, seed: seed))
        paths = ClientPaths(seed: seed)
        paths.delay = .milliseconds(5)...Interval.milliseconds(5)
        if fidelity == .flow {
            fabric = simulation.makeFlowFabric(clients: paths) { [unowned self] from, to in
                cutOff.contains(from) == cutOff.contains(to)
            }
        }
        for _ in 0..<count { simulation.addNode() }
        for node in simulation.nodes {
            boot(node)
            simulation.run(for: .milliseconds(100))
        }
        simulation.run(for: .seconds(20))
    }

    private func boot(_ node: SimulatedNode) {
        if let fabric {
            let configuration = simulation.configuration(of: node.index, life: node.life)
            node.media = FlowMedia(fabric: fabric, node: node.index, id: configuration.identity.id)
        } else {
            node.media = simulation.makePacketMedia(of: node.index, life: node.life, paths: paths)
        }
        simulation.start(node, seeds: node.index == 0 ? [] : simulation.nodes[0].host.map { [$0.contact] } ?? [])
    }

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

    func forgetGaps() {
        fabric?.forgetGaps()
        for node in nodes { (node.media as? PacketMedia)?.forgetGaps(at: node.clock.now(simulation.now)) }
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

    /// Parts `set` from all others until `heal`.
    func cutOff(_ set: Set<Int>) {
        cutOff = set
        let groups = nodes.map { UInt8(set.contains($0.index) ? 1 : 0) }
        _ = simulation.network.add(
            NetworkFault(.partition(groups: groups, isOneWay: false), from: simulation.now, until: .max))
        fabric?.pathsChanged()
    }

    func heal() {
        cutOff = []
        simulation.network.endAllFaults()
        fabric?.pathsChanged()
    }
}
