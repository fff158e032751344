import HTTPTypes
import SwarmCore

/// What a request's path asks for. Parsed by hand rather than by a router: names hold slashes, and every path has
/// exactly one meaning.
package enum Route: Sendable, Equatable {
    case page
    case pageStyle
    case pageScript
    case whip(StreamName)
    case whep(StreamName)
    case plainRTP(StreamName)
    case session(String)
    case node
    case members
    case streams
    case route(StreamName)
    case discovery
    case record(StreamName)
    case ping(NodeID)
    case events
    case metrics
    case health
    case readiness
    /// A path of ours whose stream name breaks a rule: 400.
    case invalidName
    case unknown

    /// `path` is the request target up to `?`.
    package init(path: String) {
        switch path {
        case "/", "/index.html": self = .page
        case "/page.css": self = .pageStyle
        case "/page.js": self = .pageScript
        case "/api/v1/node": self = .node
        case "/api/v1/members": self = .members
        case "/api/v1/streams": self = .streams
        case "/api/v1/dht": self = .discovery
        case "/api/v1/events": self = .events
        case "/metrics": self = .metrics
        case "/healthz": self = .health
        case "/readyz": self = .readiness
        default: self = Self.parameterised(path)
        }
    }

    private static func parameterised(_ path: String) -> Route {
        for (prefix, make) in named {
            guard path.hasPrefix(prefix) else { continue }
            guard let name = name(from: path.dropFirst(prefix.count)) else { return .invalidName }
            return make(name)
        }
        let ping = "/api/v1/dht/ping/"
        if path.hasPrefix(ping) {
            return NodeID(text: String(path.dropFirst(ping.count))).map { .ping($0) } ?? .unknown
        }
        let session = "/session/"
        if path.hasPrefix(session) {
            let key = String(path.dropFirst(session.count))
            return isSessionKey(key) ? .session(key) : .unknown
        }
        return .unknown
    }

    private static var named: [(prefix: String, make: @Sendable (StreamName) -> Route)] {
        [
            ("/whip/", { .whip($0) }), ("/whep/", { .whep($0) }), ("/api/v1/rtp/", { .plainRTP($0) }),
            ("/api/v1/routes/", { .route($0) }), ("/api/v1/dht/records/", { .record($0) }),
        ]
    }

    /// Decodes each segment by itself: an encoded slash belongs to a segment, where it is illegal.
    private static func name(from path: Substring) -> StreamName? {
        var segments: [String] = []
        for segment in path.split(separator: "/", omittingEmptySubsequences: false) {
            guard let decoded = PercentEncoding.decode(segment), !decoded.contains("/") else { return nil }
            segments.append(decoded)
        }
        return StreamName(segments.joined(separator: "/"))
    }

    /// 43 base64url characters that are 32 bytes.
    package static func isSessionKey(_ text: String) -> Bool {
        text.utf8.count == 43 && Base64URL.decode(text)?.count == 32
    }

    /// What `Allow` says, without the OPTIONS that every path answers; empty where nothing is served.
    package var methods: [HTTPRequest.Method] {
        switch self {
        case .whip, .whep, .plainRTP: [.post]
        case .session: [.patch, .delete]
        case .record: [.get, .head, .put, .delete]
        case .page, .pageStyle, .pageScript, .node, .members, .streams, .route, .events, .metrics, .health,
            .readiness, .discovery, .ping:
            [.get, .head]
        case .invalidName, .unknown: []
        }
    }
}

/// Percent-encoding (RFC 3986 §2.1).
package enum PercentEncoding {
    /// Nil on a truncated or foreign escape and on bytes that are not UTF-8.
    package static func decode(_ text: some StringProtocol) -> String? {
        var bytes: [UInt8] = []
        var pending = text.utf8.makeIterator()
        while let byte = pending.next() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = pending.next().flatMap(hexadecimal), let low = pending.next().flatMap(hexadecimal) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexadecimal(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// A request target split at its `?`, with the query's parameters.
package struct RequestTarget: Sendable, Equatable {
    package let path: String
    private let parameters: [(name: String, value: String)]

    /// `text` in origin form (RFC 9112 §3.2.1). Parameters that do not decode are left out.
    package init(_ text: String) {
        let parts = text.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = parts.first.map(String.init) ?? "/"
        let query = parts.count == 2 ? parts[1] : ""
        parameters = query.split(separator: "&").prefix(32).compactMap { pair in
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = sides.first.flatMap({ PercentEncoding.decode($0) }) else { return nil }
            guard sides.count == 2 else { return (name, "") }
            return PercentEncoding.decode(sides[1]).map { (name, $0) }
        }
    }

    /// The first value of `name`.
    package subscript(name: String) -> String? { parameters.first { $0.name == name }?.value }

    package static func == (a: RequestTarget, b: RequestTarget) -> Bool {
        a.path == b.path && a.parameters.elementsEqual(b.parameters) { $0 == $1 }
    }
}
