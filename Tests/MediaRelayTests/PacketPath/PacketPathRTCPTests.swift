import MediaRelay
import SwarmCore
import Testing

@Suite struct PacketPathRTCPTests {
    private func written(_ body: (inout ByteWriter) -> Void) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xee, count: 2048)
        var count = 0
        var overflowed = false
        do {
            var writer = ByteWriter(bytes.mutableSpan)
            body(&writer)
            count = writer.count
            overflowed = writer.overflowed
        }
        #expect(!overflowed)
        return Array(bytes[..<count])
    }

    @Test func compoundIsWrittenAndReadBack() {
        let name = Array("stream-name".utf8)
        let block = ReportBlock(
            ssrc: 77, fractionLost: 12, cumulativeLost: -3, highestSequence: 0x1_0002, jitter: 9, lastReport: 0xabcd,
            delaySinceLastReport: 65_536)
        let bytes = written { writer in
            writer.appendSenderReport(
                ssrc: 1, networkTime: 0x1122_3344_5566_7788, timestamp: 99, packetCount: 5, byteCount: 600)
            writer.appendReceiverReport(ssrc: 2, blockCount: 1)
            writer.append(block)
            writer.appendSourceDescription(ssrc: 1, canonicalName: name.span)
            writer.appendNackHead(sender: 2, media: 3, itemCount: 1)
            writer.append(UInt16(500))
            writer.append(UInt16(0b11))
            writer.appendPictureLoss(sender: 2, media: 3)
            writer.appendFullIntraRequest(sender: 2, media: 3, sequence: 8)
            writer.appendBye(ssrc: 2)
        }
        #expect(bytes.count % 4 == 0)
        var iterator = RTCPIterator()
        var types: [UInt8] = []
        var messages: [FeedbackMessage] = []
        while let packet = iterator.next(in: bytes.span) {
            types.append(packet.type)
            let body = bytes.span.extracting(packet.body)
            if packet.type == 200 {
                let report = SenderReport(body)
                #expect(report?.networkTime == 0x1122_3344_5566_7788)
                #expect(report?.timestamp == 99)
            }
            if packet.type == 201 {
                let found = ReportBlock(body, at: 4)
                #expect(found == block)
            }
            if let message = FeedbackMessage(packet, in: bytes.span) { messages.append(message) }
        }
        #expect(!iterator.isMalformed)
        #expect(types == [200, 201, 202, 205, 206, 206, 203])
        #expect(messages.count == 3)
        #expect(messages[1] == .pictureLoss(media: 3))
    }

    @Test func bitrateEstimateIsRead() {
        // draft-alvestrand-rmcat-remb-03 §2.2: exponent 4, mantissa 1,000.
        let bytes: [UInt8] = [
            0x8f, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, 0x52, 0x45, 0x4d, 0x42, 1, 0x10, 0x03, 0xe8, 0, 0, 0, 9,
        ]
        var iterator = RTCPIterator()
        let message = iterator.next(in: bytes.span).flatMap { FeedbackMessage($0, in: bytes.span) }
        #expect(message == .estimatedMaximumBitrate(16_000))
    }

    @Test func nackItemsNameTheirPackets() {
        let item = NackItem(packetID: 65_535, mask: 0b1000_0000_0000_0001)
        let asked = (0...16).compactMap { item.sequence(at: $0) }
        #expect(asked == [65_535, 0, 15])
        #expect(item.packetCount == 3)
    }

    @Test func mutatedCompoundsNeverTrap() {
        var generator = SeededGenerator(seed: 43)
        let name = Array("x".utf8)
        let compound = written { writer in
            writer.appendReceiverReport(ssrc: 2, blockCount: 0)
            writer.appendSourceDescription(ssrc: 1, canonicalName: name.span)
            writer.appendNackHead(sender: 2, media: 3, itemCount: 1)
            writer.append(UInt32(0x0001_0003))
            writer.appendFullIntraRequest(sender: 2, media: 3, sequence: 8)
            writer.appendRTCPHeader(type: 205, count: 15, words: 5)
            writer.append(UInt64(1))
            writer.append(UInt32(0x0005_0003))
            writer.append(UInt32(0x0000_0100))
            writer.append(UInt32(0x2003_0101))
        }
        for _ in 0..<100_000 {
            var bytes = compound
            for _ in 0..<(1 + generator.integer(below: 5)) {
                bytes[generator.integer(below: bytes.count)] = UInt8(truncatingIfNeeded: generator.next())
            }
            bytes.removeLast(generator.integer(below: bytes.count))
            var iterator = RTCPIterator()
            while let packet = iterator.next(in: bytes.span) {
                _ = SenderReport(bytes.span.extracting(packet.body))
                _ = ReportBlock(bytes.span.extracting(packet.body), at: 4)
                guard let message = FeedbackMessage(packet, in: bytes.span) else { continue }
                if case .transport(let range) = message {
                    let body = bytes.span.extracting(range)
                    if var reader = TransportFeedbackReader(body) { while reader.next(in: body) != nil {} }
                }
            }
        }
    }

    @Test func transportFeedbackSurvivesTheRoundTrip() {
        var generator = SeededGenerator(seed: 44)
        for trial in 0..<200 {
            var builder = TransportFeedbackBuilder()
            var expected: [UInt16: UInt64] = [:]
            var time: UInt64 = 5_000_000_000 + generator.next() % 1_000_000_000
            let start = UInt16(truncatingIfNeeded: generator.next())
            let count = 1 + generator.integer(below: 700)
            for offset in 0..<count {
                time += UInt64(generator.integer(below: trial % 2 == 0 ? 3_000_000 : 90_000_000))
                guard offset == 0 || generator.integer(below: 10) > 0 else { continue }
                let sequence = start &+ UInt16(offset)
                builder.arrived(sequence, at: MonotonicInstant(nanoseconds: time))
                expected[sequence] = time / 250_000
            }
            var seen: [UInt16: UInt64] = [:]
            var packets = 0
            while true {
                var more = false
                let bytes = written { more = builder.append(to: &$0, sender: 1, media: 2) }
                guard more else { break }
                packets += 1
                var iterator = RTCPIterator()
                guard let packet = iterator.next(in: bytes.span),
                    case .transport(let range) = FeedbackMessage(packet, in: bytes.span)
                else {
                    Issue.record("not transport feedback")
                    return
                }
                let body = bytes.span.extracting(range)
                guard var reader = TransportFeedbackReader(body) else {
                    Issue.record("unreadable feedback")
                    return
                }
                while let (sequence, arrival) = reader.next(in: body) {
                    if let arrival { seen[sequence] = UInt64(arrival) }
                }
                #expect(bytes.count <= 1200)
            }
            #expect(seen == expected, "trial \(trial)")
            #expect(packets <= 3 + count / 300 || trial % 2 == 1)
            #expect(!builder.hasNews)
        }
    }

    @Test func handWrittenFeedbackIsRead() {
        // Base 10, five packets: run of two small deltas, then a one-bit vector of three (1, 0, 1).
        let body: [UInt8] = [0, 10, 0, 5, 0, 0, 2, 1, 0x20, 0x02, 0xa8, 0x00, 4, 8, 12, 16]
        guard var reader = TransportFeedbackReader(body.span) else {
            Issue.record("unreadable")
            return
        }
        var found: [(UInt16, Int64?)] = []
        while let next = reader.next(in: body.span) { found.append((next.sequence, next.arrival)) }
        #expect(found.map(\.0) == [10, 11, 12, 13, 14])
        #expect(found.map(\.1) == [516, 524, 536, nil, 552])
        let short = Array(body.dropLast())
        let isRefused = TransportFeedbackReader(short.span) == nil
        #expect(isRefused)
    }

    @Test func receptionStatisticsFollowTheAppendix() throws {
        var statistics = ReceptionStatistics()
        var now = MonotonicInstant(nanoseconds: 1_000_000_000)
        for sequence in 0..<100 where sequence % 10 != 5 {
            statistics.arrived(
                sequence: UInt64(65_536 + sequence), timestamp: UInt32(sequence * 960), clockRate: 48_000, at: now)
            now = now + .milliseconds(20)
            if sequence % 10 == 4 { now = now + .milliseconds(20) }
        }
        let taken = statistics.takeBlock(ssrc: 3, at: now)
        let block = try #require(taken)
        #expect(block.cumulativeLost == 10)
        #expect(block.fractionLost == 25, "ten of a hundred in 1/256")
        #expect(block.jitter == 0)
        #expect(block.highestSequence == 65_635)
        let next = statistics.takeBlock(ssrc: 3, at: now)
        #expect(next?.fractionLost == 0)
    }

    @Test func networkTimeArithmetic() {
        #expect(NetworkTime.from(wallMilliseconds: 0) == UInt64(2_208_988_800) << 32)
        #expect(NetworkTime.from(wallMilliseconds: 1_500) == UInt64(2_208_988_801) << 32 | 1 << 31)
        #expect(NetworkTime.units(.milliseconds(500)) == 1 << 31)
        #expect(NetworkTime.ticks(.milliseconds(20), rate: 48_000) == 960)
        #expect(NetworkTime.interval(short: 65_536) == .seconds(1))
        #expect(NetworkTime.ticks(.milliseconds(-20), rate: 48_000) == UInt32(bitPattern: -960))
    }
}
