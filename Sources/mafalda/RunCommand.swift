import ArgumentParser
import Foundation
import SwarmNode

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a node (the default).",
        discussion: """
            Every option may also stand in the environment (MAFALDA_MAX_CHILDREN for --max-children) or in the file \
            given with --config (max-children: 2). A flag beats the environment, the environment beats the file.
            """)

    @OptionGroup var options: NodeOptions
    @Flag(help: "Print the configuration in force, and where each value comes from, and exit.") var printConfig = false

    func run() async throws {
        let environment = ProcessInfo.processInfo.environment
        let layers = try options.layers(environment)
        let configuration = try NodeConfiguration(layers, processors: ProcessInfo.processInfo.activeProcessorCount)
        guard !printConfig else {
            print(PrintedConfiguration.render(configuration, layers), terminator: "")
            return
        }
        try await Node.run(configuration, environment: environment)
    }
}

/// Everything `mafalda run` can be told, as text: `NodeConfiguration` judges it, with one wording for all sources.
struct NodeOptions: ParsableArguments {
    @Option(help: ArgumentHelp("A configuration file (YAML).", valueName: "file")) var config: String?
    @Option(
        help: ArgumentHelp(
            "Key, secret and state (default: $XDG_STATE_HOME/mafalda or ~/.local/state/mafalda).", valueName: "dir"))
    var dataDir: String?
    @Option(help: ArgumentHelp("The swarm's name, for people (default: home).", valueName: "name")) var name: String?
    @Option(help: ArgumentHelp("Where HTTP listens (default: 127.0.0.1:7780).", valueName: "address:port")) var http:
        String?
    @Option(
        help: ArgumentHelp(
            "UDP port of the swarm; worker i is on port+1+i; 0: chosen by the system (default: 7788).",
            valueName: "port"))
    var port: String?
    @Option(help: ArgumentHelp("Media workers (default: one per processor).", valueName: "count")) var workers: String?
    @Option(help: ArgumentHelp("A join string, as mafalda join-key prints it; may be repeated.", valueName: "mfs1:…"))
    var join: [String] = []
    @Option(help: ArgumentHelp("Nodes this one feeds per stream, at most.", valueName: "count")) var maxChildren:
        String?
    @Option(help: ArgumentHelp("An address to tell others instead of those found; may be repeated.", valueName: "ip"))
    var announce: [String] = []
    @Option(help: ArgumentHelp("Where clients reach this node's HTTP from outside.", valueName: "url")) var publicURL:
        String?
    @Option(help: ArgumentHelp("Certificate chain (PEM) for HTTPS; taken over when it changes.", valueName: "file"))
    var tlsCert: String?
    @Option(help: ArgumentHelp("Private key (PEM) of the certificate.", valueName: "file")) var tlsKey: String?
    @Flag(help: "Let everybody publish and play, on any address.") var open = false
    @Flag(help: "Ask for tokens (mafalda token makes them).") var tokens = false
    @Option(
        help: ArgumentHelp("Ask for tokens signed with this Ed25519 key (PEM, private or public).", valueName: "file"))
    var tokenKey: String?
    @Option(help: ArgumentHelp("A STUN or TURN server told to clients; may be repeated.", valueName: "url"))
    var iceServer: [String] = []
    @Option(
        help: ArgumentHelp(
            "trace, debug, info, notice, warning, error or critical (default: warning).", valueName: "level"))
    var logLevel: String?

    /// The three layers, the file read where one is named.
    func layers(_ environment: [String: String]) throws(ConfigurationError) -> SettingLayers {
        let path = config ?? environment["MAFALDA_CONFIG"]
        return SettingLayers(
            flags: flags, environment: SettingLayers.environment(environment),
            file: try path.map { path throws(ConfigurationError) in try ConfigurationFile.read(path: path) } ?? [:])
    }

    private var flags: SettingLayer {
        let single: [(Setting, String?)] = [
            (.dataDirectory, dataDir), (.swarmName, name), (.http, http), (.port, port), (.workers, workers),
            (.maximumChildren, maxChildren), (.publicURL, publicURL), (.tlsCertificate, tlsCert), (.tlsKey, tlsKey),
            (.open, open ? "true" : nil), (.tokens, tokens ? "true" : nil), (.tokenKey, tokenKey),
            (.logLevel, logLevel),
        ]
        var layer: SettingLayer = [:]
        for case (let setting, let text?) in single { layer[setting] = SettingValues([text], .flag(setting)) }
        for (setting, texts) in [(Setting.join, join), (.announce, announce), (.iceServer, iceServer)]
        where !texts.isEmpty {
            layer[setting] = SettingValues(texts, .flag(setting))
        }
        return layer
    }
}

struct CheckConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-config", abstract: "Say whether a configuration file is right, and if not, in which line.")

    @Argument(help: "The file.") var file: String

    func run() throws {
        do throws(ConfigurationError) {
            let layers = SettingLayers(file: try ConfigurationFile.read(path: file))
            _ = try NodeConfiguration(layers, processors: 1)
        } catch {
            // The command line was right, the file is not: 1, not 2.
            throw CommandError(error.description)
        }
        print("\(file): ok")
    }
}
