import MediaRelay
import SwarmCore
import Testing

/// STUN against RFC 5769, its own writer, and hostile input.
@Suite struct EdgeSTUNTests {
    static let password = "VOkJxbRl1RmTxUk/WvJxBt"
    /// RFC 5769 §2.1.
    static let request = hexBytes(
        """
        00 01 00 58 21 12 a4 42 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae 80 22 00 10 53 54 55 4e 20 74 65 73 74 20 63 6c
        69 65 6e 74 00 24 00 04 6e 00 01 ff 80 29 00 08 93 2f f9 b1 51 26 3b 36 00 06 00 09 65 76 74 6a 3a 68 36 76
        59 20 20 20 00 08 00 14 9a ea a7 0c bf d8 cb 56 78 1e f2 b5 b2 d3 f2 49 c1 b5 71 a2 80 28 00 04 e5 7a 3b cf
        """)
    /// RFC 5769 §2.2.
    static let responseIPv4 = hexBytes(
        """
        01 01 00 3c 21 12 a4 42 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae 80 22 00 0b 74 65 73 74 20 76 65 63 74 6f 72 20
        00 20 00 08 00 01 a1 47 e1 12 a6 43 00 08 00 14 2b 91 f5 99 fd 9e 90 c3 8c 74 89 f9 2a f9 ba 53 f0 6b e7 d7
        80 28 00 04 c0 7d 4c 96
        """)
    /// RFC 5769 §2.3.
    static let responseIPv6 = hexBytes(
        """
        01 01 00 48 21 12 a4 42 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae 80 22 00 0b 74 65 73 74 20 76 65 63 74 6f 72 20
        00 20 00 14 00 02 a1 47 01 13 a9 fa a5 d3 f1 79 bc 25 f4 b5 be d2 b9 d9 00 08 00 14 a3 82 95 4e 4b e6 7b f1
        17 84 c9 7c 82 92 c2 75 bf e3 ed 41 80 28 00 04 c8 fb 0b 4c
        """)

    @Test func readsThePublishedRequest() {
        guard let message = STUNMessage(Self.request.span) else {
            Issue.record("refused")
            return
        }
        let kind = message.kind
        #expect(kind == .request)
        let transaction = message.transaction
        #expect(transaction == STUNTransactionID(high: 0xb7e7_a701, low: 0xbc34_d686_fa87_dfae))
        let username = message.username?.copied()
        #expect(username == Array("evtj:h6vY".utf8))
        let priority = message.priority
        #expect(priority == 0x6e00_01ff)
        let iceControlled = message.iceControlled
        #expect(iceControlled == 0x932f_f9b1_5126_3b36)
        let unknownAttributeCount = message.unknownAttributeCount
        #expect(unknownAttributeCount == 0)
        let (hasFingerprint, fingerprint) = (message.hasFingerprint, message.fingerprintIsAcceptable)
        #expect(hasFingerprint && fingerprint)
        let (right, wrong) = (
            message.verifyIntegrity(HMACSHA1Key(Self.password)), message.verifyIntegrity(HMACSHA1Key("wrong"))
        )
        #expect(right && !wrong)
    }

    @Test(arguments: [
        (responseIPv4, "192.0.2.1:32853"), (responseIPv6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853"),
    ])
    func readsThePublishedResponses(bytes: [UInt8], address: String) {
        guard let message = STUNMessage(bytes.span) else {
            Issue.record("refused")
            return
        }
        let kind = message.kind
        #expect(kind == .success)
        let xorMappedAddress = message.xorMappedAddress
        #expect(xorMappedAddress == NetworkAddress(text: address))
        let (integrity, fingerprint) = (
            message.verifyIntegrity(HMACSHA1Key(Self.password)), message.fingerprintIsAcceptable
        )
        #expect(integrity && fingerprint)
    }

    @Test func everyBitCounts() {
        for index in Self.request.indices {
            for bit in 0..<8 {
                var changed = Self.request
                changed[index] ^= 1 << UInt8(bit)
                guard let message = STUNMessage(changed.span) else { continue }
                let accepted =
                    message.hasFingerprint && message.fingerprintIsAcceptable
                    && message.verifyIntegrity(HMACSHA1Key(Self.password))
                #expect(!accepted, "bit \(bit) of byte \(index)")
            }
        }
    }

    @Test(arguments: ["192.0.2.1:1", "[2001:db8::7]:65535"])
    func readsWhatItWrites(text: String) throws {
        let address = try #require(NetworkAddress(text: text))
        let key = HMACSHA1Key("0123456789012345678901")
        let transaction = STUNTransactionID(high: 7, low: 0xffff_ffff_0000_0001)
        let fragments = (Array("remote".utf8), Array("loc".utf8))
        var out = Outbox(byteCapacity: 4096, datagramCapacity: 4)
        out.append(to: address, capacity: STUNWriter.capacity) { writer in
            STUNWriter.begin(.request, transaction, &writer)
            STUNWriter.appendUsername(fragments.0.span, fragments.1.span, &writer)
            STUNWriter.append(.priority, UInt32(99), &writer)
            STUNWriter.append(.iceControlling, UInt64(1) << 63, &writer)
            STUNWriter.appendUseCandidate(&writer)
            STUNWriter.appendXORMappedAddress(address, transaction, &writer)
            STUNWriter.appendErrorCode(487, &writer)
            STUNWriter.finish(key, &writer)
        }
        let bytes = out.bytes(of: 0).copied()
        guard let message = STUNMessage(bytes.span) else {
            Issue.record("refused")
            return
        }
        let readTransaction = message.transaction
        #expect(readTransaction == transaction)
        let username = message.username?.copied()
        #expect(username == Array("remote:loc".utf8))
        let priority = message.priority
        #expect(priority == 99)
        let iceControlling = message.iceControlling
        #expect(iceControlling == 1 << 63)
        let useCandidate = message.useCandidate
        #expect(useCandidate)
        let errorCode = message.errorCode
        #expect(errorCode == 487)
        let xorMappedAddress = message.xorMappedAddress
        #expect(xorMappedAddress == address)
        let accepted = message.verifyIntegrity(key) && message.hasFingerprint && message.fingerprintIsAcceptable
        #expect(accepted)
        let found = STUNMessage.localUsernameFragment(of: bytes.span)
        let range = try #require(found)
        #expect(Array(bytes[range]) == fragments.0)
        let hash = UsernameFragmentHash.of(bytes.span.extracting(range))
        #expect(hash == UsernameFragmentHash.of("remote"))
    }

    @Test(arguments: [
        ("too short", "00 01 00 00 21 12 a4 42"),
        ("wrong cookie", "00 01 00 00 21 12 a4 43 00 00 00 00 00 00 00 00 00 00 00 01"),
        ("length too long", "00 01 00 04 21 12 a4 42 00 00 00 00 00 00 00 00 00 00 00 01"),
        ("length too short", "00 01 00 00 21 12 a4 42 00 00 00 00 00 00 00 00 00 00 00 01 80 22 00 00"),
        ("other method", "00 03 00 00 21 12 a4 42 00 00 00 00 00 00 00 00 00 00 00 01"),
        ("attribute past the end", "00 01 00 04 21 12 a4 42 00 00 00 00 00 00 00 00 00 00 00 01 00 06 00 01"),
        (
            "priority of two bytes",
            "00 01 00 08 21 12 a4 42 00 00 00 00 00 00 00 00 00 00 00 01 00 24 00 02 01 02 00 00"
        ),
        (
            "integrity of four bytes",
            "00 01 00 08 21 12 a4 42 00 00 00 00 00 00 00 00 00 00 00 01 00 08 00 04 01 02 00 00"
        ),
        (
            "something after the fingerprint",
            "00 01 00 0c 21 12 a4 42 00 00 00 00 00 00 00 00 00 00 00 01 80 28 00 04 00 00 00 00 80 22 00 00"
        ),
        (
            "unknown address family",
            "01 01 00 0c 21 12 a4 42 00 00 00 00 00 00 00 00 00 00 00 01 00 20 00 08 00 03 00 00 00 00 00 00"
        ),
    ])
    func refusesMalformedMessages(why: String, text: String) {
        let bytes = hexBytes(text)
        let accepted = STUNMessage(bytes.span) != nil
        #expect(!accepted, "\(why)")
    }

    @Test func surviveMutations() {
        var generator = SeededGenerator(seed: 5769)
        var parsed = 0
        for round in 0..<100_000 {
            var bytes = [Self.request, Self.responseIPv4, Self.responseIPv6][round % 3]
            for _ in 0..<(1 + generator.integer(below: 4)) {
                bytes[generator.integer(below: bytes.count)] = UInt8(truncatingIfNeeded: generator.next() >> 16)
            }
            if generator.integer(below: 4) == 0 { bytes.removeLast(generator.integer(below: bytes.count)) }
            if let range = STUNMessage.localUsernameFragment(of: bytes.span) {
                #expect(range.upperBound <= bytes.count)
            }
            guard let message = STUNMessage(bytes.span) else { continue }
            parsed += message.fingerprintIsAcceptable ? 1 : 0
            _ = message.username
        }
        #expect(parsed < 100_000)
    }
}
