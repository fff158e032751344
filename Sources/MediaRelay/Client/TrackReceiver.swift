import SwarmCore

/// What a headless player measures of one track: arrivals, losses, jitter, gaps, and frames that are complete.
///
/// Numbers are 64-bit packet indices of the media source; a packet that came by RTX counts as the original.
struct TrackReceiver: Sendable {
    /// A recent packet's part in its frame.
    private struct Slot: Sendable {
        var index: UInt64
        var timestamp: UInt32
        var marker: Bool
        var place: FramePlace
        /// On the frame's last packet: the frame has been counted.
        var isCounted = false
    }

    let track: PublisherTrack
    private let codec: PayloadCodec
    private(set) var ssrc: UInt32?
    private(set) var retransmissionSSRC: UInt32?
    private var unwrapper = SequenceUnwrapper()
    private var slots: [Slot?]
    private(set) var reception = ReceptionStatistics()
    var losses: LossTracker
    private var first: UInt64?
    private var highest: UInt64 = 0
    private var lastArrival: MonotonicInstant?

    /// Distinct packets, however they came.
    private(set) var received: UInt64 = 0
    private(set) var duplicates: UInt64 = 0
    /// Of `received`, those that came by RTX.
    private(set) var recovered: UInt64 = 0
    private(set) var payloadBytes: UInt64 = 0
    private(set) var framesComplete: UInt64 = 0
    private(set) var keyFramesComplete: UInt64 = 0
    private(set) var longestGap = Interval.zero
    private(set) var firstPacketAt: MonotonicInstant?
    private(set) var firstKeyFrameAt: MonotonicInstant?
    private(set) var lastReportedLoss: UInt64 = 0

    init(track: PublisherTrack) {
        self.track = track
        codec = PayloadCodec(kind: track.kind, name: track.codecName)
        ssrc = track.ssrc
        retransmissionSSRC = track.retransmissionSSRC
        slots = Array(repeating: nil, count: ClientLimits.window)
        losses = LossTracker(reorderAllowance: .milliseconds(10))
    }

    /// Packets between the first and the highest that never came.
    var lost: UInt64 {
        guard let first else { return 0 }
        return (highest - first + 1) - min(received, highest - first + 1)
    }

    var expected: UInt64 { first.map { highest - $0 + 1 } ?? 0 }

    /// RFC 3550 A.8.
    var jitter: Interval {
        Interval(nanoseconds: Int64(reception.jitter) * 1_000_000_000 / Int64(max(track.clockRate, 1)))
    }

    /// Whether the packet is this track's, by source if known, else by payload type, which then binds the source.
    mutating func claims(_ header: RTPHeader) -> Bool {
        if header.ssrc == ssrc || header.ssrc == retransmissionSSRC { return true }
        if ssrc == nil, header.payloadType == track.payloadType {
            ssrc = header.ssrc
            return true
        }
        if retransmissionSSRC == nil, header.payloadType == track.retransmissionPayloadType {
            retransmissionSSRC = header.ssrc
            return true
        }
        return false
    }

    mutating func take(_ header: RTPHeader, payload: Span<UInt8>, at now: MonotonicInstant) {
        if header.payloadType == track.retransmissionPayloadType {
            // RFC 4588 §4: two bytes of original sequence number; empty ones are probes.
            guard payload.count > 2, first != nil else { return }
            let index = unwrapper.peek(payload.loadUInt16(at: 0))
            guard index <= highest else { return }
            if store(index, header, payload.extracting(2..<payload.count), at: now) { recovered += 1 }
            return
        }
        guard header.payloadType == track.payloadType, payload.count > 0 else { return }
        let index = unwrapper.unwrap(header.sequence)
        if let lastArrival { longestGap = max(longestGap, now - lastArrival) }
        lastArrival = now
        if firstPacketAt == nil { firstPacketAt = now }
        if store(index, header, payload, at: now) {
            reception.arrived(
                sequence: index, timestamp: header.timestamp, clockRate: track.clockRate, at: now)
        }
    }

    /// For the next receiver report.
    mutating func takeBlock(at now: MonotonicInstant) -> ReportBlock? {
        ssrc.flatMap { reception.takeBlock(ssrc: $0, at: now) }
    }

    mutating func take(_ report: SenderReport, at now: MonotonicInstant) { reception.received(report, at: now) }

    /// The longest gap counts from here on, and so does a gap that has begun.
    mutating func forgetGaps(at now: MonotonicInstant) {
        longestGap = .zero
        if lastArrival != nil { lastArrival = now }
    }

    /// How long no packet has come; nil before the first.
    func silence(at now: MonotonicInstant) -> Interval? { lastArrival.map { now - $0 } }

    /// Whether packets have been given up since the last call: the decoder will need a key frame.
    mutating func takeUnrepairedLoss() -> Bool {
        defer { lastReportedLoss = losses.abandoned }
        return losses.abandoned > lastReportedLoss
    }

    // MARK: Private

    /// Whether the packet is new.
    private mutating func store(
        _ index: UInt64, _ header: RTPHeader, _ payload: Span<UInt8>, at now: MonotonicInstant
    ) -> Bool {
        let slot = Int(index % UInt64(ClientLimits.window))
        if let kept = slots[slot], kept.index >= index {
            if kept.index == index { duplicates += 1 }
            return false
        }
        guard first == nil || index + UInt64(ClientLimits.window) > highest else { return false }
        slots[slot] = Slot(
            index: index, timestamp: header.timestamp, marker: header.marker,
            place: FramePlace.inspect(payload, codec: codec))
        first = min(first ?? index, index)
        highest = max(highest, index)
        received += 1
        payloadBytes += UInt64(payload.count)
        losses.arrived(index, at: now)
        countFrames(around: index, at: now)
        return true
    }

    private func slot(_ index: UInt64) -> Slot? {
        guard let slot = slots[Int(index % UInt64(ClientLimits.window))], slot.index == index else { return nil }
        return slot
    }

    /// A packet may complete its own frame, and the next one by proving where that begins.
    private mutating func countFrames(around index: UInt64, at now: MonotonicInstant) {
        guard track.kind == .video else {
            framesComplete += 1
            return
        }
        countFrame(of: index, at: now)
        if slot(index)?.marker == true { countFrame(of: index + 1, at: now) }
    }

    /// A frame is whole when its packets, all of one timestamp, reach without a hole from behind another frame (or a
    /// packet that starts a frame, where nothing before it is known) to a marker.
    private mutating func countFrame(of index: UInt64, at now: MonotonicInstant) {
        guard let middle = slot(index) else { return }
        var start = index
        while let previous = slot(start - 1), previous.timestamp == middle.timestamp { start -= 1 }
        guard let head = slot(start) else { return }
        guard slot(start - 1) != nil || (codec == .h264 ? head.place.startsKeyFrame : head.place.startsFrame) else {
            return
        }
        var end = index
        while let packet = slot(end), !packet.marker, let next = slot(end + 1), next.timestamp == middle.timestamp {
            end += 1
        }
        guard let tail = slot(end), tail.marker, !tail.isCounted else { return }
        slots[Int(end % UInt64(ClientLimits.window))]?.isCounted = true
        framesComplete += 1
        guard (start...end).contains(where: { slot($0)?.place.startsKeyFrame == true }) else { return }
        keyFramesComplete += 1
        if firstKeyFrameAt == nil { firstKeyFrameAt = now }
    }
}
