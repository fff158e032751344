import SwarmCore
import SwarmCrypto
import Testing

/// Known answers of the primitives, from the documents that define them.
struct PrimitiveTests {
    /// RFC 8032 §7.1, tests 1 to 3: seed, public key, message, signature.
    @Test(arguments: [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
            """
            e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b
            d25bf5f0595bbe24655141438e7a100b
            """
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
            """
            92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c
            387b2eaeb4302aeeb00d291612bb0c00
            """
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
            """
            6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659
            4a7c15e9716ed28dc027beceea1ec40a
            """
        ),
    ])
    func ed25519MatchesRFC8032(seed: String, key: String, message: String, signature: String) {
        let message = hex(message)
        let publicKey = Ed25519.publicKey(seed: bytes32(seed))
        #expect(publicKey.bytes == bytes32(key))
        let signed = Ed25519.sign(message.span, seed: bytes32(seed))
        #expect(signed.bytes.array == hex(signature))
        let isValid = Ed25519.verify(signed, message.span, key: publicKey)
        #expect(isValid)
        var changed = signed
        changed.bytes.second.word3 ^= 1
        let isStillValid = Ed25519.verify(changed, message.span, key: publicKey)
        #expect(!isStillValid)
    }

    private func blake2b(_ count: Int, _ key: [UInt8], _ message: [UInt8]) -> [UInt8] {
        var output = [UInt8](repeating: 0, count: count)
        var span = output.mutableSpan
        var hash = key.isEmpty ? Blake2b(outputByteCount: count) : Blake2b(outputByteCount: count, key: key.span)
        hash.update(message.span)
        hash.finish(into: &span)
        return output
    }

    @Test func blake2bMatchesItsKnownAnswers() {
        // RFC 7693, appendix A.
        let abc = hex(
            """
            ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1
            7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923
            """)
        #expect(blake2b(64, [], Array("abc".utf8)) == abc)
        // The BLAKE2 project's keyed known answers (blake2b-kat.txt): key 00…3f, inputs "" and 00.
        let key = (0..<64).map { UInt8($0) }
        let empty = hex(
            """
            10ebb67700b1868efb4417987acf4690ae9d972fb7a590c2f02871799aaa4786
            b5e996e8f0f4eb981fc214b005f42d2ff4233499391653df7aefcbc13fc51568
            """)
        let zero = hex(
            """
            961f6dd1e4dd30f63901690c512e78e4b45e4742ed197c3c5e45c549fd25f2e4
            187b0bc9fe30492b16b0d0bc4ef9b0f34c7003fac09a5ef1532e69430234cebd
            """)
        #expect(blake2b(64, key, []) == empty)
        #expect(blake2b(64, key, [0]) == zero)
        let none: [UInt8] = []
        #expect(
            Hash.blake2b256(none.span) == bytes32("0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"))
        // In pieces as in one.
        let pieces = Hash.blake2b256 { hash in
            hash.update("ab")
            hash.update(UInt8(ascii: "c"))
        }
        let whole = Array("abc".utf8)
        #expect(pieces == Hash.blake2b256(whole.span))
    }

    @Test func derivedKeysDifferByEveryInput() {
        let context: [UInt8] = [1]
        let secret = Bytes32(1, 2, 3, 4)
        let keys = [
            Hash.deriveKey(secret, label: "a", context: context.span), Hash.deriveKey(secret, label: "a"),
            Hash.deriveKey(secret, label: "b"), Hash.deriveKey(Bytes32(1, 2, 3, 5), label: "a"),
            RecordKeys.key(kind: 1, text: "live/alice"), RecordKeys.key(kind: 2, text: "live/alice"),
            RecordKeys.key(kind: 1, text: "live/bob"), RecordKeys.key(kind: 1, bytes: secret),
        ]
        #expect(Set(keys).count == keys.count)
    }

    @Test(arguments: SuiteChoice.allCases)
    func aSignatureCountsForItsPurposeBytesAndKeyOnly(_ choice: SuiteChoice) {
        let suite = choice.suite
        let alice = Identity(seed: Bytes32(1, 0, 0, 0), suite: suite)
        let bob = Identity(seed: Bytes32(2, 0, 0, 0), suite: suite)
        let (message, other): ([UInt8], [UInt8]) = ([1, 2, 3], [1, 2, 4])
        let signature = alice.sign(domain: "record", message.span)
        let verdicts = [
            suite.verify(signature, domain: "record", message.span, by: alice.key),
            suite.verify(signature, domain: "token", message.span, by: alice.key),
            suite.verify(signature, domain: "record", other.span, by: alice.key),
            suite.verify(signature, domain: "record", message.span, by: bob.key),
            suite.verify(Signature(.zero), domain: "record", message.span, by: alice.key),
        ]
        #expect(verdicts == [true, false, false, false, false])
    }

    @Test func countedCryptographyAddsUpItsCost() {
        let suite = CryptoSuite.counted()
        let identity = Identity(seed: Bytes32(1, 0, 0, 0), suite: suite)
        let before = suite.costNanoseconds
        let message: [UInt8] = [1]
        _ = identity.sign(domain: "x", message.span)
        #expect(suite.costNanoseconds > before)
        #expect(CryptoSuite.real.costNanoseconds == 0)
    }

    @Test func seededEntropyRepeatsAndSystemEntropyDoesNot() {
        var first = Entropy.seeded(SeededGenerator(seed: 1))
        var second = Entropy.seeded(SeededGenerator(seed: 1))
        var system = Entropy.system
        let drawn = (0..<4).map { _ in first.bytes32() }
        #expect(drawn == (0..<4).map { _ in second.bytes32() })
        #expect(Set(drawn).count == 4)
        #expect(Set((0..<8).map { _ in system.bytes32() }).count == 8)
        var bytes = [UInt8](repeating: 0, count: 61)
        var span = bytes.mutableSpan
        system.fill(&span)
        #expect(Set(bytes).count > 20)
    }

    @Test func mediaKeysDifferByDirectionWorkersAndInstance() {
        let (alice, bob) = (NodeID(Bytes32(1, 0, 0, 0)), NodeID(Bytes32(2, 0, 0, 0)))
        func derive(_ instance: UInt64, _ first: UInt16, _ second: UInt16) -> [Bytes32] {
            let keys = MediaKeys.derive(
                secret: Bytes32(9, 9, 9, 9), instance: instance, initiatorID: alice, initiatorWorker: first,
                responderID: bob, responderWorker: second)
            return [keys.initiatorToResponder, keys.responderToInitiator]
        }
        let all = derive(1, 0, 0) + derive(2, 0, 0) + derive(1, 1, 0) + derive(1, 0, 1)
        #expect(Set(all).count == 8)
        #expect(derive(1, 0, 0) == derive(1, 0, 0))
    }
}
