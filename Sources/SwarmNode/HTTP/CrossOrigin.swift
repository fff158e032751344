import HTTPTypes
import Hummingbird

/// Cross-origin resource sharing (WHATWG Fetch §3.2).
enum CrossOrigin {
    static func allow(_ headers: inout HTTPFields) {
        headers[.accessControlAllowOrigin] = "*"
        headers[.accessControlExposeHeaders] = "Location, Link, ETag, Retry-After, WWW-Authenticate"
    }

    /// The answer to OPTIONS, asked by a browser or by a client that wants to know what is taken (RFC 9725 §4.2).
    static func preflight(_ route: Route) -> Response {
        let methods = (route.methods + [.options]).map(\.rawValue).joined(separator: ", ")
        var headers: HTTPFields = [.allow: methods, .accessControlAllowMethods: methods]
        headers[.accessControlAllowHeaders] = "Authorization, Content-Type, If-Match, If-None-Match, Last-Event-ID"
        headers[.accessControlMaxAge] = "86400"
        switch route {
        case .whip, .whep, .plainRTP: headers[.acceptPost] = SessionEndpoints.sdpType
        case .session: headers[.acceptPatch] = SessionEndpoints.fragmentType
        default: break
        }
        return Response(status: .ok, headers: headers)
    }
}

extension HTTPField.Name {
    static let acceptPost = named("Accept-Post")
    static let acceptPatch = named("Accept-Patch")
    static let link = named("Link")

    /// For literals that are tokens (RFC 9110 §5.6.2).
    private static func named(_ text: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(text) else { preconditionFailure("\(text) is not a header name") }
        return name
    }
}
