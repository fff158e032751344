import SwarmCore

/// One egress's place on one layer: what it has sent and what may come next. The same for viewers and for children.
///
/// A joiner of a video layer is shown the media since the last key frame if the store holds all of it, at three times
/// the real rate and a train at a time; otherwise it waits for the next key frame. Audio starts at once.
struct Subscription: Sendable {
    enum Phase: Sendable, Equatable {
        /// Nothing may leave before a key frame.
        case waiting
        /// Sends stored packets in order of sequence, paced, from the given one on.
        case replaying(next: UInt64)
        /// Sends in order of arrival.
        case live
    }

    let layer: SlotID
    private(set) var phase: Phase
    /// The next arrival to look at.
    private var cursor: UInt64
    /// Nothing below it is sent unless asked for.
    private(set) var floor: UInt64 = 0
    private var replayStart = MonotonicInstant.zero
    private var replayTimestamp: UInt32 = 0
    private var quantumEnd = MonotonicInstant.zero
    private var quantumLeft = 0
    private var replayWake = MonotonicInstant.zero
    /// Packets that left the arrival ring unsent.
    private(set) var overruns: UInt64 = 0

    private static var quantumInterval: Interval { .milliseconds(2) }
    private static var replaySpeed: Int64 { 3 }

    /// Begins at the best place the layer offers now.
    init(layer slot: SlotID, of layer: borrowing MediaLayer, at now: MonotonicInstant) {
        self.layer = slot
        cursor = layer.store.arrivalCount
        phase = layer.kind == .audio ? .live : .waiting
        if layer.kind == .audio { floor = layer.store.isEmpty ? 0 : layer.store.highest + 1 }
        if layer.kind == .video, let start = layer.replayStart(at: now) {
            beginReplay(from: start.sequence, timestamp: start.timestamp, at: now)
        }
    }

    var isWaiting: Bool { phase == .waiting }

    /// When a replay may go on; nil otherwise.
    var wake: MonotonicInstant? {
        if case .replaying = phase { return replayWake }
        return nil
    }

    /// Sends everything stored from `sequence` on, then goes on live: what a child that knows the layer asks for.
    mutating func resume(from sequence: UInt64, in layer: borrowing MediaLayer, at now: MonotonicInstant) {
        guard !layer.store.isEmpty else {
            floor = sequence
            phase = .live
            return
        }
        var first = sequence
        let highest = layer.store.highest
        if highest >= first, highest - first >= layer.store.packetCapacity {
            first = highest - layer.store.packetCapacity + 1
        }
        while first <= highest, layer.store.packet(first) == nil { first += 1 }
        guard first <= highest, let packet = layer.store.packet(first) else {
            floor = sequence
            phase = .live
            cursor = layer.store.arrivalCount
            return
        }
        beginReplay(from: first, timestamp: packet.timestamp, at: now)
    }

    private mutating func beginReplay(from sequence: UInt64, timestamp: UInt32, at now: MonotonicInstant) {
        phase = .replaying(next: sequence)
        floor = sequence
        replayStart = now
        replayTimestamp = timestamp
        quantumEnd = now
        quantumLeft = 0
        replayWake = now
    }

    /// The next packet to send now, or nil when there is none yet.
    mutating func next(in layer: borrowing MediaLayer, at now: MonotonicInstant) -> StoredPacket? {
        switch phase {
        case .waiting: return nextAtGate(in: layer)
        case .live: return nextLive(in: layer)
        case .replaying(let sequence): return nextReplayed(from: sequence, in: layer, at: now)
        }
    }

    /// Whether `next` could return something, cheaply.
    func hasWork(in layer: borrowing MediaLayer, at now: MonotonicInstant) -> Bool {
        if case .replaying = phase { return replayWake <= now }
        return cursor < layer.store.arrivalCount
    }

    private mutating func nextAtGate(in layer: borrowing MediaLayer) -> StoredPacket? {
        while let packet = take(in: layer) {
            guard packet.place.startsKeyFrame else { continue }
            phase = .live
            floor = packet.sequence
            return packet
        }
        return nil
    }

    private mutating func nextLive(in layer: borrowing MediaLayer) -> StoredPacket? {
        while let packet = take(in: layer) {
            if packet.sequence >= floor { return packet }
        }
        return nil
    }

    /// The packet under the cursor, which moves on.
    private mutating func take(in layer: borrowing MediaLayer) -> StoredPacket? {
        while cursor < layer.store.arrivalCount {
            let oldest = layer.store.arrivalCount - min(layer.store.arrivalCount, layer.store.packetCapacity)
            if cursor < oldest {
                overruns &+= oldest - cursor
                cursor = oldest
            }
            let arrival = cursor
            cursor += 1
            guard let sequence = layer.store.sequence(ofArrival: arrival), let packet = layer.store.packet(sequence)
            else {
                overruns &+= 1
                continue
            }
            return packet
        }
        return nil
    }

    private mutating func nextReplayed(
        from sequence: UInt64, in layer: borrowing MediaLayer, at now: MonotonicInstant
    ) -> StoredPacket? {
        if now >= quantumEnd {
            quantumEnd = now + Self.quantumInterval
            quantumLeft = PacketLimits.trainPackets
        }
        guard quantumLeft > 0 else {
            replayWake = quantumEnd
            return nil
        }
        let highest = layer.store.highest
        let oldest = highest - min(highest, layer.store.packetCapacity - 1)
        var candidate = max(sequence, oldest)
        while candidate <= highest {
            guard let packet = layer.store.packet(candidate) else {
                candidate += 1
                continue
            }
            let age = Int64(Int32(bitPattern: packet.timestamp &- replayTimestamp))
            let elapsed = (now - replayStart).nanoseconds
            let allowed = elapsed / 1000 * Self.replaySpeed * Int64(layer.clockRate) / 1_000_000
            // Pacing follows the media's own clock only as far as it makes sense: the store holds two seconds.
            let isPaced = age <= 2 * Int64(layer.clockRate) && elapsed <= 2_000_000_000
            guard age <= allowed || !isPaced else {
                phase = .replaying(next: candidate)
                replayWake = now + .milliseconds(2)
                return nil
            }
            quantumLeft -= 1
            phase = .replaying(next: candidate + 1)
            return packet
        }
        // Everything stored is sent; what filled a hole meanwhile goes out when it is asked for.
        phase = .live
        cursor = layer.store.arrivalCount
        return nil
    }
}
