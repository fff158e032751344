import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import SwarmNode

/// A TCP connection that sends what it is told and reads what comes, for what a well-behaved client never does.
struct RawConnection {
    private let channel: NIOAsyncChannel<ByteBuffer, ByteBuffer>

    static func to(_ port: UInt16) async throws -> RawConnection {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: Int(port)) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return RawConnection(channel: channel)
    }

    /// Sends `text`, then reads until `enough` says so or the server closes; closes the connection.
    func exchange(_ text: String, until enough: @escaping @Sendable (String) -> Bool) async throws -> String {
        try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: text))
            var received = ""
            for try await part in inbound {
                received += String(buffer: part)
                if enough(received) { break }
            }
            return received
        }
    }
}

/// Runs the real service for the time of `body`, which gets its port.
func withService(
    node: FakeNode, tls: TLSFiles? = nil, _ body: @escaping @Sendable (UInt16) async throws -> Void
) async throws {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let (ports, feed) = AsyncStream.makeStream(of: UInt16.self)
    let configuration = HTTPServiceConfiguration(host: "127.0.0.1", port: 0, tls: tls, access: .open)
    let service = HTTPService(configuration: configuration, node: node, logger: logger) { feed.yield($0) }
    let group = ServiceGroup(services: [service], logger: logger)
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await group.run() }
        tasks.addTask {
            var iterator = ports.makeAsyncIterator()
            guard let port = await iterator.next() else { return }
            do {
                try await body(port)
            } catch {
                await group.triggerGracefulShutdown()
                throw error
            }
            await group.triggerGracefulShutdown()
        }
        try await tasks.waitForAll()
    }
}
