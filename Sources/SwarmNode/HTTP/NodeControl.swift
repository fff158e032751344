import SwarmCore

/// What the HTTP side asks of the node. The runtime implements it over the control thread; the tests fake it.
///
/// Every call may come from any task, and many at once. A call that cannot be answered within the node's own deadline
/// throws `.timeout`; it never waits for ever. Nothing here blocks a thread. Cancelling the calling task may abandon
/// the answer but must leave no session behind: a session whose answer nobody received times out by itself, as one
/// whose client never connects does.
package protocol NodeControl: Sendable {
    /// Takes a publisher in (WHIP, RFC 9725). `request.offer` is SDP as the client sent it, at most
    /// `HTTPLimits.bodyBytes` long, and not yet parsed.
    func publish(_ request: SessionRequest) async throws(ControlError) -> SessionAnswer

    /// Takes a viewer in (WHEP): resolves the stream's descriptor in the swarm before it answers.
    func play(_ request: SessionRequest) async throws(ControlError) -> SessionAnswer

    /// Takes plain RTP in: `request.offer` is an SDP file as FFmpeg writes one. The answer's SDP names the address and
    /// ports to send to.
    func publishPlainRTP(_ request: SessionRequest) async throws(ControlError) -> SessionAnswer

    /// Trickled candidates or an ICE restart (RFC 9725 §4.3) for a session of either kind. `session` is the 43
    /// characters of its URL; unknown is `.unknownSession`.
    func patch(session: String, ifMatch: EntityTagMatch, fragment: String) async throws(ControlError) -> PatchResult

    /// Ends a session. Deleting it twice throws `.unknownSession`.
    func delete(session: String) async throws(ControlError)

    func node() async throws(ControlError) -> NodeReport
    /// Members known here, this node among them, sorted by id.
    func members() async throws(ControlError) -> [MemberReport]
    /// Streams known here whose names lie under `prefix` (empty: all), sorted by name; at most
    /// `HTTPLimits.streamsPerAnswer`.
    func streams(prefix: String) async throws(ControlError) -> [StreamReport]
    /// The path from the stream's origin to this node, or where it can be had; nil where the stream is not live.
    func route(stream: StreamName) async throws(ControlError) -> RouteReport?
    func metrics() async throws(ControlError) -> MetricsReport

    /// This node's part of the DHT.
    func discovery() async throws(ControlError) -> DiscoveryReport
    /// Asks the swarm where the stream is published.
    func locate(stream: StreamName) async throws(ControlError) -> LocationReport
    /// Puts a record of the name into the DHT for `seconds`, with no stream behind it.
    func announce(stream: StreamName, seconds: Int) async throws(ControlError)
    func withdraw(stream: StreamName) async throws(ControlError)
    /// Asks a node's DHT, at the addresses it has published if need be; nil where it does not answer. Throws `.unknownNode`
    /// where nobody knows any.
    func ping(node: NodeID) async throws(ControlError) -> PingReport

    /// A feed of changes, ended by the node when it stops. Bounded: a reader that falls behind loses the oldest
    /// (`AsyncStream.Continuation.BufferingPolicy.bufferingNewest`). The HTTP side subscribes once and spreads.
    func events() -> AsyncStream<NodeEvent>

    /// Every port is open and the node is not draining. Answered from memory, without asking the control thread.
    var isReady: Bool { get }
}

/// One POST that wants a session.
package struct SessionRequest: Sendable, Equatable {
    package var stream: StreamName
    /// SDP, as received.
    package var offer: String
    /// `mfd1:…`, for a name bound to a key: from the token, or beside it in the query.
    package var delegation: String?
    /// What the bearer's token allows, already checked for verb, name and expiry; nil on an open node.
    package var claims: AccessClaims?
    /// Whether a 307 may answer: a POST that has not been redirected before.
    package var mayRedirect: Bool

    package init(
        stream: StreamName, offer: String, claims: AccessClaims? = nil, delegation: String? = nil,
        mayRedirect: Bool = false
    ) {
        self.stream = stream
        self.offer = offer
        self.claims = claims
        self.delegation = delegation
        self.mayRedirect = mayRedirect
    }
}

/// 201 Created.
package struct SessionAnswer: Sendable, Equatable {
    /// 43 base64url characters: 32 random bytes. Whoever knows them owns the session.
    package var session: String
    package var sdp: String
    /// The ICE session's entity tag, without quotes: `[A-Za-z0-9_-]{1,64}`.
    package var etag: String

    package init(session: String, sdp: String, etag: String) {
        self.session = session
        self.sdp = sdp
        self.etag = etag
    }
}

/// `If-Match` of a PATCH. RFC 9725 §4.3.3 uses `*` for ICE restarts.
package enum EntityTagMatch: Sendable, Equatable {
    case any
    /// Without quotes.
    case tag(String)
}

package enum PatchResult: Sendable, Equatable {
    /// 204: candidates taken.
    case accepted
    /// 200: ICE restarted; the fragment carries the node's new credentials and candidates.
    case restarted(fragment: String, etag: String)
}

/// Why the node refuses. The HTTP status of each case stands first; `Refusal` turns it into a response.
package enum ControlError: Error, Sendable, Equatable {
    /// 400. One line that says what is wrong with the SDP.
    case badOffer(String)
    /// 406, naming what the stream (or the node) has: `["VP8", "opus"]`.
    case noCommonCodec(available: [String])
    /// 415: well-formed, but of a kind the node does not take.
    case unsupportedMedia(String)
    /// 409 + Retry-After: a valid name that nobody publishes.
    case notLive
    /// 409: another publisher holds the name.
    case nameTaken
    /// 503 + Retry-After.
    case full(retryAfterSeconds: Int)
    /// 503 + Retry-After: the node drains or stops.
    case stopping
    /// 404.
    case unknownSession
    /// 404.
    case unknownNode
    /// 412.
    case entityTagMismatch
    /// 403: the claims do not suffice (regions, bound names).
    case forbidden(String)
    /// 307 to the same path at another node: its base URL, `https://b.example:7780`. Only where `mayRedirect`.
    case redirect(baseURL: String)
    /// 504: the swarm did not answer in time.
    case timeout
    /// 500. One line for people; a defect or a resource that ran out.
    case failed(String)
}
