import SwarmCore

/// What a viewer gets, and what the node makes of it.
package struct ViewerAnswer: Sendable {
    package var sdp: String
    package var configuration: ViewerConfiguration
    /// Tracks of the stream for which the offer has no section left, or none with the codec.
    package var omittedTracks: [UInt8]
}

/// The answering side of WHEP (draft-ietf-wish-whep §4.2): each track of the stream takes the first free section of
/// the offer that can receive its codec.
package enum WHEPNegotiation {
    /// Random values (sources, names) come from `generator`.
    package static func answer(
        offer text: String, descriptor: StreamDescriptor, session: SessionID, stream: StreamHandle,
        local: LocalTransport, generator: inout SeededGenerator
    ) throws(NegotiationError) -> ViewerAnswer {
        let draft = try AnswerDraft(offer: text)
        let plan = try SectionPlan(draft: draft, descriptor: descriptor)
        let accepted = plan.uses.indices.filter { plan.uses[$0] != .rejected }
        let transport = try draft.transport(accepted: accepted, local: local)

        var names = NameGenerator(generator: generator)
        let streamName = names.text()
        let canonicalName = names.text()
        var tracks: [ViewerTrack] = []
        var sections: [SessionDescription.MediaSection] = []
        for (index, section) in draft.offer.media.enumerated() {
            switch plan.uses[index] {
            case .rejected: sections.append(draft.rejected(section))
            case .idle(let codec):
                sections.append(
                    draft.accepted(
                        section, direction: .inactive, codec: codec, feedback: [], extensions: [],
                        isTagged: index == accepted.first, role: transport.dtlsRole, local: local))
            case .carries(let number, let codec):
                let description = descriptor.tracks[Int(number)]
                let track = viewerTrack(number, section, codec, description, &names)
                tracks.append(track)
                var answer = draft.accepted(
                    section, direction: .sendOnly, codec: sending(codec, description.codec),
                    feedback: codec.format.feedback.subtracting(.transportWide), extensions: track.extensions,
                    isTagged: index == accepted.first, role: transport.dtlsRole, local: local)
                answer.attributes += sourceLines(track, canonicalName: canonicalName, streamName: streamName)
                sections.append(answer)
            }
        }
        generator = names.generator
        return ViewerAnswer(
            sdp: draft.answer(sections: sections, sessionID: session.raw).text,
            configuration: ViewerConfiguration(
                session: session, stream: stream, transport: transport, tracks: tracks, canonicalName: canonicalName),
            omittedTracks: plan.omittedTracks)
    }

    private static func viewerTrack(
        _ number: UInt8, _ section: SessionDescription.MediaSection, _ codec: CodecOffer,
        _ description: TrackDescription, _ names: inout NameGenerator
    ) -> ViewerTrack {
        let mid = section.mid ?? ""
        let extensions = section.headerExtensions.filter { mapping in
            mapping.header == .mid
                ? (1...SDPLimits.midBytesOnWire).contains(mid.utf8.count)
                : mapping.header.isEndToEnd && description.extensions.contains(mapping.header)
        }
        return ViewerTrack(
            track: number, kind: codec.codec.kind, clockRate: codec.codec.clockRate, codecName: codec.codec.rawValue,
            mid: mid, payloadType: codec.format.payloadType,
            retransmissionPayloadType: codec.retransmissionPayloadType, ssrc: names.source(),
            retransmissionSSRC: names.source(), extensions: extensions)
    }

    /// The viewer's own parameters, as RFC 6184 §8.2.2 asks of an answer, and what only the sender knows.
    private static func sending(_ codec: CodecOffer, _ stream: CodecDescription) -> CodecOffer {
        var answer = codec
        let sent = FormatParameters(stream.formatParameters)
        for key in ["sprop-parameter-sets", "sprop-stereo"] {
            if let value = sent[key] { answer.format.parameters[key] = value }
        }
        return answer
    }

    /// `msid` (RFC 8830) puts all tracks into one MediaStream; `ssrc` lines (RFC 5576) serve clients without mids.
    private static func sourceLines(
        _ track: ViewerTrack, canonicalName: String, streamName: String
    ) -> [SessionDescription.Attribute] {
        let msid = "\(streamName) \(streamName)-\(track.track)"
        var lines: [SessionDescription.Attribute] = [.init("msid", msid)]
        var sources = [track.ssrc]
        if track.retransmissionPayloadType != nil {
            lines.append(.init("ssrc-group", "FID \(track.ssrc) \(track.retransmissionSSRC)"))
            sources.append(track.retransmissionSSRC)
        }
        for source in sources {
            lines.append(.init("ssrc", "\(source) cname:\(canonicalName)"))
            lines.append(.init("ssrc", "\(source) msid:\(msid)"))
        }
        return lines
    }
}

/// Which section of a viewer's offer carries which track.
private struct SectionPlan {
    enum Use: Hashable {
        case rejected
        /// Nothing of its kind is left to send: accepted as inactive, so that the bundle keeps its first section.
        case idle(CodecOffer)
        case carries(track: UInt8, CodecOffer)
    }

    var uses: [Use]
    var omittedTracks: [UInt8] = []

    init(draft: AnswerDraft, descriptor: StreamDescriptor) throws(NegotiationError) {
        let offer = draft.offer
        uses = Array(repeating: .rejected, count: offer.media.count)
        var offers = [[CodecOffer]](repeating: [], count: offer.media.count)
        var sawReceiver = false
        for (index, section) in offer.media.enumerated() where draft.isUsable(section) {
            guard offer.direction(of: section).receives else { continue }
            sawReceiver = true
            offers[index] = section.codecOffers
        }
        guard sawReceiver else { throw .wrongDirection(expected: "receiving (a=recvonly)") }
        for (number, track) in descriptor.tracks.enumerated() {
            var isCarried = false
            for index in offers.indices where !isCarried && uses[index] == .rejected {
                guard let codec = CodecMatching.viewerChoice(for: track.codec, among: offers[index]) else { continue }
                uses[index] = .carries(track: UInt8(clamping: number), codec)
                isCarried = true
            }
            if !isCarried { omittedTracks.append(UInt8(clamping: number)) }
        }
        guard omittedTracks.count < descriptor.tracks.count else {
            throw .noCommonCodec(offered: offer.offeredCodecNames, wanted: Self.names(descriptor))
        }
        for index in offers.indices where uses[index] == .rejected {
            guard let codec = offers[index].first else { continue }
            // Where a track of this kind went without a section, the reason was the codec: that is a rejection.
            let isWanted = omittedTracks.contains { descriptor.tracks[Int($0)].codec.kind == codec.codec.kind }
            if !isWanted { uses[index] = .idle(codec) }
        }
    }

    private static func names(_ descriptor: StreamDescriptor) -> [String] {
        var names: [String] = []
        for track in descriptor.tracks where !names.contains(track.codec.name) { names.append(track.codec.name) }
        return names
    }
}

/// Draws names and synchronisation sources that do not repeat within a session.
struct NameGenerator {
    var generator: SeededGenerator
    private var sources: [UInt32] = []

    init(generator: SeededGenerator) { self.generator = generator }

    /// Sixteen hexadecimal digits.
    mutating func text() -> String {
        let digits = String(generator.next(), radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }

    /// Neither 0 nor drawn before.
    mutating func source() -> UInt32 {
        while true {
            let source = UInt32(truncatingIfNeeded: generator.next())
            if source != 0, !sources.contains(source) {
                sources.append(source)
                return source
            }
        }
    }
}
