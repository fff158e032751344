import SwarmCore

/// Makes a scenario of its text: `include`s are laid under it, flags over it, and every value is judged.
package enum ScenarioReader {
    /// One file's text; `file` serves the messages.
    package struct Source: Sendable {
        package let file: String
        package let text: String

        package init(file: String, text: String) {
            self.file = file
            self.text = text
        }
    }

    /// What the command line changes.
    package enum Change: Sendable, Hashable {
        /// `--set faults.crash.share=10%`, or a flag of its own such as `--nodes 8`; `flag` is how it was written.
        case set(path: String, value: String, flag: String)
        /// `--without crash`: the fault, workload, adversary or expectation of that name is taken out.
        case without(String)
    }

    private static var includeDepth: Int { 4 }
    static var namedSections: [String] { ["streams", "lookups", "viewers", "faults", "adversaries", "expect"] }

    /// `find` gives the text of an included scenario, nil where there is none of that name; `names` are those it knows.
    package static func read(
        _ source: Source, changes: [Change] = [], names: [String] = ScenarioLibrary.names,
        find: (String) -> Source? = ScenarioLibrary.source(named:)
    ) throws(ScenarioError) -> Scenario {
        var tree = try composed(source, names: names, find: find, depth: 0)
        for change in changes {
            switch change {
            case .set(let path, let value, let flag):
                let keys = path.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
                guard !keys.contains("") else {
                    throw ScenarioError("\(flag): expected KEY=VALUE, such as nodes=8", isUsage: true)
                }
                tree = try tree.setting(keys, to: value, place: .flag(flag))
            case .without(let name):
                guard let rest = tree.removing(name, from: namedSections) else {
                    let known = namedSections.flatMap { tree[$0]?.entries.map(\.key) ?? [] }
                    throw ScenarioError(
                        "--without \(name): nothing has that name\(Suggestion.text(for: name, among: known))",
                        isUsage: true)
                }
                tree = rest
            }
        }
        var reader = try ScenarioTreeReader(tree, name: source.file)
        return try reader.read()
    }

    private static func composed(
        _ source: Source, names: [String], find: (String) -> Source?, depth: Int
    ) throws(ScenarioError) -> ScenarioNode {
        let own = try ScenarioNode(yaml: source.text, file: source.file)
        guard let include = own["include"] else { return own }
        let place = include.place
        let elements: [ScenarioNode]
        if case .list(let list) = include.content { elements = list } else { elements = [include] }
        guard depth < includeDepth else { throw ScenarioError(place, "'include' goes round or too deep") }
        var tree = ScenarioNode(place: own.place, content: .mapping([]))
        for element in elements {
            guard case .scalar(let name) = element.content else {
                throw ScenarioError(element.place, "'include' expected names of scenarios")
            }
            guard let included = find(name) else {
                let hint = Suggestion.text(for: name, among: names)
                throw ScenarioError(element.place, "'include': no scenario '\(name)'\(hint)")
            }
            tree = tree.overlaid(with: try composed(included, names: names, find: find, depth: depth + 1))
        }
        return tree.overlaid(with: own)
    }
}

/// Judges one tree, section by section.
struct ScenarioTreeReader {
    private let tree: ScenarioNode
    private var top: ScenarioSection
    private var scenario: Scenario
    let draws: SeededGenerator

    /// `name` is the file's; the scenario's is that without folder and ending.
    init(_ tree: ScenarioNode, name: String) throws(ScenarioError) {
        self.tree = tree
        scenario = Scenario(name: Self.baseName(name))
        let unseeded = try ScenarioSection(tree, path: "", draws: SeededGenerator(seed: 0))
        var first = unseeded
        scenario.seed = try first.parsed("seed", "a whole number from 0 on") { UInt64($0) } ?? 1
        draws = SeededGenerator(seed: scenario.seed).child(Label.of("scenario values"))
        top = try ScenarioSection(tree, path: "", draws: draws)
    }

    private static func baseName(_ file: String) -> String {
        let name = file.split(separator: "/").last.map(String.init) ?? file
        return name.hasSuffix(".yaml") ? String(name.dropLast(5)) : name
    }

    mutating func read() throws(ScenarioError) -> Scenario {
        _ = try top.list("include")
        _ = try top.text("seed")
        try readSizes()
        try readJoin()
        try readNetwork()
        for (name, section) in try top.named("streams") { scenario.streams.append(try Self.stream(name, section)) }
        for (name, section) in try top.named("lookups") { scenario.lookups.append(try lookup(name, section)) }
        for (name, section) in try top.named("viewers") { scenario.viewers.append(try viewer(name, section)) }
        for (name, section) in try top.named("faults") {
            var reader = FaultReader(name, section, draws: draws)
            if let fault = try reader.read() { scenario.faults.append(fault) }
        }
        for (name, section) in try top.named("adversaries") {
            if let plan = try adversary(name, section) { scenario.adversaries.append(plan) }
        }
        try readExpectations()
        try top.finish()
        return scenario
    }

    private mutating func readSizes() throws(ScenarioError) {
        scenario.about = try top.text("about") ?? ""
        let most = min(SimulationLimits.nodes, AddressPlan.capacity)
        scenario.nodes = try top.integer("nodes", in: 1...most) ?? scenario.nodes
        if let duration = try top.interval("duration", from: .milliseconds(1)) { scenario.duration = duration }
        if let settle = try top.interval("settle") { scenario.settle = settle }
        if let recovery = try top.interval("recovery") { scenario.recovery = recovery }
        if (scenario.duration + scenario.settle + scenario.recovery).fractionalSeconds > 31_536_000 {
            throw top.problem("duration", "is longer than a year with what lies around it")
        }
        scenario.matrix =
            try top.parsed("matrix", "a matrix's name or file") { $0.isEmpty ? nil : $0 } ?? scenario.matrix
        let fidelity = try top.word("fidelity", among: Scenario.Fidelity.allCases.map(\.rawValue))
        scenario.fidelity = fidelity.flatMap(Scenario.Fidelity.init(rawValue:)) ?? .discovery
        scenario.hasRealCryptography = try top.word("crypto", among: ["real", "counted"]) == "real"
        scenario.hasMembership = try top.flag("membership") ?? true
        scenario.maxChildren = try top.integer("max-children", in: 0...1000) ?? scenario.maxChildren
        scenario.hasChecks = try top.flag("checks") ?? true
        scenario.demandsLiveness = try top.flag("liveness") ?? false
        if scenario.demandsLiveness, !scenario.hasChecks {
            throw top.problem("liveness", "is demanded by the checkers, and 'checks' are off")
        }
        if scenario.fidelity == .packets, scenario.nodes > Self.mostPacketNodes {
            throw top.problem(
                "nodes", "is \(scenario.nodes): packet by packet at most \(Self.mostPacketNodes) can be played")
        }
        if scenario.fidelity != .discovery, !scenario.hasMembership {
            throw top.problem("membership", "can't be off where media is simulated: nobody would find a dead parent")
        }
    }

    /// Each has real media workers with arenas of their own; beyond, `fidelity: flow` is meant.
    private static var mostPacketNodes: Int { 500 }

    private mutating func readJoin() throws(ScenarioError) {
        guard var section = try top.section("join") else { return }
        if let over = try section.interval("over") { scenario.join.over = over }
        scenario.join.seeds = try section.integer("seeds", in: 1...100) ?? scenario.join.seeds
        scenario.join.contacts = try section.integer("contacts", in: 1...20) ?? scenario.join.contacts
        try section.finish()
    }

    private mutating func readNetwork() throws(ScenarioError) {
        guard var section = try top.section("network") else { return }
        scenario.network = try Self.network(&section)
        if let nat = try section.section("nat") { try readNAT(nat) }
        try section.finish()
        if let problem = scenario.network.problem { throw ScenarioError(section.node.place, problem) }
    }

    private mutating func readNAT(_ given: ScenarioSection) throws(ScenarioError) {
        var section = given
        scenario.natShare = try section.share("share") ?? 0
        scenario.nat.mapping = try Self.behavior(&section, "mapping") ?? scenario.nat.mapping
        scenario.nat.filtering = try Self.behavior(&section, "filtering") ?? scenario.nat.filtering
        if let timeout = try section.interval("timeout", from: .seconds(1)) {
            scenario.nat.timeoutMilliseconds = UInt64(timeout.milliseconds)
        }
        scenario.nat.preservesPorts = try section.flag("preserves-ports") ?? scenario.nat.preservesPorts
        scenario.nat.refreshesOnInbound = try section.flag("inbound-refresh") ?? scenario.nat.refreshesOnInbound
        try section.finish()
    }

    private static func behavior(
        _ section: inout ScenarioSection, _ key: String
    ) throws(ScenarioError) -> NATBehavior? {
        let words = ["independent", "address", "address-and-port"]
        return try section.word(key, among: words).flatMap { words.firstIndex(of: $0) }.flatMap(NATBehavior.init)
    }

    private static func network(_ section: inout ScenarioSection) throws(ScenarioError) -> NetworkConfiguration {
        var network = try section.flag("ideal") == true ? NetworkConfiguration.undisturbed : NetworkConfiguration()
        func milliseconds(_ interval: Interval?) -> Double? { interval?.fractionalMilliseconds }
        network.jitterRatio = try section.number("jitter", in: 0...1) ?? network.jitterRatio
        network.jitterWindowMilliseconds =
            milliseconds(try section.interval("jitter-window")) ?? network.jitterWindowMilliseconds
        network.baseLoss = try section.shares("loss") ?? network.baseLoss
        network.burstLoss = try section.shares("burst-loss") ?? network.burstLoss
        network.burstMeanMilliseconds = milliseconds(try section.interval("burst")) ?? network.burstMeanMilliseconds
        network.calmMeanMilliseconds = milliseconds(try section.interval("calm")) ?? network.calmMeanMilliseconds
        network.duplication = try section.share("duplication") ?? network.duplication
        network.reordering = try section.share("reordering") ?? network.reordering
        network.reorderingMilliseconds =
            milliseconds(try section.interval("reordering-delay")) ?? network.reorderingMilliseconds
        network.bitFlips = try section.share("bit-flips") ?? network.bitFlips
        network.mtuBytes = try section.integer("mtu", in: 576...65_535) ?? network.mtuBytes
        network.smallMTUShare = try section.share("small-mtu-share") ?? network.smallMTUShare
        network.smallMTUBytes = try section.integer("small-mtu", in: 576...65_535) ?? network.smallMTUBytes
        network.uplinkBitsPerSecond = try section.bitRate("up") ?? network.uplinkBitsPerSecond
        network.downlinkBitsPerSecond = try section.bitRate("down") ?? network.downlinkBitsPerSecond
        network.queueMilliseconds = milliseconds(try section.interval("queue")) ?? network.queueMilliseconds
        return network
    }

    private mutating func readExpectations() throws(ScenarioError) {
        guard var section = try top.section("expect") else { return }
        for entry in section.node.entries {
            if case .scalar("none") = entry.value.content {
                _ = try section.text(entry.key)
                continue
            }
            let expected = "a comparison like \">= 0.99\""
            if let expectation = try section.parsed(entry.key, expected, { Expectation(entry.key, text: $0) }) {
                scenario.expectations.append(expectation)
            }
        }
        try section.finish()
    }
}

/// Workloads.
extension ScenarioTreeReader {
    private static var most: Int { 1_000_000 }

    private static func stream(_ name: String, _ section: ScenarioSection) throws(ScenarioError) -> StreamWorkload {
        var section = section
        var plan = StreamWorkload(name: name)
        plan.count = try section.integer("count", in: 0...most) ?? 0
        plan.rate = try section.rate("rate") ?? 0
        plan.lifetime = try section.interval("lifetime", from: .milliseconds(1))
        plan.isReplaced = try section.flag("replace") ?? false
        plan.rooms = try section.integer("rooms", in: 0...most) ?? 0
        plan.moves = try section.interval("moves", from: .seconds(1))
        try section.finish()
        guard plan.count > 0 || plan.rate > 0 else {
            throw ScenarioError(section.node.place, "the streams '\(name)' have neither 'count' nor 'rate'")
        }
        return plan
    }

    private func lookup(_ name: String, _ section: ScenarioSection) throws(ScenarioError) -> LookupWorkload {
        var section = section
        var plan = LookupWorkload(name: name)
        let word = try section.word("of", among: LookupWorkload.Target.allCases.map(\.rawValue))
        plan.target = word.flatMap(LookupWorkload.Target.init(rawValue:)) ?? .live
        plan.rate = try section.rate("rate") ?? 0
        plan.everyNodeWithin = try section.interval("every-node-within", from: .milliseconds(1))
        plan.popularity = try section.number("popularity", in: 0...4) ?? 0
        try section.finish()
        guard plan.rate > 0 || plan.everyNodeWithin != nil else {
            throw ScenarioError(section.node.place, "the lookups '\(name)' have neither 'rate' nor 'every-node-within'")
        }
        guard plan.target == .absent || !scenarioStreams.isEmpty else {
            throw ScenarioError(section.node.place, "the lookups '\(name)' ask for streams, and there are none")
        }
        return plan
    }

    private func viewer(_ name: String, _ section: ScenarioSection) throws(ScenarioError) -> ViewerWorkload {
        var section = section
        var plan = ViewerWorkload(name: name)
        plan.count = try section.integer("count", in: 0...Self.most) ?? 0
        plan.at = try section.interval("at", from: nil) ?? plan.at
        plan.within = try section.interval("within") ?? plan.within
        plan.rate = try section.rate("rate") ?? 0
        plan.stay = try section.interval("stay", from: .milliseconds(1))
        plan.popularity = try section.number("popularity", in: 0...4) ?? 0
        plan.isApart = try section.flag("apart") ?? false
        try section.finish()
        guard plan.rate > 0 || plan.count > 0 else {
            throw ScenarioError(section.node.place, "the viewers '\(name)' have neither 'count' nor 'rate'")
        }
        guard !scenarioStreams.isEmpty else {
            throw ScenarioError(section.node.place, "the viewers '\(name)' watch streams, and there are none")
        }
        guard hasMedia else {
            throw ScenarioError(section.node.place, "viewers need 'fidelity: flow' or 'packets'")
        }
        return plan
    }

    private func adversary(_ name: String, _ section: ScenarioSection) throws(ScenarioError) -> AdversaryPlan? {
        var section = section
        var plan = AdversaryPlan(name: name)
        let words = AdversaryPlan.Behaviour.allCases.map(\.rawValue)
        let word = try section.word("behaviour", among: words)
        plan.behaviour = word.flatMap(AdversaryPlan.Behaviour.init(rawValue:)) ?? .lie
        plan.share = try section.share("share") ?? 0
        plan.count = try section.integer("count", in: 0...SimulationLimits.nodes) ?? 0
        let chance = try section.share("chance") ?? 1
        try section.finish()
        guard plan.share > 0 || plan.count > 0 else {
            throw ScenarioError(section.node.place, "the adversaries '\(name)' have neither 'share' nor 'count'")
        }
        return Chance.happens(chance, section.path, draws) ? plan : nil
    }

    private var scenarioStreams: [StreamWorkload] { scenario.streams }
    private var hasMedia: Bool { scenario.fidelity != .discovery }
}

/// Whether something that need not happen does in this run.
enum Chance {
    static func happens(_ chance: Double, _ path: String, _ draws: SeededGenerator) -> Bool {
        var generator = draws.child(Label.of(path + "happens"))
        return generator.unitInterval() < chance
    }
}
