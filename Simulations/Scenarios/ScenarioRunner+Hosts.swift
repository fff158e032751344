import Composition
import DHT
import SwarmCore
import SwarmCrypto

/// What the runner remembers of the hosts beside the engine.
struct HostBook {
    /// When each node's present life began; nil while it is down.
    var upSince: [UInt64?]
    /// The life whose key each node runs under, which is an earlier one's after a restart with its data directory.
    var identities: [UInt32]
    /// The adversaries' plan of each node; nil for the honest.
    var roles: [AdversaryPlan?]
    var collusions: [String: Collusion] = [:]
    var groundIdentities: [Int: Identity] = [:]
    /// Contacts of lives that are over, in the order of their ends.
    var dead: [Contact] = []
    /// Where each identity runs, or ran last.
    var nodes: [NodeID: Int] = [:]
    var crashes = 0

    init(nodes: Int) {
        upSince = Array(repeating: nil, count: nodes)
        identities = Array(repeating: 0, count: nodes)
        roles = Array(repeating: nil, count: nodes)
    }
}

/// Hosts: who joins when, who is an adversary, who goes down and comes back.
extension ScenarioRunner {
    var seedCount: Int { min(scenario.join.seeds, scenario.nodes) }

    func scheduleJoins() {
        var generator = generator(Simulation.Purpose.scenario, "join")
        for index in simulation.nodes.indices {
            let moment = generator.unitInterval()
            let time = index < seedCount ? 0 : UInt64(moment * Double(timeline.joined))
            simulation.schedule(at: time) { [unowned self] _ in boot(index, .fresh) }
        }
    }

    /// Starts the node through seeds drawn for this life of it. `.same`: with the key of its life before.
    func boot(_ index: Int, _ identity: FaultPlan.Return.Identity) {
        let node = simulation.nodes[index]
        guard !node.isUp else { return }
        if identity != .same { hosts.identities[index] = node.life }
        let keyLife = hosts.identities[index]
        let configuration = simulation.configuration(of: index, life: node.life, identityOf: keyLife)
        hosts.upSince[index] = now
        hosts.dead.removeAll { $0.id == configuration.identity.id }
        hosts.nodes[configuration.identity.id] = index
        let time = node.clock.now(now)
        let seeds = contacts(for: index)
        if let role = hosts.roles[index] {
            simulation.start(node, adversary(role, index, configuration, at: time), seeds: seeds)
        } else {
            simulation.start(node, seeds: seeds, identityOf: keyLife)
        }
    }

    private func contacts(for index: Int) -> [Contact] {
        let up = (0..<seedCount).filter { $0 != index && simulation.nodes[$0].isUp }
        let life = simulation.nodes[index].life
        var generator = simulation.generator(of: index, life: life).child(Label.of("seeds"))
        return up.shuffled(using: &generator).prefix(scenario.join.contacts).compactMap {
            simulation.nodes[$0].host?.contact
        }
    }

    /// The host is gone, without a word or with one.
    func bringDown(_ index: Int, saysGoodbye: Bool, _ back: FaultPlan.Return) {
        let node = simulation.nodes[index]
        guard let host = node.host else { return }
        noteOrphans(of: index)
        hosts.crashes += 1
        hosts.upSince[index] = nil
        hosts.dead.append(host.contact)
        endStreams(at: index)
        audience.lose(index)
        let life = node.life
        if saysGoodbye { simulation.leave(node) } else { simulation.crash(node) }
        guard back.identity != .never else { return }
        // A goodbye takes its moment before the host is down.
        let wait = saysGoodbye ? back.after + .milliseconds(500) : back.after
        simulation.schedule(after: wait) { [unowned self] _ in
            if node.life == life + 1 { boot(index, back.identity) }
        }
    }

    /// A node that has been up for `interval`, drawn by `generator`; nil where a fair number of tries finds none.
    func randomNode(upFor interval: Interval, using generator: inout SeededGenerator) -> SimulatedNode? {
        for _ in 0..<64 {
            let index = generator.integer(below: simulation.nodes.count)
            guard let since = hosts.upSince[index], now >= since + UInt64(interval.nanoseconds) else { continue }
            let node = simulation.nodes[index]
            if node.swarm != nil { return node }
        }
        return nil
    }

    // MARK: Adversaries

    /// Gives out the adversaries' roles: to nodes drawn for each plan, none of them a seed.
    func castAdversaries() {
        for plan in scenario.adversaries where plan.behaviour != .replay {
            var generator = generator(Simulation.Purpose.scenario, "adversaries/" + plan.name)
            let free = (seedCount..<max(seedCount, scenario.nodes)).filter { hosts.roles[$0] == nil }
            let count = Int((plan.share * Double(scenario.nodes)).rounded()) + plan.count
            let chosen = free.shuffled(using: &generator).prefix(count)
            for index in chosen { hosts.roles[index] = plan }
            hosts.collusions[plan.name] = Collusion()
            guard plan.isGround, let name = firstName else { continue }
            let ground = IDGrinder.grind(
                chosen.count, near: RecordPlace.path(name.text), bits: IDGrinder.bits(against: scenario.nodes),
                suite: simulation.suite, using: &generator)
            for (index, identity) in zip(chosen, ground) { hosts.groundIdentities[index] = identity }
        }
    }

    /// Who is behind a box depends on its index alone, so that one node more or less moves nobody.
    func addNATBoxes() {
        guard scenario.natShare > 0 else { return }
        for node in simulation.nodes.dropFirst(scenario.join.seeds) {
            var draws = generator(Simulation.Purpose.scenario, "nat/\(node.index)")
            guard draws.unitInterval() < scenario.natShare else { continue }
            let outside = AddressPlan.address(of: node.index, host: AddressPlan.natHost, port: 0)
            node.nat = NATTable(scenario.nat, externalHost: outside, seed: draws.next())
        }
    }

    /// The name that the first stream to be published gets.
    private var firstName: StreamName? {
        scenario.streams.indices.first.flatMap { streamName(workload: $0, number: 0) }
    }

    private func adversary(
        _ role: AdversaryPlan, _ index: Int, _ configuration: CompositionConfiguration, at now: Now
    ) -> InsiderHost {
        let collusion = hosts.collusions[role.name] ?? Collusion()
        let draws = configuration.generator.child(Label.of("conduct"))
        let conduct: any Conduct
        switch role.behaviour {
        case .lie, .grind: conduct = LyingConduct(collusion, .lying)
        case .silent, .grindSilent: conduct = LyingConduct(collusion, .silent)
        case .forget: conduct = LyingConduct(collusion, .forgetful)
        case .drop, .replay: conduct = DroppingConduct(share: 0.5, using: draws)
        case .forge: conduct = ForgingConduct(firstName.map { [$0] } ?? [], using: draws)
        case .flood: conduct = RequestFloodConduct(perSecond: 1000, using: draws)
        case .falseLoad: conduct = FalseGossipConduct(using: draws)
        case .slander: conduct = SlanderConduct(using: draws)
        }
        let host = InsiderHost(
            configuration, identity: hosts.groundIdentities[index], conduct: conduct, at: now)
        collusion.join(host.contact)
        return host
    }

    /// Replaying is done by somebody on the path, to everybody; as a checker it also judges what the copies changed.
    static func makeReplays(_ scenario: Scenario, _ simulation: Simulation) -> ReplayAttack? {
        guard scenario.hasChecks, scenario.adversaries.contains(where: { $0.behaviour == .replay }) else { return nil }
        return ReplayAttack(using: simulation.root.child(Simulation.Purpose.scenario).child(Label.of("replays")))
    }
}
