/// Reads a canonical message front to back. The first short or malformed read makes every later one return nil, so a
/// parser may chain reads and test once.
///
/// Integers are big-endian; varints are QUIC's (RFC 9000 §16) and must be in their shortest form, so that one value
/// has one encoding (signatures cover bytes as received).
@usableFromInline
package struct ByteReader: ~Escapable {
    @usableFromInline let bytes: Span<UInt8>
    /// Index of the next unread byte.
    @usableFromInline package internal(set) var offset = 0
    /// Whether a read has run short or met a malformed value.
    @usableFromInline package internal(set) var failed = false

    @_lifetime(copy bytes)
    @inlinable
    package init(_ bytes: Span<UInt8>) { self.bytes = bytes }

    @inlinable
    package var remaining: Int { bytes.count - offset }
    /// True when everything was read and nothing failed: what a canonical message must leave.
    @inlinable
    package var isAtEnd: Bool { !failed && offset == bytes.count }

    @inlinable
    package mutating func readUInt8() -> UInt8? {
        guard take(1) else { return nil }
        return bytes[offset - 1]
    }
    @inlinable
    package mutating func readUInt16() -> UInt16? {
        guard take(2) else { return nil }
        return bytes.loadUInt16(at: offset - 2)
    }
    @inlinable
    package mutating func readUInt32() -> UInt32? {
        guard take(4) else { return nil }
        return bytes.loadUInt32(at: offset - 4)
    }
    @inlinable
    package mutating func readUInt64() -> UInt64? {
        guard take(8) else { return nil }
        return bytes.loadUInt64(at: offset - 8)
    }
    @inlinable
    package mutating func readBytes32() -> Bytes32? {
        guard take(32) else { return nil }
        return Bytes32(bytes.extracting((offset - 32)..<offset))
    }

    /// A QUIC varint of at most `limit`; a longer form than needed is malformed.
    @inlinable
    package mutating func readVarint(limit: UInt64 = VarInt.max) -> UInt64? {
        guard !failed, offset < bytes.count else { return fail() }
        let length = 1 << Int(bytes[offset] >> 6)
        guard take(length) else { return nil }
        var value = UInt64(bytes[offset - length] & 0x3f)
        for index in (offset - length + 1)..<offset { value = value << 8 | UInt64(bytes[index]) }
        guard VarInt.byteCount(of: value) == length, value <= limit else { return fail() }
        return value
    }

    /// `count` bytes where they lie.
    @_lifetime(copy self)
    @inlinable
    package mutating func read(_ count: Int) -> Span<UInt8>? {
        guard take(count) else { return nil }
        return bytes.extracting((offset - count)..<offset)
    }

    /// A varint length of at most `limit`, then that many bytes where they lie.
    @_lifetime(copy self)
    @inlinable
    package mutating func readLengthPrefixed(limit: Int) -> Span<UInt8>? {
        guard let count = readVarint(limit: UInt64(limit)) else { return nil }
        guard take(Int(count)) else { return nil }
        return bytes.extracting((offset - Int(count))..<offset)
    }

    /// A length-prefixed UTF-8 string of at most `limit` bytes; invalid UTF-8 is malformed.
    @inlinable
    package mutating func readString(limit: Int) -> String? {
        guard let count = readVarint(limit: UInt64(limit)), take(Int(count)) else { return nil }
        let raw = bytes.extracting((offset - Int(count))..<offset).copied()
        guard let text = String(validating: raw, as: UTF8.self) else { return fail() }
        return text
    }

    /// Everything unread, where it lies; the reader is then at its end.
    @_lifetime(copy self)
    @inlinable
    package mutating func readRest() -> Span<UInt8> {
        let start = offset
        offset = bytes.count
        return bytes.extracting(start..<bytes.count)
    }

    @inlinable
    mutating func take(_ count: Int) -> Bool {
        guard !failed, count >= 0, count <= bytes.count - offset else {
            failed = true
            return false
        }
        offset += count
        return true
    }

    @inlinable
    mutating func fail<T>() -> T? {
        failed = true
        return nil
    }
}

/// Sizes of QUIC's variable-length integers (RFC 9000 §16).
@usableFromInline
package enum VarInt {
    /// 2^62 - 1.
    @inlinable
    package static var max: UInt64 { 0x3fff_ffff_ffff_ffff }

    @inlinable
    package static func byteCount(of value: UInt64) -> Int {
        value < 1 << 6 ? 1 : value < 1 << 14 ? 2 : value < 1 << 30 ? 4 : 8
    }
}
