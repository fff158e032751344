import Composition
import SwarmCore

/// What is done to the swarm.
extension ScenarioRunner {
    /// The fault's occurrences, each with a generator of its own.
    func schedule(_ plan: FaultPlan) {
        let draws = generator(Simulation.Purpose.faults, plan.name)
        if case .churn(let sessions, let downtime) = plan.kind {
            var hasMemory = true
            if case .exponential = sessions { hasMemory = false }
            let churn = Churn(
                plan: plan, sessions: LifetimeSampler(sessions), hasMemory: hasMemory, downtime: downtime, draws: draws)
            simulation.schedule(at: instant(plan.at)) { [unowned self] _ in begin(churn) }
        } else {
            occur(plan, number: 0, at: instant(plan.at), draws)
        }
    }

    private func occur(_ plan: FaultPlan, number: UInt64, at time: UInt64, _ draws: SeededGenerator) {
        guard time < timeline.measured else { return }
        simulation.schedule(at: time) { [unowned self] _ in
            happen(plan, draws.child(number))
            guard let every = plan.every else { return }
            occur(plan, number: number + 1, at: time + UInt64(every.nanoseconds), draws)
        }
    }

    private func happen(_ plan: FaultPlan, _ draws: SeededGenerator) {
        var draws = draws
        let targets = targets(of: plan, using: &draws)
        guard !targets.isEmpty else { return }
        let end = min(timeline.measured, now + UInt64(plan.lasts.nanoseconds))
        switch plan.kind {
        case .crash(let back): for index in targets { bringDown(index, saysGoodbye: false, back) }
        case .leave(let back): for index in targets { bringDown(index, saysGoodbye: true, back) }
        case .pause:
            let length = Interval(nanoseconds: Int64(end - now))
            for index in targets { simulation.pause(simulation.nodes[index], for: length) }
        case .skew(let wall, let drift): for index in targets { skew(index, wall, drift) }
        case .churn: break
        default: disturb(plan.kind, targets, until: end)
        }
    }

    private func skew(_ index: Int, _ wall: Interval, _ driftPPM: Int64) {
        let node = simulation.nodes[index]
        node.clock.wallOffsetMilliseconds = wall.milliseconds
        node.clock.setDrift(ppm: driftPPM, at: now)
        // The timer that is set was reckoned with the old rate.
        node.timerAt = .max
        simulation.arm(node)
    }

    // MARK: Faults of the network

    private func disturb(_ kind: FaultPlan.Kind, _ targets: [Int], until end: UInt64) {
        let set = NodeSet(targets)
        switch kind {
        case .partition(let isOneWay):
            var groups = [UInt8](repeating: 0, count: simulation.nodes.count)
            for index in targets { groups[index] = 1 }
            partitions.append((groups, now, end))
            add(.partition(groups: groups, isOneWay: isOneWay), until: end)
        case .clog: for index in targets { add(.cloggedNode(index), until: end) }
        case .loss(let share):
            add(.loss(from: set, to: .all, share: share), until: end)
            add(.loss(from: .all, to: set, share: share), until: end)
        case .latency(let factor, let added):
            let milliseconds = added.fractionalMilliseconds
            add(.latency(from: set, to: .all, factor: factor, addedMilliseconds: milliseconds), until: end)
            add(.latency(from: .all, to: set, factor: factor, addedMilliseconds: milliseconds), until: end)
        case .capacity(let rate): for index in targets { add(.capacity(node: index, bitsPerSecond: rate), until: end) }
        default: break
        }
    }

    private func add(_ kind: NetworkFault.Kind, until end: UInt64) {
        if simulation.begin(NetworkFault(kind, from: now, until: end)) == nil { refusedFaults += 1 }
    }

    /// The measured time is over: whatever was broken works again.
    func endFaults() {
        simulation.endAllFaults()
    }

    /// Whether a partition, of one way or both, lay between two nodes at any time since `begin`.
    func wereApart(_ a: Int, _ b: Int, since begin: UInt64) -> Bool {
        partitions.contains { $0.groups[a] != $0.groups[b] && $0.begin <= now && $0.end > begin }
    }

    // MARK: Targets

    /// Honest nodes of the plan's group that are up; never all that are up.
    private func targets(of plan: FaultPlan, using generator: inout SeededGenerator) -> [Int] {
        let up = simulation.nodes.indices.filter { hosts.upSince[$0] != nil && hosts.roles[$0] == nil }
        let group: [Int]
        switch plan.group {
        case .any: group = up
        case .others: group = up.filter { $0 >= seedCount }
        case .seeds: group = up.filter { $0 < seedCount }
        case .publishers:
            let publishers = Set(truth.liveStreams.map(\.node))
            group = up.filter { publishers.contains($0) }
        case .relays, .busiest: group = up.filter { isRelay(simulation.nodes[$0]) }
        }
        let wanted = Int((plan.share * Double(group.count)).rounded()) + plan.count
        var order = group.shuffled(using: &generator)
        if plan.group == .busiest {
            let hanging = viewersBehindNodes()
            order = group.sorted { hanging[$0] == hanging[$1] ? $0 < $1 : hanging[$0] > hanging[$1] }
        }
        return Array(order.prefix(min(wanted, max(0, up.count - 1))))
    }

    // MARK: Churn

    struct Churn {
        let plan: FaultPlan
        let sessions: LifetimeSampler
        let hasMemory: Bool
        let downtime: ClosedRange<Interval>
        let draws: SeededGenerator
    }

    private func begin(_ churn: Churn) {
        var generator = churn.draws.child(Label.of("targets"))
        for index in targets(of: churn.plan, using: &generator) {
            // A node is met somewhere in its session. An exponential law has no memory; of others a uniform part is
            // left, which forgets that long sessions are met more often than short ones.
            var draws = churn.draws.child(UInt64(index))
            var left = Double(churn.sessions.sample(using: &draws).nanoseconds)
            if churn.hasMemory { left *= draws.unitInterval() }
            endSession(of: index, churn, number: 0, after: left)
        }
    }

    private func endSession(of index: Int, _ churn: Churn, number: UInt64, after nanoseconds: Double) {
        let time = now + UInt64(max(1, nanoseconds))
        guard time < timeline.measured else { return }
        simulation.schedule(at: time) { [unowned self] _ in
            var draws = churn.draws.child(UInt64(index)).child(number + 1)
            let width = churn.downtime.upperBound - churn.downtime.lowerBound
            let down =
                churn.downtime.lowerBound
                + Interval(nanoseconds: Int64(draws.unitInterval() * Double(width.nanoseconds)))
            bringDown(index, saysGoodbye: false, FaultPlan.Return(.fresh, after: down))
            let next = Double((down + churn.sessions.sample(using: &draws)).nanoseconds)
            endSession(of: index, churn, number: number + 1, after: next)
        }
    }
}
