import ArgumentParser
import Foundation
import SwarmCore
import SwarmNode

struct MembersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "members", abstract: "List the swarm's nodes.")

    private struct Answer: Decodable {
        struct Member: Decodable {
            var id: String
            var addresses: [String]
            var state: String
            var rttMs: Double?
            var load: Double
            var ageMs: Int64
        }
        var members: [Member]
    }

    @OptionGroup var api: APIOptions
    @Flag(help: "Print the API's answer as it is.") var json = false

    func run() async throws {
        let client = APIClient(api)
        let data = try await client.get("/api/v1/members")
        if json { return Output.write(data) }
        var table = Table(["NODE", "ADDRESS", "STATE", "RTT", "LOAD", "HEARD"])
        for member in try client.decode(Answer.self, from: data).members {
            table.add([
                Output.short(member.id), member.addresses.first ?? "-", member.state,
                Output.milliseconds(member.rttMs), Output.percent(member.load),
                Output.milliseconds(Double(member.ageMs)) + " ago",
            ])
        }
        print(table.text, terminator: "")
    }
}

struct StreamsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "streams", abstract: "List the swarm's streams.")

    private struct Answer: Decodable {
        struct Stream: Decodable {
            struct Track: Decodable {
                var kind: String
                var codec: String
            }
            var name: String
            var origin: String
            var tracks: [Track]
            var viewers: Int
        }
        var streams: [Stream]
    }

    @Argument(help: ArgumentHelp("Only names at and under this one; any node knows them all.")) var prefix: String?
    @OptionGroup var api: APIOptions
    @Flag(help: "Print the API's answer as it is.") var json = false

    func run() async throws {
        let client = APIClient(api)
        let allowed = CharacterSet.alphanumerics.union(CharacterSet(charactersIn: "-._~/"))
        let query = prefix?.addingPercentEncoding(withAllowedCharacters: allowed).map { "?prefix=" + $0 } ?? ""
        let data = try await client.get("/api/v1/streams" + query)
        if json { return Output.write(data) }
        var table = Table(["STREAM", "ORIGIN", "TRACKS", "VIEWERS HERE"])
        for stream in try client.decode(Answer.self, from: data).streams {
            let codecs = stream.tracks.map(\.codec).joined(separator: " ")
            table.add([stream.name, Output.short(stream.origin), codecs, "\(stream.viewers)"])
        }
        print(table.text, terminator: "")
    }
}

struct RouteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "route", abstract: "Show the path of a stream from its origin to the node.")

    private struct Answer: Decodable {
        struct Hop: Decodable {
            var node: String
            var rttMs: Double?
            var lossRatio: Double?
            var addedDelayMs: Double?
        }
        var hops: [Hop]
        var carried: Bool
        var carriers: [String]
    }

    @Argument(help: "The stream's name.") var stream: String
    @OptionGroup var api: APIOptions
    @Flag(help: "Print the API's answer as it is.") var json = false

    func validate() throws {
        guard StreamName(stream) != nil else { throw ValidationError("'\(stream)' is not a stream name") }
    }

    func run() async throws {
        let client = APIClient(api)
        let data = try await client.get("/api/v1/routes/" + stream)
        if json { return Output.write(data) }
        var table = Table(["HOP", "NODE", "RTT", "LOSS", "ADDED DELAY"])
        let answer = try client.decode(Answer.self, from: data)
        for (index, hop) in answer.hops.enumerated() {
            table.add([
                index == 0 ? "origin" : "\(index)", Output.short(hop.node), Output.milliseconds(hop.rttMs),
                Output.percent(hop.lossRatio), Output.milliseconds(hop.addedDelayMs),
            ])
        }
        print(table.text, terminator: "")
        guard !answer.carried else { return }
        let others =
            answer.carriers.isEmpty
            ? "" : "; others that have it: " + answer.carriers.map(Output.short).joined(separator: " ")
        print("not carried at this node\(others)")
    }
}

/// How values look in tables.
enum Output {
    /// The API's body, unchanged.
    static func write(_ data: Data) { FileHandle.standardOutput.write(data) }

    /// First and last characters of an id, as the banner shows it.
    static func short(_ id: String) -> String { NodeID(text: id)?.short ?? id }

    static func milliseconds(_ value: Double?) -> String {
        guard let value else { return "-" }
        if value >= 10_000 { return "\(Int64(value / 1000)) s" }
        return value < 10 ? "\((value * 10).rounded() / 10) ms" : "\(Int64(value)) ms"
    }

    static func percent(_ ratio: Double?) -> String {
        ratio.map { "\(($0 * 1000).rounded() / 10) %" } ?? "-"
    }
}

/// Columns aligned for people.
struct Table {
    private var rows: [[String]]

    init(_ head: [String]) { rows = [head] }

    mutating func add(_ row: [String]) { rows.append(row) }

    var text: String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in rows.map { $0[column].count }.max() ?? 0 }
        let lines = rows.map { row in
            let cells = row.enumerated().map { column, cell in
                column == columns - 1 ? cell : cell.padding(toLength: widths[column], withPad: " ", startingAt: 0)
            }
            return cells.joined(separator: "  ") + "\n"
        }
        return lines.joined()
    }
}
