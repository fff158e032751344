import SwarmCore
import SwarmCrypto
import Testing

/// The vector of Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b from the cacophony project's public file
/// `vectors/cacophony.txt` (github.com/haskell-cryptography/cacophony), one of those the Noise wiki lists.
private enum Vector {
    static let prologue = hex("4a6f686e2047616c74")
    static let presharedKey = "54686973206973206d7920417573747269616e20706572737065637469766521"
    static let initiatorStatic = "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1"
    static let initiatorEphemeral = "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a"
    static let responderPublic = "31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62"
    static let responderStatic = "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893"
    static let responderEphemeral = "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b"
    static let handshakeHash = hex(
        """
        ed837c9084f2f0333a7ec60b9bcacd9921394858de8ced118b5966d1147ba390
        084dab42326c565a309c29317a6079be30aa1d790d25a517b43287426cb1d36a
        """)
    /// Payload and ciphertext of every message, the first two being the handshake's, then by turns.
    static let messages: [(payload: [UInt8], ciphertext: [UInt8])] = [
        (
            hex("4c756477696720766f6e204d69736573"),
            hex(
                """
                ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944
                b6fe0240b839afac809de1630eaf99d8f9b941394f0512c0554633bbb021d151
                76135c0a20e7fdb9a9ed066f22f054b47625b1d5061cb27d6a17f053273db7c2
                5216a5addc506ee321bc0618feb5849d
                """)
        ),
        (
            hex("4d757272617920526f746862617264"),
            hex(
                """
                95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843
                8f627e69fc120006f746b9d420bf4056cf8481ab32d9e904ffaeeaa56a5290
                """)
        ),
        (hex("462e20412e20486179656b"), hex("07fc0034398a5f1010322be193d62f94bebf2948a20b3e15d681fe")),
        (hex("4361726c204d656e676572"), hex("2ea5400f5b8a16971c8b67bde75aeb7987d454b1c0beeb2566932d")),
        (
            hex("4a65616e2d426170746973746520536179"),
            hex("96eef918ef51639fc0e156da1823c4f71b33fac5af983f5da9384f7da20d86ed91")
        ),
        (
            hex("457567656e2042f6686d20766f6e2042617765726b"),
            hex("f02766a56496e1fbf32e05274baebf6d693c8f3e4c6e0dc7ebdc5ac170f15dae433b92f469")
        ),
    ]
}

struct NoiseVectorTests {
    private let suite = CryptoSuite.real

    private func pair(_ secret: String) -> AgreementKeyPair { suite.agreementKeyPair(secretKey: bytes32(secret)) }

    private func written(_ body: (inout ByteWriter) -> Void) -> [UInt8] {
        var storage = [UInt8](repeating: 0, count: 512)
        var writer = ByteWriter(storage.mutableSpan)
        body(&writer)
        let count = writer.count
        return Array(storage[..<count])
    }

    @Test func handshakeAndTransportMatchThePublishedVector() throws {
        let responderPair = pair(Vector.responderStatic)
        #expect(responderPair.publicKey == bytes32(Vector.responderPublic))
        let presharedKey = bytes32(Vector.presharedKey)
        var initiator = NoiseHandshake(
            initiator: pair(Vector.initiatorStatic), responderKey: bytes32(Vector.responderPublic),
            prologue: Vector.prologue.span, suite: suite)
        var responder = NoiseHandshake(responder: responderPair, prologue: Vector.prologue.span, suite: suite)

        let (firstPayload, secondPayload) = (Vector.messages[0].payload, Vector.messages[1].payload)
        let first = written { writer in
            let isWritten = initiator.writeInitiation(ephemeral: pair(Vector.initiatorEphemeral), into: &writer) {
                $0.append(firstPayload.span)
            }
            #expect(isWritten)
        }
        #expect(first == Vector.messages[0].ciphertext)
        var received = first
        var receivedSpan = received.mutableSpan
        let readFirst = responder.readInitiation(&receivedSpan)
        let firstRange = try #require(readFirst)
        #expect(Array(received[firstRange]) == Vector.messages[0].payload)
        #expect(responder.remoteStatic == pair(Vector.initiatorStatic).publicKey)

        let isAgreed = responder.agreeResponse(
            ephemeral: pair(Vector.responderEphemeral), presharedKey: presharedKey)
        #expect(isAgreed)
        let second = written { writer in
            responder.writeResponse(into: &writer) { $0.append(secondPayload.span) }
        }
        #expect(second == Vector.messages[1].ciphertext)
        received = second
        let isAnswerAgreed = initiator.agreeResponse(from: received.span, presharedKey: presharedKey)
        #expect(isAnswerAgreed)
        var secondSpan = received.mutableSpan
        let readSecond = initiator.readResponse(&secondSpan)
        let secondRange = try #require(readSecond)
        #expect(Array(received[secondRange]) == Vector.messages[1].payload)

        #expect(initiator.hash.array == Vector.handshakeHash)
        #expect(responder.hash.array == Vector.handshakeHash)
        let keys = initiator.split()
        #expect(keys == responder.split())
        for (index, message) in Vector.messages.dropFirst(2).enumerated() {
            let key = index % 2 == 0 ? keys.initiatorToResponder : keys.responderToInitiator
            var packet = message.payload + [UInt8](repeating: 0, count: LinkCipher.tagByteCount)
            var sealing = LinkCipher(.chaCha20Poly1305, key: key, direction: .sealing)
            var packetSpan = packet.mutableSpan
            sealing.seal(counter: UInt64(index / 2), headerByteCount: 0, packet: &packetSpan)
            #expect(packet == message.ciphertext)
        }
    }

    @Test(arguments: [0, 40, 79, 80, 95, 111])
    func aChangedByteOfMessageOneIsRefused(index: Int) {
        var message = Vector.messages[0].ciphertext
        message[index] ^= 1
        var responder = NoiseHandshake(
            responder: pair(Vector.responderStatic), prologue: Vector.prologue.span, suite: suite)
        var span = message.mutableSpan
        let range = responder.readInitiation(&span)
        #expect(range == nil)
    }
}
