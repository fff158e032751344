/// Why an offer got no answer. The text is one line, fit for the client's eyes.
package enum NegotiationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// HTTP 400.
    case malformed(SDPError)
    /// HTTP 400: something every WebRTC offer holds is absent or invalid.
    case missing(String)
    /// HTTP 400: a media section without `a=rtcp-mux`.
    case multiplexingRequired(mid: String)
    /// HTTP 400: several media sections outside one BUNDLE group.
    case bundleRequired
    /// HTTP 400: no section sends (publishing) or receives (playing).
    case wrongDirection(expected: String)
    /// HTTP 406: what the client offered and what would have served.
    case noCommonCodec(offered: [String], wanted: [String])
    /// HTTP 400.
    case tooManyTracks(limit: Int)
    /// HTTP 400: a codec's parameters hold other than printable ASCII, or all together do not fit a descriptor.
    case unusableParameters
    /// HTTP 400: an answer that does not fit our offer.
    case answerMismatch(String)

    package var description: String {
        switch self {
        case .malformed(let error): "bad SDP: \(error)"
        case .missing(let what): "the SDP has no valid \(what)"
        case .multiplexingRequired(let mid): "media section \(mid) lacks a=rtcp-mux, which is required"
        case .bundleRequired: "all media must share one transport: a=group:BUNDLE is required"
        case .wrongDirection(let expected): "no audio or video section is \(expected)"
        case .noCommonCodec(let offered, let wanted):
            "no common codec: offered \(Self.list(offered)), wanted \(Self.list(wanted))"
        case .tooManyTracks(let limit): "more than \(limit) audio and video sections"
        case .unusableParameters: "the a=fmtp parameters are too long in all, or not printable ASCII"
        case .answerMismatch(let what): "the answer does not fit the offer: \(what)"
        }
    }

    private static func list(_ names: [String]) -> String { names.isEmpty ? "none" : names.joined(separator: ", ") }
}

extension SessionDescription {
    /// Parses, with the error an answerer throws.
    static func offered(_ text: String) throws(NegotiationError) -> SessionDescription {
        do {
            return try SessionDescription(parsing: text)
        } catch {
            throw .malformed(error)
        }
    }

    /// Encoding names of all audio and video sections, each once, in order.
    var offeredCodecNames: [String] {
        var names: [String] = []
        for section in media where section.kind != nil {
            for format in section.payloadFormats where !SDPText.equalIgnoringCase(format.encodingName[...], "rtx") {
                if !names.contains(format.encodingName), names.count < 16 { names.append(format.encodingName) }
            }
        }
        return names
    }
}
