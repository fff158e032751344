import SwarmCore

/// Noise's symmetric state (Noise §5.2) for ChaChaPoly and BLAKE2b: HASHLEN 64, BLOCKLEN 128.
struct SymmetricState: Sendable {
    private(set) var chainingKey: Bytes64
    private(set) var hash: Bytes64
    private var key = Bytes32.zero
    private var counter: UInt64 = 0
    private let suite: CryptoSuite

    /// `protocolName` holds at most 64 bytes, so it is padded with zeros rather than hashed.
    init(protocolName: String, suite: CryptoSuite) {
        precondition(protocolName.utf8.count <= 64, "protocol name of \(protocolName.utf8.count) bytes")
        var padded = InlineArray<64, UInt8>(repeating: 0)
        var target = padded.mutableSpan
        target.copy(protocolName.utf8.span, to: 0)
        hash = Bytes64(padded.span) ?? .zero
        chainingKey = hash
        self.suite = suite
    }

    mutating func mixHash(_ bytes: Span<UInt8>) {
        guard !suite.isCounted else {
            var counted = CountedHash(seed: 5)
            counted.update(hash)
            counted.update(bytes)
            hash = counted.finish64()
            return
        }
        var blake = Blake2b(outputByteCount: 64)
        blake.update(hash)
        blake.update(bytes)
        hash = blake.finish64()
    }

    mutating func mixHash(_ value: Bytes32) { value.withSpan { mixHash($0) } }

    mutating func mixKey(_ input: Bytes32) {
        let outputs = input.withSpan { NoiseHash.expand(chainingKey, $0, suite: suite) }
        chainingKey = outputs.first
        key = outputs.second.first
        counter = 0
    }

    mutating func mixKeyAndHash(_ input: Bytes32) {
        let outputs = input.withSpan { NoiseHash.expand(chainingKey, $0, suite: suite) }
        chainingKey = outputs.first
        outputs.second.withSpan { mixHash($0) }
        key = outputs.third.first
        counter = 0
    }

    /// Encrypts `text` (plaintext, then 16 bytes of room) in place.
    mutating func encryptAndHash(_ text: inout MutableSpan<UInt8>) {
        hash.withSpan { suite.seal(key: key, counter: counter, additionalData: $0, inPlace: &text) }
        counter += 1
        mixHash(text.span)
    }

    /// Decrypts `text` in place; on false this state is of no further use.
    mutating func decryptAndHash(_ text: inout MutableSpan<UInt8>) -> Bool {
        let before = hash
        mixHash(text.span)
        defer { counter += 1 }
        return before.withSpan { suite.open(key: key, counter: counter, additionalData: $0, inPlace: &text) }
    }

    /// The keys of the two directions, initiator's first.
    func split() -> (initiatorToResponder: Bytes32, responderToInitiator: Bytes32) {
        let none = InlineArray<1, UInt8>(repeating: 0)
        let outputs = NoiseHash.expand(chainingKey, none.span.extracting(0..<0), suite: suite)
        return (outputs.first.first, outputs.second.first)
    }
}

/// Noise's HKDF (Noise §4.3) over HMAC-BLAKE2b.
enum NoiseHash {
    static func expand(
        _ chainingKey: Bytes64, _ input: Span<UInt8>, suite: CryptoSuite
    ) -> (first: Bytes64, second: Bytes64, third: Bytes64) {
        guard !suite.isCounted else {
            var counted = CountedHash(seed: 6)
            counted.update(chainingKey)
            counted.update(input)
            return (counted.finish64(lane: 1), counted.finish64(lane: 2), counted.finish64(lane: 3))
        }
        let extracted = hmac(chainingKey) { $0.update(input) }
        let first = hmac(extracted) { $0.update(UInt8(1)) }
        let second = hmac(extracted) { hash in
            hash.update(first)
            hash.update(UInt8(2))
        }
        let third = hmac(extracted) { hash in
            hash.update(second)
            hash.update(UInt8(3))
        }
        return (first, second, third)
    }

    /// HMAC (RFC 2104) over BLAKE2b-512 with a 64-byte key.
    static func hmac(_ key: Bytes64, _ message: (inout Blake2b) -> Void) -> Bytes64 {
        var inner = Blake2b(outputByteCount: 64)
        inner.update(key ^ 0x3636_3636_3636_3636)
        inner.update(repeating: 0x36, count: 64)
        message(&inner)
        let digest = inner.finish64()
        var outer = Blake2b(outputByteCount: 64)
        outer.update(key ^ 0x5c5c_5c5c_5c5c_5c5c)
        outer.update(repeating: 0x5c, count: 64)
        outer.update(digest)
        return outer.finish64()
    }
}

extension Bytes64 {
    /// Every word XOR `word`: HMAC's pads.
    fileprivate static func ^ (value: Bytes64, word: UInt64) -> Bytes64 {
        let pad = Bytes32(word, word, word, word)
        return Bytes64(value.first ^ pad, value.second ^ pad)
    }
}
