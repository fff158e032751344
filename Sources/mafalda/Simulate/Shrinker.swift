import Foundation
import Simulations
import SwarmCore

/// Looks for a smaller scenario that breaks the same rule: less time, fewer faults, fewer nodes, in turns until nothing
/// more can be taken away.
struct Shrinker {
    let source: ScenarioSource
    let options: ScenarioOptions
    let seed: UInt64
    let matrix: LatencyMatrix
    let isQuiet: Bool

    /// Runs tried at most: a shrunk run takes a fraction of the first, which has a bounded number of parts.
    private static var mostRuns: Int { 200 }

    /// What has been taken away so far.
    private struct State {
        var nodes: Int?
        var duration: Interval?
        var without: [String] = []

        var arguments: [String] {
            var words: [String] = []
            if let nodes { words += ["--nodes", String(nodes)] }
            if let duration { words += ["--duration", duration.text] }
            for name in without { words += ["--without", name] }
            return words
        }
    }

    func shrink(_ violation: ScenarioViolation, from plan: Scenario) throws {
        var state = State()
        var plan = plan
        var runs = 0
        var hasShrunk = true
        var time = violation.time
        func tries(_ candidate: State) throws -> Bool {
            guard runs < Self.mostRuns else { return false }
            runs += 1
            guard let next = try? scenario(candidate) else { return false }
            let report = SimulationRun(next, matrix: matrix, showsProgress: false).play().report
            guard let same = report.violations.first(where: { $0.rule == violation.rule }) else { return false }
            state = candidate
            plan = next
            time = same.time
            hasShrunk = true
            return true
        }
        while hasShrunk, runs < Self.mostRuns {
            hasShrunk = false
            for name in removable(plan) {
                var candidate = state
                candidate.without.append(name)
                if try tries(candidate) { say("without \(name)") }
            }
            for nodes in [plan.nodes / 4, plan.nodes / 2, plan.nodes * 3 / 4, plan.nodes - 1]
            where nodes > 0 && nodes < plan.nodes {
                var candidate = state
                candidate.nodes = nodes
                if try tries(candidate) {
                    say("\(nodes) nodes")
                    break
                }
            }
            for duration in durations(plan, violated: time) where duration < plan.duration {
                var candidate = state
                candidate.duration = duration
                if try tries(candidate) {
                    say("\(duration.text)")
                    break
                }
            }
        }
        print("shrunk after \(runs) runs: \(smaller(state).command)")
    }

    /// The command that plays the shrunk scenario; what it sets replaces what was given.
    private func smaller(_ state: State) -> Replay {
        var given = options
        if state.nodes != nil { given.nodes = nil }
        if state.duration != nil { given.duration = nil }
        return Replay(source: source, options: given, seed: seed, extra: state.arguments)
    }

    private func scenario(_ state: State) throws -> Scenario {
        var given = options
        given.seed = String(seed)
        if let nodes = state.nodes { given.nodes = String(nodes) }
        if let duration = state.duration { given.duration = duration.text }
        given.without += state.without
        return try source.read(given.changes)
    }

    private func removable(_ plan: Scenario) -> [String] {
        plan.faults.map(\.name) + plan.adversaries.map(\.name) + plan.viewers.map(\.name) + plan.lookups.map(\.name)
    }

    /// Up to just after the violation where its time is known, else shorter and shorter.
    private func durations(_ plan: Scenario, violated time: UInt64?) -> [Interval] {
        var durations = [plan.duration / 4, plan.duration / 2, plan.duration * 3 / 4]
        let settled = ScenarioTimeline(plan).settled
        if let time, time > settled {
            durations.insert(Interval.milliseconds(Int64((time - settled) / 1_000_000) + 100), at: 0)
        }
        return durations.map { max($0, .milliseconds(1)) }.map { .milliseconds($0.milliseconds) }
    }

    private func say(_ text: String) {
        if !isQuiet { FileHandle.standardError.write(Data("shrink: fails still, \(text)\n".utf8)) }
    }
}
