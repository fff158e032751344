import ArgumentParser
import Foundation
import SwarmCore
import SwarmNode

struct DHTCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dht", abstract: "Look into the node's distributed hash table.",
        subcommands: [DHTTableCommand.self, DHTGetCommand.self, DHTPutCommand.self, DHTPingCommand.self])
}

struct DHTTableCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "table", abstract: "List the nodes that the node's routing table holds, nearest first.")

    private struct Answer: Decodable {
        struct Contact: Decodable {
            var id: String
            var addresses: [String]
            var rttMs: Double?
            var silenceMs: Int64
            var failures: Int
            var sibling: Bool
        }
        var estimatedNodes: Double
        var contacts: [Contact]
        var published: [String]
        var records: Int
        var copies: Int
    }

    @OptionGroup var api: APIOptions
    @Flag(help: "Print the API's answer as it is.") var json = false

    func run() async throws {
        let client = APIClient(api)
        let data = try await client.get("/api/v1/dht")
        if json { return Output.write(data) }
        let answer = try client.decode(Answer.self, from: data)
        var table = Table(["NODE", "ADDRESS", "RTT", "HEARD", "UNANSWERED", ""])
        for contact in answer.contacts {
            table.add([
                Output.short(contact.id), contact.addresses.first ?? "-", Output.milliseconds(contact.rttMs),
                Output.milliseconds(Double(contact.silenceMs)) + " ago", "\(contact.failures)",
                contact.sibling ? "sibling" : "",
            ])
        }
        print(table.text, terminator: "")
        print(
            "about \(Int(answer.estimatedNodes.rounded())) nodes; \(answer.records) records and \(answer.copies) copies held; "
                + "\(answer.published.count) names published")
    }
}

struct DHTGetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "Find out where a stream is published. Exit status 1 where it is not live.")

    private struct Answer: Decodable {
        struct Node: Decodable {
            var id: String
            var addresses: [String]
        }
        var live: Bool
        var origins: [Node]
        var carriers: [Node]
        var elapsedMs: Double
    }

    @Argument(help: "The stream's name.") var stream: String
    @OptionGroup var api: APIOptions
    @Flag(help: "Print the API's answer as it is.") var json = false

    func validate() throws { try requireName(stream) }

    func run() async throws {
        let client = APIClient(api)
        let data = try await client.get("/api/v1/dht/records/" + stream)
        let answer = try client.decode(Answer.self, from: data)
        if json {
            Output.write(data)
        } else if answer.live {
            var table = Table(["", "NODE", "ADDRESS"])
            for node in answer.origins { table.add(["origin", Output.short(node.id), node.addresses.first ?? "-"]) }
            for node in answer.carriers { table.add(["carrier", Output.short(node.id), node.addresses.first ?? "-"]) }
            print(table.text, terminator: "")
            print("found in \(Output.milliseconds(answer.elapsedMs))")
        }
        guard answer.live else { throw CommandError("'\(stream)' is not live") }
    }
}

struct DHTPutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "put",
        abstract: "Put a record of a name into the DHT, with this node as its origin and no stream.",
        discussion: "For looking at the DHT at work. The record ends by itself.")

    @Argument(help: "The name.") var stream: String
    @Option(name: .customLong("for"), help: ArgumentHelp("How long: 90s, 15m, up to 1h.", valueName: "duration"))
    var lifetime = "60s"
    @Flag(help: "Take the record back instead.") var withdraw = false
    @OptionGroup var api: APIOptions

    func validate() throws {
        try requireName(stream)
        guard let seconds = DurationText.seconds(lifetime), (1...3600).contains(seconds) else {
            throw ValidationError("--for: expected a duration up to 1h, such as 15m, not '\(lifetime)'")
        }
    }

    func run() async throws {
        let path = "/api/v1/dht/records/" + stream
        let seconds = DurationText.seconds(lifetime) ?? 60
        try await APIClient(api).send(withdraw ? "DELETE" : "PUT", withdraw ? path : path + "?seconds=\(seconds)")
    }
}

struct DHTPingCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ping", abstract: "Ask a node's DHT whether it is there. Exit status 1 where it does not answer.")

    private struct Answer: Decodable {
        var answered: Bool
        var rttMs: Double?
    }

    @Argument(help: "The node's id, 52 characters.") var node: String
    @OptionGroup var api: APIOptions
    @Flag(help: "Print the API's answer as it is.") var json = false

    func validate() throws {
        guard NodeID(text: node) != nil else { throw ValidationError("'\(node)' is not a node id") }
    }

    func run() async throws {
        let client = APIClient(api)
        let data = try await client.get("/api/v1/dht/ping/" + node)
        let answer = try client.decode(Answer.self, from: data)
        if json {
            Output.write(data)
        } else if answer.answered {
            print("\(Output.short(node)) answers after \(Output.milliseconds(answer.rttMs))")
        }
        guard answer.answered else { throw CommandError("\(Output.short(node)) does not answer") }
    }
}

private func requireName(_ text: String) throws {
    guard StreamName(text) != nil else { throw ValidationError("'\(text)' is not a stream name") }
}
