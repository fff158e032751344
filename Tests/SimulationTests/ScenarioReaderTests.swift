import Simulations
import SwarmCore
import Testing

/// Scenario files: what they say is what is played, and what is wrong with them is said in one line that names its place.
@Suite struct ScenarioReaderTests {
    private func read(
        _ text: String, _ changes: [ScenarioReader.Change] = [], others: [String: String] = [:]
    ) throws(ScenarioError) -> Scenario {
        try ScenarioReader.read(
            ScenarioReader.Source(file: "test.yaml", text: text), changes: changes, names: others.keys.sorted(),
            find: { name in others[name].map { ScenarioReader.Source(file: name + ".yaml", text: $0) } })
    }

    private func problem(_ text: String, _ changes: [ScenarioReader.Change] = [], others: [String: String] = [:])
        -> String
    {
        do throws(ScenarioError) {
            _ = try read(text, changes, others: others)
            return "nothing"
        } catch {
            return error.description
        }
    }

    @Test func everyKeyArrives() throws {
        let scenario = try read(
            """
            about: A test.
            nodes: 12
            seed: 7
            duration: 1.5min
            settle: 250ms
            recovery: 2
            matrix: uniform
            fidelity: flow
            crypto: real
            checks: off
            max-children: 3
            join: {over: 5s, seeds: 2, contacts: 1}
            network: {loss: 0.5%..1%, jitter: 0.1, up: 10Mbit/s, burst: 0ms}
            streams:
              cameras: {count: 3, rate: 2/min, lifetime: 30s, replace: true, rooms: 2, moves: 10s}
            lookups:
              finding: {of: hot, rate: 5/s, every-node-within: 4s, popularity: 1}
            viewers:
              crowd: {count: 4, at: -3s, within: 1s, rate: 1/s, stay: 9s, apart: true}
            faults:
              stop: {kind: crash, restart: same, down: 3s, at: 1s, every: 2s, count: 1, targets: busiest}
              churn: {sessions: pareto 10min 1.5, down: 1s..2s}
            adversaries:
              liars: {behaviour: lie, share: 20%}
            expect:
              lookup_ms_p50: "<= 75"
            """)
        #expect(scenario.name == "test" && scenario.about == "A test." && scenario.nodes == 12 && scenario.seed == 7)
        #expect(scenario.duration == .seconds(90) && scenario.settle == .milliseconds(250))
        #expect(scenario.recovery == .seconds(2) && scenario.matrix == "uniform" && scenario.fidelity == .flow)
        #expect(scenario.hasRealCryptography && !scenario.hasChecks && scenario.hasMembership)
        #expect(scenario.maxChildren == 3 && scenario.join.seeds == 2 && scenario.join.contacts == 1)
        #expect(scenario.network.baseLoss == 0.005...0.01 && scenario.network.uplinkBitsPerSecond == 10_000_000)
        let stream = try #require(scenario.streams.first)
        #expect(stream.count == 3 && stream.rate == 2.0 / 60 && stream.lifetime == .seconds(30) && stream.isReplaced)
        #expect(stream.rooms == 2 && stream.moves == .seconds(10))
        let lookup = try #require(scenario.lookups.first)
        #expect(lookup.target == .hot && lookup.everyNodeWithin == .seconds(4) && lookup.popularity == 1)
        let viewer = try #require(scenario.viewers.first)
        #expect(viewer.at == .seconds(-3) && viewer.stay == .seconds(9) && viewer.isApart)
        #expect(scenario.faults.map(\.name) == ["stop", "churn"])
        #expect(scenario.faults[0].kind == .crash(FaultPlan.Return(.same, after: .seconds(3))))
        #expect(scenario.faults[0].group == .busiest && scenario.faults[0].every == .seconds(2))
        let law = LifetimeDistribution.pareto(medianSeconds: 600, shape: 1.5)
        #expect(scenario.faults[1].kind == .churn(sessions: law, downtime: .seconds(1) ... .seconds(2)))
        #expect(scenario.faults[1].share == 1)
        #expect(scenario.adversaries.first?.behaviour == .lie && scenario.adversaries.first?.share == 0.2)
        #expect(scenario.expectations == [Expectation("lookup_ms_p50", .atMost, 75)])
    }

    @Test(arguments: [
        ("nodes: 0", "test.yaml:1: 'nodes' is \"0\", expected a number from 1 to 100000"),
        ("about: x\nnodes: many", "test.yaml:2: 'nodes' is \"many\", expected a number from 1 to 100000"),
        ("nods: 3", "test.yaml:1: unknown key 'nods'; did you mean 'nodes'?"),
        ("network:\n  loss: abc", "test.yaml:2: 'loss' is \"abc\", expected a share like 1%, or a range of them"),
        ("network:\n  los: 1%", "test.yaml:2: unknown key 'los' in 'network'; did you mean 'loss'?"),
        ("network: {loss: 101%}", "test.yaml:1: 'loss' is \"101%\", expected a share like 1%, or a range of them"),
        ("duration: -3s", "test.yaml:1: 'duration' is \"-3s\", expected a time that is not below 1ms"),
        ("duration: 0x10", "test.yaml:1: 'duration' is \"0x10\", expected a time like 10s or 250ms"),
        ("duration: nan", "test.yaml:1: 'duration' is \"nan\", expected a time like 10s or 250ms"),
        (
            "fidelity: packet",
            "'fidelity' is \"packet\", expected one of discovery, flow, packets; did you mean 'packets'?"
        ),
        ("fidelity: packets\nnodes: 5000", "test.yaml:2: 'nodes' is 5000: packet by packet at most 500 can be played"),
        ("fidelity: flow\nmembership: off", "test.yaml:2: 'membership' can't be off where media is simulated"),
        ("lookups:\n  x: {rate: 1/s}", "test.yaml:2: the lookups 'x' ask for streams, and there are none"),
        ("lookups:\n  x: {of: absent}", "test.yaml:2: the lookups 'x' have neither 'rate' nor 'every-node-within'"),
        ("streams:\n  x: {rooms: 3}", "test.yaml:2: the streams 'x' have neither 'count' nor 'rate'"),
        (
            "streams:\n  x: {count: 1}\nviewers:\n  y: {count: 1}",
            "test.yaml:4: viewers need 'fidelity: flow' or 'packets'"
        ),
        ("faults:\n  crahs: {count: 1}", "test.yaml:2: the fault 'crahs' needs 'kind'"),
        ("faults:\n  crash: {at: 3s}", "test.yaml:2: the fault 'crash' has neither 'share' nor 'count'"),
        ("faults:\n  skew: {count: 1, drift: 5000000ppm}", "expected -500000ppm to 1000000ppm"),
        (
            "faults:\n  churn: {sessions: gauss 3s}",
            "expected a law with its median like \"exponential 10min\", or azure"
        ),
        ("faults:\n  churn: {sessions: fixed 0s}", "'sessions' do not do: a life time is between"),
        ("liveness: on\nchecks: off", "test.yaml:1: 'liveness' is demanded by the checkers, and 'checks' are off"),
        ("expect: {lookup_ms_p50: fast}", "expected a comparison like \">= 0.99\""),
        ("include: nothing", "test.yaml:1: 'include': no scenario 'nothing'"),
        ("- a list", "test.yaml:1: expected \"key: value\" lines"),
        ("nodes: [1", "test.yaml:2: "),
        ("nodes: 1\nnodes: 2", "a key stands twice: nodes"),
        ("streams:\n  Big Name: {count: 1}", "test.yaml:2: 'Big Name' is no name"),
        ("a: {b: {c: {d: {e: {f: {g: {h: {i: {j: 1}}}}}}}}}", "nested too deeply"),
        ("network: {mtu: 100}", "test.yaml:1: 'mtu' is \"100\", expected a number from 576 to 65535"),
        ("network: {burst: 10s, calm: 20s}", "calmMeanMilliseconds is at least 16 times burstMeanMilliseconds"),
    ])
    func whatIsWrongIsSaidInOneLine(_ text: String, _ expected: String) {
        let said = problem(text)
        #expect(said.contains(expected), "\(said)")
        #expect(!said.contains("\n"))
    }

    @Test func inclusionLaysFilesOverEachOther() throws {
        let others = [
            "base": "nodes: 5\nstreams: {a: {count: 1}}\nfaults: {crash: {count: 1, at: 1s}}",
            "more": "include: base\nfaults: {crash: {at: 9s}, pause: {count: 2}}",
        ]
        let scenario = try read("include: [base, more]\nnodes: 8\nfaults: {pause: none}", others: others)
        #expect(scenario.nodes == 8 && scenario.streams.map(\.name) == ["a"])
        #expect(scenario.faults.map(\.name) == ["crash"] && scenario.faults[0].at == .seconds(9))
        let loop = ["a": "include: b", "b": "include: a"]
        #expect(problem("include: a", others: loop).contains("goes round or too deep"))
        // A mistake in an included file is told with that file's name.
        #expect(problem("include: bad", others: ["bad": "about: x\nnodes: -1"]).hasPrefix("bad.yaml:2: 'nodes'"))
    }

    @Test func flagsComeLastAndAreNamed() throws {
        let text = "nodes: 5\nfaults: {crash: {count: 1}, pause: {count: 1}}"
        let set = ScenarioReader.Change.set(path: "faults.crash.at", value: "7s", flag: "--set faults.crash.at=7s")
        let scenario = try read(text, [set, .without("pause")])
        #expect(scenario.faults.map(\.name) == ["crash"] && scenario.faults[0].at == .seconds(7))
        let zero = ScenarioReader.Change.set(path: "nodes", value: "0", flag: "--nodes 0")
        #expect(problem(text, [zero]) == "--nodes 0: 'nodes' is \"0\", expected a number from 1 to 100000")
        #expect(problem(text, [.without("paus")]) == "--without paus: nothing has that name; did you mean 'pause'?")
        let deep = ScenarioReader.Change.set(path: "nodes.x", value: "0", flag: "--set nodes.x=0")
        #expect(problem(text, [deep]).hasPrefix("--set nodes.x=0: "))
        do throws(ScenarioError) {
            _ = try read(text, [zero])
            Issue.record("zero nodes")
        } catch {
            #expect(error.isUsage)
        }
    }

    /// Each value has draws of its own: one more value, or another one given, changes no other.
    @Test func rangesAreDrawnFromTheSeed() throws {
        let text = "nodes: 8..50\nduration: 10s..90s\nfaults: {pause: {count: 1..9, lasts: 1s..9s, chance: 100%}}"
        func read(seed: Int, _ more: [ScenarioReader.Change] = []) throws -> Scenario {
            try self.read(text, [.set(path: "seed", value: "\(seed)", flag: "--seed")] + more)
        }
        let seven = try read(seed: 7)
        let again = try read(seed: 7, [.set(path: "nodes", value: "3", flag: "--nodes 3")])
        #expect(again.nodes == 3 && again.duration == seven.duration)
        #expect(
            again.faults.map(\.lasts) == seven.faults.map(\.lasts) && again.faults[0].count == seven.faults[0].count)
        let many = try (0..<40).map { try read(seed: $0) }
        #expect(
            many.allSatisfy {
                (8...50).contains($0.nodes) && $0.duration >= .seconds(10) && $0.duration <= .seconds(90)
            })
        #expect(Set(many.map(\.nodes)).count > 15 && Set(many.map { $0.faults[0].count }).count == 9)
        let some = try (0..<100).map { seed in
            try self.read("seed: \(seed)\nfaults: {pause: {count: 1, chance: 40%}}").faults.count
        }
        #expect((25...55).contains(some.reduce(0, +)))
    }

    /// Every scenario that comes with the program can be read, has a line about itself, and stands in the list.
    @Test func theLibraryIsSound() throws {
        let wanted = [
            "quiet", "discovery", "churn", "liars", "crash", "partition", "mass-death", "paths", "tree", "flash-crowd",
            "balance", "everything", "calibrate", "dht-latency", "dht-publish", "dht-absence", "dht-churn-10min",
            "dht-churn-1.4min", "dht-liars-20", "dht-liars-30", "dht-liars-50", "dht-ground-ids", "dht-hot", "dht-rest",
        ]
        #expect(Set(ScenarioLibrary.names).isSuperset(of: wanted))
        for name in ScenarioLibrary.names {
            let source = try #require(ScenarioLibrary.source(named: name))
            let scenario = try ScenarioReader.read(source)
            #expect(scenario.name == name && scenario.about.hasSuffix("."))
        }
    }
}
