import ArgumentParser
import DHT
import Foundation
import SwarmCore
import SwarmCrypto
import SwarmNode

/// `--data-dir`, else `MAFALDA_DATA_DIR`, else the default place.
struct DataDirectoryOption: ParsableArguments {
    @Option(help: ArgumentHelp("The node's data directory.", valueName: "dir")) var dataDir: String?

    func open() throws -> DataDirectory {
        let environment = ProcessInfo.processInfo.environment
        return try DataDirectory(path: dataDir ?? environment["MAFALDA_DATA_DIR"], environment: environment)
    }
}

struct IDCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "id", abstract: "Print the node's id; a directory without a key gets one.")

    @OptionGroup var directory: DataDirectoryOption
    @Flag(help: "As JSON, with the public key.") var json = false

    func run() throws {
        let identity = try identity(in: directory.open())
        guard json else {
            print(identity.id)
            return
        }
        print(
            JSONWriter.object { out in
                out.member("id", identity.id.description)
                out.member("public_key", Base64URL.encode(identity.key.bytes.array))
            })
    }

    private func identity(in directory: DataDirectory) throws -> Identity {
        if let identity = try directory.loadIdentity() { return identity }
        try directory.prepare()
        // A node that starts at this moment makes the key itself, and holds the lock.
        let lock = try directory.lock()
        defer { withExtendedLifetime(lock) {} }
        return try directory.loadOrCreateIdentity()
    }
}

struct JoinKeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "join-key",
        abstract: "Print the join string for the next machine. Whoever has it is a member of the swarm.")

    @OptionGroup var directory: DataDirectoryOption

    func run() throws { print(try directory.open().joinString().text) }
}

struct DelegateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delegate",
        abstract: "Let one node publish names that are bound to your key; print the delegation.",
        discussion: """
            Names bound to a key begin with ~ and the key's fingerprint, and nobody else can publish them. The key is the \
            one in the data directory (mafalda id makes one); it need not be a node's. The newest delegation counts: \
            whoever had an older one gives the names up. Give it to mafalda token --delegation, or as ?delegation=… \
            where a node is open.
            """)

    @Option(help: ArgumentHelp("The id of the node that may publish, 52 characters.", valueName: "node")) var to: String
    @Option(help: ArgumentHelp("Only names that are, or lie below, this one under the fingerprint.", valueName: "name"))
    var scope = ""
    @Option(name: .customLong("for"), help: ArgumentHelp("How long: 15m, 1h, up to 30d.", valueName: "duration"))
    var lifetime = "1d"
    @OptionGroup var directory: DataDirectoryOption

    func validate() throws {
        guard NodeID(text: to) != nil else { throw ValidationError("--to: '\(to)' is not a node id") }
        guard scope.isEmpty || StreamName(scope) != nil else {
            throw ValidationError("--scope: '\(scope)' is not a stream name")
        }
        guard let seconds = DurationText.seconds(lifetime), (1...30 * 86_400).contains(seconds) else {
            throw ValidationError("--for: expected a duration up to 30d, such as 1h, not '\(lifetime)'")
        }
    }

    func run() throws {
        let directory = try directory.open()
        guard let owner = try directory.loadIdentity() else {
            throw CommandError("no key in \(directory.path): make one with mafalda id")
        }
        let seconds = Int64(DurationText.seconds(lifetime) ?? 0)
        guard let node = NodeID(text: to),
            let delegation = Delegation(
                to: node, scope: scope, sequence: WallClock.unixSeconds() * 1000, lifetime: .seconds(seconds), by: owner
            )
        else { throw CommandError("the scope is too long") }
        let names = BoundName.segment(of: owner.key, suite: .real) + "/" + (scope.isEmpty ? "…" : scope)
        FileHandle.standardError.write(Data("for names \(names)\n".utf8))
        print(delegation.text)
    }
}

struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Make a token that lets its bearer publish or play.",
        discussion: "A pattern is a stream's name, a prefix of names such as live/*, or * for all.")

    @Option(help: ArgumentHelp("Names the bearer may publish; may be repeated.", valueName: "pattern")) var publish:
        [String] = []
    @Option(help: ArgumentHelp("Names the bearer may play; may be repeated.", valueName: "pattern")) var play:
        [String] = []
    @Option(name: .customLong("for"), help: ArgumentHelp("How long: 90s, 15m, 1h, 30d.", valueName: "duration"))
    var lifetime = "1h"
    @Option(help: ArgumentHelp("A region the streams must not leave; may be repeated.", valueName: "region"))
    var region: [String] = []
    @Option(
        help: ArgumentHelp("Carry this delegation (mafalda delegate), for names bound to a key.", valueName: "mfd1:…"))
    var delegation: String?
    @Option(help: ArgumentHelp("Sign with this Ed25519 key (PEM) instead of the swarm secret.", valueName: "file"))
    var tokenKey: String?
    @OptionGroup var directory: DataDirectoryOption

    func validate() throws {
        guard !publish.isEmpty || !play.isEmpty else { throw ValidationError("give --publish or --play, or both") }
        _ = try patterns(publish)
        _ = try patterns(play)
        if let delegation, Delegation(text: delegation) == nil {
            throw ValidationError("--delegation: expected mfd1:…, as mafalda delegate prints it")
        }
        _ = try seconds()
    }

    func run() async throws {
        let claims = AccessClaims(
            publish: try patterns(publish), play: try patterns(play), regions: region,
            expiresAtSeconds: WallClock.unixSeconds() + (try seconds()), delegation: delegation)
        print(try await AccessTokens.sign(claims, with: signingKey()))
    }

    private func signingKey() async throws -> TokenKey {
        if let file = tokenKey ?? ProcessInfo.processInfo.environment["MAFALDA_TOKEN_KEY"] {
            return try await TokenKey.operatorKey(file: file)
        }
        let directory = try directory.open()
        guard let secret = try directory.loadSecret(), let key = await TokenKey.shared(secret).first else {
            throw CommandError(
                "no swarm secret in \(directory.path): start a node with mafalda run, or give --token-key")
        }
        return key
    }

    private func patterns(_ texts: [String]) throws -> [NamePattern] {
        try texts.map { text in
            guard let pattern = NamePattern(text) else {
                throw ValidationError("'\(text)' is not a stream name, a prefix such as live/*, or *")
            }
            return pattern
        }
    }

    private func seconds() throws -> UInt64 {
        guard let seconds = DurationText.seconds(lifetime), (1...365 * 86_400).contains(seconds) else {
            throw ValidationError("--for: expected a duration up to 365d, such as 15m, not '\(lifetime)'")
        }
        return seconds
    }
}

/// Durations as people write them.
enum DurationText {
    /// `90`, `90s`, `15m`, `1h`, `30d`.
    static func seconds(_ text: String) -> UInt64? {
        let units: [Character: UInt64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let last = text.last else { return nil }
        let (digits, unit) = units[last].map { (text.dropLast(), $0) } ?? (text[...], 1)
        guard digits.count <= 9, let count = UInt64(digits) else { return nil }
        return count * unit
    }
}
