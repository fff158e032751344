import Simulations
import SwarmCore
import Testing

/// Scenarios played: small ones, with what must come out of them.
@Suite struct ScenarioRunnerTests {
    private func scenario(_ name: String, _ changes: [(String, String)] = [], without: [String] = []) throws -> Scenario
    {
        let source = try #require(ScenarioLibrary.source(named: name))
        let sets = changes.map { ScenarioReader.Change.set(path: $0.0, value: $0.1, flag: "--set") }
        return try ScenarioReader.read(source, changes: sets + without.map { .without($0) })
    }

    private func play(_ scenario: Scenario) throws -> (runner: ScenarioRunner, report: SimulationReport) {
        let runner = ScenarioRunner(scenario, matrix: try BuiltInMatrix.planetlab490.matrix())
        // In slices: where they lie must not matter.
        while runner.now < runner.timeline.end { runner.run(until: runner.now + 7_300_000_000) }
        return (runner, runner.report())
    }

    @Test func lookupsAreJudgedByTheTruth() throws {
        let plan = try scenario(
            "discovery",
            [
                ("nodes", "12"), ("duration", "10s"), ("join.over", "5s"), ("settle", "20s"),
                ("streams.cameras.count", "10"),
            ])
        let (runner, report) = try play(plan)
        #expect(report.violations.isEmpty, "\(report.violations)")
        #expect(runner.truth.liveCount == 10 && runner.ledger.asked > 400)
        #expect(report.figure("lookup_success_ratio") == 1 && report.figure("absence_ratio") == 1)
        #expect(report.figure("lookup_wrong_count") == 0 && report.figure("false_absence_count") == 0)
        let half = try #require(report.figure("lookup_ms_p50"))
        let late = try #require(report.figure("lookup_ms_p99"))
        #expect(half <= late && late < 5000)
        #expect(try #require(report.figure("publish_ms_p50")) > 0)
        #expect(runner.samples.count == 41 && report.simulated == .seconds(41))
    }

    /// Nodes behind boxes find and publish; nobody reaches them unasked, and nobody ever hears their inside addresses.
    @Test func nodesBehindBoxesAskAndAreNotAsked() throws {
        let plan = try scenario(
            "discovery",
            [
                ("nodes", "20"), ("duration", "20s"), ("join.over", "5s"), ("settle", "20s"),
                ("streams.cameras.count", "20"), ("network.nat.share", "40%"), ("network.nat.timeout", "30s"),
            ])
        let (runner, report) = try play(plan)
        let boxes = runner.simulation.nodes.filter { $0.nat != nil }
        #expect((2...13).contains(boxes.count) && boxes.allSatisfy { $0.index >= plan.join.seeds })
        #expect(boxes.allSatisfy { $0.datagramsReceived > 0 && ($0.nat?.count ?? 0) > 0 })
        let filtered = boxes.reduce(0) { $0 + ($1.nat?.refusals[.filtered] ?? 0) + ($1.nat?.refusals[.noMapping] ?? 0) }
        #expect(filtered > 0)
        #expect(try #require(report.figure("lookup_success_ratio")) > 0.99)
        #expect(report.figure("false_absence_count") == 0)
        #expect(report.violations.isEmpty, "\(report.violations)")
    }

    /// Ids ground next to a stream's key hide nothing, and cost its publisher at most twice the messages.
    @Test func groundIdsNeitherHideNorTax() throws {
        func cost(_ changes: [(String, String)]) throws -> Double {
            let small = [
                ("nodes", "300"), ("join.over", "15s"), ("settle", "60s"), ("duration", "120s"),
                ("lookups.finding.rate", "10/s"),
            ]
            let report = try play(try scenario("dht-ground-publish", small + changes)).report
            #expect(try #require(report.figure("lookup_success_ratio")) >= 0.999, "\(changes)")
            return try #require(report.figure("publish_requests_per_stream_minute"))
        }
        let calm = try cost([("adversaries.grinders.chance", "0%")])
        #expect(calm > 60, "four rounds a minute to some twenty holders")
        for behaviour in ["grind", "grind-silent"] {
            let taxed = try cost([("adversaries.grinders.behaviour", behaviour)])
            #expect(taxed <= 2 * calm, "\(behaviour): \(taxed) instead of \(calm) a minute")
        }
    }

    @Test func theSameSeedDoesTheSame() throws {
        let changes = [("nodes", "10"), ("duration", "12s"), ("seed", "5"), ("recovery", "1s"), ("liveness", "off")]
        let plan = try scenario("everything", changes)
        let first = try play(plan).report
        #expect(first == (try play(plan)).report)
        var other = plan
        other.seed = 6
        #expect(first.digest != (try play(other)).report.digest)
    }

    /// A fault more leaves joins, streams, lookups and the other faults as they are.
    @Test func faultsShiftNobodysDraws() throws {
        let changes = [("nodes", "10"), ("duration", "15s"), ("settle", "10s"), ("streams.cameras.count", "5")]
        let with = try scenario("crash", changes)
        let without = try scenario("crash", changes, without: ["gone", "strangers", "restarts"])
        let a = try play(with)
        let b = try play(without)
        let early = { (runner: ScenarioRunner) in
            runner.truth.streams.filter { $0.publishedAt < runner.timeline.settled }.map {
                "\($0.name) \($0.publishedAt)"
            }
        }
        #expect(!early(a.runner).isEmpty && early(a.runner) == early(b.runner))
        #expect(try #require(a.report.figure("crashes")) > 0 && b.report.figure("crashes") == 0)
    }

    @Test func unmetExpectationsAreViolations() throws {
        var plan = try scenario(
            "discovery", [("nodes", "6"), ("duration", "3s"), ("join.over", "2s"), ("settle", "12s")])
        plan.expectations = [
            Expectation("lookup_success_ratio", .atLeast, 0.5), Expectation("lookups", .atMost, 3),
            Expectation("no_such_figure", .equal, 1),
        ]
        let rules = try play(plan).report.violations.map(\.rule)
        #expect(rules == ["expect-lookups", "expect-no_such_figure"])
    }

    @Test func publishersThatDieAreReplaced() throws {
        let plan = try scenario(
            "mass-death",
            [
                ("nodes", "20"), ("duration", "20s"), ("faults.death.at", "2s"), ("faults.death.share", "50%"),
                ("settle", "12s"), ("streams.cameras.count", "20"), ("expect.member_forgotten_ratio", "none"),
            ])
        let (runner, report) = try play(plan)
        #expect(report.figure("crashes") == 8 && report.figure("nodes_up") == 12)
        #expect(runner.truth.liveCount == 20 && runner.truth.streams.count > 20)
        for stream in runner.truth.liveStreams { #expect(runner.simulation.nodes[stream.node].isUp) }
    }

    @Test func viewersAreServedAndRelaysReplaced() throws {
        let plan = try scenario(
            "tree",
            [
                ("nodes", "12"), ("duration", "20s"), ("viewers.audience.count", "20"), ("max-children", "2"),
                ("settle", "40s"), ("join.over", "5s"), ("recovery", "10s"),
            ])
        let (runner, report) = try play(plan)
        #expect(report.figure("viewers") == 20)
        #expect(try #require(report.figure("viewers_served_ratio")) > 0.9)
        #expect(try #require(report.figure("path_hops_max")) >= 2)
        let mean = try #require(report.figure("path_rtt_ms_mean"))
        #expect(mean >= (try #require(report.figure("path_rtt_ms_optimal_mean"))) - 0.001)
        #expect(runner.plots().map(\.name).contains("tree"))
    }

    @Test func liarsAreCastAndNeverSeeds() throws {
        let plan = try scenario(
            "liars",
            [
                ("nodes", "40"), ("duration", "5s"), ("settle", "12s"), ("join.over", "5s"),
                ("adversaries.liars.share", "50%"),
            ])
        let (runner, _) = try play(plan)
        let liars = runner.simulation.nodes.filter { !$0.isHonest }.map(\.index)
        #expect(liars.count == 20 && liars.allSatisfy { $0 >= plan.join.seeds })
    }
}
