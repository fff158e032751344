import SwarmCore
import SwarmCrypto
import SwarmNode
import Testing

struct TokenTests {
    /// As `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` write them; RFC 8032 §7.1, test 1.
    static let privateKey = """
        -----BEGIN PRIVATE KEY-----
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
        -----END PRIVATE KEY-----
        """
    static let publicKey = """
        -----BEGIN PUBLIC KEY-----
        MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
        -----END PUBLIC KEY-----
        """

    private static func patterns(_ texts: String...) -> [NamePattern] { texts.compactMap(NamePattern.init) }
    private static func secret(_ byte: UInt64) -> SwarmSecret { SwarmSecret(current: Bytes32(byte, 0, 0, 0)) }
    private static func claims(expiry: UInt64 = 2000) -> AccessClaims {
        AccessClaims(
            publish: patterns("live/alice"), play: patterns("live/*"), regions: ["eu"], expiresAtSeconds: expiry)
    }
    private static func tokens(_ keys: [TokenKey], at seconds: UInt64 = 1000) -> AccessTokens {
        AccessTokens(verifiers: keys) { seconds }
    }

    @Test(arguments: [
        ("*", "a/b", true), ("live/*", "live/a", true), ("live/*", "live/a/b", true), ("live/*", "live", false),
        ("live/*", "lively/a", false), ("live/a", "live/a", true), ("live/a", "live/A", false),
        ("live/a", "live/a/b", false),
    ])
    func matchesPatterns(pattern: String, name: String, matches: Bool) throws {
        #expect(try #require(NamePattern(pattern)).matches(try #require(StreamName(name))) == matches)
    }

    @Test(arguments: ["", "/", "/*", "a*", "a/*/b", "**", "a//*", "live/", "../*", "a b"])
    func refusesPatterns(text: String) {
        #expect(NamePattern(text) == nil)
    }

    @Test func sharedKeyMakesAndChecks() async throws {
        let key = try #require(await TokenKey.shared(Self.secret(1)).first)
        let token = try await AccessTokens.sign(Self.claims(), with: key)
        #expect(try await Self.tokens([key]).verify(token) == Self.claims())
        await #expect(throws: TokenError.expired) { try await Self.tokens([key], at: 2000).verify(token) }
        let other = try #require(await TokenKey.shared(Self.secret(2)).first)
        await #expect(throws: TokenError.badSignature) { try await Self.tokens([other]).verify(token) }
        // The secret was changed a moment ago: the other one is still good.
        #expect(try await Self.tokens([other, key]).verify(token) == Self.claims())
    }

    @Test func operatorKeyMakesAndChecks() async throws {
        let signer = try await TokenKey.operatorKey(pem: Self.privateKey)
        let checker = try await TokenKey.operatorKey(pem: Self.publicKey)
        let token = try await AccessTokens.sign(Self.claims(), with: signer)
        #expect(try await Self.tokens([checker]).verify(token) == Self.claims())
        #expect(try await Self.tokens([signer]).verify(token) == Self.claims())
        await #expect(throws: TokenError.self) { try await AccessTokens.sign(Self.claims(), with: checker) }
        await #expect(throws: TokenError.self) { try await TokenKey.operatorKey(pem: "nothing") }
        let shared = try #require(await TokenKey.shared(Self.secret(1)).first)
        await #expect(throws: TokenError.badSignature) { try await Self.tokens([shared]).verify(token) }
    }

    /// RFC 7515's "none", a changed claim, a changed signature and plain rubbish.
    @Test func refusesForgeries() async throws {
        let key = try #require(await TokenKey.shared(Self.secret(1)).first)
        let good = try await AccessTokens.sign(Self.claims(), with: key).split(separator: ".").map(String.init)
        let none = Base64URL.encode(Array(#"{"alg":"none","typ":"JWT"}"#.utf8))
        let wide = Base64URL.encode(Array(#"{"exp":2000,"publish":["*"]}"#.utf8))
        let publicAsSecret = await TokenKey.hmac(Bytes32(1, 2, 3, 4))
        let confused = try await AccessTokens.sign(Self.claims(), with: publicAsSecret)
        let forgeries = [
            "\(none).\(wide).", "\(none).\(wide).\(good[2])", "\(good[0]).\(wide).\(good[2])", confused,
            "\(good[0]).\(good[1]).AAAA", "", ".", "..", "a.b.c", "a.b.c.d",
            String(repeating: "a", count: 5000) + ".b.c",
            "é.é.é", "{}.{}.{}",
        ]
        for forgery in forgeries {
            await #expect(throws: TokenError.self, "\(forgery.prefix(40))") {
                try await Self.tokens([key]).verify(forgery)
            }
        }
    }

    @Test func refusesClaims() async throws {
        let key = try #require(await TokenKey.shared(Self.secret(1)).first)
        var claims = Self.claims()
        claims.play = Array(repeating: try #require(NamePattern("a")), count: AccessTokens.maximumPatterns + 1)
        let token = try await AccessTokens.sign(claims, with: key)
        await #expect(throws: TokenError.self) { try await Self.tokens([key]).verify(token) }
    }
}
