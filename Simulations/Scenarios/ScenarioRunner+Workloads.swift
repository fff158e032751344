import Composition
import DHT
import SwarmCore

/// What the nodes do: publish streams, look them up.
extension ScenarioRunner {
    /// How long a stream has been published before lookups are expected to find it, and a node up before it is asked.
    static var grace: Interval { .seconds(5) }

    // MARK: Streams

    func scheduleStreams(_ workload: Int) {
        let plan = scenario.streams[workload]
        var generator = generator(Simulation.Purpose.workload, plan.name)
        let window = (timeline.settled - timeline.joined) / 2
        for number in 0..<plan.count {
            let time = timeline.joined + UInt64(generator.unitInterval() * Double(window))
            let draws = generator.child(UInt64(number))
            simulation.schedule(at: time) { [unowned self] _ in publish(workload, draws) }
        }
        arrivals(rate: plan.rate, &generator) { [unowned self] draws in publish(workload, draws) }
    }

    private func publish(_ workload: Int, _ draws: SeededGenerator) {
        let plan = scenario.streams[workload]
        var draws = draws
        guard let node = randomNode(upFor: Self.grace, using: &draws), let origin = node.host?.contact.id else {
            return
        }
        let number = namesGiven[workload]
        namesGiven[workload] += 1
        let room = plan.rooms > 0 ? "room-\(number % plan.rooms)/" : ""
        guard let name = StreamName("\(plan.name)/\(room)\(number)") else { return }
        let index = truth.publish(
            StreamTruth.Stream(
                name: name, node: node.index, life: node.life, origin: origin, publishedAt: now, endedAt: nil,
                workload: workload))
        simulation.ask(node, .announce(name, isWithdrawn: false)) { _ in }
        guard let lifetime = plan.lifetime else { return }
        simulation.schedule(after: lifetime) { [unowned self] _ in withdraw(index) }
    }

    private func withdraw(_ index: Int) {
        let stream = truth.streams[index]
        let node = simulation.nodes[stream.node]
        guard truth.end(index, at: now), node.life == stream.life else { return }
        simulation.ask(node, .announce(stream.name, isWithdrawn: true)) { _ in }
    }

    // MARK: Lookups

    func scheduleLookups(_ workload: Int) {
        let plan = scenario.lookups[workload]
        var generator = generator(Simulation.Purpose.workload, plan.name)
        arrivals(rate: plan.rate, &generator) { [unowned self] draws in
            var draws = draws
            guard let node = randomNode(upFor: Self.grace, using: &draws) else { return }
            lookUp(workload, from: node, draws)
        }
        guard let within = plan.everyNodeWithin else { return }
        for node in simulation.nodes {
            let draws = generator.child(UInt64(node.index))
            var moment = draws
            let time = timeline.settled + UInt64(moment.unitInterval() * Double(max(0, within.nanoseconds)))
            simulation.schedule(at: time) { [unowned self] _ in
                if node.isUp { lookUp(workload, from: node, moment) }
            }
        }
    }

    private func lookUp(_ workload: Int, from node: SimulatedNode, _ draws: SeededGenerator) {
        let plan = scenario.lookups[workload]
        var draws = draws
        let old = now - min(now, UInt64(Self.grace.nanoseconds))
        var target: Int?
        switch plan.target {
        case .live: target = truth.randomLive(olderThan: old, using: &draws)
        case .hot: target = truth.first(olderThan: old)
        case .absent: target = nil
        }
        guard target != nil || plan.target == .absent else { return }
        let name = target.map { truth.streams[$0].name } ?? StreamName("absent/\(String(draws.next(), radix: 36))")
        guard let name else { return }
        let begun = now
        ledger.ask()
        simulation.ask(node, .locate(name)) { [unowned self] reply in
            ledger.judge(verdict(on: reply, about: target), after: now - begun)
        }
    }

    private func verdict(on reply: ControlReply, about target: Int?) -> LookupLedger.Verdict {
        guard let target else {
            switch reply {
            case .location(nil): return .rightAbsence
            case .location: return .wrong
            case .refused(.timedOut): return .timedOut
            default: return .refused
            }
        }
        let stream = truth.streams[target]
        guard stream.endedAt == nil, simulation.nodes[stream.node].life == stream.life else { return .void }
        switch reply {
        case .location(let location?): return location.origin.id == stream.origin ? .right : .wrong
        case .location(nil): return .falseAbsence
        case .refused(.timedOut): return .timedOut
        default: return .refused
        }
    }

    // MARK: Arrivals

    /// Calls `action` at random moments of the measured time, `rate` times a second in the mean, each with a generator
    /// of its own. The gaps are uniform between nothing and twice the mean: an exponential gap would ask for a logarithm.
    func arrivals(
        rate: Double, _ generator: inout SeededGenerator, _ action: @escaping (SeededGenerator) -> Void
    ) {
        guard rate > 0 else { return }
        let draws = generator.child(0x6172_7269)
        next(after: timeline.settled, number: 0, meanGap: 1_000_000_000 / rate, draws, action)
    }

    private func next(
        after time: UInt64, number: UInt64, meanGap: Double, _ draws: SeededGenerator,
        _ action: @escaping (SeededGenerator) -> Void
    ) {
        var own = draws.child(number)
        let time = time + max(1, UInt64(own.unitInterval() * 2 * meanGap))
        guard time < timeline.measured else { return }
        simulation.schedule(at: time) { [unowned self] _ in
            action(own)
            next(after: time, number: number + 1, meanGap: meanGap, draws, action)
        }
    }
}
