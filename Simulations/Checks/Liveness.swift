import Composition
import DHT
import SwarmCore

/// What must hold again once nothing is broken any more.
package struct SwarmTruth {
    /// Streams that are live, each with the node it is published at.
    package var streams: [(name: StreamName, origin: Int)] = []
    /// Names that nobody publishes, or no longer.
    package var absent: [StreamName] = []
    /// Identities whose hosts are gone for good, or run under another key now.
    package var dead: [Contact] = []
    /// Viewers that see nothing, asked once the swarm has had its time: node and what is wrong. Nil without media.
    package var unserved: ((Simulation) -> [(node: Int, text: String)])?
    /// Datagrams per node-second before the first fault; nil skips the check for quiet.
    package var restLevel: Double?

    package init() {}
}

/// How long after the last fault each promise is due, with the arithmetic.
package struct LivenessBounds: Sendable {
    /// Until all views agree. Two halves of a swarm meet when a node's sync turns to somebody lost: every fourth sync,
    /// one every ten seconds and node, so with 8 nodes in 5 s on average, and in 40 s but for one run in 3,000; the
    /// news then takes a sync or two (10 s each) to reach everybody.
    package var views = Interval.seconds(70)
    /// Until no bucket holds the dead: where membership never said that they failed, a bucket's refresh (600 s) asks
    /// them, and three requests must fail. Zero skips the check, which takes long.
    package var buckets = Interval.zero
    /// A record is stored anew every 15 s once its holders can be reached; half as much again for lost rounds.
    package var records = Interval.seconds(25)
    /// An answer to a user: the longest that a request may take.
    package var answer = Interval.seconds(6)
    /// The window over which traffic is measured: two syncs, so that their bursts even out.
    package var quietWindow = Interval.seconds(20)
    /// Times the rest level. Clocks of upkeep differ between runs of 20 s.
    package var quietFactor = 1.6

    package init() {}
}

/// The liveness phase: no more faults, every promise due.
///
/// Runs the simulation on for the bounds and reports what is still wrong to the suite's log. Every pair of node and
/// record is asked up to `lookups` of them, then a sample.
package struct Liveness {
    package static var lookups: Int { 400 }
    /// Nodes up to which every member list holds everybody (DESIGN §7: about 2,000).
    private static var wholeViews: Int { 2_000 }

    package let truth: SwarmTruth
    package var bounds = LivenessBounds()

    package init(_ truth: SwarmTruth) { self.truth = truth }

    /// Call right after the last fault has ended and everybody who is to live is up.
    package func demand(of simulation: Simulation, in suite: CheckSuite, using generator: SeededGenerator) {
        simulation.run(for: bounds.views)
        judgeViews(simulation, suite.log)
        judgeDead(simulation, suite.log)
        simulation.run(for: bounds.records)
        judgeRecords(simulation, suite.log, generator)
        for (node, text) in truth.unserved?(simulation) ?? [] {
            suite.log.report(Violation(checker: "viewers", node: node, time: simulation.now, text: text))
        }
        judgeQuiet(simulation, suite.log)
        guard bounds.buckets > .zero else { return }
        simulation.run(for: bounds.buckets)
        judgeBuckets(simulation, suite.log)
    }

    private func honest(_ simulation: Simulation) -> [SimulatedNode] { simulation.nodes.filter(\.isHonest) }

    // MARK: One view

    private func judgeViews(_ simulation: Simulation, _ log: ViolationLog) {
        guard simulation.options.hasMembership else { return }
        let living = honest(simulation).compactMap { node in node.host.map { (node.index, $0.contact.id) } }
        // Larger swarms are told of in cells: nobody knows everybody.
        guard living.count <= Self.wholeViews else { return }
        for node in honest(simulation) {
            guard let swarm = node.swarm else { continue }
            let missing = living.filter { $0.1 != swarm.contact.id && !swarm.machine.knowsMember($0.1) }
            if !missing.isEmpty {
                log.report(
                    Violation(
                        checker: "partitions-merged", node: node.index, time: simulation.now,
                        text: "does not know \(missing.count) of \(living.count) living nodes: \(missing.map(\.0))"))
            }
        }
    }

    private func judgeDead(_ simulation: Simulation, _ log: ViolationLog) {
        for node in honest(simulation) {
            guard let swarm = node.swarm else { continue }
            for contact in truth.dead where swarm.machine.knowsMember(contact.id) {
                log.report(
                    Violation(
                        checker: "dead-forgotten", node: node.index, time: simulation.now,
                        text: "\(contact.id.short) is gone, and still a member"))
            }
        }
    }

    private func judgeBuckets(_ simulation: Simulation, _ log: ViolationLog) {
        for node in honest(simulation) {
            guard let swarm = node.swarm else { continue }
            for contact in truth.dead where swarm.machine.hasContact(contact.id) {
                log.report(
                    Violation(
                        checker: "dead-forgotten", node: node.index, time: simulation.now,
                        text: "\(contact.id.short) is gone, and still in a bucket"))
            }
        }
    }

    // MARK: Records

    private final class Answers {
        var wrong: [(node: Int, text: String)] = []
        var awaited: [Int: (node: Int, name: StreamName)] = [:]
    }

    private func judgeRecords(_ simulation: Simulation, _ log: ViolationLog, _ generator: SeededGenerator) {
        var generator = generator
        let askers = honest(simulation)
        // A verdict takes half of those who are asked: where most others say nothing, to give none is right.
        let others = simulation.nodes.count { $0.host != nil } - 1
        let owesVerdict = (askers.count - 1) * 2 > others
        var questions: [(node: SimulatedNode, name: StreamName, origin: Int?)] = []
        for node in askers {
            questions += truth.streams.map { (node, $0.name, $0.origin) }
            questions += truth.absent.map { (node, $0, nil) }
        }
        for place in 0..<min(Self.lookups, questions.count) {
            questions.swapAt(place, place + generator.integer(below: questions.count - place))
        }
        questions.removeLast(max(0, questions.count - Self.lookups))
        let answers = Answers()
        // A few at a time, as users would ask: the swarm is tested, not its limits.
        for (number, question) in questions.enumerated() {
            answers.awaited[number] = (question.node.index, question.name)
            simulation.schedule(after: .milliseconds(Int64(number * 10))) { simulation in
                simulation.ask(question.node, .locate(question.name)) { reply in
                    answers.awaited[number] = nil
                    let expected = question.origin.flatMap { simulation.nodes[$0].host?.contact.id }
                    if case .refused(.full) = reply, expected == nil, !owesVerdict { return }
                    if let text = Self.judge(reply, expected, question.name) {
                        answers.wrong.append((question.node.index, text))
                    }
                }
            }
        }
        simulation.run(for: .milliseconds(Int64(questions.count * 10)) + bounds.answer)
        for (node, text) in answers.wrong {
            log.report(Violation(checker: "records-findable", node: node, time: simulation.now, text: text))
        }
        for number in answers.awaited.keys.sorted() {
            guard let (node, name) = answers.awaited[number] else { continue }
            log.report(
                Violation(
                    checker: "records-findable", node: node, time: simulation.now, text: "no answer about \(name)"))
        }
    }

    private static func judge(_ reply: ControlReply, _ expected: NodeID?, _ name: StreamName) -> String? {
        guard case .location(let location) = reply else { return "\(name): \(reply)" }
        switch (expected, location?.origin.id) {
        case (let expected?, let found?) where expected != found: return "\(name) is said to be at \(found.short)"
        case (_?, nil): return "\(name) is said not to be live"
        case (nil, let found?): return "\(name) is over, and said to be at \(found.short)"
        default: return nil
        }
    }

    // MARK: Quiet

    private func judgeQuiet(_ simulation: Simulation, _ log: ViolationLog) {
        guard let restLevel = truth.restLevel else { return }
        let level = Self.level(of: simulation, over: bounds.quietWindow)
        guard level > restLevel * bounds.quietFactor + 1 else { return }
        log.report(
            Violation(
                checker: "traffic-quiet", node: nil, time: simulation.now,
                text: "\(Self.short(level)) datagrams per node-second, \(Self.short(restLevel)) before the faults"))
    }

    /// Datagrams sent per node-second over the next `window`.
    package static func level(of simulation: Simulation, over window: Interval) -> Double {
        let before = simulation.traffic.sent
        simulation.run(for: window)
        let nodes = max(1, simulation.nodes.count(where: \.isUp))
        return Double(simulation.traffic.sent - before) / window.fractionalSeconds / Double(nodes)
    }

    private static func short(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}
