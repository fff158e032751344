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
        let generator = generator(Simulation.Purpose.workload, "streams/" + plan.name)
        let window = Double((timeline.settled - timeline.joined) / 2)
        for number in 0..<plan.count {
            var draws = generator.child(UInt64(number))
            let time = timeline.joined + UInt64(draws.unitInterval() * window)
            simulation.schedule(at: time) { [unowned self] _ in publish(workload, draws) }
        }
        arrivals(rate: plan.rate, generator) { [unowned self] draws in publish(workload, draws) }
    }

    func streamName(workload: Int, number: Int) -> StreamName? {
        let plan = scenario.streams[workload]
        let room = plan.rooms > 0 ? "room-\(number % plan.rooms)/" : ""
        return StreamName("\(plan.name)/\(room)\(number)")
    }

    /// Publishes a stream at a node that `draws` names; under a name of its own unless it has one already.
    private func publish(_ workload: Int, _ draws: SeededGenerator, named given: StreamName? = nil) {
        var draws = draws
        guard let node = randomNode(upFor: Self.grace, using: &draws), let origin = node.host?.contact.id else {
            return
        }
        let name: StreamName
        if let given {
            name = given
        } else {
            guard let fresh = streamName(workload: workload, number: namesGiven[workload]) else { return }
            namesGiven[workload] += 1
            name = fresh
        }
        let index = truth.publish(
            StreamTruth.Stream(
                name: name, node: node.index, life: node.life, origin: origin, publishedAt: now, endedAt: nil,
                workload: workload))
        publications.begin(name, index, at: now)
        if scenario.fidelity == .discovery {
            simulation.ask(node, .announce(name, isWithdrawn: false)) { [unowned self] reply in
                if case .refused = reply { refuse(index) }
            }
        } else {
            simulation.publish(name, at: node) { [unowned self] outcome in
                if case .began(_, let token) = outcome { publications.tokens[index] = token } else { refuse(index) }
            }
        }
        let plan = scenario.streams[workload]
        if let lifetime = plan.lifetime {
            simulation.schedule(after: lifetime) { [unowned self] _ in withdraw(index) }
        }
        if let moves = plan.moves {
            simulation.schedule(after: moves) { [unowned self] _ in move(index, draws) }
        }
    }

    private func refuse(_ index: Int) {
        publications.refused += 1
        truth.end(index, at: now)
    }

    /// True where the stream was live until now.
    @discardableResult
    private func withdraw(_ index: Int) -> Bool {
        let stream = truth.streams[index]
        let node = simulation.nodes[stream.node]
        guard truth.end(index, at: now), node.life == stream.life else { return false }
        if scenario.fidelity == .discovery {
            simulation.ask(node, .announce(stream.name, isWithdrawn: true)) { _ in }
        } else if let token = publications.tokens[index] {
            simulation.ask(node, .delete(session: token)) { _ in }
        }
        return true
    }

    /// The publisher goes to another node and begins there a second later, as somebody who walks out of a network.
    private func move(_ index: Int, _ draws: SeededGenerator) {
        guard withdraw(index) else { return }
        let stream = truth.streams[index]
        simulation.schedule(after: .seconds(1)) { [unowned self] _ in
            publish(stream.workload, draws.child(now), named: stream.name)
        }
    }

    /// The node's streams are over with it; some are replaced by others elsewhere.
    func endStreams(at node: Int) {
        for index in truth.published(at: node) {
            truth.end(index, at: now)
            let workload = truth.streams[index].workload
            guard scenario.streams[workload].isReplaced else { continue }
            let draws = generator(Simulation.Purpose.workload, "replacement").child(UInt64(index))
            simulation.schedule(after: .milliseconds(1)) { [unowned self] _ in publish(workload, draws) }
        }
    }

    // MARK: Lookups

    func scheduleLookups(_ workload: Int) {
        let plan = scenario.lookups[workload]
        let generator = generator(Simulation.Purpose.workload, "lookups/" + plan.name)
        arrivals(rate: plan.rate, generator) { [unowned self] draws in
            var draws = draws
            guard let node = randomNode(upFor: Self.grace, using: &draws) else { return }
            lookUp(workload, from: node, draws)
        }
        guard let within = plan.everyNodeWithin else { return }
        for node in simulation.nodes {
            var draws = generator.child(UInt64(node.index))
            let time = timeline.settled + UInt64(draws.unitInterval() * Double(max(0, within.nanoseconds)))
            simulation.schedule(at: time) { [unowned self] _ in
                if node.swarm != nil { lookUp(workload, from: node, draws) }
            }
        }
    }

    private func lookUp(_ workload: Int, from node: SimulatedNode, _ draws: SeededGenerator) {
        let plan = scenario.lookups[workload]
        var draws = draws
        let old = now - min(now, UInt64(Self.grace.nanoseconds))
        let target: Int?
        switch plan.target {
        case .live: target = truth.randomLive(olderThan: old, popularity: plan.popularity, using: &draws)
        case .hot: target = truth.first(olderThan: old)
        case .absent: target = nil
        }
        guard target != nil || plan.target == .absent else { return }
        let name = target.map { truth.streams[$0].name } ?? StreamName("absent/\(String(draws.next(), radix: 36))")
        guard let name else { return }
        let begun = now
        let life = node.life
        let id = ledger.ask()
        simulation.ask(node, .locate(name)) { [unowned self] reply in
            guard node.life == life else { return }
            let verdict = verdict(on: reply, about: target, for: node.index, since: begun)
            ledger.judge(id, verdict, after: now - begun)
            note("lookup", at: begun, node: node.index, name.text, now - begun, verdict.text)
        }
        // Whoever asked is down before the answer: nobody to be served.
        simulation.schedule(after: Self.answerTime) { [unowned self] _ in
            let unanswered: LookupLedger.Verdict = target == nil ? .absenceWithheld : .timedOut
            if ledger.isOpen(id) { ledger.judge(id, node.life == life ? unanswered : .void, after: 0) }
        }
    }

    /// Every request is answered by then, or never (`CompositionLimits.requestTimeout` is 5 s; a stalled node's clock may
    /// stand still for longer).
    private static var answerTime: Interval { CompositionLimits.requestTimeout + .milliseconds(500) }

    private func verdict(on reply: ControlReply, about target: Int?, for asker: Int, since begun: UInt64)
        -> LookupLedger.Verdict
    {
        guard let target else {
            switch reply {
            case .location(nil): return .rightAbsence
            case .location: return .wrong
            default: return .absenceWithheld
            }
        }
        let stream = truth.streams[target]
        guard stream.endedAt == nil, simulation.nodes[stream.node].life == stream.life else { return .void }
        guard !wereApart(asker, stream.node, since: begun) else { return .void }
        switch reply {
        case .location(let location?): return location.origin.id == stream.origin ? .right : .wrong
        case .location(nil): return .falseAbsence
        case .refused(.timedOut): return .timedOut
        default: return .refused
        }
    }

    /// A line for `--jsonl`, where one is wanted.
    func note(_ kind: String, at time: UInt64, node: Int, _ name: String, _ took: UInt64, _ outcome: String) {
        guard keepsRows else { return }
        rows.append(
            "{\"kind\":\"\(kind)\",\"t_ms\":\(FigureText.number(Double(time) / 1_000_000)),\"node\":\(node),"
                + "\"stream\":\(FigureText.quoted(name)),\"ms\":\(FigureText.number(Double(took) / 1_000_000)),"
                + "\"outcome\":\"\(outcome)\"}")
    }
}

/// Hears what nodes tell their drivers.
final class ScenarioProbe: SimulationObserver {
    private unowned let runner: ScenarioRunner

    init(_ runner: ScenarioRunner) { self.runner = runner }

    func told(_ event: SwarmEvent, by node: SimulatedNode, in simulation: Simulation) {
        guard case .notice(.streamPublished(let name, _)) = event else { return }
        runner.published(name, at: node)
    }

    func called(_ node: SimulatedNode, in simulation: Simulation) {}
    func sent(
        _ datagram: Span<UInt8>, from node: SimulatedNode, to destination: NetworkAddress, in simulation: Simulation
    ) {}
    func delivered(
        _ datagram: Span<UInt8>, from source: NetworkAddress, to node: SimulatedNode, in simulation: Simulation
    ) {}
}

extension ScenarioRunner {
    func published(_ name: StreamName, at node: SimulatedNode) {
        guard let (index, begun) = publications.finish(name), truth.streams[index].node == node.index else { return }
        guard timeline.isMeasured(begun) || scenario.streams[truth.streams[index].workload].rate == 0 else { return }
        publications.times.add(Double(now - begun) / 1_000_000)
        note("publish", at: begun, node: node.index, name.text, now - begun, "stored")
    }
}

/// Publications under way, and how long those took that have ended.
struct PublicationLedger {
    /// Milliseconds from the publisher's request to the holders' word.
    var times = Distribution()
    var refused = 0
    /// Session tokens of publishers with media, by place in the truth.
    var tokens: [Int: String] = [:]
    private var begun: [StreamName: (index: Int, time: UInt64)] = [:]

    mutating func begin(_ name: StreamName, _ index: Int, at time: UInt64) { begun[name] = (index, time) }

    /// Nil where the name was not waited for: every later round is told as well.
    mutating func finish(_ name: StreamName) -> (index: Int, time: UInt64)? { begun.removeValue(forKey: name) }
}
