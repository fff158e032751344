import Foundation
import Simulations
import SwarmCore

/// What a run showed and what it cost.
struct SimulationResult {
    let report: SimulationReport
    /// Of the machine that played it.
    let timing: [Figure]
}

/// Plays one scenario from beginning to end, with a clock in hand.
struct SimulationRun {
    let runner: ScenarioRunner
    private let plan: Scenario
    private let progress: ProgressBar
    private let begun: ProcessUsage

    private static var slices: UInt64 { 200 }

    init(_ plan: Scenario, matrix: LatencyMatrix, keepsRows: Bool = false, showsProgress: Bool) {
        self.plan = plan
        begun = ProcessUsage.now
        runner = ScenarioRunner(plan, matrix: matrix, keepsRows: keepsRows)
        progress = ProgressBar(isShown: showsProgress)
    }

    /// Lines of JSON: samples, and intervals.
    var rows: [String] { runner.rows + runner.samples.map(\.line) }

    func play() -> SimulationResult {
        let timeline = runner.timeline
        advance(to: timeline.settled)
        let settled = Mark(runner)
        advance(to: timeline.measured)
        let measured = Mark(runner)
        advance(to: timeline.end)
        progress.clear()
        let report = runner.report()
        return SimulationResult(
            report: report, timing: timing(report, settled: settled, measured: measured, end: .now))
    }

    private func advance(to end: UInt64) {
        let total = max(1, runner.timeline.end)
        let slice = max(1, total / Self.slices)
        while runner.now < end, !runner.simulation.hasLivelock {
            runner.run(until: min(end, runner.now + slice))
            let elapsed = ProcessUsage.now.wallSeconds(since: begun)
            progress.show(
                share: Double(runner.now) / Double(total),
                "\(runner.timeline.phase(at: runner.now).rawValue), \(runner.simulation.nodes.count(where: \.isUp)) nodes up, "
                    + "\(FigureText.number(elapsed, decimals: 0)) s")
        }
    }

    /// The counters of a run beside those of the process.
    private struct Mark {
        let usage = ProcessUsage.now
        let events: UInt64
        let calls: UInt64
        let time: UInt64

        init(_ runner: ScenarioRunner) {
            events = runner.simulation.traffic.events
            calls = runner.simulation.traffic.machineCalls
            time = runner.now
        }
    }

    private func timing(_ report: SimulationReport, settled: Mark, measured: Mark, end: ProcessUsage) -> [Figure] {
        let seconds = Double(measured.time - settled.time) / 1e9
        let wall = measured.usage.wallSeconds(since: settled.usage)
        let cpu = measured.usage.cpuSeconds - settled.usage.cpuSeconds
        let events = Double(measured.events - settled.events)
        let calls = Double(measured.calls - settled.calls)
        let nodes = Double(plan.nodes)
        func over(_ a: Double, _ b: Double) -> Double? { b > 0 ? a / b : nil }
        let resident = Double(measured.usage.residentBytes - begun.residentBytes) / 1024
        return [
            Figure("simulated_seconds", report.simulated.fractionalSeconds),
            Figure("wall_seconds", end.wallSeconds(since: begun)),
            Figure("cpu_seconds", end.cpuSeconds - begun.cpuSeconds),
            Figure("events", report.events),
            Figure("measured_seconds", seconds),
            Figure("measured_wall_seconds", wall),
            Figure("times_real_time", over(seconds, wall)),
            Figure("times_real_time_cpu", over(seconds, cpu)),
            Figure("events_per_node_second", over(events, seconds * nodes)),
            Figure("machine_calls_per_second", over(calls, cpu)),
            Figure("events_per_second", over(events, cpu)),
            Figure("kib_per_node", resident / nodes),
        ]
    }
}

/// One line on standard error that is written over, where standard error is a terminal.
struct ProgressBar {
    private let isShown: Bool

    init(isShown: Bool) { self.isShown = isShown && isatty(2) == 1 }

    func show(share: Double, _ text: String) {
        guard isShown else { return }
        let width = 30
        let filled = min(width, Int(share * Double(width)))
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
        write("\r\u{1b}[K\(bar) \(Int(share * 100)) % \(text)")
    }

    func clear() {
        if isShown { write("\r\u{1b}[K") }
    }

    private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}
