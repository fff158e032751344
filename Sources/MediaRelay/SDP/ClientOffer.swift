import SwarmCore

/// The offering side, for the headless publisher and player: a full ICE agent that lets the node choose the codec and
/// offers to be DTLS client or server.
package struct ClientOffer: Sendable {
    package enum Purpose: Sendable, Hashable {
        /// One sending section for each codec.
        case publishing([CodecDescription])
        /// One receiving section for each kind, with every codec of that kind.
        case playing([MediaKind])
    }

    /// The session as the answer has settled it. A publisher sends `sent`, a player receives `received`; track
    /// numbers are the indices of the offer's sections.
    package struct Session: Sendable {
        package var transport: TransportConfiguration
        package var sent: [ViewerTrack]
        package var received: [PublisherTrack]
        package var canonicalName: String

        package init(
            transport: TransportConfiguration, sent: [ViewerTrack], received: [PublisherTrack], canonicalName: String
        ) {
            self.transport = transport
            self.sent = sent
            self.received = received
            self.canonicalName = canonicalName
        }
    }

    package let sdp: String
    private let purpose: Purpose
    private let credentials: ICECredentials
    private let sections: [SessionDescription.MediaSection]
    private let sources: [AnnouncedSources]
    private let canonicalName: String

    package init(
        purpose: Purpose, credentials: ICECredentials, fingerprint: Bytes32, generator: inout SeededGenerator
    ) {
        var names = NameGenerator(generator: generator)
        let canonicalName = names.text()
        var sections: [SessionDescription.MediaSection] = []
        var sources: [AnnouncedSources] = []
        switch purpose {
        case .publishing(let codecs):
            for codec in codecs {
                let announced = AnnouncedSources(media: names.source(), retransmission: names.source())
                sources.append(announced)
                sections.append(
                    Self.sendingSection(sections.count, codec, announced, canonicalName, credentials, fingerprint))
            }
        case .playing(let kinds):
            for kind in kinds {
                sections.append(Self.receivingSection(sections.count, kind, credentials, fingerprint))
            }
        }
        let mids = sections.compactMap(\.mid)
        let description = SessionDescription(
            origin: "mafalda \(names.generator.next() >> 1) 1 IN IP4 0.0.0.0",
            attributes: [
                .init("group", (["BUNDLE"] + mids).joined(separator: " ")), .init("extmap-allow-mixed"),
                .init("msid-semantic", "WMS *"),
            ], media: sections)
        generator = names.generator
        self.purpose = purpose
        self.credentials = credentials
        self.sections = sections
        self.sources = sources
        self.canonicalName = canonicalName
        sdp = description.text
    }

    /// Reads the node's answer.
    package func apply(answer text: String) throws(NegotiationError) -> Session {
        let answer = try SessionDescription.offered(text)
        guard answer.media.count == sections.count else {
            throw .answerMismatch("\(answer.media.count) sections for \(sections.count)")
        }
        let accepted = answer.media.indices.filter { answer.media[$0].port != 0 && answer.media[$0].kind != nil }
        guard let tagged = accepted.first else { throw .answerMismatch("every section is rejected") }
        let section = answer.media[tagged]
        guard let remote = answer.iceCredentials(for: section) else { throw .missing("a=ice-ufrag and a=ice-pwd") }
        guard let fingerprint = answer.fingerprint(for: section) else { throw .missing("a=fingerprint:sha-256") }
        var candidates: [NetworkAddress] = []
        for media in answer.media {
            for attribute in media.attributes where attribute.name == "candidate" {
                guard candidates.count < SDPLimits.candidates,
                    let address = ICEText.address(ofCandidate: attribute.value), !candidates.contains(address)
                else { continue }
                candidates.append(address)
            }
        }
        guard !candidates.isEmpty else { throw .missing("UDP candidate") }
        // Our offer says actpass; a passive (or silent) answerer makes us the DTLS client (RFC 8842 §5.2).
        let role: DTLSRole = answer.setupRole(for: section) == .active ? .server : .client
        var session = Session(
            transport: TransportConfiguration(
                iceRole: .controlling, local: credentials, remote: remote, remoteFingerprint: fingerprint,
                dtlsRole: role, remoteCandidates: candidates),
            sent: [], received: [], canonicalName: canonicalName)
        for index in accepted { take(answer.media[index], index, answer.direction(of: answer.media[index]), &session) }
        guard !session.sent.isEmpty || !session.received.isEmpty else {
            throw .answerMismatch("no section carries media")
        }
        return session
    }

    private func take(
        _ section: SessionDescription.MediaSection, _ index: Int, _ direction: MediaDirection,
        _ session: inout Session
    ) {
        guard let choice = section.codecOffers.first else { return }
        let mid = section.mid ?? ""
        switch purpose {
        case .publishing where direction.receives:
            guard let ssrc = sources[index].media, let repair = sources[index].retransmission else { return }
            session.sent.append(
                ViewerTrack(
                    track: UInt8(clamping: index), kind: choice.codec.kind, clockRate: choice.codec.clockRate,
                    codecName: choice.codec.rawValue, mid: mid, payloadType: choice.format.payloadType,
                    retransmissionPayloadType: choice.retransmissionPayloadType, ssrc: ssrc,
                    retransmissionSSRC: repair, extensions: section.headerExtensions))
        case .playing where direction.sends:
            let announced = section.announcedSources
            session.received.append(
                PublisherTrack(
                    track: UInt8(clamping: index), kind: choice.codec.kind, clockRate: choice.codec.clockRate,
                    codecName: choice.codec.rawValue, mid: mid, payloadType: choice.format.payloadType,
                    retransmissionPayloadType: choice.retransmissionPayloadType, ssrc: announced.media,
                    retransmissionSSRC: announced.retransmission, extensions: section.headerExtensions,
                    supportsNACK: choice.format.feedback.contains(.nack),
                    supportsPLI: choice.format.feedback.contains(.pictureLoss), supportsTransportFeedback: false))
        default: break
        }
    }
}

extension ClientOffer {
    private static func section(
        _ index: Int, _ kind: MediaKind, _ direction: MediaDirection, _ formats: [UInt8],
        _ credentials: ICECredentials, _ fingerprint: Bytes32
    ) -> SessionDescription.MediaSection {
        SessionDescription.MediaSection(
            media: kind == .audio ? "audio" : "video", port: 9, transportProtocol: "UDP/TLS/RTP/SAVPF",
            formats: formats.map(String.init), connection: "0.0.0.0",
            attributes: [
                .init("mid", String(index)), .init("ice-ufrag", credentials.usernameFragment),
                .init("ice-pwd", credentials.password), .init("fingerprint", Fingerprint.format(fingerprint)),
                .init("setup", SetupRole.either.rawValue), .init(direction.rawValue), .init("rtcp-mux"),
                .init("rtcp-rsize"), .init("extmap", "1 \(HeaderExtension.mid.uri)"),
            ])
    }

    private static func sendingSection(
        _ index: Int, _ description: CodecDescription, _ sources: AnnouncedSources, _ canonicalName: String,
        _ credentials: ICECredentials, _ fingerprint: Bytes32
    ) -> SessionDescription.MediaSection {
        let codec = KnownCodec(name: description.name) ?? .opus
        let isVideo = codec.kind == .video
        let formats: [UInt8] = isVideo ? [96, 97] : [111]
        var section = section(index, codec.kind, .sendOnly, formats, credentials, fingerprint)
        section.attributes += CodecLines.attributes(
            codec, payloadType: formats[0], retransmission: isVideo ? formats[1] : nil,
            parameters: FormatParameters(description.formatParameters),
            feedback: isVideo ? [.nack, .pictureLoss, .fullIntraRequest] : [])
        guard let media = sources.media, let repair = sources.retransmission else { return section }
        section.attributes.append(.init("msid", "\(canonicalName) \(canonicalName)-\(index)"))
        if isVideo { section.attributes.append(.init("ssrc-group", "FID \(media) \(repair)")) }
        for source in isVideo ? [media, repair] : [media] {
            section.attributes.append(.init("ssrc", "\(source) cname:\(canonicalName)"))
        }
        return section
    }

    /// Every codec of the kind; H264 in the three profiles that streams come in.
    private static func receivingSection(
        _ index: Int, _ kind: MediaKind, _ credentials: ICECredentials, _ fingerprint: Bytes32
    ) -> SessionDescription.MediaSection {
        var codecs: [(KnownCodec, String)] = [(.opus, "minptime=10;useinbandfec=1;stereo=1")]
        if kind == .video {
            let profiles = ["42e01f", "4d001f", "64001f"]
            let common = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id="
            codecs = [(.vp8, "")] + profiles.map { (.h264, common + $0) }
            codecs += [(.vp9, "profile-id=0"), (.av1, "")]
        }
        let types = codecs.indices.map { UInt8(96 + 2 * $0) }
        var section = section(
            index, kind, .receiveOnly, kind == .video ? types.flatMap { [$0, $0 + 1] } : types, credentials,
            fingerprint)
        for (position, codec) in codecs.enumerated() {
            section.attributes += CodecLines.attributes(
                codec.0, payloadType: types[position], retransmission: kind == .video ? types[position] + 1 : nil,
                parameters: FormatParameters(codec.1),
                feedback: kind == .video ? [.nack, .pictureLoss, .fullIntraRequest] : [.nack])
        }
        return section
    }
}
