import HTTPTypes
import Hummingbird
import SwarmCore

/// A STUN or TURN server told to clients in `Link` headers (RFC 9725 §4.6).
package struct ICEServer: Sendable, Equatable {
    package var url: String
    package var username: String?
    package var credential: String?

    package init(url: String, username: String? = nil, credential: String? = nil) {
        self.url = url
        self.username = username
        self.credential = credential
    }

    /// `stun:host:port`, or `turn:host:port?transport=udp;username=U;credential=C`. Nil where the scheme is another or
    /// a character does not belong in a header.
    package init?(text: String) {
        let parts = text.split(separator: ";", omittingEmptySubsequences: false).map(String.init)
        guard let url = parts.first, ["stun:", "stuns:", "turn:", "turns:"].contains(where: url.hasPrefix) else {
            return nil
        }
        let isSafe = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && !"<>\"\\,".utf8.contains($0) }
        guard isSafe, url.utf8.count > 6 else { return nil }
        self.init(url: url)
        for part in parts.dropFirst() {
            if part.hasPrefix("username=") {
                username = String(part.dropFirst(9))
            } else if part.hasPrefix("credential=") {
                credential = String(part.dropFirst(11))
            } else {
                return nil
            }
        }
    }

    var linkHeader: String {
        var text = "<\(url)>; rel=\"ice-server\""
        if let username { text += "; username=\"\(username)\"" }
        if let credential { text += "; credential=\"\(credential)\"; credential-type=\"password\"" }
        return text
    }
}

/// WHIP (RFC 9725), WHEP (draft-ietf-wish-whep) and plain RTP: POST makes a session, its URL takes PATCH and DELETE.
struct SessionEndpoints: Sendable {
    enum Kind {
        case publish
        case play
        case publishPlainRTP
    }

    static var sdpType: String { "application/sdp" }
    static var fragmentType: String { "application/trickle-ice-sdpfrag" }
    /// Marks the target of a 307: a POST that carries it is never redirected again.
    static var redirectedParameter: String { "redirected" }

    let node: any NodeControl
    let access: AccessPolicy
    let publicURL: String?
    let iceServers: [ICEServer]

    func create(
        _ kind: Kind, _ stream: StreamName, _ request: Request, _ target: RequestTarget
    ) async throws(Refusal) -> Response {
        let verb: AccessVerb = kind == .play ? .play : .publish
        let claims = try await access.authorise(verb, stream, request, target)
        guard Self.mediaType(request) == Self.sdpType else {
            throw Refusal(.unsupportedMediaType, "the body must be \(Self.sdpType)")
        }
        let offer = try await BodyReader.text(of: request)
        guard !offer.isEmpty else { throw Refusal(.badOffer("the body is empty")) }
        let mayRedirect = kind != .publishPlainRTP && target[Self.redirectedParameter] == nil
        let delegation = target["delegation"] ?? claims?.delegation
        let wanted = SessionRequest(
            stream: stream, offer: offer, claims: claims, delegation: delegation, mayRedirect: mayRedirect)
        do throws(ControlError) {
            return created(try await ask(kind, wanted))
        } catch {
            if case .redirect = error, !mayRedirect { throw Refusal(.full(retryAfterSeconds: 2)) }
            throw Refusal(error)
        }
    }

    private func ask(_ kind: Kind, _ wanted: SessionRequest) async throws(ControlError) -> SessionAnswer {
        switch kind {
        case .publish: try await node.publish(wanted)
        case .play: try await node.play(wanted)
        case .publishPlainRTP: try await node.publishPlainRTP(wanted)
        }
    }

    private func created(_ answer: SessionAnswer) -> Response {
        var headers: HTTPFields = [
            .contentType: Self.sdpType, .location: (publicURL ?? "") + "/session/" + answer.session,
            .eTag: "\"\(answer.etag)\"", .cacheControl: "no-store",
        ]
        for server in iceServers { headers.append(HTTPField(name: .link, value: server.linkHeader)) }
        return Response(status: .created, headers: headers, body: .init(byteBuffer: ByteBuffer(string: answer.sdp)))
    }

    /// Trickled candidates and ICE restarts. The URL is the credential: it is 256 random bits.
    func patch(_ session: String, _ request: Request) async throws(Refusal) -> Response {
        guard Self.mediaType(request) == Self.fragmentType else {
            throw Refusal(.unsupportedMediaType, "the body must be \(Self.fragmentType)")
        }
        let match = try Self.entityTag(request)
        let fragment = try await BodyReader.text(of: request)
        do throws(ControlError) {
            switch try await node.patch(session: session, ifMatch: match, fragment: fragment) {
            case .accepted: return Response(status: .noContent)
            case .restarted(let fragment, let etag):
                let headers: HTTPFields = [
                    .contentType: Self.fragmentType, .eTag: "\"\(etag)\"", .cacheControl: "no-store",
                ]
                return Response(status: .ok, headers: headers, body: .init(byteBuffer: ByteBuffer(string: fragment)))
            }
        } catch {
            throw Refusal(error)
        }
    }

    /// 200 rather than 204: OBS wants it.
    func delete(_ session: String) async throws(Refusal) -> Response {
        do throws(ControlError) {
            try await node.delete(session: session)
        } catch {
            throw Refusal(error)
        }
        return Response(status: .ok)
    }

    /// The same path at another node; the token goes along in the query, where browsers do not drop it.
    func redirectLocation(_ refusal: Refusal, _ target: RequestTarget) -> String? {
        guard let base = refusal.redirectBaseURL else { return nil }
        let root = base.hasSuffix("/") ? String(base.dropLast()) : base
        var location = root + target.path + "?\(Self.redirectedParameter)=1"
        let isTokenSafe = { (byte: UInt8) in byte > 0x20 && byte < 0x7f && !"&#%+".utf8.contains(byte) }
        if let token = target["token"], token.utf8.allSatisfy(isTokenSafe) { location += "&token=" + token }
        return location
    }

    private static func mediaType(_ request: Request) -> String {
        let value = request.headers[.contentType] ?? ""
        let type = value.split(separator: ";", maxSplits: 1, omittingEmptySubsequences: false).first ?? ""
        return type.lowercased().filter { $0 != " " }
    }

    /// RFC 9725 §4.3.1 has PATCH carry `If-Match`; 428 (RFC 6585 §3) asks for it.
    private static func entityTag(_ request: Request) throws(Refusal) -> EntityTagMatch {
        guard let value = request.headers[.ifMatch] else {
            throw Refusal(.preconditionRequired, "If-Match is required: the ETag of the session, or *")
        }
        if value == "*" { return .any }
        guard value.utf8.count >= 2, value.hasPrefix("\""), value.hasSuffix("\"") else {
            throw Refusal(.preconditionFailed, "If-Match is not an entity tag")
        }
        return .tag(String(value.dropFirst().dropLast()))
    }
}
