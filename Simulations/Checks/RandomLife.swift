import Composition
import SwarmCore
import SwarmCrypto

/// One swarm with everything that can happen to it, drawn from a seed: it grows, rests, suffers, heals, and must then
/// keep every promise. The driver of the sweep and of the scenario `everything`.
package final class RandomLife {
    package struct Outcome: Sendable {
        package var digest: String
        package var violations: [Violation]
        package var violationCount: Int
        package var events: UInt64
        package var machineCalls: UInt64
        package var simulatedSeconds: Double
        package var lookups: Int
        package var replays: Int
        package var viewers: Int
    }

    /// How long nodes take to join, one after the other, and the swarm to settle: two syncs and more.
    private static var joinPace: Interval { .milliseconds(200) }
    private static var settling: Interval { .seconds(25) }

    package let plan: LifePlan
    package let simulation: Simulation
    package let suite: CheckSuite
    private let replayer: ReplayAttack
    private let collusion = Collusion()
    private var media: LifeMedia?
    private var equipment: SimulationMedia?
    private var draw: SeededGenerator
    /// Who publishes what: index of a node, and the life in which it began.
    private var published: [StreamName: (node: Int, life: UInt32)] = [:]
    private var retired: [StreamName] = []
    /// Whoever has ever announced a name, to judge answers by.
    private var announcers: [StreamName: Set<NodeID>] = [:]
    private var dead: [Contact] = []
    private var lookups = 0
    private var serial = 0
    private var isHealing = false

    package init(_ plan: LifePlan, extra checkers: [any Checker] = []) {
        self.plan = plan
        let uniform = LatencyMatrix(name: "uniform", everywhere: 50)
        let matrix = plan.hasDistances ? (try? BuiltInMatrix.planetlab490.matrix()) ?? uniform : uniform
        var options = SimulationOptions(seed: plan.seed)
        options.maxChildren = plan.maxChildren
        simulation = Simulation(
            options, network: NetworkModel(plan.network, matrix: matrix, seed: plan.seed))
        draw = simulation.root.child(Simulation.Purpose.workload)
        replayer = ReplayAttack(using: simulation.root.child(Simulation.Purpose.faults).child(1))
        var all = CheckSuite.standard() + checkers + [replayer]
        if let fidelity = plan.media {
            let equipment = SimulationMedia(fidelity, in: simulation)
            all.append(MediaChecker(equipment))
            media = LifeMedia(in: simulation, using: draw.child(1))
            self.equipment = equipment
        }
        suite = CheckSuite(all)
        suite.attach(to: simulation)
    }

    /// The whole life.
    package func run() -> Outcome {
        grow()
        simulation.run(for: Self.settling)
        for _ in 0..<plan.streams { announceSomething() }
        if let media {
            for _ in 0..<3 { media.beginShow() }
            simulation.run(for: .seconds(5))
            for _ in 0..<6 { media.addViewer() }
        }
        simulation.run(for: .seconds(3))
        let restLevel = Liveness.level(of: simulation, over: .seconds(20))
        let begin = simulation.now
        suffer(from: begin)
        simulation.run(until: begin + UInt64(plan.lastFaultEnd) * 1_000_000 + 1)
        heal()
        var truth = SwarmTruth()
        truth.streams = published.keys.sorted().compactMap { name in published[name].map { (name, $0.node) } }
        truth.absent = Array(retired.suffix(4))
        truth.dead = dead
        // A tree that faults have made deeper or wider says more than it did at rest: judged only without media.
        truth.restLevel = media == nil ? restLevel : nil
        let liveness = Liveness(truth)
        if let media {
            truth.streams += media.showsThatAreOn.map { ($0.name, $0.node) }
            truth.unserved = { _ in media.unserved() }
            media.joinLate(after: liveness.bounds.views)
        }
        Liveness(truth).demand(of: simulation, in: suite, using: draw.child(7))
        suite.finish(simulation)
        return Outcome(
            digest: simulation.digest.text, violations: suite.violations, violationCount: suite.log.count,
            events: simulation.traffic.events, machineCalls: simulation.traffic.machineCalls,
            simulatedSeconds: Double(simulation.now) / 1e9, lookups: lookups, replays: replayer.replays,
            viewers: media?.viewersBegun ?? 0)
    }

    // MARK: Growing

    private func grow() {
        for index in 0..<(plan.nodes + plan.insiders.count) {
            let node = simulation.addNode()
            let seeds = seedContacts(below: index)
            if index < plan.nodes {
                simulation.start(node, seeds: seeds)
            } else {
                let configuration = simulation.configuration(of: index, life: 0)
                let host = InsiderHost(
                    configuration, conduct: conduct(plan.insiders[index - plan.nodes], index),
                    at: node.clock.now(simulation.now))
                collusion.join(host.contact)
                simulation.start(node, host, seeds: seeds)
            }
            simulation.run(for: Self.joinPace)
        }
    }

    private func conduct(_ insider: LifePlan.Insider, _ index: Int) -> any Conduct {
        let generator = simulation.generator(of: index, life: 0).child(99)
        return switch insider {
        case .lying: LyingConduct(collusion)
        case .silent: LyingConduct(collusion, .silent)
        case .forgetful: LyingConduct(collusion, .forgetful)
        case .dropping: DroppingConduct(share: 0.3, using: generator)
        case .forging: ForgingConduct((0..<4).compactMap { StreamName("life/\($0)") }, using: generator)
        case .falseGossip: FalseGossipConduct(using: generator)
        case .requestFlood: RequestFloodConduct(perSecond: 200, using: generator)
        }
    }

    /// Up to three living hosts among the first `count`.
    private func seedContacts(below count: Int, except own: Int? = nil) -> [Contact] {
        let living = simulation.nodes.prefix(count).filter { $0.isUp && $0.index != own && $0.index < plan.nodes }
        guard !living.isEmpty else { return [] }
        return (0..<min(3, living.count)).compactMap { _ in
            living[draw.integer(below: living.count)].host?.contact
        }
    }

    // MARK: Users

    private func announceSomething() {
        guard let name = StreamName("life/\(serial)") else { return }
        serial += 1
        let living = simulation.nodes.filter { $0.isHonest && $0.pausedUntil <= simulation.now }
        guard !living.isEmpty else { return }
        announce(name, at: living[draw.integer(below: living.count)])
    }

    private func announce(_ name: StreamName, at node: SimulatedNode) {
        guard let contact = node.host?.contact else { return }
        announcers[name, default: []].insert(contact.id)
        published[name] = (node.index, node.life)
        simulation.ask(node, .announce(name, isWithdrawn: false)) { _ in }
    }

    private func withdrawSomething() {
        let names = published.keys.sorted()
        guard names.count > 1 else { return }
        let name = names[draw.integer(below: names.count)]
        guard let entry = published.removeValue(forKey: name) else { return }
        retired.append(name)
        simulation.ask(simulation.nodes[entry.node], .announce(name, isWithdrawn: true)) { _ in }
    }

    /// Somebody looks up a name; whatever the trouble, the answer never names a node that has not announced it.
    private func lookUpSomething() {
        let names = published.keys.sorted() + retired.suffix(2)
        let living = simulation.nodes.filter { $0.isHonest && $0.pausedUntil <= simulation.now }
        guard !names.isEmpty, !living.isEmpty else { return }
        let name = names[draw.integer(below: names.count)]
        let node = living[draw.integer(below: living.count)]
        lookups += 1
        simulation.ask(node, .locate(name)) { [weak self] reply in
            guard let self, case .location(let found?) = reply, announcers[name]?.contains(found.origin.id) != true
            else { return }
            suite.log.report(
                Violation(
                    checker: "no-forgery", node: node.index, time: simulation.now,
                    text: "\(name) is said to be at \(found.origin.id.short), which never announced it"))
        }
    }

    private func work() {
        simulation.repeatEvery(.milliseconds(Int64(1000 / plan.lookupsPerSecond))) { [weak self] _ in
            guard let self, !isHealing else { return false }
            lookUpSomething()
            switch draw.integer(below: 20) {
            case 0: announceSomething()
            case 1: withdrawSomething()
            case 2: media?.beginShow()
            case 3, 4, 5: media?.addViewer()
            default: break
            }
            return true
        }
    }

    // MARK: Trouble

    private func suffer(from begin: UInt64) {
        work()
        for fault in plan.faults {
            let at = begin + UInt64(fault.at) * 1_000_000
            simulation.schedule(at: at) { [weak self] _ in self?.strike(fault) }
        }
        let end = begin + UInt64(plan.lastFaultEnd) * 1_000_000
        if plan.hasReplays { replayer.begin(every: .milliseconds(50), until: end, in: simulation) }
        if plan.hasHandshakeFlood {
            var flood = HandshakeFlood.Plan()
            flood.fromManyAddresses = plan.seed & 1 == 0
            let victim = simulation.nodes[Int(plan.seed % UInt64(plan.nodes))]
            let generator = simulation.root.child(Simulation.Purpose.faults).child(2)
            HandshakeFlood(flood, in: simulation, using: generator)
                .begin(at: victim, for: .seconds(5), in: simulation)
        }
    }

    private func strike(_ fault: LifeFault) {
        let until = simulation.now + UInt64(fault.end - fault.at) * 1_000_000
        func disturb(_ kind: NetworkFault.Kind) {
            simulation.begin(NetworkFault(kind, from: simulation.now, until: until))
        }
        switch fault.kind {
        case .crash(let node): kill(node)
        case .restart(let node, let after, let keepsKey): restart(node, after: after, keepsKey: keepsKey)
        case .leave(let index):
            let node = simulation.nodes[index]
            guard node.isUp else { return }
            forgetStreams(of: node)
            if let contact = node.host?.contact { dead.append(contact) }
            simulation.leave(node)
        case .pause(let node, let span): simulation.pause(simulation.nodes[node], for: .milliseconds(Int64(span)))
        case .wallJump(let node, let span): simulation.nodes[node].clock.wallOffsetMilliseconds = Int64(span)
        case .drift(let node, let ppm):
            simulation.nodes[node].clock.setDrift(ppm: Int64(ppm), at: simulation.now)
        case .partition(let groups, let isOneWay, _): disturb(.partition(groups: groups, isOneWay: isOneWay))
        case .clogged(let node, _): disturb(.cloggedNode(node))
        case .loss(let node, let share, _):
            disturb(.loss(from: NodeSet([node]), to: .all, share: share))
            disturb(.loss(from: .all, to: NodeSet([node]), share: share))
        case .slow(let node, let rate, _): disturb(.capacity(node: node, bitsPerSecond: rate))
        case .far(let node, let added, _):
            disturb(.latency(from: NodeSet([node]), to: .all, factor: 1, addedMilliseconds: added))
        }
    }

    private func forgetStreams(of node: SimulatedNode) {
        for name in published.keys.sorted() where published[name]?.node == node.index {
            published[name] = nil
            retired.append(name)
        }
    }

    private func kill(_ index: Int) {
        let node = simulation.nodes[index]
        guard let contact = node.host?.contact else { return }
        forgetStreams(of: node)
        dead.append(contact)
        simulation.crash(node)
    }

    private func restart(_ index: Int, after: Int, keepsKey: Bool) {
        let node = simulation.nodes[index]
        guard let contact = node.host?.contact else { return }
        let keyLife = keyLives[index] ?? node.life
        forgetStreams(of: node)
        if !keepsKey { dead.append(contact) }
        simulation.crash(node)
        simulation.schedule(after: .milliseconds(Int64(after))) { [weak self] simulation in
            guard let self, !node.isUp else { return }
            keyLives[index] = keepsKey ? keyLife : node.life
            simulation.start(node, seeds: seedContacts(below: plan.nodes, except: index), identityOf: keyLives[index])
        }
    }

    /// The life whose key a restarted node has.
    private var keyLives: [Int: UInt32] = [:]

    /// Everything is set right; those who broke rules are gone.
    private func heal() {
        isHealing = true
        simulation.endAllFaults()
        for node in simulation.nodes where node.isUp && node.index >= plan.nodes {
            if let contact = node.host?.contact { dead.append(contact) }
            simulation.crash(node)
        }
    }
}
