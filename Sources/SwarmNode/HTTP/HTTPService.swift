import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import SwarmCore

/// Why the HTTP side cannot start, in one line.
package struct HTTPStartError: Error, CustomStringConvertible, Sendable, Equatable {
    package let description: String
    package init(_ description: String) { self.description = description }
}

/// Where and how HTTP is served.
package struct HTTPServiceConfiguration: Sendable {
    /// An IP address, or `localhost`.
    package var host: String
    /// 0: chosen by the system.
    package var port: UInt16
    package var tls: TLSFiles?
    package var access: AccessPolicy
    /// What stands before `/session/…` in `Location`, without a slash at its end; nil: a path alone.
    package var publicURL: String?
    package var iceServers: [ICEServer]

    package init(
        host: String, port: UInt16, tls: TLSFiles? = nil, access: AccessPolicy, publicURL: String? = nil,
        iceServers: [ICEServer] = []
    ) {
        self.host = host
        self.port = port
        self.tls = tls
        self.access = access
        self.publicURL = publicURL
        self.iceServers = iceServers
    }
}

/// The HTTP server, on an event-loop thread of its own.
///
/// `run()` returns after a graceful shutdown (that of the enclosing `ServiceGroup`) once every request has been
/// answered; event streams are ended by it. Cancelling closes what is open.
package struct HTTPService: Service {
    private let configuration: HTTPServiceConfiguration
    private let node: any NodeControl
    private let logger: Logger
    private let onListening: @Sendable (UInt16) async -> Void

    /// `onListening` is called once, with the port that was bound.
    package init(
        configuration: HTTPServiceConfiguration, node: any NodeControl, logger: Logger,
        onListening: @escaping @Sendable (UInt16) async -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.node = node
        self.logger = logger
        self.onListening = onListening
    }

    package func run() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let outcome: Result<Void, any Error>
        do {
            try await serve(on: group)
            outcome = .success(())
        } catch {
            outcome = .failure(Self.described(error, configuration))
        }
        try? await group.shutdownGracefully()
        try outcome.get()
    }

    private func serve(on group: any EventLoopGroup) async throws {
        let events = EventSpread()
        let application = application(group: group, events: events)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await events.run(node.events()) }
            if let tls = configuration.tls { tasks.addTask { await tls.watch(logger: logger) } }
            defer { tasks.cancelAll() }
            try await withGracefulShutdownHandler {
                try await application.run()
            } onGracefulShutdown: {
                events.close()
            }
        }
    }

    /// The whole server as an application, for tests that drive it themselves.
    package func application(group: any EventLoopGroup, events: EventSpread) -> Application<NodeResponder> {
        let responder = NodeResponder(
            node: node, access: configuration.access, publicURL: configuration.publicURL,
            iceServers: configuration.iceServers, events: events, page: .embedded)
        let tls = configuration.tls
        let onListening = onListening
        return Application(
            responder: responder, server: HTTPServerBuilder { NodeChannel(tls: tls, responder: $0) },
            configuration: .init(
                address: .hostname(configuration.host, port: Int(configuration.port)), serverName: "mafalda",
                availableConnectionsDelegate: .maximum(HTTPLimits.connections, logger: logger)),
            onServerRunning: { channel in await onListening(UInt16(clamping: channel.localAddress?.port ?? 0)) },
            eventLoopGroupProvider: .shared(group), logger: logger)
    }

    private static func described(_ error: any Error, _ configuration: HTTPServiceConfiguration) -> any Error {
        guard let error = error as? IOError else { return error }
        let place = "\(configuration.host):\(configuration.port)"
        let reason =
            switch error.errnoCode {
            case EADDRINUSE: "the port is in use"
            case EACCES: "permission denied"
            case EADDRNOTAVAIL: "this machine has no such address"
            default: "error \(error.errnoCode)"
            }
        return HTTPStartError("cannot listen on http://\(place): \(reason)")
    }
}
