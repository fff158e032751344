import SwarmCore

/// Reads one fault. Its `kind` is its name unless given.
struct FaultReader {
    private let name: String
    private var section: ScenarioSection
    private let draws: SeededGenerator

    private static var kinds: [String] {
        [
            "crash", "leave", "pause", "skew", "partition", "clog", "loss", "latency", "capacity", "churn",
        ]
    }

    init(_ name: String, _ section: ScenarioSection, draws: SeededGenerator) {
        self.name = name
        self.section = section
        self.draws = draws
    }

    /// Nil where chance has it that the fault does not happen in this run.
    mutating func read() throws(ScenarioError) -> FaultPlan? {
        let given = try section.word("kind", among: Self.kinds)
        guard let kind = given ?? (Self.kinds.contains(name) ? name : nil) else {
            let hint = Suggestion.text(for: name, among: Self.kinds)
            throw ScenarioError(
                section.node.place,
                "the fault '\(name)' needs 'kind', one of \(Self.kinds.joined(separator: ", "))\(hint)")
        }
        var plan = FaultPlan(name: name, try readKind(kind))
        plan.at = try section.interval("at", from: nil) ?? plan.at
        plan.every = try section.interval("every", from: .milliseconds(10))
        plan.lasts = try section.interval("lasts", from: .milliseconds(1)) ?? plan.lasts
        let word = try section.word("targets", among: FaultPlan.Group.allCases.map(\.rawValue))
        plan.group = word.flatMap(FaultPlan.Group.init(rawValue:)) ?? plan.group
        let share = try section.share("share")
        let count = try section.integer("count", in: 0...SimulationLimits.nodes)
        plan.count = count ?? 0
        plan.share = share ?? (count == nil ? (kind == "churn" ? 1 : nil) : 0) ?? 0
        let chance = try section.share("chance") ?? 1
        try section.finish()
        guard plan.share > 0 || plan.count > 0 else {
            throw ScenarioError(section.node.place, "the fault '\(name)' has neither 'share' nor 'count'")
        }
        return Chance.happens(chance, section.path, draws) ? plan : nil
    }

    private mutating func readKind(_ word: String) throws(ScenarioError) -> FaultPlan.Kind {
        switch word {
        case "crash": .crash(try readReturn())
        case "leave": .leave(try readReturn())
        case "pause": .pause
        case "skew":
            .skew(
                wall: try section.interval("wall", from: nil) ?? .zero,
                driftPPM: Int64(try section.partsPerMillion("drift", in: -500_000...1_000_000) ?? 0))
        case "partition": .partition(isOneWay: try section.flag("one-way") ?? false)
        case "clog": .clog
        case "loss": .loss(try required("loss", try section.share("loss")))
        case "latency":
            .latency(
                factor: try section.number("factor", in: 1...1000) ?? 1, added: try section.interval("added") ?? .zero)
        case "capacity": .capacity(bitsPerSecond: try required("rate", try section.bitRate("rate")))
        default: .churn(sessions: try readSessions(), downtime: try readDowntime())
        }
    }

    private func required<Value>(_ key: String, _ value: Value?) throws(ScenarioError) -> Value {
        guard let value else { throw ScenarioError(section.node.place, "the fault '\(name)' needs '\(key)'") }
        return value
    }

    private mutating func readReturn() throws(ScenarioError) -> FaultPlan.Return {
        let word = try section.word("restart", among: FaultPlan.Return.Identity.allCases.map(\.rawValue))
        let after = try section.interval("down") ?? .seconds(5)
        return FaultPlan.Return(word.flatMap(FaultPlan.Return.Identity.init(rawValue:)) ?? .never, after: after)
    }

    /// `exponential 10min`, `fixed 1h`, `pareto 10min 1.5`, `azure`.
    private mutating func readSessions() throws(ScenarioError) -> LifetimeDistribution {
        let expected = "a law with its median like \"exponential 10min\", or azure"
        let sessions = try section.parsed("sessions", expected) { text in
            let words = text.split(separator: " ").map(String.init)
            let median = words.count > 1 ? ScenarioValue.interval(words[1])?.fractionalSeconds : nil
            switch (words.first, words.count, median) {
            case ("azure", 1, _): return LifetimeDistribution.azure
            case ("exponential", 2, let median?): return .exponential(medianSeconds: median)
            case ("fixed", 2, let length?): return .fixed(seconds: length)
            case ("pareto", 3, let median?):
                return ScenarioValue.number(words[2]).map { .pareto(medianSeconds: median, shape: $0) }
            default: return nil
            }
        }
        let law = try required("sessions", sessions)
        if let problem = law.problem { throw section.problem("sessions", "do not do: \(problem)") }
        return law
    }

    private mutating func readDowntime() throws(ScenarioError) -> ClosedRange<Interval> {
        try section.intervals("down") ?? .zero ... .seconds(1)
    }
}
