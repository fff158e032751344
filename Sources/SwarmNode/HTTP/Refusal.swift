import HTTPTypes
import Hummingbird

/// An answer that is not a success: status, one line for people, and the headers that go with it.
package struct Refusal: Sendable, Equatable {
    package var status: HTTPResponse.Status
    package var message: String
    package var retryAfterSeconds: Int?
    /// For 405.
    package var allowedMethods: [HTTPRequest.Method] = []
    /// For 307.
    package var redirectBaseURL: String?
    /// The request's body was not read to its end: the connection cannot be used again.
    package var closesConnection = false

    package init(_ status: HTTPResponse.Status, _ message: String, retryAfterSeconds: Int? = nil) {
        self.status = status
        self.message = message
        self.retryAfterSeconds = retryAfterSeconds
    }

    package init(_ error: ControlError) {
        switch error {
        case .badOffer(let reason): self.init(.badRequest, Self.line("bad SDP: " + reason))
        case .noCommonCodec(let available):
            self.init(.notAcceptable, Self.line("no common codec; here: " + available.joined(separator: ", ")))
        case .unsupportedMedia(let reason): self.init(.unsupportedMediaType, Self.line(reason))
        case .notLive:
            self.init(.conflict, "the stream is not live", retryAfterSeconds: HTTPLimits.notLiveRetrySeconds)
        case .nameTaken: self.init(.conflict, "the stream is already being published")
        case .full(let seconds): self.init(.serviceUnavailable, "the node is full", retryAfterSeconds: max(1, seconds))
        case .stopping: self.init(.serviceUnavailable, "the node is stopping", retryAfterSeconds: 5)
        case .unknownSession: self.init(.notFound, "no such session")
        case .unknownNode: self.init(.notFound, "nobody in the swarm knows this node")
        case .entityTagMismatch: self.init(.preconditionFailed, "the ICE session has changed: If-Match does not match")
        case .forbidden(let reason): self.init(.forbidden, Self.line(reason))
        case .redirect(let baseURL):
            self.init(.temporaryRedirect, "see the Location header")
            redirectBaseURL = baseURL
        case .timeout: self.init(.gatewayTimeout, "the swarm did not answer in time")
        case .failed(let reason): self.init(.internalServerError, Self.line(reason))
        }
    }

    package static var invalidName: Refusal {
        Refusal(
            .badRequest, "invalid stream name: 1 to 8 segments of A-Z a-z 0-9 . _ ~ - joined by /, 255 bytes at most")
    }
    package static var notFound: Refusal { Refusal(.notFound, "no such path") }
    package static var tooLarge: Refusal {
        Refusal(.contentTooLarge, "the body is larger than \(HTTPLimits.bodyBytes) bytes")
    }
    package static func methodNotAllowed(_ allowed: [HTTPRequest.Method]) -> Refusal {
        var refusal = Refusal(.methodNotAllowed, "method not allowed")
        refusal.allowedMethods = allowed + [.options]
        return refusal
    }

    /// The refusal as a response; JSON for the API's readers, a line of text for everybody else.
    func response(asJSON: Bool) -> Response {
        var headers: HTTPFields = [.cacheControl: "no-store"]
        headers[.contentType] = asJSON ? "application/json" : "text/plain; charset=utf-8"
        if let retryAfterSeconds { headers[.retryAfter] = String(retryAfterSeconds) }
        if !allowedMethods.isEmpty { headers[.allow] = allowedMethods.map(\.rawValue).joined(separator: ", ") }
        if status == .unauthorized { headers[.wwwAuthenticate] = "Bearer realm=\"mafalda\"" }
        if closesConnection { headers[.connection] = "close" }
        let body = asJSON ? JSONWriter.object { $0.member("error", message) } : message
        return Response(status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(string: body + "\n")))
    }

    /// A reason may quote what a client sent: keep it to one line of printable text.
    private static func line(_ text: String) -> String {
        let printable = text.unicodeScalars.prefix(300).map { $0.value < 0x20 || $0.value == 0x7f ? " " : String($0) }
        return printable.joined()
    }
}

extension Refusal: Error {}
