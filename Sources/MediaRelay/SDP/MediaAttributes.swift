import SwarmCore

/// RTCP feedback a payload type was offered with (RFC 4585, RFC 5104, transport-wide congestion control).
package struct FeedbackKinds: OptionSet, Sendable, Hashable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    package static var nack: FeedbackKinds { FeedbackKinds(rawValue: 1) }
    package static var pictureLoss: FeedbackKinds { FeedbackKinds(rawValue: 2) }
    package static var fullIntraRequest: FeedbackKinds { FeedbackKinds(rawValue: 4) }
    package static var transportWide: FeedbackKinds { FeedbackKinds(rawValue: 8) }

    /// In the order in which an answer lists them.
    static var spellings: [(kind: FeedbackKinds, text: String)] {
        [
            (.transportWide, "transport-cc"), (.fullIntraRequest, "ccm fir"), (.nack, "nack"),
            (.pictureLoss, "nack pli"),
        ]
    }
}

/// One payload type of a media section with everything the section says about it.
package struct PayloadFormat: Hashable, Sendable {
    package var payloadType: UInt8
    /// As written, e.g. `H264` or `rtx`.
    package var encodingName: String
    package var clockRate: UInt32
    /// 1 where the line does not say.
    package var channels: UInt8
    package var parameters: FormatParameters
    package var feedback: FeedbackKinds
}

/// What a media section lets flow, from its author's side.
package enum MediaDirection: String, Sendable, Hashable {
    case sendReceive = "sendrecv"
    case sendOnly = "sendonly"
    case receiveOnly = "recvonly"
    case inactive = "inactive"

    package var sends: Bool { self == .sendReceive || self == .sendOnly }
    package var receives: Bool { self == .sendReceive || self == .receiveOnly }
}

extension SessionDescription.MediaSection {
    package var kind: MediaKind? {
        switch media {
        case "audio": .audio
        case "video": .video
        default: nil
        }
    }

    package func first(_ name: String) -> String? { attributes.first { $0.name == name }?.value }
    package func has(_ name: String) -> Bool { attributes.contains { $0.name == name } }

    /// The section's identification tag (RFC 5888); nil when it has none or breaks the rules.
    package var mid: String? {
        first("mid").flatMap { SDPText.isToken($0[...], limit: SDPLimits.midBytes) ? $0 : nil }
    }

    package var direction: MediaDirection? {
        for attribute in attributes {
            if let direction = MediaDirection(rawValue: attribute.name) { return direction }
        }
        return nil
    }

    /// The numbered formats with a usable `rtpmap`, in the section's order of preference. Types 64–95 are left out:
    /// with RTCP on the same port they cannot be told from it (RFC 5761 §4).
    package var payloadFormats: [PayloadFormat] {
        var found = [PayloadFormat?](repeating: nil, count: 128)
        for attribute in attributes where attribute.name == "rtpmap" {
            guard let (type, rest) = Self.payloadType(attribute.value), found[Int(type)] == nil else { continue }
            found[Int(type)] = Self.format(type, rest)
        }
        for attribute in attributes where attribute.name == "fmtp" {
            guard let (type, rest) = Self.payloadType(attribute.value) else { continue }
            guard rest.utf8.count <= SDPLimits.formatParametersBytes else {
                found[Int(type)] = nil
                continue
            }
            found[Int(type)]?.parameters = FormatParameters(rest)
        }
        for attribute in attributes where attribute.name == "rtcp-fb" {
            guard let (type, rest) = SDPText.halves(attribute.value[...], at: UInt8(ascii: " ")) else { continue }
            let text = SDPText.trimmed(rest)
            guard let kind = FeedbackKinds.spellings.first(where: { $0.text == text })?.kind else { continue }
            if type == "*" {
                for index in found.indices { found[index]?.feedback.insert(kind) }
            } else if let number = UInt8(type), number < 128 {
                found[Int(number)]?.feedback.insert(kind)
            }
        }
        var taken: [PayloadFormat] = []
        for type in formats.compactMap({ UInt8($0) }) where type < 128 {
            // Each type once, however often the line repeats it.
            if let format = found[Int(type)] { taken.append(format) }
            found[Int(type)] = nil
        }
        return taken
    }

    private static func payloadType(_ value: String) -> (UInt8, Substring)? {
        guard let (type, rest) = SDPText.halves(value[...], at: UInt8(ascii: " ")), let number = UInt8(type),
            number < 128, !(64...95).contains(number)
        else { return nil }
        return (number, rest)
    }

    private static func format(_ type: UInt8, _ rest: Substring) -> PayloadFormat? {
        let parts = SDPText.fields(SDPText.trimmed(rest), separator: UInt8(ascii: "/"))
        guard parts.count >= 2, SDPText.isToken(parts[0], limit: 32), let rate = UInt32(parts[1]),
            (1...1_000_000).contains(rate)
        else { return nil }
        let channels = parts.count > 2 ? UInt8(parts[2]) ?? 1 : 1
        return PayloadFormat(
            payloadType: type, encodingName: String(parts[0]), clockRate: rate, channels: channels,
            parameters: FormatParameters(""), feedback: [])
    }

    /// The extensions of the section that the swarm knows (RFC 8285 §5), lowest id first, each header once.
    package var headerExtensions: [ExtensionMapping] {
        var mappings: [ExtensionMapping] = []
        for attribute in attributes where attribute.name == "extmap" {
            let fields = SDPText.fields(attribute.value[...])
            guard fields.count >= 2, let head = SDPText.fields(fields[0], separator: UInt8(ascii: "/")).first,
                let id = UInt8(head), (1...14).contains(id),
                let header = HeaderExtension.allCases.first(where: { $0.uri == fields[1] }),
                !mappings.contains(where: { $0.id == id || $0.header == header })
            else { continue }
            mappings.append(ExtensionMapping(id: id, header: header))
        }
        return mappings.sorted { $0.id < $1.id }
    }
}

/// The synchronisation sources a section announces (RFC 5576): the first media source and its retransmissions.
package struct AnnouncedSources: Hashable, Sendable {
    package var media: UInt32?
    package var retransmission: UInt32?

    package init(media: UInt32? = nil, retransmission: UInt32? = nil) {
        self.media = media
        self.retransmission = retransmission
    }
}

extension SessionDescription.MediaSection {
    package var announcedSources: AnnouncedSources {
        var sources = AnnouncedSources()
        for attribute in attributes where attribute.name == "ssrc-group" {
            let fields = SDPText.fields(attribute.value[...])
            guard fields.count >= 3, fields[0] == "FID" else { continue }
            if let media = UInt32(fields[1]), let repair = UInt32(fields[2]), media != repair {
                return AnnouncedSources(media: media, retransmission: repair)
            }
        }
        for attribute in attributes where attribute.name == "ssrc" && sources.media == nil {
            sources.media = SDPText.fields(attribute.value[...]).first.flatMap { UInt32($0) }
        }
        return sources
    }
}
