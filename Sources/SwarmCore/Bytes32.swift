/// Thirty-two bytes as a value: keys, hashes, secrets. Stored as four big-endian words so that comparing is four
/// integer comparisons and copying never allocates.
@usableFromInline
package struct Bytes32: Hashable, Comparable, Sendable {
    @usableFromInline package var word0: UInt64
    @usableFromInline package var word1: UInt64
    @usableFromInline package var word2: UInt64
    @usableFromInline package var word3: UInt64

    @inlinable
    package static var byteCount: Int { 32 }

    @inlinable
    package init(_ word0: UInt64, _ word1: UInt64, _ word2: UInt64, _ word3: UInt64) {
        self.word0 = word0
        self.word1 = word1
        self.word2 = word2
        self.word3 = word3
    }

    @inlinable
    package static var zero: Bytes32 { Bytes32(0, 0, 0, 0) }

    /// Nil unless `bytes` holds exactly 32 bytes.
    @inlinable
    package init?(_ bytes: Span<UInt8>) {
        guard bytes.count == 32 else { return nil }
        self.init(bytes.loadUInt64(at: 0), bytes.loadUInt64(at: 8), bytes.loadUInt64(at: 16), bytes.loadUInt64(at: 24))
    }

    /// Nil unless `bytes` holds exactly 32 bytes.
    @inlinable
    package init?(_ bytes: [UInt8]) {
        self.init(bytes.span)
    }

    /// The byte at `index` in 0..<32, most significant first.
    @inlinable
    package subscript(index: Int) -> UInt8 {
        let word = index < 16 ? (index < 8 ? word0 : word1) : (index < 24 ? word2 : word3)
        return UInt8(truncatingIfNeeded: word >> UInt64(56 - (index & 7) * 8))
    }

    /// A copy as an array, for C calls and tests.
    @inlinable
    package var array: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(32)
        for index in 0..<32 { bytes.append(self[index]) }
        return bytes
    }

    @inlinable
    package static func < (a: Bytes32, b: Bytes32) -> Bool {
        if a.word0 != b.word0 { return a.word0 < b.word0 }
        if a.word1 != b.word1 { return a.word1 < b.word1 }
        if a.word2 != b.word2 { return a.word2 < b.word2 }
        return a.word3 < b.word3
    }

    @inlinable
    package static func ^ (a: Bytes32, b: Bytes32) -> Bytes32 {
        Bytes32(a.word0 ^ b.word0, a.word1 ^ b.word1, a.word2 ^ b.word2, a.word3 ^ b.word3)
    }

    /// Zero bits before the first one bit; 256 for zero.
    @inlinable
    package var leadingZeroBitCount: Int {
        if word0 != 0 { return word0.leadingZeroBitCount }
        if word1 != 0 { return 64 + word1.leadingZeroBitCount }
        if word2 != 0 { return 128 + word2.leadingZeroBitCount }
        return 192 + word3.leadingZeroBitCount
    }

    /// Compares without a data-dependent branch, for secrets.
    @inlinable
    package func equalsInConstantTime(_ other: Bytes32) -> Bool {
        (word0 ^ other.word0) | (word1 ^ other.word1) | (word2 ^ other.word2) | (word3 ^ other.word3) == 0
    }
}
