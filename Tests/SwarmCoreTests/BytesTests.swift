import SwarmCore
import Testing

@Suite struct BytesTests {
    /// RFC 9000 §A.1 samples, and the boundaries of each length.
    static let varints: [(UInt64, [UInt8])] = [
        (151_288_809_941_952_652, [0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c]),
        (494_878_333, [0x9d, 0x7f, 0x3e, 0x7d]),
        (15_293, [0x7b, 0xbd]),
        (37, [0x25]),
        (63, [0x3f]),
        (64, [0x40, 0x40]),
        (16_383, [0x7f, 0xff]),
        (16_384, [0x80, 0x00, 0x40, 0x00]),
        (0, [0]),
    ]

    @Test(arguments: varints)
    func varintsRoundTrip(value: UInt64, encoded: [UInt8]) {
        var buffer = [UInt8](repeating: 0, count: 8)
        var writer = ByteWriter(buffer.mutableSpan)
        writer.appendVarint(value)
        let count = writer.count
        #expect(Array(buffer[..<count]) == encoded)
        var reader = ByteReader(encoded.span)
        let decoded = reader.readVarint()
        #expect(decoded == value)
        let atEnd = reader.isAtEnd
        #expect(atEnd)
    }

    /// One value has one encoding: RFC 9000 would accept 0x4025 for 37, we do not.
    @Test(arguments: [[0x40, 0x25], [0x80, 0, 0x3f, 0xff], [0xc0, 0, 0, 0, 0, 0, 0, 1], [0x40], []] as [[UInt8]])
    func longOrShortVarintsFail(encoded: [UInt8]) {
        var reader = ByteReader(encoded.span)
        #expect(reader.readVarint() == nil)
        let failed = reader.failed
        #expect(failed)
    }

    @Test func aFailedReaderStaysFailed() {
        let bytes: [UInt8] = [1, 2, 3]
        var reader = ByteReader(bytes.span)
        #expect(reader.readUInt32() == nil)
        #expect(reader.readUInt8() == nil)
        let atEnd = reader.isAtEnd
        #expect(!atEnd)
    }

    @Test func anOverflowingWriterWritesNothingMore() {
        var buffer = [UInt8](repeating: 0xee, count: 3)
        var writer = ByteWriter(buffer.mutableSpan)
        writer.append(UInt16(0x0102))
        writer.append(UInt32(0x0304_0506))
        writer.append(UInt8(7))
        let (count, overflowed) = (writer.count, writer.overflowed)
        #expect(count == 2 && overflowed)
        #expect(buffer == [1, 2, 0xee])
    }

    @Test func lengthPrefixesRespectLimitsAndEnds() {
        let good: [UInt8] = [2, 0x68, 0x69]
        var reader = ByteReader(good.span)
        #expect(reader.readString(limit: 2) == "hi")
        var limited = ByteReader(good.span)
        #expect(limited.readString(limit: 1) == nil)
        let short: [UInt8] = [5, 1]
        var truncated = ByteReader(short.span)
        #expect(truncated.readString(limit: 9) == nil)
        let invalid: [UInt8] = [1, 0xff]
        var broken = ByteReader(invalid.span)
        #expect(broken.readString(limit: 9) == nil)
    }

    @Test func base32AndBase64RoundTrip() {
        let value = Bytes32(0x0123_4567_89ab_cdef, 0, .max, 0x8000_0000_0000_0001)
        let text = Base32.encode(value)
        #expect(text.utf8.count == 52 && Base32.decode32(text) == value)
        #expect(Base32.decode32(String(text.dropLast()) + "b") == nil, "trailing bits must be zero")
        #expect(Base32.decode32(text.uppercased()) == nil)
        for bytes in [[], [1], [1, 2], [1, 2, 3], [255, 254, 253, 252]] as [[UInt8]] {
            #expect(Base64URL.decode(Base64URL.encode(bytes)) == bytes)
        }
        #expect(Base64URL.encode([0xfb, 0xff]) == "-_8")
        for bad in ["A", "-_9", "a=", "+/"] { #expect(Base64URL.decode(bad) == nil, "\(bad)") }
    }

    @Test func wordsCompareAndIndexBigEndian() {
        let value = Bytes32(0x0102_0304_0506_0708, 0x090a_0b0c_0d0e_0f10, 0, 0xff)
        #expect((0..<16).map { value[$0] } == Array(1...16) && value[31] == 0xff)
        #expect(Bytes32(value.array) == value)
        #expect(Bytes32(1, 0, 0, 0) > Bytes32(0, .max, .max, .max))
        #expect(Bytes32(0, 0, 1, 0).leadingZeroBitCount == 191 && Bytes32.zero.leadingZeroBitCount == 256)
    }
}
