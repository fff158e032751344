import MediaRelay
import SwarmCore
import Testing

struct WHEPNegotiationTests {
    private static let baseline = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"

    @Test func chromiumGetsVP8AndOpus() throws {
        let descriptor = SDPTestSupport.descriptor(
            SDPTestSupport.track(.opus), SDPTestSupport.track(.vp8, "", [.videoOrientation, .playoutDelay]))
        let answer = try SDPTestSupport.play(OfferFixtures.chromiumPlay, descriptor)
        #expect(answer.omittedTracks.isEmpty)
        // The offer has video first, so the configuration has, too; track numbers are the stream's.
        #expect(answer.configuration.tracks.map(\.track) == [1, 0])
        #expect(answer.configuration.tracks.map(\.payloadType) == [96, 111])
        #expect(answer.configuration.tracks.map(\.mid) == ["0", "1"])
        let video = answer.configuration.tracks[0]
        #expect(video.retransmissionPayloadType == 97)
        #expect(
            video.extensions == [
                ExtensionMapping(id: 3, header: .videoOrientation), ExtensionMapping(id: 5, header: .playoutDelay),
                ExtensionMapping(id: 9, header: .mid),
            ])
        let parsed = try SessionDescription(parsing: answer.sdp)
        #expect(parsed.media.map(\.direction) == [.sendOnly, .sendOnly])
        #expect(
            parsed.media[0].announcedSources
                == AnnouncedSources(media: video.ssrc, retransmission: video.retransmissionSSRC))
        let streams = parsed.media.compactMap { $0.first("msid")?.split(separator: " ").first }
        #expect(streams.count == 2 && streams[0] == streams[1])
        #expect(!answer.sdp.contains("transport-cc"))
    }

    @Test(arguments: OfferFixtures.publishers.map(\.name), OfferFixtures.players.map(\.name))
    func everyPublisherMeetsEveryPlayer(publisher: String, player: String) throws {
        let published = try SDPTestSupport.publish(
            try #require(OfferFixtures.publishers.first { $0.name == publisher }).offer)
        let offer = try #require(OfferFixtures.players.first { $0.name == player }).offer
        let answer = try SDPTestSupport.play(offer, published.descriptor)
        let isH264 = published.descriptor.tracks.contains { $0.codec.name == "H264" }
        #expect(answer.omittedTracks.count == (player == "Firefox" && isH264 ? 1 : 0))
        let parsed = try SessionDescription(parsing: answer.sdp)
        let offered = try SessionDescription(parsing: offer)
        #expect(parsed.media.count == offered.media.count)
        for (section, other) in zip(parsed.media, offered.media) where section.port != 0 {
            #expect(section.formats.allSatisfy { other.formats.contains($0) })
            #expect(section.mid == other.mid)
        }
        #expect(Set(answer.configuration.tracks.map(\.ssrc)).count == answer.configuration.tracks.count)
    }

    /// Stream parameters, payload types a viewer offers with their parameters, the expected choice.
    static let h264: [(sent: String, offered: [String], choice: UInt8?)] = [
        (baseline, ["profile-level-id=42e01f", baseline], 97),
        ("packetization-mode=0;profile-level-id=42e01f", ["profile-level-id=42e01f", baseline], 96),
        ("packetization-mode=0;profile-level-id=42e01f", [baseline], 96),
        (baseline, ["packetization-mode=0;profile-level-id=42e01f"], nil),
        (baseline, ["packetization-mode=2;profile-level-id=42e01f"], nil),
        (
            "packetization-mode=1;profile-level-id=64001f",
            [baseline, "packetization-mode=1;profile-level-id=640c1f"], 97
        ),
        (
            "packetization-mode=1;profile-level-id=4d0028",
            ["packetization-mode=1;profile-level-id=64001f", "packetization-mode=1;profile-level-id=4d001f"], 97
        ),
        ("packetization-mode=1;profile-level-id=64001f", [baseline], 96),
        (
            "packetization-mode=1;profile-level-id=42001e", ["packetization-mode=1;profile-level-id=4d001f", baseline],
            96
        ),
        ("packetization-mode=1", ["packetization-mode=1"], 96),
        ("packetization-mode=1;profile-level-id=zzzz", ["packetization-mode=1;profile-level-id=42"], 96),
    ]

    @Test func h264Compatibility() throws {
        for (sent, offered, choice) in Self.h264 {
            let types = offered.indices.map { 96 + $0 }
            let lines = zip(types, offered).flatMap { ["a=rtpmap:\($0) H264/90000", "a=fmtp:\($0) \($1)"] }
            let offer = WHIPNegotiationTests.minimal(
                formats: types.map(String.init).joined(separator: " "), lines: lines, direction: "recvonly")
            let answer = try? SDPTestSupport.play(offer, SDPTestSupport.descriptor(SDPTestSupport.track(.h264, sent)))
            #expect(answer?.configuration.tracks.first?.payloadType == choice, "\(sent) to \(offered)")
        }
    }

    static let profiles: [(codec: KnownCodec, sent: String, offered: String, matches: Bool)] = [
        (.vp9, "", "profile-id=0", true), (.vp9, "profile-id=2", "profile-id=0", false),
        (.vp9, "profile-id=2", "profile-id=2", true), (.av1, "profile=0", "level-idx=5;profile=0", true),
        (.av1, "profile=1", "", false), (.vp8, "max-fs=12288", "", true),
    ]

    @Test func profilesOfOtherCodecs() {
        for (codec, sent, offered, matches) in Self.profiles {
            let offer = WHIPNegotiationTests.minimal(
                lines: ["a=rtpmap:96 \(codec.rawValue)/90000", "a=fmtp:96 \(offered)"], direction: "recvonly")
            let answer = try? SDPTestSupport.play(offer, SDPTestSupport.descriptor(SDPTestSupport.track(codec, sent)))
            #expect((answer != nil) == matches, "\(codec) \(sent) to \(offered)")
        }
    }

    @Test func sectionsWithoutACommonCodecAreRejected() throws {
        let descriptor = SDPTestSupport.descriptor(
            SDPTestSupport.track(.opus), SDPTestSupport.track(.h264, Self.baseline))
        let answer = try SDPTestSupport.play(OfferFixtures.firefoxPlay, descriptor)
        let parsed = try SessionDescription(parsing: answer.sdp)
        #expect(parsed.media.map { $0.port == 0 } == [false, true])
        #expect(parsed.bundleGroup == ["0"])
        #expect(answer.omittedTracks == [1])
        #expect(
            throws: NegotiationError.noCommonCodec(
                offered: ["opus", "G722", "PCMU", "PCMA", "telephone-event", "VP8", "VP9"], wanted: ["H264"])
        ) {
            try SDPTestSupport.play(
                OfferFixtures.firefoxPlay, SDPTestSupport.descriptor(SDPTestSupport.track(.h264, Self.baseline)))
        }
    }

    @Test func sectionsWithoutATrackStayIdle() throws {
        let answer = try SDPTestSupport.play(
            OfferFixtures.chromiumPlay, SDPTestSupport.descriptor(SDPTestSupport.track(.opus)))
        let parsed = try SessionDescription(parsing: answer.sdp)
        #expect(parsed.media.map(\.direction) == [.inactive, .sendOnly])
        #expect(parsed.bundleGroup == ["0", "1"])
        #expect(answer.configuration.tracks.map(\.track) == [0])
    }

    @Test func tracksBeyondTheSectionsAreOmitted() throws {
        let vp8 = SDPTestSupport.track(.vp8)
        let answer = try SDPTestSupport.play(
            OfferFixtures.aiortcPlay, SDPTestSupport.descriptor(vp8, SDPTestSupport.track(.opus), vp8))
        #expect(answer.omittedTracks == [2])
    }

    @Test func answersRepeatForOneSeed() throws {
        let descriptor = SDPTestSupport.descriptor(SDPTestSupport.track(.opus), SDPTestSupport.track(.vp8))
        let first = try SDPTestSupport.play(OfferFixtures.chromiumPlay, descriptor)
        #expect(try SDPTestSupport.play(OfferFixtures.chromiumPlay, descriptor).sdp == first.sdp)
    }

    @Test func aStreamWithoutTracksHasNothingToOffer() {
        #expect(throws: NegotiationError.self) {
            try SDPTestSupport.play(OfferFixtures.chromiumPlay, SDPTestSupport.descriptor())
        }
    }
}
