import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOPosix
import SwarmCore
import SwarmNode
import Testing

/// The whole HTTP server over a loopback socket, with a fake node behind it.
struct ResponderTests {
    private let node = FakeNode()
    private let events = EventSpread()

    private func serve(
        _ access: AccessPolicy = .open, publicURL: String? = nil, iceServers: [ICEServer] = [],
        _ body: @escaping @Sendable (any TestClientProtocol) async throws -> Void
    ) async throws {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let configuration = HTTPServiceConfiguration(
            host: "127.0.0.1", port: 0, access: access, publicURL: publicURL, iceServers: iceServers)
        let service = HTTPService(configuration: configuration, node: node, logger: logger)
        let application = service.application(group: MultiThreadedEventLoopGroup.singleton, events: events)
        try await application.test(.live, body)
    }

    private static let sdp: HTTPFields = [.contentType: "application/sdp"]
    private static let fragment: HTTPFields = [.contentType: "application/trickle-ice-sdpfrag"]
    private static func name(_ text: String) throws -> StreamName { try #require(StreamName(text)) }
    private static func field(_ text: String) throws -> HTTPField.Name { try #require(HTTPField.Name(text)) }

    @Test func createsASession() async throws {
        try await serve(iceServers: [
            ICEServer(url: "stun:s:1"), ICEServer(url: "turn:t:2", username: "u", credential: "c"),
        ]) {
            client in
            let headers: HTTPFields = [.contentType: "Application/SDP; charset=utf-8"]
            let response = try await client.execute(
                uri: "/whip/live/alice", method: .post, headers: headers, body: .init(string: "v=0"))
            #expect(response.status == .created)
            #expect(response.headers[.location] == "/session/" + FakeNode.session)
            #expect(response.headers[.eTag] == "\"e1\"")
            #expect(response.headers[.contentType] == "application/sdp")
            #expect(response.headers[.accessControlAllowOrigin] == "*")
            let exposed = try #require(response.headers[.accessControlExposeHeaders])
            for name in ["Location", "Link", "ETag"] { #expect(exposed.contains(name)) }
            let links = response.headers[values: try Self.field("Link")]
            #expect(links.joined(separator: " ").contains("<stun:s:1>; rel=\"ice-server\""))
            #expect(links.joined(separator: " ").contains("username=\"u\"; credential=\"c\""))
            #expect(String(buffer: response.body) == FakeNode.answer)
        }
        let expected = SessionRequest(stream: try Self.name("live/alice"), offer: "v=0", mayRedirect: true)
        #expect(node.requests == [expected])
    }

    @Test func looksIntoTheDHT() async throws {
        let node = self.node
        try await serve { client in
            let table = try await client.execute(uri: "/api/v1/dht", method: .get)
            #expect(String(buffer: table.body).hasPrefix("{\"estimated_nodes\":2,\"contacts\":[{\"id\":\"b\""))
            for (method, query, status) in [
                (HTTPRequest.Method.put, "?seconds=0", 400), (.put, "?seconds=x", 400), (.put, "?seconds=9999", 400),
                (.put, "?seconds=5", 204), (.post, "", 405),
            ] {
                let answer = try await client.execute(uri: "/api/v1/dht/records/a/b" + query, method: method)
                #expect(Int(answer.status.code) == status, "\(method) \(query)")
            }
            #expect(node.state.withLock { $0.announced } == ["a/b": 5])
            let live = try await client.execute(uri: "/api/v1/dht/records/a/b", method: .get)
            #expect(String(buffer: live.body).contains("\"live\":true,\"origins\":[{\"id\":\"k7f3\""))
            #expect(try await client.execute(uri: "/api/v1/dht/records/a/b", method: .delete).status == .noContent)
            let gone = try await client.execute(uri: "/api/v1/dht/records/a/b", method: .get)
            #expect(gone.status == .ok && String(buffer: gone.body).contains("\"live\":false,\"origins\":[]"))
            let id = NodeID(Bytes32(1, 2, 3, 4)).description
            let ping = try await client.execute(uri: "/api/v1/dht/ping/" + id, method: .get)
            #expect(String(buffer: ping.body).contains("\"answered\":true,\"rtt_ms\":12.5"))
            let unknown = NodeID(.zero).description
            #expect(try await client.execute(uri: "/api/v1/dht/ping/" + unknown, method: .get).status == .notFound)
        }
    }

    @Test func createsThePublicLocation() async throws {
        try await serve(publicURL: "https://m.example/x") { client in
            let response = try await client.execute(
                uri: "/whep/demo", method: .post, headers: Self.sdp, body: .init(string: "v=0"))
            #expect(response.headers[.location] == "https://m.example/x/session/" + FakeNode.session)
        }
    }

    @Test(
        arguments: [
            (ControlError.badOffer("line 3"), 400, nil, "line 3"),
            (.noCommonCodec(available: ["VP8", "opus"]), 406, nil, "VP8, opus"),
            (.unsupportedMedia("m=application"), 415, nil, "m=application"), (.notLive, 409, "2", "not live"),
            (.nameTaken, 409, nil, "already"), (.full(retryAfterSeconds: 7), 503, "7", "full"),
            (.stopping, 503, "5", "stopping"),
            (.forbidden("region"), 403, nil, "region"), (.timeout, 504, nil, "in time"),
            (.failed("a\r\nb"), 500, nil, "a  b"),
        ] as [(ControlError, Int, String?, String)])
    func mapsErrors(error: ControlError, status: Int, retryAfter: String?, text: String) async throws {
        node.failing(error)
        try await serve { client in
            let response = try await client.execute(
                uri: "/whep/demo", method: .post, headers: Self.sdp, body: .init(string: "v=0"))
            #expect(response.status.code == status)
            #expect(response.headers[.retryAfter] == retryAfter)
            let body = String(buffer: response.body)
            #expect(body.contains(text))
            #expect(body.hasSuffix("\n") && body.split(separator: "\n").count == 1)
        }
    }

    @Test func redirectsAPostOnce() async throws {
        node.failing(.redirect(baseURL: "https://b.example:7780/"))
        try await serve { client in
            let first = try await client.execute(
                uri: "/whep/a/b?token=x.y.z", method: .post, headers: Self.sdp, body: .init(string: "v=0"))
            #expect(first.status == .temporaryRedirect)
            #expect(first.headers[.location] == "https://b.example:7780/whep/a/b?redirected=1&token=x.y.z")
            #expect(first.headers[.accessControlExposeHeaders]?.contains("Location") == true)
            let second = try await client.execute(
                uri: "/whep/a/b?redirected=1", method: .post, headers: Self.sdp, body: .init(string: "v=0"))
            #expect(second.status == .serviceUnavailable)
        }
        #expect(node.requests.map(\.mayRedirect) == [true, false])
    }

    @Test func patchesAndDeletes() async throws {
        let url = "/session/" + FakeNode.session
        node.state.withLock { $0.patchResult = .accepted }
        try await serve { client in
            func patch(_ match: String?, _ uri: String = url, type: HTTPFields = Self.fragment) async throws
                -> TestResponse
            {
                var headers = type
                headers[.ifMatch] = match
                return try await client.execute(uri: uri, method: .patch, headers: headers, body: .init(string: "a=x"))
            }
            var codes = [try await patch("\"e1\"").status.code]
            codes.append(try await patch(nil).status.code)
            codes.append(try await patch("\"e2\"").status.code)
            codes.append(try await patch("bare").status.code)
            codes.append(try await patch("*", type: Self.sdp).status.code)
            codes.append(try await patch("*", "/session/" + String(repeating: "E", count: 42) + "A").status.code)
            #expect(codes == [204, 428, 412, 412, 415, 404])
            node.state.withLock { $0.patchResult = .restarted(fragment: "a=ice-ufrag:x\r\n", etag: "e2") }
            let restarted = try await patch("*")
            #expect(restarted.status == .ok)
            #expect(restarted.headers[.eTag] == "\"e2\"")
            #expect(restarted.headers[.contentType] == "application/trickle-ice-sdpfrag")
            let deleted = try await client.execute(uri: url, method: .delete)
            #expect(deleted.status == .ok)
            let again = try await client.execute(uri: url, method: .delete)
            #expect(again.status == .notFound)
            #expect(again.headers[.accessControlAllowOrigin] == "*")
        }
    }

    @Test func answersPreflights() async throws {
        try await serve { client in
            let whip = try await client.execute(uri: "/whip/demo", method: .options)
            #expect(whip.status == .ok)
            let acceptPost = try Self.field("Accept-Post")
            #expect(whip.headers[acceptPost] == "application/sdp")
            #expect(whip.headers[.accessControlAllowMethods] == "POST, OPTIONS")
            #expect(whip.headers[.accessControlAllowHeaders]?.contains("Authorization") == true)
            #expect(whip.headers[.accessControlAllowHeaders]?.contains("If-Match") == true)
            let session = try await client.execute(uri: "/session/" + FakeNode.session, method: .options)
            #expect(session.headers[.allow] == "PATCH, DELETE, OPTIONS")
            let acceptPatch = try Self.field("Accept-Patch")
            #expect(session.headers[acceptPatch] == "application/trickle-ice-sdpfrag")
        }
        #expect(node.requests.isEmpty)
    }

    @Test(
        arguments: [
            ("/whip/demo", HTTPRequest.Method.get, 405, "POST, OPTIONS"), ("/whep/demo", .put, 405, "POST, OPTIONS"),
            ("/", .post, 405, "GET, HEAD, OPTIONS"),
            ("/session/" + FakeNode.session, .get, 405, "PATCH, DELETE, OPTIONS"),
            ("/nothing", .get, 404, nil), ("/whip/..", .post, 400, nil), ("/whip/a%20b", .post, 400, nil),
            ("/session/x", .delete, 404, nil), ("/api/v1/routes/a//b", .get, 400, nil), ("/healthz", .get, 200, nil),
            ("/?" + String(repeating: "x", count: 9000), .get, 414, nil),
        ] as [(String, HTTPRequest.Method, Int, String?)])
    func refusesMethodsAndPaths(uri: String, method: HTTPRequest.Method, status: Int, allow: String?) async throws {
        try await serve { client in
            let response = try await client.execute(uri: uri, method: method)
            #expect(response.status.code == status)
            #expect(response.headers[.allow] == allow)
        }
    }

    @Test func refusesBodies() async throws {
        try await serve { client in
            func post(_ body: ByteBuffer, _ headers: HTTPFields = Self.sdp) async throws -> Int {
                try await client.execute(uri: "/whip/demo", method: .post, headers: headers, body: body).status.code
            }
            var codes = [try await post(.init(string: "v=0"), [:])]
            codes.append(try await post(.init(string: "v=0"), [.contentType: "application/json"]))
            codes.append(try await post(.init()))
            codes.append(try await post(.init(bytes: [0xff, 0xfe])))
            codes.append(try await post(.init(repeating: 65, count: HTTPLimits.bodyBytes)))
            codes.append(try await post(.init(repeating: 65, count: HTTPLimits.bodyBytes + 1)))
            // The connection has survived a body that was read to its end.
            codes.append(try await post(.init(string: "v=0")))
            #expect(codes == [415, 415, 400, 400, 201, 413, 201])
        }
        #expect(node.requests.count == 2)
    }

    @Test func closesAfterAHugeBody() async throws {
        try await serve { client in
            let response = try await client.execute(
                uri: "/whip/demo", method: .post, headers: Self.sdp,
                body: .init(repeating: 65, count: HTTPLimits.drainedBytes + 1))
            #expect(response.status == .contentTooLarge)
            #expect(response.headers[.connection] == "close")
        }
    }

    @Test func reportsAsJSON() async throws {
        try await serve { client in
            let members = try await client.execute(uri: "/api/v1/members", method: .get)
            #expect(
                String(buffer: members.body)
                    == #"{"members":[{"id":"k7f3","addresses":["127.0.0.1:7788"],"state":"alive","rtt_ms":1.235,"#
                    + #""load":0.25,"age_ms":12,"self":false,"api_url":null}]}"# + "\n")
            #expect(members.headers[.contentType] == "application/json")
            let streams = try await client.execute(uri: "/api/v1/streams?prefix=de", method: .get)
            #expect(String(buffer: streams.body).hasPrefix(#"{"streams":[{"name":"demo","origin":"k7f3","tracks":[{"#))
            let route = try await client.execute(uri: "/api/v1/routes/live/alice", method: .get)
            #expect(String(buffer: route.body).contains(#"{"node":"b","parent":"a","rtt_ms":null"#))
            let none = try await client.execute(uri: "/api/v1/routes/none", method: .get)
            #expect(none.status == .conflict && none.headers[.retryAfter] == "2")
            #expect(String(buffer: none.body) == "{\"error\":\"the stream is not live\"}\n")
            let node = try await client.execute(uri: "/api/v1/node", method: .get)
            #expect(String(buffer: node.body).contains("\"media_ports\":[7789]"))
            let metrics = try await client.execute(uri: "/metrics", method: .get)
            #expect(
                String(buffer: metrics.body) == """
                    # TYPE mafalda_link_received_bytes counter
                    # UNIT mafalda_link_received_bytes bytes
                    # HELP mafalda_link_received_bytes Bytes \\"in\\".
                    mafalda_link_received_bytes_total{kind="a\\\\b"} 5
                    # EOF

                    """)
        }
        #expect(node.state.withLock { $0.streamsPrefix } == "de")
    }

    @Test func tellsHealthAndReadiness() async throws {
        node.state.withLock { $0.isReady = false }
        try await serve { client in
            let health = try await client.execute(uri: "/healthz", method: .get)
            let before = try await client.execute(uri: "/readyz", method: .get)
            node.state.withLock { $0.isReady = true }
            let after = try await client.execute(uri: "/readyz", method: .get)
            #expect([health, before, after].map(\.head.status.code) == [200, 503, 200])
        }
    }

    @Test func servesThePage() async throws {
        try await serve { client in
            let page = try await client.execute(uri: "/?play=demo", method: .get)
            #expect(page.headers[.contentType] == "text/html; charset=utf-8")
            let policy = try #require(page.headers[.contentSecurityPolicy])
            #expect(policy.contains("default-src 'none'") && !policy.contains("unsafe-inline"))
            let html = String(buffer: page.body)
            #expect(html.contains("page.css") && html.contains("page.js"))
            #expect(!html.contains("style=") && !html.contains("http://") && !html.contains("https://"))
            let style = try await client.execute(uri: "/page.css", method: .get)
            #expect(style.headers[.contentType] == "text/css; charset=utf-8")
            let script = try await client.execute(uri: "/page.js", method: .get)
            #expect(script.headers[.contentType] == "text/javascript; charset=utf-8")
            let head = try await client.execute(uri: "/", method: .head)
            #expect(head.status == .ok && head.body.readableBytes == 0)
            #expect(head.headers[.contentLength] == String(page.body.readableBytes))
        }
    }
}
