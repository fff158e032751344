import SwarmCore

/// What a publisher gets, and what the node makes of it.
package struct PublisherAnswer: Sendable {
    package var sdp: String
    package var configuration: PublisherConfiguration
    package var descriptor: StreamDescriptor
}

/// The answering side of WHIP (RFC 9725 §4.2): every sending audio or video section with a codec of ours is accepted
/// and becomes a track, in the order of the offer.
package enum WHIPNegotiation {
    /// Extensions a publisher may send us. Rids are missing while a track has one encoding: an answer without
    /// `a=simulcast` makes the publisher send its first.
    private static var extensions: [HeaderExtension] {
        [.mid, .audioLevel, .transportSequence, .videoOrientation, .playoutDelay, .absoluteCaptureTime]
    }

    /// `epoch`: wall milliseconds of this publication's start.
    package static func answer(
        offer text: String, session: SessionID, stream: StreamHandle, epoch: UInt64, local: LocalTransport
    ) throws(NegotiationError) -> PublisherAnswer {
        let draft = try AnswerDraft(offer: text)
        let offer = draft.offer
        var choices = [CodecOffer?](repeating: nil, count: offer.media.count)
        var sawSender = false
        for (index, section) in offer.media.enumerated() {
            guard draft.isUsable(section), offer.direction(of: section).sends else { continue }
            sawSender = true
            choices[index] = CodecMatching.publisherChoice(among: section.codecOffers)
        }
        guard sawSender else { throw .wrongDirection(expected: "sending (a=sendonly)") }
        let accepted = choices.indices.filter { choices[$0] != nil }
        guard !accepted.isEmpty else {
            throw .noCommonCodec(offered: offer.offeredCodecNames, wanted: KnownCodec.allCases.map(\.rawValue))
        }
        let transport = try draft.transport(accepted: accepted, local: local)

        var sections: [SessionDescription.MediaSection] = []
        var tracks: [PublisherTrack] = []
        var descriptions: [TrackDescription] = []
        for (index, section) in offer.media.enumerated() {
            guard let choice = choices[index] else {
                sections.append(draft.rejected(section))
                continue
            }
            let offered = negotiatedExtensions(section, choice)
            let track = publisherTrack(UInt8(tracks.count), section, choice, offered)
            tracks.append(track)
            descriptions.append(
                TrackDescription(
                    codec: choice.codec.description(parameters: choice.format.parameters),
                    encodings: [EncodingDescription(rid: "")],
                    extensions: offered.map(\.header).filter(\.isEndToEnd).sorted { $0.rawValue < $1.rawValue }))
            sections.append(
                draft.accepted(
                    section, direction: .receiveOnly, codec: receiving(choice),
                    feedback: choice.format.feedback, extensions: offered, isTagged: index == accepted.first,
                    role: transport.dtlsRole, local: local))
        }
        let descriptor = StreamDescriptor(epoch: epoch, version: 1, tracks: descriptions)
        guard descriptor.encode() != nil else { throw .unusableParameters }
        return PublisherAnswer(
            sdp: draft.answer(sections: sections, sessionID: session.raw).text,
            configuration: PublisherConfiguration(
                session: session, stream: stream, transport: transport, tracks: tracks),
            descriptor: descriptor)
    }

    /// AV1 alone also gets the dependency descriptor: its payload does not name key frames as plainly as the others'.
    private static func negotiatedExtensions(
        _ section: SessionDescription.MediaSection, _ choice: CodecOffer
    ) -> [ExtensionMapping] {
        section.headerExtensions.filter { mapping in
            switch mapping.header {
            case .transportSequence: choice.format.feedback.contains(.transportWide)
            case .dependencyDescriptor: choice.codec == .av1
            default: extensions.contains(mapping.header)
            }
        }
    }

    /// Our answer's parameters say what we like to receive: for Opus, stereo if that is what the publisher has.
    private static func receiving(_ choice: CodecOffer) -> CodecOffer {
        var answer = choice
        if choice.codec == .opus, choice.format.parameters["sprop-stereo"] == "1" {
            answer.format.parameters["stereo"] = "1"
        }
        return answer
    }

    private static func publisherTrack(
        _ number: UInt8, _ section: SessionDescription.MediaSection, _ choice: CodecOffer,
        _ extensions: [ExtensionMapping]
    ) -> PublisherTrack {
        let sources = section.announcedSources
        return PublisherTrack(
            track: number, kind: choice.codec.kind, clockRate: choice.codec.clockRate,
            codecName: choice.codec.rawValue, mid: section.mid ?? "", payloadType: choice.format.payloadType,
            retransmissionPayloadType: choice.retransmissionPayloadType, ssrc: sources.media,
            retransmissionSSRC: sources.retransmission, extensions: extensions,
            supportsNACK: choice.format.feedback.contains(.nack),
            supportsPLI: choice.format.feedback.contains(.pictureLoss),
            supportsTransportFeedback: extensions.contains { $0.header == .transportSequence })
    }
}
