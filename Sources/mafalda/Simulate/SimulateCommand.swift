import ArgumentParser
import Foundation
import Simulations
import SwarmCore

struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Play a scenario: the program's own nodes in a simulated network, in virtual time.",
        discussion: """
            The same scenario with the same seed does the same, to the last byte. What goes wrong is printed with the \
            one command that plays it again; then the exit status is 1. docs/simulator.md describes scenario files and \
            reports.
            """)

    @Argument(help: "A scenario's name (see --list), or a YAML file.") var scenario: String?
    @OptionGroup var options: ScenarioOptions
    @Flag(help: "End with one line of JSON.") var json = false
    @Option(help: ArgumentHelp("Write a line of JSON per sample and interval.", valueName: "file")) var jsonl: String?
    @Option(help: ArgumentHelp("Write plots of latency, load and tree.", valueName: "folder")) var svg: String?
    @Flag(help: "If it fails, look for a smaller scenario that fails in the same way.") var shrink = false
    @Option(help: ArgumentHelp("Play so many seeds, from --seed on, in processes of their own.", valueName: "count"))
    var sweep: Int?
    @Option(help: ArgumentHelp("How many of them at a time; as many as processors.", valueName: "count"))
    var jobs: Int?
    @Flag(help: "List the scenarios.") var list = false
    @Flag(help: "No progress on standard error.") var quiet = false

    func validate() throws {
        guard list || scenario != nil else { throw ValidationError("name a scenario; --list shows them") }
        if let sweep, sweep < 1 || sweep > 1_000_000 {
            throw ValidationError("--sweep \(sweep): expected a number from 1 to 1000000")
        }
        if let jobs, jobs < 1 || jobs > 1024 {
            throw ValidationError("--jobs \(jobs): expected a number from 1 to 1024")
        }
        if jobs != nil, sweep == nil { throw ValidationError("--jobs goes with --sweep") }
        if sweep != nil, shrink || jsonl != nil || svg != nil {
            throw ValidationError(
                "--sweep goes without --shrink, --jsonl and --svg: play the seed that fails by itself")
        }
    }

    func run() throws {
        if list { return try printList() }
        HugePages.restartWithThem()
        let source = try ScenarioSource(scenario ?? "")
        let plan = try source.read(options.changes)
        if let sweep {
            let sweeper = Sweep(
                source: source, options: options, first: plan.seed, count: sweep,
                jobs: jobs ?? ProcessInfo.processInfo.activeProcessorCount, isJSON: json, isQuiet: quiet)
            return try sweeper.run()
        }
        let matrix = try MatrixSource.matrix(plan.matrix, isGiven: options.matrix != nil)
        if !json { print(ScenarioText.summary(of: plan)) }
        let run = SimulationRun(plan, matrix: matrix, keepsRows: jsonl != nil, showsProgress: !quiet)
        let result = run.play()
        if let jsonl { try write(run.rows.map { $0 + "\n" }.joined(), to: jsonl) }
        if let svg { try writePlots(run.runner, to: svg) }
        if !json { print(ReportText.table(result), terminator: "") }
        let replay = Replay(source: source, options: options, seed: plan.seed)
        for violation in result.report.violations {
            print("violation: \(violation.text)")
            print("replay: \(replay.command)")
        }
        if shrink, let violation = result.report.violations.first {
            try Shrinker(source: source, options: options, seed: plan.seed, matrix: matrix, isQuiet: quiet)
                .shrink(violation, from: plan)
        }
        if json { print(ReportText.json(result)) }
        let count = result.report.violations.count
        if count > 0 { throw SimulateError("\(count) violation\(count == 1 ? "" : "s")") }
    }

    private func printList() throws {
        let rows: [(name: String, about: String)]
        do throws(ScenarioError) {
            rows = try ScenarioLibrary.abouts()
        } catch {
            throw SimulateError(error.description)
        }
        let width = rows.map(\.name.count).max() ?? 0
        for row in rows { print(FigureText.padded(row.name, width + 2) + row.about) }
    }

    private func writePlots(_ runner: ScenarioRunner, to folder: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw SimulateError("\(folder): can't make this folder")
        }
        for plot in runner.plots() { try write(plot.svg, to: folder + "/" + plot.name + ".svg") }
    }

    private func write(_ text: String, to path: String) throws {
        do {
            try text.write(toFile: path, atomically: true, encoding: .utf8)
        } catch {
            throw SimulateError("\(path): can't write this file")
        }
    }
}

/// What changes a scenario from the command line.
struct ScenarioOptions: ParsableArguments {
    @Option(help: ArgumentHelp("How many nodes.", valueName: "n")) var nodes: String?
    @Option(help: ArgumentHelp("Everything that chance decides follows from it.", valueName: "s")) var seed: String?
    @Option(
        help: ArgumentHelp("A built-in matrix (planetlab490, seattle99, uniform, lan) or a CSV file.", valueName: "f"))
    var matrix: String?
    @Option(help: ArgumentHelp("The measured time: 60s, 5min.", valueName: "t")) var duration: String?
    @Option(help: ArgumentHelp("Ciphers and signatures: real, or counted.", valueName: "kind")) var crypto: String?
    @Option(
        parsing: .singleValue,
        help: ArgumentHelp("Set one value of the scenario: faults.crash.share=10%.", valueName: "key=value"))
    var set: [String] = []
    @Option(
        parsing: .singleValue,
        help: ArgumentHelp("Leave out the fault, workload, adversary or expectation of this name.", valueName: "name"))
    var without: [String] = []

    /// In the order in which they count: flags of their own over `--set`, and what is left out last.
    var changes: [ScenarioReader.Change] {
        var changes: [ScenarioReader.Change] = set.map { text in
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            return .set(path: parts[0], value: parts.count > 1 ? parts[1] : "", flag: "--set \(text)")
        }
        let flags = [("nodes", nodes), ("seed", seed), ("matrix", matrix), ("duration", duration), ("crypto", crypto)]
        for case (let key, let value?) in flags {
            changes.append(.set(path: key, value: value, flag: "--\(key) \(value)"))
        }
        return changes + without.map { .without($0) }
    }

    /// The arguments that say the same, without the seed.
    var arguments: [String] {
        let flags = [("--nodes", nodes), ("--matrix", matrix), ("--duration", duration), ("--crypto", crypto)]
        var words: [String] = []
        for case (let flag, let value?) in flags { words += [flag, value] }
        for text in set { words += ["--set", text] }
        for name in without { words += ["--without", name] }
        return words
    }
}

/// Something that can't be done, or that a run did and may not: exit status 1.
struct SimulateError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
