import MediaRelay
import SwarmCore
import SwarmCrypto
import Testing

@Suite struct PacketPathLinkFrameTests {
    private func written(_ body: (inout ByteWriter) -> Void) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xee, count: 2048)
        var writer = ByteWriter(bytes.mutableSpan)
        body(&writer)
        let count = writer.count
        return Array(bytes[..<count])
    }

    private func frames(_ bytes: [UInt8]) -> (frames: [LinkFrame], isMalformed: Bool) {
        var iterator = LinkFrameIterator(0..<bytes.count)
        var found: [LinkFrame] = []
        while let frame = iterator.next(in: bytes.span) { found.append(frame) }
        return (found, iterator.isMalformed)
    }

    @Test func everyFrameIsReadBack() {
        let packet = StoredPacket(
            sequence: 0x1_0203_0405, timestamp: 0xa0b0_c0d0, arrival: .zero, marker: true,
            place: FramePlace(startsFrame: true, startsKeyFrame: true), extensionCount: 3, payloadCount: 2)
        let media: [UInt8] = [4, 1, 0x80, 0xca, 0xfe]
        let bytes = written { writer in
            writer.appendOpen()
            writer.appendWord(LinkFrame.Kind.ping, 7)
            writer.appendWord(LinkFrame.Kind.pong, 8)
            writer.appendLinkReport(highest: 100, received: 16_384)
            writer.appendLinkNackHead(count: 2)
            writer.append(UInt32(5))
            writer.append(UInt32(9))
            writer.appendKeyFrameRequest(alias: 70, layer: 4)
            writer.appendWord(LinkFrame.Kind.pathChallenge, 1)
            writer.appendWord(LinkFrame.Kind.pathResponse, 1)
            writer.appendResumeHead(alias: 1, layer: 4, epoch: 1_700_000_000_000, next: 65_537, holeCount: 1)
            writer.append(UInt32(65_530))
            writer.appendHead(alias: 1, layer: 0, epoch: 1_700_000_000_000, highest: 65_536)
            writer.appendClock(alias: 1, layer: 0, networkTime: 99, timestamp: 98)
            writer.appendEnded(alias: 3)
            writer.append(UInt8(0))
            // A frame of a later version.
            writer.append(UInt8(0x3f))
            writer.append(UInt8(2))
            writer.append(UInt16(0xffff))
            writer.appendMedia(packet, bytes: media.span, alias: 1, layer: 4, epochTag: 0x5a, repairing: 0x9_0000_0001)
        }
        let (found, isMalformed) = frames(bytes)
        #expect(!isMalformed)
        #expect(found.count == 14)
        #expect(found[3] == .report(highest: 100, received: 16_384))
        #expect(found[5] == .keyFrameRequest(alias: 70, layer: 4))
        if case .resume(1, 4, 1_700_000_000_000, 65_537, let holes) = found[8] {
            #expect(Array(bytes[holes]) == [0, 0, 0xff, 0xfa])
        } else {
            Issue.record("\(found[8])")
        }
        #expect(found[9] == .head(alias: 1, epoch: 1_700_000_000_000, layer: 0, highest: 65_536))
        #expect(found[12] == .unknown)
        if case .media(let frame) = found[13] {
            #expect(frame.sequence == 0x0203_0405)
            #expect(frame.timestamp == 0xa0b0_c0d0)
            #expect(frame.marker && frame.place.startsKeyFrame && frame.place.startsFrame)
            #expect(frame.repairedCounter == 1)
            #expect(Array(bytes[frame.extensions]) == [4, 1, 0x80])
            #expect(Array(bytes[frame.payload]) == [0xca, 0xfe])
        } else {
            Issue.record("\(found[13])")
        }
    }

    @Test(
        arguments: [
            [0x02], [0x02, 8, 1, 2, 3], [0x02, 3, 1, 2, 3], [0x05, 0], [0x05, 3, 1, 2, 3], [0x06, 2, 1, 64],
            [0x09, 3, 1, 4, 0x40], [0x0a, 4, 1, 0, 0x40, 1], [0x80], [0x81, 1, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [0x90, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2], [0x88, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 1],
            [0x80, 0xc0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ] as [[UInt8]])
    func malformedFramesEndTheDatagram(bytes: [UInt8]) {
        let (found, isMalformed) = frames(bytes)
        #expect(isMalformed, "\(bytes)")
        #expect(found.isEmpty)
    }

    @Test func mutatedDatagramsNeverTrap() {
        var generator = SeededGenerator(seed: 45)
        let packet = StoredPacket(
            sequence: 70_000, timestamp: 1, arrival: .zero, marker: true,
            place: FramePlace(startsFrame: true, startsKeyFrame: true), extensionCount: 3, payloadCount: 2)
        let media: [UInt8] = [4, 1, 0x80, 0xca, 0xfe]
        let datagram = written { writer in
            writer.appendResumeHead(alias: 1, layer: 4, epoch: 1_700_000_000_000, next: 65_537, holeCount: 1)
            writer.append(UInt32(65_530))
            writer.appendHead(alias: 1, layer: 0, epoch: 1_700_000_000_000, highest: 65_536)
            writer.appendLinkReport(highest: 100, received: 16_384)
            writer.appendMedia(packet, bytes: media.span, alias: 300, layer: 4, epochTag: 1, repairing: 3)
        }
        for _ in 0..<100_000 {
            var bytes = datagram
            for _ in 0..<(1 + generator.integer(below: 4)) {
                bytes[generator.integer(below: bytes.count)] = UInt8(truncatingIfNeeded: generator.next())
            }
            bytes.removeLast(generator.integer(below: bytes.count))
            for frame in frames(bytes).frames {
                if case .media(let media) = frame { #expect(media.payload.upperBound == bytes.count) }
            }
        }
    }

    /// The vector of PROTOCOL.md, "Media links".
    @Test func sealedDatagramMatchesTheProtocolsVector() {
        let key = Bytes32(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f, 0x1011_1213_1415_1617, 0x1819_1a1b_1c1d_1e1f)
        let packet = StoredPacket(
            sequence: 65_537, timestamp: 90_000, arrival: .zero, marker: true,
            place: FramePlace(startsFrame: true, startsKeyFrame: true), extensionCount: 0, payloadCount: 4)
        let payload: [UInt8] = [0x10, 0x00, 0xca, 0xfe]
        let epochTag = MediaFrame.tag(ofEpoch: 1_700_000_000_000)
        var vectors: [String] = []
        for kind in [LinkCipherKind.aes256GCM, .chaCha20Poly1305] {
            var bytes = written { writer in
                writer.append(UInt8(0xd0))
                writer.append(UInt32(0x0102_0304))
                writer.append(UInt32(5))
                writer.appendMedia(packet, bytes: payload.span, alias: 1, layer: 4, epochTag: epochTag, repairing: nil)
                writer.append(repeating: 0, count: 16)
            }
            var cipher = LinkCipher(kind, key: key, direction: .sealing)
            var span = bytes.mutableSpan
            cipher.seal(counter: 5, headerByteCount: 9, packet: &span)
            vectors.append(bytes.map { byte in String(byte >> 4, radix: 16) + String(byte & 15, radix: 16) }.joined())
        }
        #expect(epochTag == 0x14)
        #expect(
            vectors == [
                "d001020304000000051fa0c676c3bf954c6853166155f79f1cab376b4cec5ec080837682271e22271d",
                "d00102030400000005a409921e4524473f8bab66d835b5fa5d64a82cf47b3b704e00ca4a681be01b72",
            ])
    }
}
