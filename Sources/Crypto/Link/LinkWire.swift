import SwarmCore

/// Sizes and fixed bytes of the link's packets (PROTOCOL.md, "Links").
enum LinkWire {
    static var initiationType: UInt8 { 0xc1 }
    static var responseType: UInt8 { 0xc2 }
    static var cookieType: UInt8 { 0xc3 }
    static var transportType: UInt8 { 0xc4 }
    static var version: UInt8 { 1 }

    /// Type, version, sender's connection id.
    static var initiationHeader: Int { 6 }
    /// Type, version, sender's and receiver's connection ids.
    static var responseHeader: Int { 10 }
    /// Type, receiver's connection id, counter.
    static var transportHeader: Int { 13 }
    static var transportOverhead: Int { transportHeader + CryptoSuite.tagByteCount }
    static var macByteCount: Int { 16 }
    /// Type, version, receiver's connection id; then nonce, then the sealed cookie.
    static var cookieHeader: Int { 6 }
    static var cookieNonce: Int { 24 }
    static var cookieByteCount: Int { cookieHeader + cookieNonce + 16 + CryptoSuite.tagByteCount }
    /// mac1 and mac2.
    static var macsByteCount: Int { 32 }

    /// Three times this holds the largest datagram, so a full answer never exceeds what an unvalidated address may get.
    static var initiationMinimum: Int { (Limits.datagramBytes + 2) / 3 + 5 }
    static var initiationMaximum: Int { Limits.datagramBytes }
    /// Timestamp and Ed25519 key, before the message in message 1's payload.
    private static var initiationFields: Int { 8 + 32 }
    /// The largest message that fits into message 1: 1,056 bytes.
    static var earlyMessageLimit: Int {
        Limits.datagramBytes - initiationHeader - NoiseHandshake.initiationOverhead - initiationFields - 2
            - macsByteCount
    }
    /// The largest message that fits into message 2: 1,140 bytes.
    static var responseMessageLimit: Int {
        Limits.datagramBytes - responseHeader - NoiseHandshake.responseOverhead - 2 - macsByteCount
    }
    static var responseMinimum: Int { responseHeader + NoiseHandshake.responseOverhead + 1 + macsByteCount }

    /// Message 1 with a message of `message` bytes inside; padded to its minimum.
    static func initiationByteCount(message: Int) -> Int {
        let fields = initiationFields + VarInt.byteCount(of: UInt64(message)) + message
        return max(
            initiationMinimum, initiationHeader + NoiseHandshake.initiationOverhead + fields + macsByteCount)
    }

    /// Message 2 with a message of `message` bytes inside.
    static func responseByteCount(message: Int) -> Int {
        responseHeader + NoiseHandshake.responseOverhead + VarInt.byteCount(of: UInt64(message)) + message
            + macsByteCount
    }

    /// The prologue of a handshake: a label, a zero byte and message 1's header, so that a changed header fails.
    static func prologue(connection: UInt32) -> InlineArray<28, UInt8> {
        var storage = InlineArray<28, UInt8>(repeating: 0)
        var writer = ByteWriter(storage.mutableSpan)
        writer.append("mafalda-swarm link v1".utf8.span)
        writer.append(UInt8(0))
        writer.append(initiationType)
        writer.append(version)
        writer.append(connection)
        return storage
    }

    /// Message types below this belong to the link itself.
    static var firstControlType: UInt8 { 0x10 }
    /// Type and token.
    static var probeByteCount: Int { 9 }
    static var probeType: UInt8 { 0x01 }
    static var probeAnswerType: UInt8 { 0x02 }
}

/// The keys that follow from one epoch of the swarm secret.
struct LinkSecretKeys: Sendable {
    private let secret: Bytes32
    /// Noise's pre-shared key.
    let presharedKey: Bytes32

    init(_ secret: Bytes32, suite: CryptoSuite) {
        self.secret = secret
        presharedKey = suite.deriveKey(secret, label: "mafalda-swarm psk v1")
    }

    /// The key that cookies of `responder` are sealed with.
    func cookieKey(of responder: PublicKey, suite: CryptoSuite) -> Bytes32 {
        responder.bytes.withSpan { suite.deriveKey(secret, label: "mafalda-swarm cookie v1", context: $0) }
    }

    /// The key of mac1 on packets to the owner of `receiver`.
    func macKey(to receiver: PublicKey, suite: CryptoSuite) -> Bytes32 {
        receiver.bytes.withSpan { suite.deriveKey(secret, label: "mafalda-swarm mac1 v1", context: $0) }
    }
}

extension CryptoSuite {
    /// mac1: BLAKE2b-128 under a key of 32 bytes, as two big-endian words.
    func mac(key: Bytes32, _ bytes: Span<UInt8>) -> (UInt64, UInt64) {
        guard !isCounted else {
            var hash = CountedHash(seed: 7)
            hash.update(key)
            hash.update(bytes)
            return (hash.finish(), 0)
        }
        return key.withSpan { Blake2b.hash128(key: $0, bytes) }
    }

    /// Whether `packet` ends in mac1 under `key`, then mac2.
    func hasMac(_ packet: Span<UInt8>, key: Bytes32) -> Bool {
        let end = packet.count - LinkWire.macsByteCount
        guard end > 0 else { return false }
        let expected = mac(key: key, packet.extracting(0..<end))
        // Combined before the test, so that its time tells nothing about where a forgery differs.
        return (packet.loadUInt64(at: end) ^ expected.0) | (packet.loadUInt64(at: end + 8) ^ expected.1) == 0
    }

    /// Writes mac1 under `key` into the room at the end of `packet`, then mac2 under `cookie`, or zeros without one.
    func writeMacs(into packet: inout MutableSpan<UInt8>, key: Bytes32, cookie: LinkCookie? = nil) {
        let end = packet.count - LinkWire.macsByteCount
        let mac1 = mac(key: key, packet.span.extracting(0..<end))
        packet.store(mac1.0, at: end)
        packet.store(mac1.1, at: end + 8)
        var mac2: (UInt64, UInt64) = (0, 0)
        if let cookie { mac2 = mac(cookie: cookie, packet.span.extracting(0..<end + LinkWire.macByteCount)) }
        packet.store(mac2.0, at: end + 16)
        packet.store(mac2.1, at: end + 24)
    }
}
