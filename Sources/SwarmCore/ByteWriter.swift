/// Writes into a fixed span. Running over the end writes nothing more and sets `overflowed`; whoever owns the span
/// tests that once at the end and discards the datagram.
@usableFromInline
package struct ByteWriter: ~Copyable, ~Escapable {
    @usableFromInline var bytes: MutableSpan<UInt8>
    /// Bytes written so far.
    @usableFromInline package internal(set) var count = 0
    @usableFromInline package internal(set) var overflowed = false

    @_lifetime(copy bytes)
    @inlinable
    package init(_ bytes: consuming MutableSpan<UInt8>) { self.bytes = bytes }

    @inlinable
    package var capacity: Int { bytes.count }
    @inlinable
    package var remaining: Int { bytes.count - count }

    @_lifetime(self: copy self)
    @inlinable
    package mutating func append(_ value: UInt8) {
        guard claim(1) else { return }
        bytes[count - 1] = value
    }
    @_lifetime(self: copy self)
    @inlinable
    package mutating func append(_ value: UInt16) {
        guard claim(2) else { return }
        bytes.store(value, at: count - 2)
    }
    @_lifetime(self: copy self)
    @inlinable
    package mutating func append(_ value: UInt32) {
        guard claim(4) else { return }
        bytes.store(value, at: count - 4)
    }
    @_lifetime(self: copy self)
    @inlinable
    package mutating func append(_ value: UInt64) {
        guard claim(8) else { return }
        bytes.store(value, at: count - 8)
    }
    @_lifetime(self: copy self)
    @inlinable
    package mutating func append(_ value: Bytes32) {
        guard claim(32) else { return }
        bytes.store(value, at: count - 32)
    }
    @_lifetime(self: copy self)
    @inlinable
    package mutating func append(_ source: Span<UInt8>) {
        guard claim(source.count) else { return }
        bytes.copy(source, to: count - source.count)
    }
    /// A QUIC varint in its shortest form; traps above 2^62 - 1.
    @_lifetime(self: copy self)
    @inlinable
    package mutating func appendVarint(_ value: UInt64) {
        precondition(value <= VarInt.max, "varint \(value)")
        let length = VarInt.byteCount(of: value)
        guard claim(length) else { return }
        for index in 0..<length {
            bytes[count - 1 - index] = UInt8(truncatingIfNeeded: value >> UInt64(index * 8))
        }
        bytes[count - length] |= UInt8(length.trailingZeroBitCount) << 6
    }
    @_lifetime(self: copy self)
    @inlinable
    package mutating func appendLengthPrefixed(_ source: Span<UInt8>) {
        appendVarint(UInt64(source.count))
        append(source)
    }
    @_lifetime(self: copy self)
    @inlinable
    package mutating func appendString(_ text: String) {
        let utf8 = Array(text.utf8)
        appendLengthPrefixed(utf8.span)
    }
    /// `count` bytes of `value`: room for a tag, or padding.
    @_lifetime(self: copy self)
    @inlinable
    package mutating func append(repeating value: UInt8, count repeats: Int) {
        guard claim(repeats) else { return }
        for index in (count - repeats)..<count { bytes[index] = value }
    }

    /// What was written, to be sealed or patched in place.
    @_lifetime(&self)
    @inlinable
    package mutating func written() -> MutableSpan<UInt8> {
        bytes._mutatingExtracting(0..<count)
    }

    /// Discards all written bytes after `newCount`.
    @_lifetime(self: copy self)
    @inlinable
    package mutating func truncate(to newCount: Int) {
        precondition(newCount >= 0 && newCount <= count, "truncate \(count) to \(newCount)")
        count = newCount
    }

    @_lifetime(self: copy self)
    @inlinable
    mutating func claim(_ length: Int) -> Bool {
        guard !overflowed, length >= 0, length <= bytes.count - count else {
            overflowed = true
            return false
        }
        count += length
        return true
    }
}
