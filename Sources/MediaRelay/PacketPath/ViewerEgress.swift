import SwarmCore

/// One track on its way to one viewer: the viewer's own SSRC, numbers and timestamps, which run on unbroken whatever
/// happens upstream (another parent, another publication).
///
/// A viewer's packet index is the packet's identity plus a constant, so that a NACK leads back to the store without
/// a table. The constant changes only forward, when the layer itself is replaced.
struct ViewerEgress: Sendable {
    let ssrc: UInt32
    let retransmissionSSRC: UInt32
    let payloadType: UInt8
    let retransmissionPayloadType: UInt8?
    let clockRate: UInt32
    let kind: MediaKind
    let track: Int
    private let mid: ShortText
    /// Its place on the layer it gets; nil before the viewer is connected, or where the stream has no such layer.
    private var subscription: Subscription?

    /// Added to a packet's sequence, with wrap, to give its 48-bit SRTP index.
    private var indexOffset: UInt64 = 0
    private var timestampOffset: UInt32
    /// The highest index sent; the next one continues it.
    private(set) var lastIndex: UInt64
    /// Indices below belong to a layer that is gone.
    private var firstIndex: UInt64 = 0
    private var isMapped = false
    private var hasSent = false
    private var lastTimestamp: UInt32 = 0
    private var lastSent = MonotonicInstant.zero
    private var retransmissionIndex: UInt64

    private(set) var packetCount: UInt64 = 0
    private(set) var byteCount: UInt64 = 0
    private(set) var retransmissionCount: UInt64 = 0

    /// From the viewer's receiver reports.
    private(set) var cumulativeLost: Int32 = 0
    private(set) var fractionLost: UInt8 = 0
    private(set) var roundTrip: Interval?
    private var reports = InlineArray<4, SentReport>(repeating: SentReport())
    private var reportCount = 0

    private var repairBudget: RepairBudget

    struct SentReport: Sendable {
        var networkTime: UInt32 = 0
        var sent = MonotonicInstant.zero
    }

    /// `generator` gives the random start of sequence numbers and timestamps (RFC 3550 §5.1).
    init(_ configuration: ViewerTrack, generator: inout SeededGenerator, at now: MonotonicInstant) {
        ssrc = configuration.ssrc
        retransmissionSSRC = configuration.retransmissionSSRC
        payloadType = configuration.payloadType
        retransmissionPayloadType = configuration.retransmissionPayloadType
        clockRate = max(1, configuration.clockRate)
        kind = configuration.kind
        track = Int(configuration.track)
        mid = ShortText(configuration.mid)
        // In the lower half, so that the first packets lost do not confuse the roll-over counter (RFC 3711 §3.3.1).
        lastIndex = generator.next() & 0x3fff | 0x100
        retransmissionIndex = generator.next() & 0x3fff | 0x100
        timestampOffset = UInt32(truncatingIfNeeded: generator.next())
        // A lost key frame at once, then 2 MB/s: a third of a generous video layer.
        repairBudget = RepairBudget(burstBytes: 512 * 1024, bytesPerMillisecond: 2 * 1024, at: now)
    }

    /// Begins with another layer: numbers and timestamps go on where they stopped.
    mutating func subscribe(_ subscription: Subscription?) {
        self.subscription = subscription
        isMapped = false
    }

    var layer: SlotID? { subscription?.layer }
    /// When a paced replay goes on.
    var wake: MonotonicInstant? { subscription?.wake }

    /// The next packet to send now, or nil when there is none yet.
    mutating func next(in layer: borrowing MediaLayer, at now: MonotonicInstant) -> StoredPacket? {
        subscription?.next(in: layer, at: now)
    }

    func hasWork(in layer: borrowing MediaLayer, at now: MonotonicInstant) -> Bool {
        subscription?.hasWork(in: layer, at: now) ?? false
    }

    /// The SRTP index of `packet` for this viewer, or nil where it comes too late to have one: an index is used for one
    /// packet only, ever. The mapping begins with the first packet, and anew where the identity leaps so far that the
    /// viewer would lose its roll-over counter (RFC 3711 §3.3.1).
    mutating func index(of packet: StoredPacket, at now: MonotonicInstant) -> UInt64? {
        if isMapped, hasSent {
            let index = packet.sequence &+ indexOffset
            if index > lastIndex, index - lastIndex > 1 << 14 { isMapped = false }
        }
        if !isMapped {
            isMapped = true
            firstIndex = lastIndex + 1
            indexOffset = firstIndex &- packet.sequence
            if hasSent {
                let elapsed = NetworkTime.ticks(now - lastSent, rate: clockRate)
                timestampOffset = lastTimestamp &+ max(1, elapsed) &- packet.timestamp
            }
        }
        let index = packet.sequence &+ indexOffset
        // Wrapping makes a sequence from before the mapping enormous.
        return index >= firstIndex && index < 1 << 48 ? index : nil
    }

    /// The RTP timestamp that this viewer sees for the origin's `timestamp`; nil before the first packet.
    func viewerTimestamp(of timestamp: UInt32) -> UInt32? { hasSent && isMapped ? timestamp &+ timestampOffset : nil }

    /// Writes `packet` as this viewer's own, without protection, and returns its header's length.
    mutating func write(
        _ packet: StoredPacket, index: UInt64, bytes: Span<UInt8>, hop: HopExtensions, ids: ViewerExtensionIDs,
        at now: MonotonicInstant, to writer: inout ByteWriter
    ) -> Int {
        let timestamp = packet.timestamp &+ timestampOffset
        writer.appendRTPHeader(
            marker: packet.marker, payloadType: payloadType, sequence: UInt16(truncatingIfNeeded: index),
            timestamp: timestamp, ssrc: ssrc)
        writer.appendViewerExtensions(
            canonical: bytes.extracting(0..<packet.extensionCount), mid: mid, hop: hop, ids: ids)
        let headerLength = writer.count
        writer.append(bytes.extracting(packet.extensionCount..<bytes.count))
        if index > lastIndex || !hasSent {
            lastIndex = index
            lastTimestamp = timestamp
            lastSent = now
        }
        hasSent = true
        packetCount &+= 1
        byteCount &+= UInt64(packet.payloadCount)
        return headerLength
    }

    /// Writes `packet` again on the retransmission stream (RFC 4588 §4).
    mutating func writeRetransmission(
        _ packet: StoredPacket, bytes: Span<UInt8>, hop: HopExtensions, ids: ViewerExtensionIDs,
        payloadType: UInt8, to writer: inout ByteWriter
    ) -> (index: UInt64, headerLength: Int) {
        retransmissionIndex += 1
        writer.appendRTPHeader(
            marker: packet.marker, payloadType: payloadType, sequence: UInt16(truncatingIfNeeded: retransmissionIndex),
            timestamp: packet.timestamp &+ timestampOffset, ssrc: retransmissionSSRC)
        writer.appendViewerExtensions(
            canonical: bytes.extracting(0..<packet.extensionCount), mid: mid, hop: hop, ids: ids)
        let headerLength = writer.count
        writer.append(UInt16(truncatingIfNeeded: packet.sequence &+ indexOffset))
        writer.append(bytes.extracting(packet.extensionCount..<bytes.count))
        return (retransmissionIndex, headerLength)
    }

    /// The identity's sequence of the packet that the viewer knows by `sequence`, or nil where it was never sent or
    /// belongs to a layer that is gone.
    func identity(ofViewerSequence sequence: UInt16) -> UInt64? {
        guard hasSent, isMapped else { return nil }
        let behind = UInt64(UInt16(truncatingIfNeeded: lastIndex) &- sequence)
        guard behind < 1 << 15, behind <= lastIndex, lastIndex - behind >= firstIndex else { return nil }
        return (lastIndex - behind) &- indexOffset
    }

    /// Whether one more repair of `bytes` may go now.
    mutating func takeRepair(bytes: Int, at now: MonotonicInstant) -> Bool {
        guard repairBudget.take(bytes, at: now) else { return false }
        retransmissionCount &+= 1
        return true
    }

    mutating func noteReportSent(networkTime: UInt64, at now: MonotonicInstant) {
        reports[reportCount & 3] = SentReport(networkTime: NetworkTime.short(networkTime), sent: now)
        reportCount += 1
    }

    /// Takes the viewer's account of this track; the round trip is RFC 3550 §6.4.1's.
    mutating func received(_ block: ReportBlock, at now: MonotonicInstant) {
        cumulativeLost = block.cumulativeLost
        fractionLost = block.fractionLost
        guard block.lastReport != 0 else { return }
        for index in reports.indices where reports[index].networkTime == block.lastReport {
            let elapsed = now - reports[index].sent - NetworkTime.interval(short: block.delaySinceLastReport)
            if elapsed >= .zero, elapsed < .seconds(10) { roundTrip = elapsed }
        }
    }
}
