import Hummingbird
import SwarmCore

/// Who may do what over HTTP.
package enum AccessPolicy: Sendable {
    /// Everybody: loopback, or `--open`.
    case open
    /// Bearers of a token that allows the verb and the name. Reading the API takes any valid token, or a connection
    /// from this machine that no proxy made.
    case tokens(AccessTokens)

    func authorise(_ verb: AccessVerb, _ stream: StreamName, _ request: Request, _ target: RequestTarget)
        async throws(Refusal)
        -> AccessClaims?
    {
        guard case .tokens(let tokens) = self else { return nil }
        let claims = try await claims(tokens, request, target)
        guard claims.allows(verb, stream) else {
            throw Refusal(.forbidden, "the token does not allow to \(verb.rawValue) \(stream)")
        }
        return claims
    }

    func authoriseReading(_ request: Request, _ target: RequestTarget, isLocal: Bool) async throws(Refusal) {
        guard case .tokens(let tokens) = self else { return }
        if isLocal && !request.wasForwarded { return }
        _ = try await claims(tokens, request, target)
    }

    private func claims(
        _ tokens: AccessTokens, _ request: Request, _ target: RequestTarget
    ) async throws(Refusal) -> AccessClaims {
        guard let token = request.bearerToken ?? target["token"], !token.isEmpty else {
            throw Refusal(.unauthorized, "a token is needed: Authorization: Bearer … or ?token=…")
        }
        do {
            return try await tokens.verify(token)
        } catch {
            throw Refusal(.unauthorized, error.description)
        }
    }
}

extension Request {
    /// RFC 6750 §2.1; the scheme is case-insensitive (RFC 9110 §11.1).
    var bearerToken: String? {
        guard let value = headers[.authorization] else { return nil }
        let parts = value.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        return String(parts[1].drop { $0 == " " })
    }

    /// A proxy stands between: its address says nothing about the client's.
    var wasForwarded: Bool {
        headers.contains { $0.name.canonicalName == "forwarded" || $0.name.canonicalName.hasPrefix("x-forwarded-") }
    }
}
