import JWTKit
import SwarmCore

/// Why a token is refused, in words for its bearer. They tell nothing about keys.
package enum TokenError: Error, Sendable, Equatable, CustomStringConvertible {
    case malformed
    case badSignature
    case expired
    case badClaims(String)
    case badKey(String)

    package var description: String {
        switch self {
        case .malformed: "the token is malformed"
        case .badSignature: "the token's signature does not verify"
        case .expired: "the token has expired"
        case .badClaims(let reason): "the token is not valid: \(reason)"
        case .badKey(let reason): reason
        }
    }
}

/// A key that makes or checks tokens (JWT, RFC 7519).
package struct TokenKey: Sendable {
    package enum Use: Sendable {
        case signAndVerify
        case verify
    }

    fileprivate let keys: JWTKeyCollection
    package let use: Use

    private init(keys: JWTKeyCollection, use: Use) {
        self.keys = keys
        self.use = use
    }

    /// HMAC-SHA256 (RFC 7518 §3.2): `key` derives from the swarm secret, so that every member can check.
    package static func hmac(_ key: Bytes32) async -> TokenKey {
        let keys = JWTKeyCollection()
        await keys.add(hmac: HMACKey(from: key.array), digestAlgorithm: .sha256)
        return TokenKey(keys: keys, use: .signAndVerify)
    }

    /// The operator's Ed25519 key (RFC 8037) as `openssl genpkey -algorithm ed25519` writes it (PKCS #8 PEM), or its
    /// public half (SubjectPublicKeyInfo PEM), which only checks.
    package static func operatorKey(pem: String) async throws(TokenError) -> TokenKey {
        let keys = JWTKeyCollection()
        if let key = try? EdDSA.PrivateKey(pem: pem) {
            await keys.add(eddsa: key)
            return TokenKey(keys: keys, use: .signAndVerify)
        }
        if let key = try? EdDSA.PublicKey(pem: pem) {
            await keys.add(eddsa: key)
            return TokenKey(keys: keys, use: .verify)
        }
        throw .badKey("not an Ed25519 key in PEM form (openssl genpkey -algorithm ed25519)")
    }
}

/// Makes and checks tokens. With an operator key only its tokens count; else those made with the swarm secret, of
/// either epoch. Any node of the swarm decides alike.
package struct AccessTokens: Sendable {
    /// A longer token is malformed: ours have some 300 bytes.
    package static var maximumBytes: Int { 4096 }
    /// More patterns or regions are malformed.
    package static var maximumPatterns: Int { 64 }

    private let verifiers: [TokenKey]
    private let unixSeconds: @Sendable () -> UInt64

    /// `verifiers` are tried in order; `unixSeconds` is the wall clock.
    package init(verifiers: [TokenKey], unixSeconds: @escaping @Sendable () -> UInt64 = WallClock.unixSeconds) {
        self.verifiers = verifiers
        self.unixSeconds = unixSeconds
    }

    package static func sign(_ claims: AccessClaims, with key: TokenKey) async throws(TokenError) -> String {
        guard key.use == .signAndVerify else { throw .badKey("a public key cannot sign; give the private one") }
        do {
            return try await key.keys.sign(ClaimsPayload(claims))
        } catch {
            throw .badKey("signing failed")
        }
    }

    /// The claims of a token whose signature one of the keys verifies and which has not expired.
    package func verify(_ token: String) async throws(TokenError) -> AccessClaims {
        guard token.utf8.count <= Self.maximumBytes, Self.hasThreeParts(token) else { throw .malformed }
        var failure = TokenError.badSignature
        for verifier in verifiers {
            do {
                let payload = try await verifier.keys.verify(token, as: ClaimsPayload.self)
                let claims = try payload.claims()
                guard claims.expiresAtSeconds > unixSeconds() else { throw TokenError.expired }
                return claims
            } catch let error as TokenError {
                failure = error
            } catch {
                // Everything the library throws: a signature, an encoding or a claim that is not what it should be.
                continue
            }
        }
        throw failure
    }

    private static func hasThreeParts(_ token: String) -> Bool {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 3 && parts.allSatisfy { !$0.isEmpty }
    }
}

/// The claims as they stand in the token: `{"exp":…,"play":["live/*"],"publish":["live/alice"],"regions":["eu"]}`.
private struct ClaimsPayload: JWTPayload {
    var publish: [String]?
    var play: [String]?
    var regions: [String]?
    var delegation: String?
    /// Unix seconds (RFC 7519 §4.1.4), which may have a fraction.
    var exp: Double

    init(_ claims: AccessClaims) {
        publish = claims.publish.isEmpty ? nil : claims.publish.map(\.text)
        play = claims.play.isEmpty ? nil : claims.play.map(\.text)
        regions = claims.regions.isEmpty ? nil : claims.regions
        delegation = claims.delegation
        exp = Double(claims.expiresAtSeconds)
    }

    func verify(using algorithm: some JWTAlgorithm) async throws {
        // Expiry is checked by `AccessTokens`, against the clock it was given.
    }

    func claims() throws(TokenError) -> AccessClaims {
        guard exp.isFinite, exp >= 0, exp < 9e15 else { throw .badClaims("exp is out of range") }
        let counts = [publish, play, regions].map { $0?.count ?? 0 }
        guard counts.allSatisfy({ $0 <= AccessTokens.maximumPatterns }) else { throw .badClaims("too many patterns") }
        return AccessClaims(
            publish: try Self.patterns(publish), play: try Self.patterns(play), regions: regions ?? [],
            expiresAtSeconds: UInt64(exp), delegation: delegation)
    }

    private static func patterns(_ texts: [String]?) throws(TokenError) -> [NamePattern] {
        var patterns: [NamePattern] = []
        for text in texts ?? [] {
            guard let pattern = NamePattern(text) else { throw .badClaims("a pattern is not a stream name or prefix") }
            patterns.append(pattern)
        }
        return patterns
    }
}
