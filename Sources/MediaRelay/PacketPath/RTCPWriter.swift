import SwarmCore

/// RTCP packets of ours. Each call appends one packet; a compound is several, reports first.
extension ByteWriter {
    /// RFC 3550 §6.4.1, without report blocks.
    @_lifetime(self: copy self)
    package mutating func appendSenderReport(
        ssrc: UInt32, networkTime: UInt64, timestamp: UInt32, packetCount: UInt32, byteCount: UInt32
    ) {
        appendRTCPHeader(type: RTCPPacket.senderReport, count: 0, words: 6)
        append(ssrc)
        append(networkTime)
        append(timestamp)
        append(packetCount)
        append(byteCount)
    }

    /// The head of a receiver report (RFC 3550 §6.4.2) to which the caller appends `blockCount` blocks.
    @_lifetime(self: copy self)
    package mutating func appendReceiverReport(ssrc: UInt32, blockCount: Int) {
        precondition(blockCount <= 31, "\(blockCount) report blocks")
        appendRTCPHeader(type: RTCPPacket.receiverReport, count: blockCount, words: 1 + blockCount * 6)
        append(ssrc)
    }

    @_lifetime(self: copy self)
    package mutating func append(_ block: ReportBlock) {
        append(block.ssrc)
        append(UInt32(block.fractionLost) << 24 | UInt32(bitPattern: block.cumulativeLost) & 0xff_ffff)
        append(block.highestSequence)
        append(block.jitter)
        append(block.lastReport)
        append(block.delaySinceLastReport)
    }

    /// RFC 3550 §6.5: one chunk with a canonical name of at most 255 bytes.
    @_lifetime(self: copy self)
    package mutating func appendSourceDescription(ssrc: UInt32, canonicalName: Span<UInt8>) {
        let nameCount = min(canonicalName.count, 255)
        // Item type and length, the name, and at least one zero byte up to the word's end.
        let itemBytes = (2 + nameCount + 1 + 3) / 4 * 4
        appendRTCPHeader(type: RTCPPacket.sourceDescription, count: 1, words: 1 + itemBytes / 4)
        append(ssrc)
        append(UInt8(1))
        append(UInt8(truncatingIfNeeded: nameCount))
        append(canonicalName.extracting(0..<nameCount))
        append(repeating: 0, count: itemBytes - 2 - nameCount)
    }

    /// RFC 3550 §6.6.
    @_lifetime(self: copy self)
    package mutating func appendBye(ssrc: UInt32) {
        appendRTCPHeader(type: RTCPPacket.bye, count: 1, words: 1)
        append(ssrc)
    }

    /// RFC 4585 §6.3.1.
    @_lifetime(self: copy self)
    package mutating func appendPictureLoss(sender: UInt32, media: UInt32) {
        appendRTCPHeader(type: RTCPPacket.payloadFeedback, count: 1, words: 2)
        append(sender)
        append(media)
    }

    /// RFC 5104 §4.3.1.
    @_lifetime(self: copy self)
    package mutating func appendFullIntraRequest(sender: UInt32, media: UInt32, sequence: UInt8) {
        appendRTCPHeader(type: RTCPPacket.payloadFeedback, count: 4, words: 4)
        append(sender)
        append(UInt32(0))
        append(media)
        append(UInt32(sequence) << 24)
    }

    /// The head of a generic NACK (RFC 4585 §6.2.1) to which the caller appends `itemCount` four-byte items.
    @_lifetime(self: copy self)
    package mutating func appendNackHead(sender: UInt32, media: UInt32, itemCount: Int) {
        appendRTCPHeader(type: RTCPPacket.transportFeedback, count: 1, words: 2 + itemCount)
        append(sender)
        append(media)
    }

    @_lifetime(self: copy self)
    package mutating func appendRTCPHeader(type: UInt8, count: Int, words: Int) {
        append(UInt8(0x80 | count & 0x1f))
        append(type)
        append(UInt16(truncatingIfNeeded: words))
    }
}

/// One item of a generic NACK (RFC 4585 §6.2.1): a packet id and the sixteen that follow it as a bit mask.
package struct NackItem: Equatable, Sendable {
    package var packetID: UInt16
    package var mask: UInt16

    package init(packetID: UInt16, mask: UInt16) {
        self.packetID = packetID
        self.mask = mask
    }

    /// The number of packets it asks for.
    package var packetCount: Int { 1 + mask.nonzeroBitCount }

    /// The `offset`-th of the seventeen numbers if it is asked for.
    package func sequence(at offset: Int) -> UInt16? {
        guard offset > 0 else { return packetID }
        return mask >> UInt16(offset - 1) & 1 == 1 ? packetID &+ UInt16(offset) : nil
    }
}

/// NTP's 32.32 time (RFC 3550 §4).
package enum NetworkTime {
    /// Seconds between 1900 and 1970.
    private static let epochOffset: UInt64 = 2_208_988_800

    package static func from(wallMilliseconds: UInt64) -> UInt64 {
        let seconds = wallMilliseconds / 1000 &+ epochOffset
        let fraction = ((wallMilliseconds % 1000) << 32) / 1000
        return seconds << 32 | fraction
    }

    /// `interval` in 32.32 units; negative intervals wrap, to be added with `&+`.
    package static func units(_ interval: Interval) -> UInt64 {
        let seconds = interval.nanoseconds / 1_000_000_000
        let rest = interval.nanoseconds % 1_000_000_000
        return UInt64(bitPattern: seconds << 32 &+ (rest << 32) / 1_000_000_000)
    }

    /// The interval of 1/65,536 s units, as in report blocks.
    package static func interval(short units: UInt32) -> Interval {
        Interval(nanoseconds: (Int64(units) * 1_000_000_000) >> 16)
    }

    /// The middle 32 bits.
    package static func short(_ networkTime: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: networkTime >> 16) }

    /// `interval` in ticks of a clock of `rate` Hz, modulo 2^32.
    package static func ticks(_ interval: Interval, rate: UInt32) -> UInt32 {
        let seconds = interval.nanoseconds / 1_000_000_000
        let rest = interval.nanoseconds % 1_000_000_000
        return UInt32(truncatingIfNeeded: seconds &* Int64(rate) &+ rest * Int64(rate) / 1_000_000_000)
    }
}
