import MediaRelay
import SwarmCore
import Testing

struct WHIPNegotiationTests {
    struct Expected: Sendable {
        var client: String
        var codecs: [String]
        var payloadTypes: [UInt8]
        var retransmissions: [UInt8?]
        var sources: [UInt32?]
        var role: DTLSRole
        var mids: [String]
    }

    static let clients: [Expected] = [
        Expected(
            client: "Chromium", codecs: ["opus", "VP8"], payloadTypes: [111, 96], retransmissions: [nil, 97],
            sources: [1_531_181_166, 2_359_368_369], role: .server, mids: ["0", "1"]),
        Expected(
            client: "Chromium simulcast", codecs: ["opus", "VP8"], payloadTypes: [111, 96],
            retransmissions: [nil, 97], sources: [351_117_958, nil], role: .server, mids: ["0", "1"]),
        Expected(
            client: "Firefox", codecs: ["opus", "VP8"], payloadTypes: [109, 120], retransmissions: [nil, 124],
            sources: [3_463_951_252, 1_001_615_512], role: .server, mids: ["0", "1"]),
        Expected(
            client: "OBS", codecs: ["opus", "H264"], payloadTypes: [111, 96], retransmissions: [nil, nil],
            sources: [2_903_541_231, 2_903_541_232], role: .server, mids: ["0", "1"]),
        Expected(
            client: "FFmpeg", codecs: ["opus", "H264"], payloadTypes: [111, 106], retransmissions: [nil, 105],
            sources: [3_300_729_476, 3_300_729_477], role: .client, mids: ["0", "1"]),
        Expected(
            client: "GStreamer", codecs: ["H264", "opus"], payloadTypes: [96, 98], retransmissions: [97, nil],
            sources: [3_815_094_263, 1_298_760_192], role: .server, mids: ["video0", "audio1"]),
        Expected(
            client: "aiortc", codecs: ["opus", "VP8"], payloadTypes: [96, 97], retransmissions: [nil, 98],
            sources: [2_895_651_282, 1_397_331_996], role: .server, mids: ["0", "1"]),
    ]

    @Test(arguments: clients)
    func everyClientGetsItsTracks(expected: Expected) throws {
        let offer = try #require(OfferFixtures.publishers.first { $0.name == expected.client }).offer
        let answer = try SDPTestSupport.publish(SDPTestSupport.crlf(offer) + "\r\n")
        let tracks = answer.configuration.tracks
        #expect(tracks.map(\.codecName) == expected.codecs)
        #expect(tracks.map(\.payloadType) == expected.payloadTypes)
        #expect(tracks.map(\.retransmissionPayloadType) == expected.retransmissions)
        #expect(tracks.map(\.ssrc) == expected.sources)
        #expect(tracks.map(\.mid) == expected.mids)
        #expect(tracks.map(\.track) == Array(0..<UInt8(tracks.count)))
        #expect(answer.descriptor.tracks.map(\.codec.name) == expected.codecs)
        let transport = try #require(answer.configuration.transport)
        #expect(transport.dtlsRole == expected.role)
        #expect(transport.iceRole == .lite)
        try checkAnswer(answer.sdp, offer: offer, role: expected.role)
    }

    /// What RFC 9725, 8829, 8843 and 8839 ask of every answer.
    private func checkAnswer(_ text: String, offer: String, role: DTLSRole) throws {
        let offered = try SessionDescription(parsing: offer)
        let answer = try SessionDescription(parsing: text)
        #expect(answer.attributes.contains(.init("ice-lite")))
        #expect(answer.media.map(\.media) == offered.media.map(\.media))
        #expect(answer.media.map(\.mid) == offered.media.map(\.mid))
        let accepted = answer.media.filter { $0.port != 0 }
        #expect(answer.bundleGroup == accepted.compactMap(\.mid))
        for section in accepted {
            #expect(section.direction == .receiveOnly)
            #expect(section.has("rtcp-mux"))
            #expect(section.first("setup") == (role == .server ? "passive" : "active"))
            #expect(answer.iceCredentials(for: section) == SDPTestSupport.local.credentials)
            #expect(answer.fingerprint(for: section) == SDPTestSupport.local.fingerprint)
        }
        let candidates = accepted[0].attributes.filter { $0.name == "candidate" }
        #expect(candidates.count == 2)
        #expect(candidates[0].value == "1 1 udp 2130706431 198.51.100.1 7789 typ host")
        #expect(accepted.dropFirst().allSatisfy { !$0.has("candidate") })
    }

    @Test func feedbackAndExtensionsAreIntersected() throws {
        let chromium = try SDPTestSupport.publish(OfferFixtures.chromiumPublish)
        let video = try #require(chromium.configuration.tracks.last)
        #expect(video.supportsNACK && video.supportsPLI && video.supportsTransportFeedback)
        #expect(video.retransmissionSSRC == 3_424_250_912)
        #expect(
            video.extensions == [
                ExtensionMapping(id: 3, header: .transportSequence), ExtensionMapping(id: 4, header: .mid),
                ExtensionMapping(id: 5, header: .playoutDelay), ExtensionMapping(id: 13, header: .videoOrientation),
            ])
        #expect(chromium.descriptor.tracks.last?.extensions == [.videoOrientation, .playoutDelay])
        let ffmpeg = try #require(try SDPTestSupport.publish(OfferFixtures.ffmpegPublish).configuration.tracks.last)
        #expect(ffmpeg.supportsNACK && !ffmpeg.supportsPLI && !ffmpeg.supportsTransportFeedback)
        #expect(ffmpeg.extensions.isEmpty)
    }

    @Test func parametersOfTheSenderAreKept() throws {
        let gstreamer = try SDPTestSupport.publish(OfferFixtures.gstreamerPublish)
        let parameters = gstreamer.descriptor.tracks[0].codec.formatParameters
        #expect(parameters.contains("sprop-parameter-sets=Z0LAFtoCgL/lwEQAAAMABAAAAwDyPFi6gA==,aM4PyA=="))
        #expect(gstreamer.sdp.contains("stereo=1"))
        #expect(gstreamer.descriptor.tracks[1].codec.name == "opus")
        #expect(gstreamer.descriptor.tracks[1].codec.channels == 2)
    }

    @Test func packetizationMode1ComesFirst() throws {
        let offer = Self.minimal(
            formats: "102 103",
            lines: [
                "a=rtpmap:102 H264/90000", "a=fmtp:102 packetization-mode=0;profile-level-id=42e01f",
                "a=rtpmap:103 H264/90000", "a=fmtp:103 packetization-mode=1;profile-level-id=42e01f",
            ])
        #expect(try SDPTestSupport.publish(offer).configuration.tracks.map(\.payloadType) == [103])
    }

    static func minimal(
        formats: String = "96", lines: [String] = ["a=rtpmap:96 VP8/90000"], without: String? = nil,
        direction: String = "sendonly", extra: String = ""
    ) -> String {
        let all =
            [
                "v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=group:BUNDLE v",
                "m=video 9 UDP/TLS/RTP/SAVPF \(formats)",
                "a=ice-ufrag:abcd", "a=ice-pwd:0123456789012345678901", "a=\(direction)", "a=mid:v", "a=rtcp-mux",
                "a=setup:actpass",
                "a=fingerprint:\(Fingerprint.format(SDPTestSupport.local.fingerprint))",
            ] + lines
        let kept = all.filter { line in without.map { !line.hasPrefix($0) } ?? true }
        return kept.joined(separator: "\r\n") + "\r\n" + extra
    }

    static let refusals: [(offer: String, text: String)] = [
        ("s=x", "bad SDP: line 1: v=0 must come first"),
        (minimal(without: "a=ice-ufrag"), "the SDP has no valid a=ice-ufrag and a=ice-pwd"),
        (minimal(without: "a=ice-pwd"), "the SDP has no valid a=ice-ufrag and a=ice-pwd"),
        (minimal(without: "a=fingerprint"), "the SDP has no valid a=fingerprint:sha-256"),
        (minimal(without: "a=rtcp-mux"), "media section v lacks a=rtcp-mux, which is required"),
        (minimal(direction: "recvonly"), "no audio or video section is sending (a=sendonly)"),
        (minimal(without: "m="), "no audio or video section is sending (a=sendonly)"),
        (
            minimal(lines: ["a=rtpmap:96 theora/90000"]),
            "no common codec: offered theora, wanted opus, VP8, H264, VP9, AV1"
        ),
        (
            minimal(
                without: "a=group",
                extra:
                    "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=sendonly\r\na=rtcp-mux\r\na=mid:w\r\na=rtpmap:96 VP8/90000\r\n"
            ),
            "all media must share one transport: a=group:BUNDLE is required"
        ),
        (
            minimal(extra: String(repeating: "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n", count: 8)),
            "more than 8 audio and video sections"
        ),
    ]

    @Test func refusalsAreOneLine() {
        for (offer, text) in Self.refusals {
            do throws(NegotiationError) {
                _ = try SDPTestSupport.publish(offer)
                Issue.record("accepted where \(text)")
            } catch {
                #expect(error.description == text)
            }
        }
    }

    @Test func oneSectionNeedsNoBundle() throws {
        let answer = try SDPTestSupport.publish(Self.minimal(without: "a=group"))
        #expect(!answer.sdp.contains("BUNDLE"))
        #expect(answer.configuration.tracks.count == 1)
    }

    /// What could not travel in a descriptor is refused at the publisher's door.
    @Test func parametersThatNoDescriptorHoldsAreRefused() {
        for parameters in ["x=1\u{2028}a=evil", "x=a\tb", "name=caf\u{e9}"] {
            let offer = Self.minimal(lines: ["a=rtpmap:96 VP8/90000", "a=fmtp:96 y=0;\(parameters);z=1"])
            #expect(throws: NegotiationError.unusableParameters) { try SDPTestSupport.publish(offer) }
        }
        let long = String(repeating: "x", count: 480)
        let section = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=sendonly\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n"
        let more = (0..<2).map { "\(section)a=fmtp:96 \(long)\r\na=mid:w\($0)\r\n" }.joined()
        let offer = Self.minimal(lines: ["a=rtpmap:96 VP8/90000", "a=fmtp:96 \(long)"], extra: more)
            .replacing("BUNDLE v", with: "BUNDLE v w0 w1")
        #expect(throws: NegotiationError.unusableParameters) { try SDPTestSupport.publish(offer) }
    }
}
