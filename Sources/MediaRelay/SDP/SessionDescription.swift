/// A session description (RFC 8866) as lines: what offers, answers and SDP files share. Typed views of the attributes
/// are extensions in the files beside this one.
///
/// Parsing is bounded by `SDPLimits` and refuses control characters, so that no value of one client can start a new
/// line in what is written to another.
package struct SessionDescription: Hashable, Sendable {
    /// An `a=` line: `name` or `name:value`.
    package struct Attribute: Hashable, Sendable {
        package var name: String
        /// Empty for a flag.
        package var value: String

        package init(_ name: String, _ value: String = "") {
            self.name = name
            self.value = value
        }
    }

    /// An `m=` line and what belongs to it.
    package struct MediaSection: Hashable, Sendable {
        /// `audio`, `video`, `application`, …
        package var media: String
        /// 0: rejected, or inactive in a bundle-only offer (RFC 8843).
        package var port: UInt16
        /// `UDP/TLS/RTP/SAVPF`, `RTP/AVP`, …
        package var transportProtocol: String
        /// Payload types, as written.
        package var formats: [String]
        /// The address of `c=IN IP4 address`, if the section has its own.
        package var connection: String?
        package var attributes: [Attribute]

        package init(
            media: String, port: UInt16, transportProtocol: String, formats: [String], connection: String? = nil,
            attributes: [Attribute] = []
        ) {
            self.media = media
            self.port = port
            self.transportProtocol = transportProtocol
            self.formats = formats
            self.connection = connection
            self.attributes = attributes
        }
    }

    /// The text of `o=` after the equals sign.
    package var origin: String
    package var name: String
    package var connection: String?
    package var attributes: [Attribute]
    package var media: [MediaSection]

    package init(
        origin: String, name: String = "-", connection: String? = nil, attributes: [Attribute] = [],
        media: [MediaSection] = []
    ) {
        self.origin = origin
        self.name = name
        self.connection = connection
        self.attributes = attributes
        self.media = media
    }

    package init(parsing text: String) throws(SDPError) {
        var parser = SDPParser()
        self = try parser.parse(text)
    }

    /// The description with CRLF line ends.
    package var text: String {
        var lines = ["v=0", "o=\(origin)", "s=\(name)"]
        if let connection { lines.append(Self.connectionLine(connection)) }
        lines.append("t=0 0")
        lines += attributes.map(\.line)
        for section in media { lines += section.lines }
        return lines.map { $0 + "\r\n" }.joined()
    }

    fileprivate static func connectionLine(_ address: String) -> String {
        "c=IN \(address.utf8.contains(UInt8(ascii: ":")) ? "IP6" : "IP4") \(address)"
    }
}

extension SessionDescription.Attribute {
    package var line: String { value.isEmpty ? "a=\(name)" : "a=\(name):\(value)" }
}

extension SessionDescription.MediaSection {
    /// The `m=` line and the section's own lines.
    package var lines: [String] {
        var lines = ["m=\(media) \(port) \(transportProtocol) \(formats.joined(separator: " "))"]
        if let connection { lines.append(SessionDescription.connectionLine(connection)) }
        return lines + attributes.map(\.line)
    }
}

/// Why a text is no session description, and where.
package struct SDPError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Reason: String, Sendable, CaseIterable {
        case tooLong = "the text is longer than 64 KiB"
        case empty = "the text is empty"
        case lineTooLong = "the line is longer than 2048 bytes"
        case controlCharacter = "the line holds a control character"
        case notALine = "a line has the form letter=value"
        case versionExpected = "v=0 must come first"
        case badOrigin = "o= needs six fields"
        case badConnection = "c= needs IN, IP4 or IP6, and an address"
        case badMedia = "m= needs a kind, a port, a protocol and formats"
        case tooManyMediaSections = "more than 32 media sections"
        case tooManyFormats = "more than 64 formats in one media section"
        case tooManyAttributes = "more than 1024 attributes in one section"
        case badAttribute = "a= needs a name"
    }

    /// Counted from 1; 0 for the whole text.
    package var line: Int
    package var reason: Reason

    package init(line: Int, reason: Reason) {
        self.line = line
        self.reason = reason
    }

    package var description: String { line == 0 ? reason.rawValue : "line \(line): \(reason.rawValue)" }
}
