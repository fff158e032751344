import SwarmCore

/// One packet of an RTCP compound (RFC 3550 §6.1): its type and where its body lies, after the four-byte header.
package struct RTCPPacket: Equatable, Sendable {
    package var type: UInt8
    /// Report count, source count or feedback message type.
    package var count: UInt8
    package var body: Range<Int>

    package static var senderReport: UInt8 { 200 }
    package static var receiverReport: UInt8 { 201 }
    package static var sourceDescription: UInt8 { 202 }
    package static var bye: UInt8 { 203 }
    package static var transportFeedback: UInt8 { 205 }
    package static var payloadFeedback: UInt8 { 206 }
}

/// Walks a compound front to back; ends at the first packet that contradicts its length.
package struct RTCPIterator {
    private var offset = 0
    /// Set where the walk ended before the datagram did.
    package private(set) var isMalformed = false

    package init() {}

    package mutating func next(in datagram: Span<UInt8>) -> RTCPPacket? {
        guard offset < datagram.count else { return nil }
        guard datagram.count - offset >= 4, datagram[offset] >> 6 == 2 else {
            isMalformed = true
            return nil
        }
        let length = (Int(datagram.loadUInt16(at: offset + 2)) + 1) * 4
        guard length <= datagram.count - offset else {
            isMalformed = true
            return nil
        }
        var end = offset + length
        if datagram[offset] & 0x20 != 0 {
            let padding = Int(datagram[end - 1])
            guard padding > 0, padding <= length - 4 else {
                isMalformed = true
                return nil
            }
            end -= padding
        }
        let packet = RTCPPacket(
            type: datagram[offset + 1], count: datagram[offset] & 0x1f, body: (offset + 4)..<end)
        offset += length
        return packet
    }
}

/// A sender's account of its clocks (RFC 3550 §6.4.1).
package struct SenderReport: Equatable, Sendable {
    package var ssrc: UInt32
    /// 32.32 fixed-point seconds since 1900.
    package var networkTime: UInt64
    package var timestamp: UInt32
    package var packetCount: UInt32
    package var byteCount: UInt32

    package init?(_ body: Span<UInt8>) {
        guard body.count >= 24 else { return nil }
        ssrc = body.loadUInt32(at: 0)
        networkTime = body.loadUInt64(at: 4)
        timestamp = body.loadUInt32(at: 12)
        packetCount = body.loadUInt32(at: 16)
        byteCount = body.loadUInt32(at: 20)
    }
}

/// What a receiver says of one source (RFC 3550 §6.4.1, report block).
package struct ReportBlock: Equatable, Sendable {
    package var ssrc: UInt32
    /// Of 256, since the last report.
    package var fractionLost: UInt8
    /// Since the beginning; duplicates make it negative.
    package var cumulativeLost: Int32
    package var highestSequence: UInt32
    /// In timestamp units.
    package var jitter: UInt32
    /// The middle 32 bits of the last sender report's network time.
    package var lastReport: UInt32
    /// Since that report arrived, in 1/65,536 s.
    package var delaySinceLastReport: UInt32

    package static var byteCount: Int { 24 }

    package init(
        ssrc: UInt32, fractionLost: UInt8, cumulativeLost: Int32, highestSequence: UInt32, jitter: UInt32,
        lastReport: UInt32, delaySinceLastReport: UInt32
    ) {
        self.ssrc = ssrc
        self.fractionLost = fractionLost
        self.cumulativeLost = cumulativeLost
        self.highestSequence = highestSequence
        self.jitter = jitter
        self.lastReport = lastReport
        self.delaySinceLastReport = delaySinceLastReport
    }

    /// The block at `offset`, or nil where the body ends before it.
    package init?(_ body: Span<UInt8>, at offset: Int) {
        guard offset >= 0, offset + Self.byteCount <= body.count else { return nil }
        ssrc = body.loadUInt32(at: offset)
        fractionLost = body[offset + 4]
        let lost = UInt32(body[offset + 5]) << 16 | UInt32(body.loadUInt16(at: offset + 6))
        cumulativeLost = Int32(bitPattern: lost << 8) >> 8
        highestSequence = body.loadUInt32(at: offset + 8)
        jitter = body.loadUInt32(at: offset + 12)
        lastReport = body.loadUInt32(at: offset + 16)
        delaySinceLastReport = body.loadUInt32(at: offset + 20)
    }
}

/// The messages of RFC 4585 and RFC 5104 that we understand, with the place of their items.
package enum FeedbackMessage: Equatable, Sendable {
    /// Items of (packet id, bit mask) at four bytes each.
    case nack(media: UInt32, items: Range<Int>)
    case pictureLoss(media: UInt32)
    /// Items of (ssrc, sequence number, three reserved bytes).
    case fullIntraRequest(items: Range<Int>)
    /// draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1; the body after the two SSRCs.
    case transport(body: Range<Int>)
    /// draft-alvestrand-rmcat-remb-03: bits per second.
    case estimatedMaximumBitrate(UInt64)

    /// Nil for a message we do not know or one that is cut short. Ranges are within `datagram`.
    package init?(_ packet: RTCPPacket, in datagram: Span<UInt8>) {
        let body = packet.body
        guard body.count >= 8 else { return nil }
        let media = datagram.loadUInt32(at: body.lowerBound + 4)
        let rest = (body.lowerBound + 8)..<body.upperBound
        switch (packet.type, packet.count) {
        case (RTCPPacket.transportFeedback, 1): self = .nack(media: media, items: rest)
        case (RTCPPacket.transportFeedback, 15): self = .transport(body: rest)
        case (RTCPPacket.payloadFeedback, 1): self = .pictureLoss(media: media)
        case (RTCPPacket.payloadFeedback, 4): self = .fullIntraRequest(items: rest)
        case (RTCPPacket.payloadFeedback, 15):
            guard rest.count >= 8, datagram.loadUInt32(at: rest.lowerBound) == 0x5245_4d42 else { return nil }
            let word = datagram.loadUInt32(at: rest.lowerBound + 4)
            let exponent = word >> 18 & 0x3f
            let mantissa = UInt64(word & 0x3_ffff)
            self = .estimatedMaximumBitrate(exponent > 45 ? .max : mantissa << UInt64(exponent))
        default: return nil
        }
    }
}
