/// The codecs the swarm carries.
package enum KnownCodec: String, CaseIterable, Sendable, Hashable {
    case opus
    case vp8 = "VP8"
    case h264 = "H264"
    case vp9 = "VP9"
    case av1 = "AV1"

    /// By the name of an `rtpmap` line, which has no case.
    package init?(name: String) {
        guard let codec = KnownCodec.allCases.first(where: { SDPText.equalIgnoringCase(name[...], $0.rawValue) })
        else { return nil }
        self = codec
    }

    package var kind: MediaKind { self == .opus ? .audio : .video }
    package var clockRate: UInt32 { self == .opus ? 48_000 : 90_000 }
    package var channels: UInt8 { self == .opus ? 2 : 1 }

    package func description(parameters: FormatParameters = FormatParameters("")) -> CodecDescription {
        CodecDescription(
            kind: kind, name: rawValue, clockRate: clockRate, channels: channels, formatParameters: parameters.text)
    }
}

/// A payload type we understand, with the payload type of its retransmissions.
package struct CodecOffer: Hashable, Sendable {
    package var codec: KnownCodec
    package var format: PayloadFormat
    package var retransmissionPayloadType: UInt8?
}

extension SessionDescription.MediaSection {
    /// The section's payload types that name a codec of ours, in its order of preference.
    package var codecOffers: [CodecOffer] {
        let formats = payloadFormats
        let repairs = formats.filter { SDPText.equalIgnoringCase($0.encodingName[...], "rtx") }
            .map { (format: $0, repaired: $0.parameters.integer("apt", default: -1)) }
        return formats.compactMap { format in
            guard let codec = KnownCodec(name: format.encodingName), codec.kind == kind,
                codec.clockRate == format.clockRate, codec != .opus || format.channels == 2
            else { return nil }
            let repair = repairs.first {
                $0.repaired == Int(format.payloadType) && $0.format.clockRate == format.clockRate
            }
            return CodecOffer(codec: codec, format: format, retransmissionPayloadType: repair?.format.payloadType)
        }
    }
}

/// Which of a client's payload types can carry a given stream.
package enum CodecMatching {
    /// What a publisher sends us: its first codec that we know. For H264 a payload type of the same section with
    /// packetization mode 1 comes before one without, since mode 0 limits every NAL unit to one packet.
    package static func publisherChoice(among offers: [CodecOffer]) -> CodecOffer? {
        guard let first = offers.first else { return nil }
        guard first.codec == .h264, packetizationMode(first.format.parameters) != 1 else { return first }
        return offers.first { $0.codec == .h264 && packetizationMode($0.format.parameters) == 1 } ?? first
    }

    /// The viewer's payload type that suits `stream` best, nil when none does.
    package static func viewerChoice(for stream: CodecDescription, among offers: [CodecOffer]) -> CodecOffer? {
        guard let codec = KnownCodec(name: stream.name) else { return nil }
        let parameters = FormatParameters(stream.formatParameters)
        var best: (offer: CodecOffer, rank: Int)?
        for offer in offers where offer.codec == codec {
            guard let rank = rank(codec, sent: parameters, received: offer.format.parameters) else { continue }
            if best.map({ rank < $0.rank }) ?? true { best = (offer, rank) }
        }
        return best?.offer
    }

    /// 0 is a perfect match, higher is worse, nil is none.
    private static func rank(_ codec: KnownCodec, sent: FormatParameters, received: FormatParameters) -> Int? {
        switch codec {
        case .opus, .vp8: return 0
        case .vp9: return sameNumber("profile-id", sent, received) ? 0 : nil
        case .av1: return sameNumber("profile", sent, received) ? 0 : nil
        case .h264:
            let sentMode = packetizationMode(sent)
            let receivedMode = packetizationMode(received)
            guard sentMode <= receivedMode, receivedMode <= 1 else { return nil }
            let sentProfile = H264Profile(sent)
            let receivedProfile = H264Profile(received)
            return profileRank(sentProfile, receivedProfile) * 2 + (sentMode == receivedMode ? 0 : 1)
        }
    }

    private static func sameNumber(_ key: String, _ first: FormatParameters, _ second: FormatParameters) -> Bool {
        first.integer(key, default: 0) == second.integer(key, default: 0)
    }

    package static func packetizationMode(_ parameters: FormatParameters) -> Int {
        parameters.integer("packetization-mode", default: 0)
    }

    /// Equal profiles first, then the smallest profile that contains the sent one, then any: RFC 6184 §8.2.2 would
    /// refuse the last, but encoders understate (OBS and FFmpeg offer baseline whatever they send) and every decoder
    /// behind WebRTC plays all three. Levels are not compared: `level-asymmetry-allowed` is universal.
    private static func profileRank(_ sent: H264Profile, _ received: H264Profile) -> Int {
        let distance = received.rawValue - sent.rawValue
        return distance >= 0 ? distance : 8 - distance
    }
}

/// The profiles of RFC 6184 table 5 that occur, each contained in the next (baseline's extra tools are unused).
package enum H264Profile: Int, Sendable {
    case constrainedBaseline
    case baseline
    case main
    case high

    /// By `profile-level-id`; its absence means baseline (RFC 6184 §8.1).
    package init(_ parameters: FormatParameters) {
        guard let text = parameters["profile-level-id"], text.utf8.count == 6, let value = UInt32(text, radix: 16)
        else {
            self = .baseline
            return
        }
        let constraint1 = value >> 8 & 0x40 != 0
        switch value >> 16 {
        case 0x42: self = constraint1 ? .constrainedBaseline : .baseline
        case 0x4d: self = value >> 8 & 0x80 != 0 ? .constrainedBaseline : .main
        case 0x58: self = .baseline
        default: self = .high
        }
    }
}
