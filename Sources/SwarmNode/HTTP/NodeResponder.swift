import Hummingbird
import Logging
import NIOCore
import SwarmCore

/// What a request brings besides its head and body.
package struct NodeRequestContext: RequestContext {
    package var coreContext: CoreRequestContextStorage
    /// The connection, to be closed after an answer that left part of the request unread.
    let channel: any Channel

    package init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }

    /// Whether the other end of the connection is on this machine.
    var isLocal: Bool {
        guard let address = channel.remoteAddress, let host = address.ipAddress else { return false }
        return NetworkAddress(host: host, port: 0)?.isLoopback ?? false
    }
}

/// Answers every request: one path, one meaning (`Route`), and one place where errors become responses.
///
/// Cross-origin use is allowed everywhere (pages of other nodes play from this one), without cookies: what protects a
/// node is the token, not the origin.
package struct NodeResponder: HTTPResponder {
    package typealias Context = NodeRequestContext

    private let node: any NodeControl
    private let access: AccessPolicy
    private let sessions: SessionEndpoints
    private let events: EventSpread
    private let page: PageAssets

    package init(
        node: any NodeControl, access: AccessPolicy, publicURL: String? = nil, iceServers: [ICEServer] = [],
        events: EventSpread, page: PageAssets
    ) {
        self.node = node
        self.access = access
        self.events = events
        self.page = page
        sessions = SessionEndpoints(node: node, access: access, publicURL: publicURL, iceServers: iceServers)
    }

    package func respond(to request: Request, context: NodeRequestContext) async throws -> Response {
        let text = request.head.path ?? "/"
        let isTooLong = text.utf8.count > HTTPLimits.targetBytes
        let target = RequestTarget(isTooLong ? "/" : text)
        let route = isTooLong ? Route.unknown : Route(path: target.path)
        var response: Response
        do throws(Refusal) {
            if isTooLong { throw Refusal(.uriTooLong, "the request target is too long") }
            response = try await answer(request, target, route, context)
        } catch {
            response = refused(error, target, context)
        }
        CrossOrigin.allow(&response.headers)
        response.headers[.xContentTypeOptions] = "nosniff"
        return request.method == .head ? response.createHeadResponse() : response
    }

    private func answer(
        _ request: Request, _ target: RequestTarget, _ route: Route, _ context: NodeRequestContext
    ) async throws(Refusal) -> Response {
        if route == .invalidName { throw .invalidName }
        if route == .unknown { throw .notFound }
        if request.method == .options { return CrossOrigin.preflight(route) }
        guard route.methods.contains(request.method) else { throw .methodNotAllowed(route.methods) }
        switch route {
        case .page: return page.html.response
        case .pageStyle: return page.style.response
        case .pageScript: return page.script.response
        case .health: return Self.text("ok")
        case .readiness:
            guard node.isReady else { throw Refusal(.serviceUnavailable, "not ready", retryAfterSeconds: 1) }
            return Self.text("ready")
        case .whip(let stream): return try await sessions.create(.publish, stream, request, target)
        case .whep(let stream): return try await sessions.create(.play, stream, request, target)
        case .plainRTP(let stream): return try await sessions.create(.publishPlainRTP, stream, request, target)
        case .session(let key):
            if request.method == .delete { return try await sessions.delete(key) }
            return try await sessions.patch(key, request)
        case .record(let stream) where request.method == .put || request.method == .delete:
            return try await changeRecord(stream, request, target)
        case .node, .members, .streams, .route, .events, .metrics, .discovery, .record, .ping:
            try await access.authoriseReading(request, target, isLocal: context.isLocal)
            return try await report(route, request, target)
        case .invalidName, .unknown: throw .notFound
        }
    }

    private func report(
        _ route: Route, _ request: Request, _ target: RequestTarget
    ) async throws(Refusal) -> Response {
        do throws(ControlError) {
            switch route {
            case .node: return Self.json(try await node.node().json)
            case .members: return Self.json(MemberReport.json(try await node.members()))
            case .streams:
                let streams = try await node.streams(prefix: target["prefix"] ?? "")
                return Self.json(StreamReport.json(Array(streams.prefix(HTTPLimits.streamsPerAnswer))))
            case .route(let stream):
                guard let route = try await node.route(stream: stream) else { throw .notLive }
                return Self.json(route.json)
            case .discovery: return Self.json(try await node.discovery().json)
            case .record(let stream): return Self.json(try await node.locate(stream: stream).json)
            case .ping(let id): return Self.json(try await node.ping(node: id).json)
            case .metrics:
                let body = OpenMetrics.render(try await node.metrics())
                return Self.response(body, type: OpenMetrics.contentType)
            default: break
            }
        } catch {
            throw Refusal(error)
        }
        return try eventStream(request)
    }

    /// Who may publish the name may put a record of it, for a time.
    private func changeRecord(
        _ stream: StreamName, _ request: Request, _ target: RequestTarget
    ) async throws(Refusal) -> Response {
        _ = try await access.authorise(.publish, stream, request, target)
        let seconds = Int(target["seconds"] ?? "60")
        guard let seconds, (1...HTTPLimits.announcementSeconds).contains(seconds) else {
            throw Refusal(.badRequest, "seconds: expected 1 to \(HTTPLimits.announcementSeconds)")
        }
        do throws(ControlError) {
            if request.method == .put {
                try await node.announce(stream: stream, seconds: seconds)
            } else {
                try await node.withdraw(stream: stream)
            }
            return Response(status: .noContent)
        } catch {
            throw Refusal(error)
        }
    }

    private func eventStream(_ request: Request) throws(Refusal) -> Response {
        let headers: HTTPFields = [.contentType: "text/event-stream", .cacheControl: "no-store"]
        if request.method == .head { return Response(status: .ok, headers: headers) }
        guard let reader = events.subscribe() else {
            throw Refusal(.serviceUnavailable, "too many readers of events", retryAfterSeconds: 5)
        }
        let body = ResponseBody { writer in
            try await writer.write(ByteBuffer(string: "retry: 2000\n\n"))
            for await text in reader { try await writer.write(ByteBuffer(string: text)) }
            try await writer.finish(nil)
        }
        return Response(status: .ok, headers: headers, body: body)
    }

    private func refused(_ refusal: Refusal, _ target: RequestTarget, _ context: NodeRequestContext) -> Response {
        var response = refusal.response(asJSON: target.path.hasPrefix("/api/"))
        if refusal.redirectBaseURL != nil { response.headers[.location] = sessions.redirectLocation(refusal, target) }
        guard refusal.closesConnection else { return response }
        let body = response.body
        let channel = context.channel
        response.body = ResponseBody(contentLength: body.contentLength) { writer in
            try await body.write(writer)
            channel.close(promise: nil)
        }
        return response
    }

    private static func json(_ text: String) -> Response { response(text + "\n", type: "application/json") }

    private static func text(_ text: String) -> Response { response(text + "\n", type: "text/plain; charset=utf-8") }

    private static func response(_ text: String, type: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: type, .cacheControl: "no-store"],
            body: .init(byteBuffer: ByteBuffer(string: text)))
    }
}
