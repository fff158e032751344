import SwarmCore

/// One track as its publisher sends it: which SSRCs it has, how its numbers unroll, what is missing.
struct IngestTrack: Sendable {
    enum Binding { case media, retransmission, unknownPayloadType, unknown }

    let track: Int
    let kind: MediaKind
    let clockRate: UInt32
    let payloadType: UInt8
    let retransmissionPayloadType: UInt8?
    let supportsNACK: Bool
    let supportsPLI: Bool
    let supportsTransportFeedback: Bool
    /// UTF-8; empty where the publisher does not use mids.
    private let mid: [UInt8]
    private(set) var ssrc: UInt32?
    private var retransmissionSSRC: UInt32?
    var layer: SlotID?

    private var unwrapper = SequenceUnwrapper()
    /// Added after a leap, so that identities never repeat.
    private var base: UInt64 = 0
    /// The number that would confirm that the publisher leapt rather than that one packet strayed (RFC 3550 A.1).
    private var confirmsLeap: UInt16?
    private(set) var loss = LossTracker()
    private(set) var reception = ReceptionStatistics()
    private var fullIntraSequence: UInt8 = 0
    /// BYE was received and no packet since.
    private(set) var hasEnded = false
    private(set) var lastSenderReport: SenderReport?

    init(_ configuration: PublisherTrack) {
        track = Int(configuration.track)
        kind = configuration.kind
        clockRate = max(1, configuration.clockRate)
        payloadType = configuration.payloadType
        retransmissionPayloadType = configuration.retransmissionPayloadType
        supportsNACK = configuration.supportsNACK
        supportsPLI = configuration.supportsPLI
        supportsTransportFeedback = configuration.supportsTransportFeedback
        mid = Array(configuration.mid.utf8.prefix(32))
        ssrc = configuration.ssrc
        retransmissionSSRC = configuration.retransmissionSSRC
    }

    /// What a packet of this SSRC is to the track, by what was announced or learnt.
    func binding(ssrc: UInt32, payloadType: UInt8) -> Binding {
        if ssrc == self.ssrc { return payloadType == self.payloadType ? .media : .unknownPayloadType }
        if ssrc == retransmissionSSRC {
            return payloadType == retransmissionPayloadType ? .retransmission : .unknownPayloadType
        }
        return .unknown
    }

    /// Claims a new SSRC by mid, or by payload type where the client sends no mids. A later SSRC of the same track
    /// replaces the earlier one and its numbers go on above.
    mutating func claim(_ header: RTPHeader, of packet: Span<UInt8>, mid range: Range<Int>?) -> Binding {
        let ssrc = header.ssrc
        let payloadType = header.payloadType
        if let range {
            guard !mid.isEmpty, mid.span.elementsEqual(packet.extracting(range)) else { return .unknown }
        }
        if payloadType == self.payloadType {
            if self.ssrc != nil { leap() }
            self.ssrc = ssrc
            return .media
        }
        if payloadType == retransmissionPayloadType {
            retransmissionSSRC = ssrc
            return .retransmission
        }
        return .unknown
    }

    /// The identity's sequence of a media packet; notes gaps. Nil for a stray from far away, which two in a row make
    /// the new course.
    mutating func identify(_ header: RTPHeader, at now: MonotonicInstant) -> UInt64? {
        hasEnded = false
        if let highest = unwrapper.highest {
            let step = Int16(bitPattern: header.sequence &- UInt16(truncatingIfNeeded: highest))
            if step < -2048 || step > 8192 {
                guard confirmsLeap == header.sequence else {
                    confirmsLeap = header.sequence &+ 1
                    return nil
                }
                leap()
            }
        }
        confirmsLeap = nil
        let sequence = base + unwrapper.unwrap(header.sequence)
        loss.arrived(sequence, at: now)
        reception.arrived(sequence: sequence, timestamp: header.timestamp, clockRate: clockRate, at: now)
        return sequence
    }

    /// The identity's sequence of the packet with the original number `sequence` (RFC 4588 §4).
    mutating func identifyRepair(of sequence: UInt16) -> UInt64? {
        guard let highest = unwrapper.highest else { return nil }
        let number = unwrapper.peek(sequence)
        guard number <= highest, highest - number < 4096 else { return nil }
        loss.found(base + number)
        return base + number
    }

    /// The next media packet continues above every number used so far, whatever number it has.
    private mutating func leap() {
        if let highest = unwrapper.highest { base += (highest >> 16 + 1) << 16 }
        unwrapper = SequenceUnwrapper()
        loss.reset()
    }

    mutating func received(_ report: SenderReport, at now: MonotonicInstant) {
        reception.received(report, at: now)
        lastSenderReport = report
    }

    mutating func receivedBye(ssrc: UInt32) {
        if ssrc == self.ssrc { hasEnded = true }
    }

    mutating func nextFullIntraSequence() -> UInt8 {
        fullIntraSequence &+= 1
        return fullIntraSequence
    }

    mutating func takeReportBlock(at now: MonotonicInstant) -> ReportBlock? {
        guard let ssrc else { return nil }
        return reception.takeBlock(ssrc: ssrc, at: now)
    }

    /// Appends a NACK for what is due, if the publisher serves NACKs; false when there was nothing to ask for.
    mutating func appendNack(
        to writer: inout ByteWriter, sender: UInt32, roundTrip: Interval, at now: MonotonicInstant
    ) -> Bool {
        guard supportsNACK, let ssrc, !loss.isEmpty else { return false }
        var items = InlineArray<16, NackItem>(repeating: NackItem(packetID: 0, mask: 0))
        var count = 0
        loss.collectDue(at: now, roundTrip: roundTrip, limit: 64) { number in
            let sequence = UInt16(truncatingIfNeeded: number)
            if count > 0 {
                let offset = sequence &- items[count - 1].packetID
                if offset >= 1, offset <= 16 {
                    items[count - 1].mask |= 1 << (offset - 1)
                    return
                }
            }
            guard count < 16 else { return }
            items[count] = NackItem(packetID: sequence, mask: 0)
            count += 1
        }
        guard count > 0 else { return false }
        writer.appendNackHead(sender: sender, media: ssrc, itemCount: count)
        for index in 0..<count {
            writer.append(items[index].packetID)
            writer.append(items[index].mask)
        }
        return true
    }
}
