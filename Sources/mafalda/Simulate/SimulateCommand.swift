import ArgumentParser
import Foundation
import Simulations
import SwarmCore

struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate", abstract: "Play a scenario with simulated nodes, network and time.")

    @Argument(help: "A scenario's name.") var scenario: String
    @Option(help: ArgumentHelp("How many nodes.", valueName: "n")) var nodes: Int?
    @Option(help: ArgumentHelp("Everything that chance decides follows from it.", valueName: "s")) var seed: UInt64?
    @Option(help: ArgumentHelp("The measured time in seconds.", valueName: "t")) var duration: Int64?
    @Flag(help: "Ciphers and signatures as in production.") var realCrypto = false
    @Flag(help: "End with one line of JSON.") var json = false

    func run() throws {
        guard var plan = ScenarioLibrary.scenario(named: scenario) else {
            throw ValidationError("no scenario '\(scenario)'")
        }
        if let nodes { plan.nodes = nodes }
        if let seed { plan.seed = seed }
        if let duration { plan.duration = .seconds(duration) }
        plan.hasRealCryptography = realCrypto
        let start = ProcessUsage.now
        let runner = ScenarioRunner(plan, matrix: try BuiltInMatrix.planetlab490.matrix())
        runner.run(until: runner.timeline.settled)
        let settled = ProcessUsage.now
        let eventsBefore = runner.simulation.traffic.events
        let callsBefore = runner.simulation.traffic.machineCalls
        runner.run(until: runner.timeline.measured)
        let measured = ProcessUsage.now
        let events = Double(runner.simulation.traffic.events - eventsBefore)
        let calls = Double(runner.simulation.traffic.machineCalls - callsBefore)
        runner.run(until: runner.timeline.end)
        let report = runner.report()
        let end = ProcessUsage.now
        let wall = measured.wallSeconds(since: settled)
        let cpu = measured.cpuSeconds - settled.cpuSeconds
        let seconds = Double(runner.timeline.measured - runner.timeline.settled) / 1e9
        let timing = [
            Figure("simulated_seconds", report.simulated.fractionalSeconds),
            Figure("wall_seconds", end.wallSeconds(since: start)),
            Figure("cpu_seconds", end.cpuSeconds - start.cpuSeconds),
            Figure("events", report.events),
            Figure("times_real_time", wall > 0 ? seconds / wall : nil),
            Figure("events_per_node_second", events / seconds / Double(plan.nodes)),
            Figure("machine_calls_per_cpu_second", cpu > 0 ? calls / cpu : nil),
            Figure("cpu_us_per_event", events > 0 ? cpu * 1e6 / events : nil),
            Figure(
                "kib_per_node", Double(measured.residentBytes - start.residentBytes) / 1024 / Double(plan.nodes)),
        ]
        for figure in timing + report.figures {
            print(FigureText.padded(figure.name, 34) + FigureText.short(figure.value))
        }
        print(FigureText.padded("digest", 34) + report.digest)
        for violation in report.violations { print("violation: " + violation.text) }
        if json {
            let members =
                ["\"scenario\":\(FigureText.quoted(plan.name))", "\"nodes\":\(plan.nodes)", "\"seed\":\(plan.seed)"]
                + ["\"digest\":\"\(report.digest)\"", "\"violations\":\(report.violations.count)"]
                + (timing + report.figures).map { "\"\($0.name)\":\(FigureText.number($0.value))" }
            print("{" + members.joined(separator: ",") + "}")
        }
    }
}
