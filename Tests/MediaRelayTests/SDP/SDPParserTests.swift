import MediaRelay
import SwarmCore
import Testing

struct SDPParserTests {
    @Test(arguments: OfferFixtures.all.map(\.name))
    func offersSurviveWritingAndParsing(name: String) throws {
        let offer = try #require(OfferFixtures.all.first { $0.name == name }).offer
        let parsed = try SessionDescription(parsing: offer)
        #expect(try SessionDescription(parsing: SDPTestSupport.crlf(offer) + "\r\n") == parsed)
        #expect(try SessionDescription(parsing: parsed.text) == parsed)
        #expect(!parsed.media.isEmpty)
        #expect(parsed.text.hasSuffix("\r\n"))
    }

    static let malformed: [(text: String, line: Int, reason: SDPError.Reason)] = [
        ("", 0, .empty),
        ("\r\n\r\n", 0, .empty),
        ("o=- 1 1 IN IP4 0.0.0.0", 1, .versionExpected),
        ("v=1", 1, .versionExpected),
        ("v=0\r\no=short", 2, .badOrigin),
        ("v=0\nhello", 2, .notALine),
        ("v=0\nA=x", 2, .notALine),
        ("v=0\n=x", 2, .notALine),
        ("v=0\na=x\0y", 2, .controlCharacter),
        ("v=0\na=x\ry", 2, .controlCharacter),
        ("v=0\na=" + String(repeating: "x", count: 3_000), 2, .lineTooLong),
        (String(repeating: "x", count: 70_000), 0, .tooLong),
        ("v=0\nm=audio", 2, .badMedia),
        ("v=0\nm=audio 9 RTP/AVP", 2, .badMedia),
        ("v=0\nm=audio 70000 RTP/AVP 0", 2, .badMedia),
        ("v=0\nm=audio -1 RTP/AVP 0", 2, .badMedia),
        ("v=0\nm=au:dio 9 RTP/AVP 0", 2, .badMedia),
        ("v=0\nc=IN IP9 1.2.3.4", 2, .badConnection),
        ("v=0\nc=", 2, .badConnection),
        ("v=0\na=:x", 2, .badAttribute),
        ("v=0\n" + String(repeating: "m=audio 9 RTP/AVP 0\n", count: 33), 34, .tooManyMediaSections),
        ("v=0\nm=audio 9 RTP/AVP" + String(repeating: " 1", count: 65), 2, .tooManyFormats),
        ("v=0\n" + String(repeating: "a=x\n", count: 1_025), 1_026, .tooManyAttributes),
    ]

    @Test func malformedTextIsNamedByLineAndReason() {
        for (text, line, reason) in Self.malformed {
            #expect(throws: SDPError(line: line, reason: reason), "\(text.prefix(40))") {
                try SessionDescription(parsing: text)
            }
        }
    }

    @Test func leniencies() throws {
        let text = "v=0\ns=x\nz=\nm=video 5004/2 RTP/AVP 96\na=flag \na=k: v \n\n\n"
        let parsed = try SessionDescription(parsing: text)
        #expect(parsed.media.first?.port == 5004)
        #expect(parsed.media.first?.attributes == [.init("flag"), .init("k", "v")])
    }

    @Test func candidates() {
        let table: [(String, NetworkAddress?)] = [
            ("1 1 udp 2122 192.0.2.7 5000 typ host", NetworkAddress(ipv4: 0xc000_0207, port: 5000)),
            (
                "1 1 UDP 2122 2001:db8::1 5000 typ srflx raddr 0.0.0.0 rport 9",
                NetworkAddress(high: 0x2001_0db8_0000_0000, low: 1, port: 5000)
            ),
            ("1 2 udp 2122 192.0.2.7 5000 typ host", nil),
            ("1 1 tcp 2122 192.0.2.7 9 typ host tcptype active", nil),
            ("1 1 udp 2122 1c6e7b2a-0000.local 5000 typ host", nil),
            ("1 1 udp 2122 192.0.2.7 0 typ host", nil),
            ("1 1 udp 2122 192.0.2.7 99999 typ host", nil),
            ("", nil),
        ]
        for (text, expected) in table { #expect(ICEText.address(ofCandidate: text) == expected, "\(text)") }
        // RFC 8445 §5.1.2.1: 2^24 * 126 + 2^8 * 65535 + 255.
        let line = ICEText.hostCandidate(NetworkAddress(ipv4: 0xc000_0207, port: 5000), index: 0)
        #expect(line == "1 1 udp 2130706431 192.0.2.7 5000 typ host")
    }

    @Test func fingerprints() {
        let digest = Bytes32(0x0102_0304_0506_0708, 9, 0xffff, 0xabcd_ef00_0000_0001)
        let text = Fingerprint.format(digest)
        #expect(text.hasPrefix("sha-256 01:02:03:04:05:06:07:08:00:"))
        #expect(Fingerprint.parse(text) == digest)
        #expect(Fingerprint.parse("SHA-256 " + text.dropFirst(8).lowercased()) == digest)
        for bad in ["", "sha-256", "sha-1 " + text.dropFirst(8), text + ":00", String(text.dropLast(1)), "sha-256 +1:"]
        {
            #expect(Fingerprint.parse(bad) == nil, "\(bad)")
        }
    }

    @Test func formatParametersKeepOrderAndFindKeysWithoutCase() {
        var parameters = FormatParameters(" a=1; B = two ;flag;;sprop-parameter-sets=Z0LAHg==,aM4G4g==")
        #expect(parameters.text == "a=1;B=two;flag;sprop-parameter-sets=Z0LAHg==,aM4G4g==")
        #expect(parameters["b"] == "two")
        #expect(parameters["FLAG"] == "")
        parameters["a"] = nil
        parameters["B"] = "3"
        parameters["c"] = "4"
        #expect(parameters.text == "B=3;flag;sprop-parameter-sets=Z0LAHg==,aM4G4g==;c=4")
    }

    @Test func controlPayloadTypesAndWrongClockRatesAreNotCodecs() throws {
        let text = """
            v=0
            m=video 9 UDP/TLS/RTP/SAVPF 72 96 97 200 98 nonsense
            a=rtpmap:72 VP8/90000
            a=rtpmap:96 VP8/48000
            a=rtpmap:97 vp8/90000
            a=rtpmap:200 VP8/90000
            a=rtpmap:98 rtx/90000
            a=fmtp:98 apt=97
            a=rtcp-fb:* nack
            """
        let section = try #require(try SessionDescription(parsing: text).media.first)
        #expect(section.codecOffers.map(\.format.payloadType) == [97])
        #expect(section.codecOffers.first?.retransmissionPayloadType == 98)
        #expect(section.codecOffers.first?.format.feedback == .nack)
    }
}
