import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOPosix
import SwarmCore
import SwarmCrypto
import SwarmNode
import Testing

/// Tokens over HTTP, on a loopback socket.
struct AccessTests {
    private let node = FakeNode()

    private func serve(
        _ body: @escaping @Sendable (any TestClientProtocol, TokenKey) async throws -> Void
    ) async throws {
        let key = try #require(await TokenKey.shared(SwarmSecret(current: Bytes32(1, 2, 3, 4))).first)
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let access = AccessPolicy.tokens(AccessTokens(verifiers: [key]) { 1000 })
        let configuration = HTTPServiceConfiguration(host: "127.0.0.1", port: 0, access: access)
        let service = HTTPService(configuration: configuration, node: node, logger: logger)
        let application = service.application(group: MultiThreadedEventLoopGroup.singleton, events: EventSpread())
        try await application.test(.live) { try await body($0, key) }
    }

    private static func token(_ key: TokenKey, publish: String?, play: String?, expiry: UInt64 = 2000) async throws
        -> String
    {
        let claims = AccessClaims(
            publish: publish.flatMap { NamePattern($0) }.map { [$0] } ?? [],
            play: play.flatMap { NamePattern($0) }.map { [$0] } ?? [], expiresAtSeconds: expiry)
        return try await AccessTokens.sign(claims, with: key)
    }

    @Test func decidesByVerbAndName() async throws {
        try await serve { client, key in
            func post(_ uri: String, bearer: String?) async throws -> TestResponse {
                var headers: HTTPFields = [.contentType: "application/sdp"]
                headers[.authorization] = bearer
                return try await client.execute(uri: uri, method: .post, headers: headers, body: .init(string: "v=0"))
            }
            let token = try await Self.token(key, publish: "live/alice", play: "live/*")
            let expired = try await Self.token(key, publish: "*", play: "*", expiry: 1000)
            let cases: [(String, String?, Int)] = [
                ("/whip/live/alice", "Bearer \(token)", 201), ("/whip/live/bob", "Bearer \(token)", 403),
                ("/whep/live/bob", "bearer  \(token)", 201), ("/whep/demo", "Bearer \(token)", 403),
                ("/api/v1/rtp/live/alice", "Bearer \(token)", 201), ("/api/v1/rtp/live/bob", "Bearer \(token)", 403),
                ("/whip/live/alice?token=\(token)", nil, 201), ("/whip/live/alice", nil, 401),
                ("/whip/live/alice", "Basic \(token)", 401), ("/whip/live/alice", "Bearer x.y.z", 401),
                ("/whip/live/alice", "Bearer", 401), ("/whip/demo", "Bearer \(expired)", 401),
                ("/whip/a/..", "Bearer \(token)", 400),
            ]
            for (uri, bearer, status) in cases {
                let response = try await post(uri, bearer: bearer)
                #expect(response.status.code == status, "\(uri.prefix(30)) \(bearer?.prefix(12) ?? "")")
                #expect((response.headers[.wwwAuthenticate] != nil) == (status == 401))
                #expect(response.headers[.accessControlAllowOrigin] == "*")
            }
        }
        #expect(node.requests.allSatisfy { $0.claims?.expiresAtSeconds == 2000 })
    }

    @Test func readingTakesATokenUnlessLocal() async throws {
        try await serve { client, key in
            let forwarded = try #require(HTTPField.Name("X-Forwarded-For"))
            let paths = ["/api/v1/node", "/api/v1/members", "/api/v1/streams", "/metrics"]
            for path in paths {
                let local = try await client.execute(uri: path, method: .get)
                #expect(local.status == .ok)
                let proxied = try await client.execute(uri: path, method: .get, headers: [forwarded: "192.0.2.1"])
                #expect(proxied.status == .unauthorized)
                let token = try await Self.token(key, publish: nil, play: "a")
                let bearer = try await client.execute(
                    uri: path + "?token=" + token, method: .get, headers: [forwarded: "192.0.2.1"])
                #expect(bearer.status == .ok)
            }
            for path in ["/", "/page.js", "/healthz", "/readyz"] {
                let open = try await client.execute(uri: path, method: .get, headers: [forwarded: "192.0.2.1"])
                #expect(open.status == .ok)
            }
            let preflight = try await client.execute(uri: "/whip/demo", method: .options)
            #expect(preflight.status == .ok)
        }
    }
}
