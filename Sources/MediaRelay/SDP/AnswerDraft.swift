import SwarmCore

/// Our end of a session's transport, as it is written into an answer.
package struct LocalTransport: Sendable {
    package var credentials: ICECredentials
    /// SHA-256 of the node's certificate.
    package var fingerprint: Bytes32
    /// The worker's addresses, best first: FFmpeg uses the first and no other.
    package var candidates: [NetworkAddress]

    package init(credentials: ICECredentials, fingerprint: Bytes32, candidates: [NetworkAddress]) {
        self.credentials = credentials
        self.fingerprint = fingerprint
        self.candidates = candidates
    }
}

/// What an answerer has read of an offer's transport, and the parts of an answer both kinds of session share.
///
/// Rules kept: JSEP (RFC 8829 §5.3.1), BUNDLE (RFC 8843 §7.3), ICE-lite (RFC 8839 §5.3), DTLS roles (RFC 8842 §5.3).
struct AnswerDraft {
    let offer: SessionDescription
    private let bundled: [String]?

    init(offer: String) throws(NegotiationError) {
        self.offer = try SessionDescription.offered(offer)
        bundled = self.offer.bundleGroup
        let mediaCount = self.offer.media.count { $0.kind != nil }
        guard mediaCount <= SDPLimits.tracks else { throw .tooManyTracks(limit: SDPLimits.tracks) }
    }

    /// Whether the section may carry media: audio or video over DTLS-SRTP, in the bundle if there is one. A port of
    /// 0 is a rejection unless the section is bundle-only.
    func isUsable(_ section: SessionDescription.MediaSection) -> Bool {
        guard section.kind != nil, Self.protocols.contains(section.transportProtocol) else { return false }
        guard section.port != 0 || section.has("bundle-only") else { return false }
        guard let bundled else { return true }
        return section.mid.map { bundled.contains($0) } ?? false
    }

    private static var protocols: [String] {
        ["UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF", "TCP/TLS/RTP/SAVPF"]
    }

    /// The transport of the first of `accepted` (indices of sections), which every other shares.
    func transport(accepted: [Int], local: LocalTransport) throws(NegotiationError) -> TransportConfiguration {
        guard let tagged = accepted.first else { throw .missing("audio or video section") }
        if accepted.count > 1, bundled == nil { throw .bundleRequired }
        for index in accepted where !offer.media[index].has("rtcp-mux") {
            throw .multiplexingRequired(mid: offer.media[index].mid ?? "\(index)")
        }
        let section = offer.media[tagged]
        guard let remote = offer.iceCredentials(for: section) else { throw .missing("a=ice-ufrag and a=ice-pwd") }
        guard let fingerprint = offer.fingerprint(for: section) else { throw .missing("a=fingerprint:sha-256") }
        // Without a=setup the offerer is taken for actpass, as RFC 8842 §5.1 asks every offerer to say.
        let role: DTLSRole = offer.setupRole(for: section) == .passive ? .client : .server
        return TransportConfiguration(
            iceRole: .lite, local: local.credentials, remote: remote, remoteFingerprint: fingerprint, dtlsRole: role)
    }

    /// The answer's frame; `sections` are in the order of the offer, rejected ones with port 0.
    func answer(
        sections: [SessionDescription.MediaSection], sessionID: UInt64
    ) -> SessionDescription {
        let accepted = sections.filter { $0.port != 0 }.compactMap { $0.first("mid") }
        var attributes: [SessionDescription.Attribute] = [.init("ice-lite")]
        if bundled != nil { attributes.append(.init("group", (["BUNDLE"] + accepted).joined(separator: " "))) }
        if offer.attributes.contains(where: { $0.name == "extmap-allow-mixed" }) {
            attributes.append(.init("extmap-allow-mixed"))
        }
        attributes.append(.init("msid-semantic", "WMS *"))
        return SessionDescription(
            origin: "mafalda \(sessionID >> 1) 1 IN IP4 0.0.0.0", attributes: attributes, media: sections)
    }

    func rejected(_ section: SessionDescription.MediaSection) -> SessionDescription.MediaSection {
        var answer = SessionDescription.MediaSection(
            media: section.media, port: 0, transportProtocol: section.transportProtocol,
            formats: Array(section.formats.prefix(1)))
        if let mid = section.mid { answer.attributes.append(.init("mid", mid)) }
        return answer
    }

    /// An accepted section with its transport lines; candidates only in the first (`isTagged`).
    func accepted(
        _ section: SessionDescription.MediaSection, direction: MediaDirection, codec: CodecOffer,
        feedback: FeedbackKinds, extensions: [ExtensionMapping], isTagged: Bool, role: DTLSRole, local: LocalTransport
    ) -> SessionDescription.MediaSection {
        let first = local.candidates.first ?? .unspecified
        var answer = SessionDescription.MediaSection(
            media: section.media, port: first.port == 0 ? 9 : first.port,
            transportProtocol: section.transportProtocol,
            formats: [codec.format.payloadType, codec.retransmissionPayloadType].compactMap { $0.map(String.init) },
            connection: first.isUnspecified ? "0.0.0.0" : first.host)
        if let mid = section.mid { answer.attributes.append(.init("mid", mid)) }
        answer.attributes += [
            .init("ice-ufrag", local.credentials.usernameFragment), .init("ice-pwd", local.credentials.password),
            .init("fingerprint", Fingerprint.format(local.fingerprint)),
            .init("setup", (role == .server ? SetupRole.passive : .active).rawValue),
            .init(direction.rawValue), .init("rtcp-mux"),
        ]
        if section.has("rtcp-rsize") { answer.attributes.append(.init("rtcp-rsize")) }
        answer.attributes += extensions.map { .init("extmap", "\($0.id) \($0.header.uri)") }
        answer.attributes += CodecLines.attributes(
            codec.codec, payloadType: codec.format.payloadType, retransmission: codec.retransmissionPayloadType,
            parameters: codec.format.parameters, feedback: feedback)
        if isTagged { answer.attributes += CandidateLines.attributes(local.candidates) }
        return answer
    }
}

/// `rtpmap`, `fmtp` and `rtcp-fb` of one codec and its retransmissions.
enum CodecLines {
    static func attributes(
        _ codec: KnownCodec, payloadType: UInt8, retransmission: UInt8?, parameters: FormatParameters,
        feedback: FeedbackKinds
    ) -> [SessionDescription.Attribute] {
        let channels = codec.channels > 1 ? "/\(codec.channels)" : ""
        var lines: [SessionDescription.Attribute] = [
            .init("rtpmap", "\(payloadType) \(codec.rawValue)/\(codec.clockRate)\(channels)")
        ]
        for (kind, text) in FeedbackKinds.spellings where feedback.contains(kind) {
            lines.append(.init("rtcp-fb", "\(payloadType) \(text)"))
        }
        if !parameters.text.isEmpty { lines.append(.init("fmtp", "\(payloadType) \(parameters.text)")) }
        if let retransmission {
            lines.append(.init("rtpmap", "\(retransmission) rtx/\(codec.clockRate)"))
            lines.append(.init("fmtp", "\(retransmission) apt=\(payloadType)"))
        }
        return lines
    }
}

enum CandidateLines {
    /// All of them, and the statement that there are no others (RFC 8840 §8.2).
    static func attributes(_ addresses: [NetworkAddress]) -> [SessionDescription.Attribute] {
        var lines: [SessionDescription.Attribute] = []
        for (index, address) in addresses.prefix(SDPLimits.candidates).enumerated() {
            lines.append(.init("candidate", ICEText.hostCandidate(address, index: index)))
        }
        return lines + [.init("end-of-candidates")]
    }
}
