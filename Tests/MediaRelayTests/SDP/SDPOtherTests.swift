import MediaRelay
import SwarmCore
import Testing

struct TrickleFragmentTests {
    private static let fragment = """
        a=ice-options:trickle ice2
        a=group:BUNDLE 0 1
        m=audio 9 UDP/TLS/RTP/SAVPF 111
        a=mid:0
        a=ice-ufrag:EsAw
        a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
        a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1
        a=candidate:3471623853 1 udp 2122194687 198.51.100.2 61765 typ host generation 0 ufrag EsAw network-id 2
        a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0 ufrag EsAw
        a=end-of-candidates
        """

    /// The example of RFC 9725 §4.3.1 in its essentials.
    @Test func trickle() throws {
        let fragment = try TrickleFragment(parsing: SDPTestSupport.crlf(Self.fragment))
        let credentials = ICECredentials(usernameFragment: "EsAw", password: "P2uYro0UCOQ4zxjKXaWCBui1")
        #expect(fragment.credentials == credentials)
        #expect(fragment.candidates.map(\.port) == [61764, 61765])
        #expect(fragment.isComplete)
        #expect(fragment.mids == ["0"])
        #expect(!fragment.isRestart(of: credentials))
        #expect(fragment.isRestart(of: ICECredentials(usernameFragment: "xxxx", password: credentials.password)))
    }

    @Test func restartAnswerIsAFragment() throws {
        let answer = try TrickleFragment(parsing: Self.fragment).restartAnswer(local: SDPTestSupport.local)
        let parsed = try TrickleFragment(parsing: answer)
        #expect(parsed.credentials == SDPTestSupport.local.credentials)
        #expect(parsed.candidates == SDPTestSupport.local.candidates)
        #expect(parsed.isComplete)
        #expect(answer.hasPrefix("a=ice-lite\r\na=group:BUNDLE 0\r\nm=audio 9"))
    }

    @Test func badFragments() {
        for text in ["a=ice-ufrag:EsAw", "a=ice-ufrag:E\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1", "garbage", "m=x"] {
            #expect(throws: NegotiationError.self, "\(text)") { try TrickleFragment(parsing: text) }
        }
    }

    @Test func anEmptyFragmentSaysNothing() throws {
        let fragment = try TrickleFragment(parsing: "")
        #expect(fragment.credentials == nil && fragment.candidates.isEmpty && !fragment.isComplete)
    }
}

struct PlainRTPDescriptionTests {
    @Test func ffmpegFiles() throws {
        let both = try PlainRTPDescription(parsing: OfferFixtures.plainH264, epoch: 5)
        #expect(both.endpoints.map(\.address) == [.loopback(port: 5004), .loopback(port: 5006)])
        #expect(both.tracks.map(\.codecName) == ["H264", "opus"])
        #expect(both.tracks.map(\.payloadType) == [96, 97])
        #expect(both.descriptor.tracks[0].codec.formatParameters == "packetization-mode=1")
        #expect(both.descriptor.epoch == 5)
        let single = try PlainRTPDescription(parsing: OfferFixtures.plainVP8, epoch: 5)
        #expect(single.endpoints.map(\.address) == [.loopback(port: 5004)])
    }

    @Test func parameterSetsAreKept() throws {
        let text = """
            v=0
            c=IN IP6 ::1
            m=video 6000 RTP/AVP 96
            a=rtpmap:96 H264/90000
            a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z0LAHtkDxWhAAAADAEAAAAwDxYuS,aMuMsg==; profile-level-id=42C01E
            """
        let plain = try PlainRTPDescription(parsing: text, epoch: 1)
        #expect(
            plain.descriptor.tracks[0].codec.formatParameters
                == "packetization-mode=1;sprop-parameter-sets=Z0LAHtkDxWhAAAADAEAAAAwDxYuS,aMuMsg==;profile-level-id=42C01E"
        )
        #expect(plain.endpoints[0].address == NetworkAddress(high: 0, low: 1, port: 6000))
    }

    @Test func refusals() {
        let media = "m=video 5004 RTP/AVP 96\na=rtpmap:96 VP8/90000\n"
        for text in [
            "", "v=0\n", "v=0\n" + media, "v=0\nc=IN IP4 host.example\n" + media,
            "v=0\nc=IN IP4 127.0.0.1\n" + media + media,
        ] {
            #expect(throws: NegotiationError.self, "\(text)") { try PlainRTPDescription(parsing: text, epoch: 1) }
        }
    }
}

struct ClientOfferTests {
    private static let credentials = ICECredentials(usernameFragment: "clnt", password: "clientPassword0123456789")
    private static let fingerprint = Bytes32(9, 8, 7, 6)

    private func offer(_ purpose: ClientOffer.Purpose) -> ClientOffer {
        var generator = SeededGenerator(seed: 3)
        return ClientOffer(
            purpose: purpose, credentials: Self.credentials, fingerprint: Self.fingerprint, generator: &generator)
    }

    /// Both sides read the same numbers out of one exchange.
    @Test(arguments: [KnownCodec.vp8, .h264, .vp9, .av1])
    func publisherAndNodeAgree(video: KnownCodec) throws {
        let offer = offer(.publishing([KnownCodec.opus.description(), video.description()]))
        let answer = try SDPTestSupport.publish(offer.sdp)
        let session = try offer.apply(answer: answer.sdp)
        #expect(session.received.isEmpty)
        #expect(session.sent.map(\.codecName) == ["opus", video.rawValue])
        for (sent, expected) in zip(session.sent, answer.configuration.tracks) {
            #expect(sent.ssrc == expected.ssrc)
            #expect(sent.payloadType == expected.payloadType)
            #expect(sent.retransmissionPayloadType == expected.retransmissionPayloadType)
            #expect(sent.extensions == expected.extensions)
        }
        let transport = try #require(answer.configuration.transport)
        #expect(session.transport.remote == transport.local)
        #expect(session.transport.local == transport.remote)
        #expect(session.transport.dtlsRole == .client && transport.dtlsRole == .server)
        #expect(session.transport.remoteFingerprint == SDPTestSupport.local.fingerprint)
        #expect(transport.remoteFingerprint == Self.fingerprint)
        #expect(session.transport.remoteCandidates == SDPTestSupport.local.candidates)
    }

    @Test(arguments: [KnownCodec.vp8, .h264, .vp9, .av1])
    func playerAndNodeAgree(video: KnownCodec) throws {
        let offer = offer(.playing([.audio, .video]))
        let descriptor = SDPTestSupport.descriptor(
            SDPTestSupport.track(.opus),
            SDPTestSupport.track(video, video == .h264 ? "packetization-mode=1;profile-level-id=4d001f" : ""))
        let answer = try SDPTestSupport.play(offer.sdp, descriptor)
        let session = try offer.apply(answer: answer.sdp)
        #expect(session.sent.isEmpty)
        #expect(session.received.map(\.ssrc) == answer.configuration.tracks.map(\.ssrc))
        #expect(session.received.map(\.payloadType) == answer.configuration.tracks.map(\.payloadType))
        #expect(session.received.last?.retransmissionSSRC == answer.configuration.tracks.last?.retransmissionSSRC)
        #expect(session.received.last?.supportsPLI == true)
    }

    @Test func foreignAnswersAreRefused() throws {
        let offer = offer(.playing([.audio]))
        let answer = try SDPTestSupport.play(offer.sdp, SDPTestSupport.descriptor(SDPTestSupport.track(.opus))).sdp
        let broken = [
            "", OfferFixtures.chromiumPlay, answer.replacing("a=candidate", with: "a=c"),
            answer.replacing("a=ice-pwd", with: "a=x"), answer.replacing("a=fingerprint", with: "a=x"),
            answer.replacing("m=audio 7789", with: "m=audio 0"), answer.replacing("a=sendonly", with: "a=inactive"),
        ]
        for text in broken { #expect(throws: NegotiationError.self) { try offer.apply(answer: text) } }
        #expect(try offer.apply(answer: answer).received.count == 1)
    }
}
