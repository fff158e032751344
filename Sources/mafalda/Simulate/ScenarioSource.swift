import ArgumentParser
import Foundation
import Simulations

/// Where a scenario's text comes from: the library, or a file whose neighbours it may include.
struct ScenarioSource {
    /// As it was given.
    let name: String
    private let source: ScenarioReader.Source
    /// Nil for the library's.
    private let folder: String?

    init(_ name: String) throws {
        self.name = name
        if name.contains("/") || name.hasSuffix(".yaml") || name.hasSuffix(".yml") {
            guard let text = Self.text(ofFile: name) else {
                throw SimulateError("\(name): no such file, or not UTF-8 text")
            }
            source = ScenarioReader.Source(file: name, text: text)
            folder =
                name.contains("/")
                ? name.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/") : "."
        } else {
            guard let found = ScenarioLibrary.source(named: name) else {
                let hint = ScenarioLibrary.suggestion(for: name)
                throw ValidationError("no scenario '\(name)'\(hint)")
            }
            source = found
            folder = nil
        }
    }

    func read(_ changes: [ScenarioReader.Change]) throws -> Scenario {
        do throws(ScenarioError) {
            return try ScenarioReader.read(source, changes: changes) { included in
                guard let folder else { return ScenarioLibrary.source(named: included) }
                let path = "\(folder)/\(included).yaml"
                return Self.text(ofFile: path).map { ScenarioReader.Source(file: path, text: $0) }
                    ?? ScenarioLibrary.source(named: included)
            }
        } catch {
            if error.isUsage { throw ValidationError(error.description) }
            throw SimulateError(error.description)
        }
    }

    private static func text(ofFile path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
}

/// Where a matrix comes from.
enum MatrixSource {
    /// `isGiven`: on the command line.
    static func matrix(_ name: String, isGiven: Bool) throws -> LatencyMatrix {
        do {
            if let builtIn = BuiltInMatrix(rawValue: name) { return try builtIn.matrix() }
            guard let text = try? String(contentsOfFile: name, encoding: .utf8) else {
                let names = BuiltInMatrix.allCases.map(\.rawValue).joined(separator: ", ")
                let problem = "matrix \(name): neither built in (\(names)) nor a readable file"
                if isGiven { throw ValidationError(problem) }
                throw SimulateError(problem)
            }
            return try LatencyMatrix(name: name, csv: text)
        } catch let error as MatrixError {
            throw SimulateError("\(name): \(error)")
        }
    }
}

/// The command that plays a run again.
struct Replay {
    let source: ScenarioSource
    let options: ScenarioOptions
    let seed: UInt64
    var extra: [String] = []

    var command: String {
        let words = [source.name] + options.arguments + extra + ["--seed", String(seed)]
        return "mafalda simulate " + words.map(Self.quoted).joined(separator: " ")
    }

    /// For a shell, only where it needs to be.
    private static func quoted(_ word: String) -> String {
        let isPlain = word.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "-._/=%,:".utf8.contains(byte)
        }
        return isPlain && !word.isEmpty
            ? word : "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}
