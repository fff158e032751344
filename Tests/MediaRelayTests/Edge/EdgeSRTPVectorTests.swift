import MediaRelay
import SwarmCore
import Testing

/// SRTP against the published vectors.
@Suite struct EdgeSRTPVectorTests {
    /// RFC 3711 §B.3.
    @Test(arguments: [
        (SRTPKeyDerivation.Label.rtpEncryption, "c61e7a93744f39ee10734afe3ff7a087"),
        (.rtpSalt, "30cbbc08863d8c85d49db34a9ae1"),
        (.rtpAuthentication, "cebe321f6ff7716b6fd4ab49af256a156d38baa4"),
    ])
    func derivesThePublishedKeys(label: SRTPKeyDerivation.Label, expected: String) {
        let derived = SRTPKeyDerivation.derive(
            masterKey: hexBytes("e1f97a0d3e018be0d64fa32c06de4139"),
            masterSalt: hexBytes("0ec675ad498afeebb6960b3aabe6"), label: label, count: expected.count / 2)
        #expect(hexText(derived) == expected)
    }

    /// RFC 3711 §B.2: with SSRC and index 0 the counter block is the salt.
    @Test func producesThePublishedKeyStream() {
        let cipher = SRTPCipher(
            profile: .aes128CMSHA1With80BitTag, sessionKey: hexBytes("2b7e151628aed2a6abf7158809cf4f3c"),
            sessionSalt: hexBytes("f0f1f2f3f4f5f6f7f8f9fafbfcfd"), authenticationKey: Array(repeating: 0, count: 20),
            sealing: true)
        var bytes: [UInt8] = Array(repeating: 0, count: 48)
        var span = bytes.mutableSpan
        let done = cipher.applyCounterMode(&span, range: 0..<48, ssrc: 0, index: 0)
        #expect(done)
        #expect(
            hexText(bytes)
                == "e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab41e95b3bb0a2e8dd477901e4fca894c0")
    }

    static let salt = hexBytes("517569642070726f2071756f")

    static func gcm(_ profile: SRTPProfile, sealing: Bool) -> SRTPCipher {
        SRTPCipher(
            profile: profile, sessionKey: (0..<UInt8(profile.keyByteCount)).map { $0 }, sessionSalt: salt,
            authenticationKey: [], sealing: sealing)
    }

    static let rtp = "8040f17b8041f8d35501a0b2"
    static let rtpPlaintext =
        "47616c6c696120657374206f6d6e697320646976697361" + "20696e207061727465732074726573"

    /// RFC 7714 §16.1.1 and §16.2.1.
    @Test(arguments: [
        (
            SRTPProfile.aes128GCM,
            "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833"
                + "899d7f27beb16a9152cf765ee4390cce"
        ),
        (
            .aes256GCM,
            "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b"
                + "7aa3db36dfffd6b0f9bb7878d7a76c13"
        ),
    ])
    func sealsThePublishedRTPPacket(profile: SRTPProfile, expected: String) {
        let plain = hexBytes(Self.rtp + Self.rtpPlaintext)
        var bytes = plain + Array(repeating: 0, count: 16)
        var span = bytes.mutableSpan
        let none = InlineArray<0, UInt8>(repeating: 0)
        let sealed = Self.gcm(profile, sealing: true).sealGCM(
            &span, plaintext: 12..<plain.count, trailer: none.span, ssrc: 0x5501_a0b2, index: 0xf17b)
        #expect(sealed)
        #expect(hexText(bytes) == Self.rtp + expected)
        var back = bytes.mutableSpan
        let opened = Self.gcm(profile, sealing: false).openGCM(
            &back, ciphertext: 12..<plain.count, trailer: none.span, ssrc: 0x5501_a0b2, index: 0xf17b)
        #expect(opened)
        #expect(Array(bytes.prefix(plain.count)) == plain)
    }

    /// RFC 7714 §17.1 and §17.3.
    @Test(arguments: [
        (
            SRTPProfile.aes128GCM,
            "63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275b"
                + "c84aa45896cf4d2fc5abf87245d9eade"
        ),
        (
            .aes256GCM,
            "d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de0476f1b6fad"
                + "1d1eb30c4446839f57ff6f6cb26ac3be"
        ),
    ])
    func sealsThePublishedRTCPPacket(profile: SRTPProfile, expected: String) {
        let plain = hexBytes(
            "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61"
                + "deadbeefdeadbeefdeadbeefdeadbeefdeadbeef")
        var bytes = plain + Array(repeating: 0, count: 16)
        var span = bytes.mutableSpan
        let trailer = hexBytes("800005d4")
        let sealed = Self.gcm(profile, sealing: true).sealGCM(
            &span, plaintext: 8..<plain.count, trailer: trailer.span, ssrc: 0x4d61_7273, index: 0x5d4)
        #expect(sealed)
        #expect(hexText(bytes) == "81c8000d4d617273" + expected)
    }
}
