import MediaRelay
import SwarmCore
import Testing

@Suite struct PacketPathRTPTests {
    private struct HeaderCase: Sendable {
        var name: String
        var bytes: [UInt8]
        var payload: Range<Int>?
        var extensions: Range<Int> = 0..<0
    }

    private static let headers: [HeaderCase] = [
        HeaderCase(name: "empty", bytes: [], payload: nil),
        HeaderCase(name: "eleven bytes", bytes: [UInt8](repeating: 0x80, count: 11), payload: nil),
        HeaderCase(name: "version 1", bytes: [0x40] + [UInt8](repeating: 0, count: 19), payload: nil),
        HeaderCase(name: "bare", bytes: [0x80] + [UInt8](repeating: 0, count: 11), payload: 12..<12),
        HeaderCase(name: "payload", bytes: [0x80] + [UInt8](repeating: 0, count: 20), payload: 12..<21),
        HeaderCase(name: "two CSRCs", bytes: [0x82] + [UInt8](repeating: 0, count: 22), payload: 20..<23),
        HeaderCase(name: "CSRCs overrun", bytes: [0x8f] + [UInt8](repeating: 0, count: 30), payload: nil),
        HeaderCase(
            name: "one-byte extension",
            bytes: [0x90] + [UInt8](repeating: 0, count: 11) + [0xbe, 0xde, 0, 1, 0x10, 0xaa, 0, 0, 9],
            payload: 20..<21, extensions: 16..<20),
        HeaderCase(
            name: "unknown profile",
            bytes: [0x90] + [UInt8](repeating: 0, count: 11) + [0x12, 0x34, 0, 1, 1, 2, 3, 4, 9],
            payload: 20..<21),
        HeaderCase(
            name: "extension overruns",
            bytes: [0x90] + [UInt8](repeating: 0, count: 11) + [0xbe, 0xde, 0, 9, 1, 2, 3, 4],
            payload: nil),
        HeaderCase(name: "padding", bytes: [0xa0] + [UInt8](repeating: 0, count: 12) + [7, 0, 3], payload: 12..<13),
        HeaderCase(name: "padding of nothing", bytes: [0xa0] + [UInt8](repeating: 0, count: 14), payload: nil),
        HeaderCase(name: "padding overruns", bytes: [0xa0] + [UInt8](repeating: 0, count: 12) + [0, 9], payload: nil),
        HeaderCase(
            name: "padding only", bytes: [0xa0] + [UInt8](repeating: 0, count: 11) + [0, 0, 3], payload: 12..<12),
    ]

    @Test(arguments: headers.indices)
    func headerTable(index: Int) {
        let row = Self.headers[index]
        let header = RTPHeader(row.bytes.span)
        #expect(header?.payloadRange == row.payload, "\(row.name)")
        if let header { #expect(header.extensionRange == row.extensions, "\(row.name)") }
    }

    @Test func elementsOfBothForms() {
        let oneByte: [UInt8] =
            [0x90] + [UInt8](repeating: 0, count: 11)
            + [0xbe, 0xde, 0, 3, 0x10, 0xaa, 0, 0x32, 1, 2, 3, 0xf0, 0x40, 9, 9, 9]
        let twoByte: [UInt8] =
            [0x90] + [UInt8](repeating: 0, count: 11)
            + [0x10, 0x00, 0, 3, 20, 0, 0, 30, 2, 7, 8, 0, 40, 1, 5, 0]
        func elements(_ bytes: [UInt8]) -> [[UInt8]] {
            guard let header = RTPHeader(bytes.span) else { return [] }
            var found: [[UInt8]] = []
            var elements = HeaderExtensionIterator(header)
            while let (id, range) = elements.next(in: bytes.span) { found.append([id] + bytes[range]) }
            return found
        }
        #expect(elements(oneByte) == [[1, 0xaa], [3, 1, 2, 3]], "id 15 ends the walk")
        #expect(elements(twoByte) == [[20], [30, 7, 8], [40, 5]])
    }

    @Test func mutatedPacketsNeverTrap() {
        var generator = SeededGenerator(seed: 42)
        let seedPacket: [UInt8] =
            [0xb1] + [UInt8](repeating: 1, count: 15)
            + [0xbe, 0xde, 0, 2, 0x10, 0xaa, 0x22, 1, 2, 3, 0, 0] + [UInt8](repeating: 3, count: 40)
        var parsed = 0
        for _ in 0..<100_000 {
            var bytes = seedPacket
            for _ in 0..<(1 + generator.integer(below: 4)) {
                bytes[generator.integer(below: bytes.count)] = UInt8(truncatingIfNeeded: generator.next())
            }
            bytes.removeLast(generator.integer(below: bytes.count))
            _ = RTPHeader.length(of: bytes.span)
            guard let header = RTPHeader(bytes.span) else { continue }
            parsed += 1
            #expect(header.payloadRange.upperBound <= bytes.count)
            var elements = HeaderExtensionIterator(header)
            while let (_, range) = elements.next(in: bytes.span) { #expect(range.upperBound <= bytes.count) }
            for codec: PayloadCodec in [.vp8, .vp9, .h264, .av1, .audio, .unknown] {
                _ = FramePlace.inspect(bytes.span.extracting(header.payloadRange), codec: codec)
            }
            _ = FramePlace.inspect(dependencyDescriptor: bytes.span.extracting(header.payloadRange))
        }
        #expect(parsed > 10_000)
    }

    private static let places: [(PayloadCodec, [UInt8], Bool, Bool)] = [
        // VP8 (RFC 7741): S bit, partition 0, P bit clear.
        (.vp8, [0x10, 0x00], true, true),
        (.vp8, [0x10, 0x01], true, false),
        (.vp8, [0x00, 0x00], false, false),
        (.vp8, [0x90, 0x80, 0x81, 0x02, 0x00], true, true),
        (.vp8, [0x90, 0xe0, 0x01, 0x02, 0x20, 0x01], true, false),
        (.vp8, [0x11, 0x00], false, false),
        (.vp8, [0x90], false, false),
        (.vp8, [], false, false),
        // H264: IDR, SPS, slice, STAP-A with SPS, FU-A start and continuation of an IDR.
        (.h264, [0x65, 1], true, true),
        (.h264, [0x67, 1], true, true),
        (.h264, [0x41, 1], true, false),
        (.h264, [0x78, 0, 2, 0x67, 1, 0, 1, 0x68], true, true),
        (.h264, [0x78, 0, 1, 0x41], true, false),
        (.h264, [0x7c, 0x85], true, true),
        (.h264, [0x7c, 0x05], false, false),
        (.h264, [0x7c], false, false),
        // VP9: B, no P, spatial layer 0; the second spatial layer of the same picture is no beginning.
        (.vp9, [0x08], true, true),
        (.vp9, [0x48], true, false),
        (.vp9, [0x28, 0x02], true, false),
        (.vp9, [0xa8, 0x81, 0x00, 0x00], true, true),
        // AV1: N bit.
        (.av1, [0x08], true, true),
        (.av1, [0x00], true, false),
        (.av1, [0x88], false, false),
        (.audio, [], true, true),
        (.unknown, [0x10, 0x00], false, false),
    ]

    @Test(arguments: places.indices)
    func framePlaces(index: Int) {
        let (codec, payload, startsFrame, startsKeyFrame) = Self.places[index]
        let expected = FramePlace(startsFrame: startsFrame, startsKeyFrame: startsKeyFrame)
        let found = FramePlace.inspect(payload.span, codec: codec)
        #expect(found == expected, "\(codec) \(payload)")
    }

    @Test func sequencesUnroll() {
        var unwrapper = SequenceUnwrapper()
        let table: [(UInt16, UInt64)] = [
            (65_530, 131_066), (65_535, 131_071), (2, 131_074), (65_534, 131_070), (0, 131_072), (32_000, 163_072),
            (1, 131_073),
        ]
        for (sequence, expected) in table { #expect(unwrapper.unwrap(sequence) == expected, "\(sequence)") }
        #expect(unwrapper.highest == 163_072)
    }

    @Test(
        arguments: [
            (5, 0, 5), (0xffff_ffff, 0x1_0000_0003, 0xffff_ffff), (1, 0xffff_fff0, 0x1_0000_0001),
            (0x8000_0000, 3, 0x8000_0000), (7, 0x5_0000_0000, 0x5_0000_0007),
        ] as [(UInt32, UInt64, UInt64)])
    func countersUnroll(low: UInt32, expected: UInt64, full: UInt64) {
        #expect(Counter64.expand(low, near: expected) == full)
    }
}
