import Composition
import EventLoop
import Logging
import MediaRelay
import ServiceLifecycle
import SwarmCore
import SwarmCrypto
import UnixSignals

/// A running node: `mafalda run`.
package enum Node {
    /// Runs until SIGTERM or SIGINT, which drain; a second one stops at once. Throws one line of text where it
    /// cannot start.
    package static func run(_ configuration: NodeConfiguration, environment: [String: String]) async throws {
        let directory = try DataDirectory(path: configuration.dataDirectory, environment: environment)
        try directory.prepare()
        let lock = try directory.lock()
        defer { withExtendedLifetime(lock) {} }
        let identity = try directory.loadOrCreateIdentity()
        let secret = try directory.loadOrCreateSecret(joining: configuration.joinSecret)
        let http = try await httpConfiguration(configuration, secret)
        ProcessResources.disableCoreFiles()
        ProcessResources.ignoreBrokenPipes()
        _ = ProcessResources.raiseOpenFileLimit()

        let threads = try NodeThreads(configuration, identity: identity, secret: secret, directory: directory)
        let ready = Flag()
        let handle = threads.handle(ready: ready, swarmName: configuration.swarmName)
        var logger = Logger(label: "mafalda")
        logger.logLevel = Logger.Level(rawValue: configuration.logLevel) ?? .warning
        let service = HTTPService(configuration: http, node: handle, logger: logger) { port in
            announce(configuration, threads, directory, port: port)
            ready.set()
        }
        defer { threads.stop() }
        try await serve(service, threads, directory, logger)
    }

    private static func serve(
        _ http: HTTPService, _ threads: NodeThreads, _ directory: DataDirectory, _ logger: Logger
    ) async throws {
        var quiet = logger
        quiet.logLevel = max(.error, logger.logLevel)
        var configuration = ServiceGroupConfiguration(
            services: [
                .init(
                    service: PeerMemory(threads: threads, directory: directory),
                    successTerminationBehavior: .ignore, failureTerminationBehavior: .ignore),
                .init(
                    service: http, successTerminationBehavior: .gracefullyShutdownGroup,
                    failureTerminationBehavior: .cancelGroup),
                // Shut down in reverse: the goodbyes go out before HTTP waits for its last answers.
                .init(
                    service: DrainService(threads: threads), successTerminationBehavior: .gracefullyShutdownGroup,
                    failureTerminationBehavior: .gracefullyShutdownGroup),
            ], gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
        configuration.maximumGracefulShutdownDuration = .seconds(5)
        try await ServiceGroup(configuration: configuration).run()
    }

    /// Every port is open: the endpoints are written for `join-key`, the banner goes to standard output.
    private static func announce(
        _ configuration: NodeConfiguration, _ threads: NodeThreads, _ directory: DataDirectory, port: UInt16
    ) {
        try? directory.storeEndpoints(Array(threads.addresses))
        let banner = Banner(
            id: threads.id, swarmName: configuration.swarmName, peers: 0, swarmPort: threads.swarmPort,
            mediaPorts: threads.mediaPorts, url: configuration.localURL(boundPort: port),
            joinString: (try? directory.joinString())?.text)
        StandardOutput.write(banner.render(isTerminal: StandardOutput.isTerminal) + "ready\n")
    }

    private static func httpConfiguration(
        _ configuration: NodeConfiguration, _ secret: SwarmSecret
    ) async throws -> HTTPServiceConfiguration {
        var tls: TLSFiles?
        if let certificate = configuration.tlsCertificate, let key = configuration.tlsKey {
            tls = try TLSFiles(certificatePath: certificate, keyPath: key)
        }
        return HTTPServiceConfiguration(
            host: configuration.http.host, port: configuration.http.port, tls: tls,
            access: try await access(configuration, secret), publicURL: configuration.publicURL,
            iceServers: configuration.iceServers)
    }

    private static func access(
        _ configuration: NodeConfiguration, _ secret: SwarmSecret
    ) async throws -> AccessPolicy {
        guard configuration.usesTokens else { return .open }
        if let file = configuration.tokenKey {
            return .tokens(AccessTokens(verifiers: [try await TokenKey.operatorKey(file: file)]))
        }
        return .tokens(AccessTokens(verifiers: await TokenKey.shared(secret)))
    }
}

/// Turns the group's graceful shutdown into a drain of the node's threads; a second signal ends the process.
private struct DrainService: Service {
    let threads: NodeThreads

    func run() async throws {
        let impatience = Task {
            var asked = 0
            for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint) {
                asked += 1
                if asked > 1 { StandardOutput.exitNow(1) }
            }
        }
        try? await gracefulShutdown()
        await threads.drain()
        impatience.cancel()
    }
}

/// Writes down who else is in the swarm, so that a node that restarts finds it again without a join string.
private struct PeerMemory: Service {
    let threads: NodeThreads
    let directory: DataDirectory

    func run() async throws {
        try? await cancelWhenGracefulShutdown {
            while true {
                try await Task.sleep(for: .seconds(20))
                let peers = await threads.peers()
                // Alone, the node may have lost the others: what it remembers is its way back.
                if !peers.isEmpty { try? directory.storePeers(peers) }
            }
        }
    }
}
