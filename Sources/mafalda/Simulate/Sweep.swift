import Foundation
import Simulations
import Synchronization

/// Plays many seeds, each in a process of its own: a crash of one is the finding of one.
struct Sweep {
    let source: ScenarioSource
    let options: ScenarioOptions
    let first: UInt64
    let count: Int
    let jobs: Int
    let isJSON: Bool
    let isQuiet: Bool

    private struct State {
        var next = 0
        var done = 0
        var failures: [Failure] = []
        var cpuSeconds = 0.0
        var events = 0.0
    }

    private struct Failure: Sendable {
        let seed: UInt64
        let text: String
    }

    func run() throws {
        let begun = ProcessUsage.now
        let progress = ProgressBar(isShown: !isQuiet)
        let state = Mutex(State())
        DispatchQueue.concurrentPerform(iterations: min(jobs, count)) { _ in
            while true {
                let number = state.withLock { state in
                    defer { state.next += 1 }
                    return state.next
                }
                guard number < count else { return }
                let outcome = play(first + UInt64(number))
                state.withLock { state in
                    state.done += 1
                    state.cpuSeconds += outcome.cpuSeconds
                    state.events += outcome.events
                    if let failure = outcome.failure { state.failures.append(failure) }
                    progress.show(
                        share: Double(state.done) / Double(count),
                        "\(state.done) of \(count) seeds, \(state.failures.count) failed")
                }
            }
        }
        progress.clear()
        try report(state.withLock { $0 }, wallSeconds: ProcessUsage.now.wallSeconds(since: begun))
    }

    private func report(_ state: State, wallSeconds: Double) throws {
        let failures = state.failures.sorted { $0.seed < $1.seed }
        for failure in failures {
            print("violation: seed \(failure.seed): \(failure.text)")
            print("replay: \(Replay(source: source, options: options, seed: failure.seed).command)")
        }
        let cpu = FigureText.number(state.cpuSeconds, decimals: 1)
        let wall = FigureText.number(wallSeconds, decimals: 1)
        if isJSON {
            let seeds = failures.map { String($0.seed) }.joined(separator: ",")
            print(
                "{\"scenario\":\(FigureText.quoted(source.name)),\"seeds\":\(count),\"first_seed\":\(first),"
                    + "\"failed\":\(failures.count),\"failed_seeds\":[\(seeds)],\"violations\":\(failures.count),"
                    + "\"events\":\(FigureText.number(state.events, decimals: 0)),"
                    + "\"wall_seconds\":\(wall),\"cpu_seconds\":\(cpu)}")
        } else {
            print("\(count) seeds from \(first): \(failures.count) failed; \(wall) s, \(cpu) s of CPU time")
        }
        if !failures.isEmpty { throw SimulateError("\(failures.count) of \(count) seeds failed") }
    }

    private struct Outcome {
        var failure: Failure?
        var cpuSeconds = 0.0
        var events = 0.0
    }

    private struct Answer: Decodable {
        var violations: Int
        var violation_texts: [String]
        var cpu_seconds: Double
        var events: Double
    }

    /// One seed, by this program itself.
    private func play(_ seed: UInt64) -> Outcome {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        let verb = CommandLine.arguments.dropFirst().first == "simulate" ? ["simulate"] : []
        process.arguments = verb + [source.name] + options.arguments + ["--seed", String(seed), "--json", "--quiet"]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        do {
            try process.run()
        } catch {
            return Outcome(failure: Failure(seed: seed, text: "the process did not start: \(error)"))
        }
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let line = String(decoding: data, as: UTF8.self).split(separator: "\n").last.map(String.init) ?? ""
        guard let answer = try? JSONDecoder().decode(Answer.self, from: Data(line.utf8)) else {
            let how = process.terminationReason == .uncaughtSignal ? "signal" : "exit status"
            return Outcome(failure: Failure(seed: seed, text: "no report, \(how) \(process.terminationStatus)"))
        }
        var outcome = Outcome(cpuSeconds: answer.cpu_seconds, events: answer.events)
        if answer.violations > 0 {
            outcome.failure = Failure(
                seed: seed, text: answer.violation_texts.first ?? "\(answer.violations) violations")
        }
        return outcome
    }
}
