import HTTPTypes
import Hummingbird

/// A file of the built-in page.
package struct PageAsset: Sendable {
    let contentType: String
    let body: ByteBuffer

    package init(contentType: String, bytes: [UInt8]) {
        self.contentType = contentType
        body = ByteBuffer(bytes: bytes)
    }

    /// Everything the page may load is this node's own; what it may talk to is this node, any node over TLS, and
    /// nodes on the same machine (a 307 leads there).
    private static var contentSecurityPolicy: String {
        [
            "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:",
            "media-src 'self' blob: mediastream:", "connect-src 'self' https: http://127.0.0.1:* http://localhost:*",
            "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
        ].joined(separator: "; ")
    }

    var response: Response {
        var headers: HTTPFields = [.contentType: contentType, .cacheControl: "no-cache"]
        headers[.contentSecurityPolicy] = Self.contentSecurityPolicy
        if let name = HTTPField.Name("Referrer-Policy") { headers[name] = "no-referrer" }
        if let name = HTTPField.Name("Permissions-Policy") {
            headers[name] = "camera=(self), microphone=(self), display-capture=(self), autoplay=(self), geolocation=()"
        }
        return Response(status: .ok, headers: headers, body: .init(byteBuffer: body))
    }
}

/// The built-in page: three files, without anything from elsewhere.
package struct PageAssets: Sendable {
    package let html: PageAsset
    package let style: PageAsset
    package let script: PageAsset

    package init(html: PageAsset, style: PageAsset, script: PageAsset) {
        self.html = html
        self.style = style
        self.script = script
    }
}
