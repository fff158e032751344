import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import SwarmNode
import Testing

/// The service as the node runs it: events, rude clients, TLS, stopping.
@Suite(.timeLimit(.minutes(5)))
struct ServiceTests {
    private let node = FakeNode()

    @Test func streamsEventsAndStops() async throws {
        let node = node
        try await withService(node: node) { port in
            let connection = try await RawConnection.to(port)
            async let received = connection.exchange("GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n") {
                $0.contains("stream_ended")
            }
            // The reader subscribes at some moment after the connection stands: events repeat until it has.
            let sender = Task {
                while !Task.isCancelled {
                    node.send(.streamEnded(name: "live/alice"))
                    try await Task.sleep(for: .milliseconds(20))
                }
            }
            let text = try await received
            sender.cancel()
            #expect(text.hasPrefix("HTTP/1.1 200"))
            #expect(text.lowercased().contains("content-type: text/event-stream"))
            #expect(text.contains("event: stream_ended\ndata: {\"name\":\"live/alice\"}\n\n"))
            // A reader that stays must not hold the node back when it stops: leave one behind.
            let staying = try await RawConnection.to(port)
            _ = Task { try? await staying.exchange("GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n") { _ in false } }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    @Test func boundsEventReaders() {
        let spread = EventSpread()
        var streams: [AsyncStream<String>] = []
        while let stream = spread.subscribe() { streams.append(stream) }
        #expect(streams.count == HTTPLimits.eventReaders)
        streams.removeLast()
        #expect(spread.readerCount == HTTPLimits.eventReaders - 1)
        spread.close()
        #expect(spread.subscribe() == nil)
    }

    @Test func dropsOldEventsOfASlowReader() async throws {
        let spread = EventSpread()
        let stream = try #require(spread.subscribe())
        for index in 0..<(HTTPLimits.eventBacklog + 10) { spread.send("\(index)") }
        spread.close()
        var received: [String] = []
        for await text in stream { received.append(text) }
        #expect(received.first == "10" && received.count == HTTPLimits.eventBacklog)
    }

    @Test(arguments: [
        "\u{0}\u{1}\u{2}garbage\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
        "POST /whip/demo HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST /whip/demo HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "GET / HTTP/1.1\r\n" + String(repeating: "X-A: b\r\n", count: 200) + "\r\n",
        "GET / HTTP/1.1\r\nX: " + String(repeating: "a", count: 40_000) + "\r\n\r\n",
        "GET /" + String(repeating: "a", count: 70_000) + " HTTP/1.1\r\n\r\n",
        "POST /whip/demo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "\u{16}\u{3}\u{1}\u{2}\u{0}",
        "GET http://evil@[::1/?%%% HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "CONNECT x:1 HTTP/1.1\r\nConnection: close\r\n\r\n",
    ])
    func survivesRubbish(text: String) async throws {
        try await withService(node: node) { port in
            let rubbish = try await RawConnection.to(port)
            _ = try? await rubbish.exchange(text) { $0.contains("\r\n\r\n") || $0.isEmpty }
            let after = try await RawConnection.to(port)
            let health = try await after.exchange("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") { $0.hasSuffix("ok\n") }
            #expect(health.hasPrefix("HTTP/1.1 200"))
        }
    }

    @Test func keepsOneHostFromTakingEveryConnection() async throws {
        try await withService(node: node) { port in
            var open: [any Channel] = []
            for _ in 0..<(HTTPLimits.connectionsOfThisMachine + 10) {
                let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                open.append(try await bootstrap.connect(host: "127.0.0.1", port: Int(port)).get())
            }
            // The last ten were closed at once; when some of the others go, there is room again.
            let refused = open.suffix(10)
            for channel in refused { try await channel.closeFuture.get() }
            for channel in open.dropLast(10) { #expect(channel.isActive) }
            for channel in open { channel.close(promise: nil) }
            for _ in 0..<200 {
                let connection = try await RawConnection.to(port)
                let request = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
                let text = (try? await connection.exchange(request) { $0.hasSuffix("ok\n") }) ?? ""
                if text.hasPrefix("HTTP/1.1 200") { return }
                try await Task.sleep(for: .milliseconds(20))
            }
            Issue.record("no room after the connections were closed")
        }
    }

    @Test func continuesWhenExpected() async throws {
        try await withService(node: node) { port in
            let connection = try await RawConnection.to(port)
            let head =
                "POST /whip/demo HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\nContent-Length: 3\r\n"
                + "Expect: 100-continue\r\n\r\n"
            let text = try await connection.exchange(head) { $0.hasSuffix("\r\n\r\n") }
            #expect(text.hasPrefix("HTTP/1.1 100 Continue"))
        }
    }

    @Test func saysWhyItCannotListen() async throws {
        let node = node
        try await withService(node: node) { port in
            let second = HTTPService(
                configuration: HTTPServiceConfiguration(host: "127.0.0.1", port: port, access: .open), node: FakeNode(),
                logger: .init(label: "test"))
            let error = await #expect(throws: HTTPStartError.self) { try await second.run() }
            #expect(error?.description == "cannot listen on http://127.0.0.1:\(port): the port is in use")
        }
    }

    @Test func servesTLSAndTakesOverANewCertificate() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(
            "mafalda-tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let certificate = directory.appendingPathComponent("c.pem")
        let key = directory.appendingPathComponent("k.pem")
        func store(_ pair: (certificate: String, key: String)) throws {
            try Data(pair.certificate.utf8).write(to: certificate)
            try Data(pair.key.utf8).write(to: key)
        }
        try store(TestCertificates.first)
        let first = try Self.bytes(TestCertificates.first.certificate)
        let second = try Self.bytes(TestCertificates.second.certificate)
        let files = try TLSFiles(certificatePath: certificate.path, keyPath: key.path)
        try await withService(node: node, tls: files) { port in
            #expect(try await Self.shownCertificate(port) == first)
            #expect(try !files.reload())
            // Half renewed: the pair does not fit, the old one stays.
            try Data(TestCertificates.second.certificate.utf8).write(to: certificate)
            #expect(throws: HTTPStartError.self) { try files.reload() }
            #expect(try await Self.shownCertificate(port) == first)
            try Data(TestCertificates.second.key.utf8).write(to: key)
            #expect(try files.reload())
            #expect(try await Self.shownCertificate(port) == second)
        }
        #expect(throws: HTTPStartError.self) { try TLSFiles(certificatePath: "/nonexistent", keyPath: key.path) }
    }

    /// The certificate that the port shows, in DER.
    private static func shownCertificate(_ port: UInt16) async throws -> [UInt8]? {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        let context = try NIOSSLContext(configuration: configuration)
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: Int(port)) { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = try NIOSSLClientHandler(context: context, serverHostname: nil)
                    try channel.pipeline.syncOperations.addHandler(handler)
                    return try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"))
            for try await part in inbound where String(buffer: part).hasPrefix("HTTP/1.1 200") { break }
            let peer = try await channel.channel.nioSSL_peerCertificate().get()
            return try peer?.toDERBytes()
        }
    }

    private static func bytes(_ pem: String) throws -> [UInt8]? {
        try NIOSSLCertificate.fromPEMBytes(Array(pem.utf8)).first?.toDERBytes()
    }
}
