import Composition
import DHT
import Simulations
import SwarmCore
import SwarmCrypto

/// A small swarm on an undisturbed network, with every checker.
struct CheckedSwarm {
    let simulation: Simulation
    let suite: CheckSuite

    init(
        seed: UInt64, checkers: [any Checker] = CheckSuite.standard(), hasRealCryptography: Bool = false,
        hasMembership: Bool = true
    ) {
        var options = SimulationOptions(seed: seed)
        options.hasMembership = hasMembership
        options.hasRealCryptography = hasRealCryptography
        let matrix = LatencyMatrix(name: "uniform", everywhere: 50)
        simulation = Simulation(options, network: NetworkModel(.undisturbed, matrix: matrix, seed: seed))
        suite = CheckSuite(checkers)
        suite.attach(to: simulation)
    }

    /// Adds a node that joins through the first; `host` makes whatever runs on it.
    @discardableResult
    func add(_ host: ((SimulatedNode) -> any SimulatedHost)? = nil) -> SimulatedNode {
        let node = simulation.addNode()
        let seeds = node.index == 0 ? [] : [simulation.nodes[0].host?.contact].compactMap { $0 }
        if let host {
            simulation.start(node, host(node), seeds: seeds)
        } else {
            simulation.start(node, seeds: seeds)
        }
        simulation.run(for: .milliseconds(200))
        return node
    }

    func grow(to count: Int) {
        while simulation.nodes.count < count { add() }
        simulation.run(for: .seconds(5))
    }

    func honest(_ node: SimulatedNode) -> SwarmHost {
        SwarmHost(simulation.configuration(of: node.index, life: 0), at: node.clock.now(simulation.now))
    }

    func insider(_ conduct: any Conduct) -> (SimulatedNode) -> any SimulatedHost {
        { node in
            InsiderHost(
                simulation.configuration(of: node.index, life: 0), conduct: conduct,
                at: node.clock.now(simulation.now))
        }
    }

    /// Announces a stream and waits until its holders have it.
    func announce(_ text: String, at node: Int) -> StreamName? {
        guard let name = StreamName(text) else { return nil }
        simulation.ask(simulation.nodes[node], .announce(name, isWithdrawn: false)) { _ in }
        simulation.run(for: .seconds(3))
        return name
    }

    /// The origin that `node` finds for `name`; nil where it says that the stream is not live, or nothing.
    func locate(_ name: StreamName, from node: Int) -> NodeID? {
        let found = Box<NodeID?>(nil)
        simulation.ask(simulation.nodes[node], .locate(name)) { reply in
            if case .location(let location) = reply { found.value = location?.origin.id }
        }
        simulation.run(for: .seconds(6))
        return found.value
    }

    func ask(_ node: SimulatedNode, _ request: ControlRequest) -> ControlReply? {
        let answer = Box<ControlReply?>(nil)
        simulation.ask(node, request) { answer.value = $0 }
        simulation.run(for: .seconds(8))
        return answer.value
    }

    /// Names of the checkers that found something.
    var caught: Set<String> { Set(suite.violations.map(\.checker)) }
}

final class Box<Value> {
    var value: Value
    init(_ value: Value) { self.value = value }
}

/// A node that runs the product's code, and is then tampered with: the fault that a checker must catch. Not an
/// adversary to the checkers: they hold it to the rules.
final class PlantedHost: SimulatedHost {
    private let inner: SwarmHost
    private let tamper: (inout Outbox, Now) -> Void
    private let onReceive: (Span<UInt8>, NetworkAddress, inout Outbox) -> Void
    private let fixedDeadline: MonotonicInstant?

    init(
        _ inner: SwarmHost, fixedDeadline: MonotonicInstant? = nil,
        tamper: @escaping (inout Outbox, Now) -> Void = { _, _ in },
        onReceive: @escaping (Span<UInt8>, NetworkAddress, inout Outbox) -> Void = { _, _, _ in }
    ) {
        self.inner = inner
        self.fixedDeadline = fixedDeadline
        self.tamper = tamper
        self.onReceive = onReceive
    }

    var contact: Contact { inner.contact }

    func start(seeds: [Contact], at now: Now, into out: inout Outbox, events: inout EventBuffer<SwarmEvent>) {
        inner.start(seeds: seeds, at: now, into: &out, events: &events)
        tamper(&out, now)
    }

    func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<SwarmEvent>
    ) {
        onReceive(datagram.span, source, &out)
        inner.receive(&datagram, from: source, at: now, into: &out, events: &events)
        tamper(&out, now)
    }

    func advance(to now: Now, into out: inout Outbox, events: inout EventBuffer<SwarmEvent>) {
        inner.advance(to: now, into: &out, events: &events)
        tamper(&out, now)
    }

    var nextDeadline: MonotonicInstant? { Deadline.earlier(inner.nextDeadline, fixedDeadline) }
}
