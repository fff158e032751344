import SwarmCore

/// The sending state of one track of a headless publisher: numbering, history, and what its reports need.
struct TrackSender: Sendable {
    let track: ViewerTrack
    var packetizer: Packetizer
    private let firstTimestamp: UInt32
    /// 48-bit indices of the next packet and the next retransmission; the low 16 bits are the sequence number.
    private var index: UInt64
    private var repairIndex: UInt64
    private var history: [(header: ClientTransport.OutgoingHeader, payload: [UInt8])] = []
    /// Where the next packet goes once the history is full: over the oldest.
    private var oldest = 0
    private(set) var packetCount: UInt64 = 0
    private(set) var byteCount: UInt64 = 0
    /// The last few sender reports: one may still be on its way when the answer to its predecessor comes.
    private var reports: [(short: UInt32, at: MonotonicInstant)] = []

    init(track: ViewerTrack, packetizer: Packetizer, generator: inout SeededGenerator) {
        self.track = track
        self.packetizer = packetizer
        firstTimestamp = UInt32(truncatingIfNeeded: generator.next())
        // The lower half, so that the first packets cannot wrap before a receiver has synchronised (RFC 3711 §3.3.1).
        index = generator.next() & 0x7fff
        repairIndex = generator.next() & 0x7fff
        history.reserveCapacity(ClientLimits.historyPackets)
    }

    func timestamp(at elapsed: Interval) -> UInt32 {
        firstTimestamp &+ NetworkTime.ticks(elapsed, rate: track.clockRate)
    }

    mutating func nextHeader(timestamp: UInt32, marker: Bool) -> ClientTransport.OutgoingHeader {
        defer { index += 1 }
        return ClientTransport.OutgoingHeader(
            marker: marker, payloadType: track.payloadType, index: index, timestamp: timestamp, ssrc: track.ssrc,
            mid: ClientTransport.OutgoingHeader.mid(of: track))
    }

    mutating func remember(_ header: ClientTransport.OutgoingHeader, _ payload: [UInt8]) {
        if history.count < ClientLimits.historyPackets {
            history.append((header, payload))
        } else {
            history[oldest] = (header, payload)
            oldest = (oldest + 1) % ClientLimits.historyPackets
        }
    }

    mutating func account(payloadBytes: Int) {
        packetCount += 1
        byteCount += UInt64(payloadBytes)
    }

    mutating func reported(_ networkTime: UInt64, at now: MonotonicInstant) {
        if reports.count == 4 { reports.removeFirst() }
        reports.append((NetworkTime.short(networkTime), now))
    }

    /// The packet with that sequence number once more: as RTX (RFC 4588 §4) where negotiated, else byte for byte.
    mutating func retransmission(
        of sequence: UInt16
    ) -> (header: ClientTransport.OutgoingHeader, payload: [UInt8])? {
        guard let kept = history.first(where: { UInt16(truncatingIfNeeded: $0.header.index) == sequence }) else {
            return nil
        }
        guard let payloadType = track.retransmissionPayloadType else { return kept }
        var header = kept.header
        header.payloadType = payloadType
        header.ssrc = track.retransmissionSSRC
        header.index = repairIndex
        repairIndex += 1
        return (header, [UInt8(sequence >> 8), UInt8(truncatingIfNeeded: sequence)] + kept.payload)
    }

    /// RFC 3550 §6.4.1: now, less the delay at the receiver, less when the report left.
    func roundTrip(_ block: ReportBlock, at now: MonotonicInstant) -> Interval? {
        guard let report = reports.last(where: { $0.short == block.lastReport }), block.lastReport != 0 else {
            return nil
        }
        return max(now - report.at - NetworkTime.interval(short: block.delaySinceLastReport), .zero)
    }
}
