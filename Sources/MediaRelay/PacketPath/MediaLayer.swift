import SwarmCore

/// The relation of a track's timestamps to its origin's clock, from the publisher's sender reports, carried unchanged
/// across the swarm so that viewers anywhere synchronise audio and video.
package struct ClockMapping: Equatable, Sendable {
    /// 32.32 NTP time at the origin.
    package var networkTime: UInt64
    package var timestamp: UInt32
    /// When we learnt it, on our clock.
    package var learnt: MonotonicInstant

    package init(networkTime: UInt64, timestamp: UInt32, learnt: MonotonicInstant) {
        self.networkTime = networkTime
        self.timestamp = timestamp
        self.learnt = learnt
    }
}

/// One encoding of one track of a stream: its recent packets and where its key frames are.
struct MediaLayer: ~Copyable {
    let stream: SlotID
    let track: Int
    let encoding: Int
    let kind: MediaKind
    let clockRate: UInt32
    let codec: PayloadCodec
    var store: PacketStore
    /// Where a decoder may begin: the first packet of the latest key frame.
    private(set) var keyFrame: StoredPacket?
    private(set) var keyFrameArrival = MonotonicInstant.zero
    /// From the publisher or the parent; nil until the first sender report.
    var clock: ClockMapping?
    /// When the children were last told of it.
    var clockToldAt: MonotonicInstant?
    /// Stands in for `clock` until there is one: our own clock at a packet's arrival.
    private(set) var fallbackClock: ClockMapping?
    /// When a key frame was first wanted that has not come yet.
    private(set) var keyFrameWantedSince: MonotonicInstant?
    private var keyFrameAsked: MonotonicInstant?
    private var keyFrameAttempts = 0
    /// The first sequence stored: nothing before it is missing.
    private(set) var firstSequence: UInt64 = 0
    private(set) var packetCount: UInt64 = 0
    private(set) var byteCount: UInt64 = 0

    /// At most one request a second reaches the publisher, however many viewers ask (DESIGN §7).
    static var publisherRequestInterval: Interval { .seconds(1) }
    /// A parent is asked more often: the request may be lost, and the origin does the limiting.
    static var parentRequestInterval: Interval { .milliseconds(250) }
    /// Requests without a key frame before we wait for the next viewer to ask.
    private static var keyFrameRequestAttempts: Int { 30 }
    /// What a joiner is shown reaches back this far at most.
    private static var replaySpan: Interval { .seconds(2) }

    init(stream: SlotID, track: Int, encoding: Int, codec: CodecDescription, limits: MediaLimits) {
        self.stream = stream
        self.track = track
        self.encoding = encoding
        kind = codec.kind
        clockRate = max(1, codec.clockRate)
        self.codec = PayloadCodec(kind: codec.kind, name: codec.name)
        // Two seconds of audio in packets of 10 ms are 200; of video at 8 Mb/s in packets of 1,000 bytes, 2,000.
        store =
            codec.kind == .audio
            ? PacketStore(byteCapacity: limits.audioStoreBytes, packetCapacity: 512)
            : PacketStore(byteCapacity: limits.videoStoreBytes, packetCapacity: 4096)
    }

    var bit: Int { track * 4 + encoding }

    /// Stores a packet and notes what it is; its canonical extensions are the first bytes of `extensions`.
    mutating func insert(
        _ packet: StoredPacket, extensions: borrowing ByteArena, payload: Span<UInt8>, at now: Now
    ) -> PacketStore.Insertion {
        insert(packet, extensions: extensions.bytes(in: 0..<packet.extensionCount), payload: payload, at: now)
    }

    mutating func insert(
        _ packet: StoredPacket, extensions: Span<UInt8>, payload: Span<UInt8>, at now: Now
    ) -> PacketStore.Insertion {
        let insertion = store.insert(packet, extensions: extensions, payload: payload)
        if insertion == .stored { noteStored(packet, at: now) }
        return insertion
    }

    private mutating func noteStored(_ packet: StoredPacket, at now: Now) {
        if packetCount == 0 { firstSequence = packet.sequence }
        packetCount &+= 1
        byteCount &+= UInt64(packet.byteCount)
        if packet.sequence == store.highest, clock == nil {
            fallbackClock = ClockMapping(
                networkTime: NetworkTime.from(wallMilliseconds: now.wallMilliseconds), timestamp: packet.timestamp,
                learnt: now.monotonic)
        }
        guard packet.place.startsKeyFrame, kind == .video else { return }
        if let keyFrame {
            // Parameter sets and the slice that follows share a timestamp: the first of them is the beginning.
            if packet.timestamp == keyFrame.timestamp {
                if packet.sequence < keyFrame.sequence { self.keyFrame = packet }
                return
            }
            guard packet.sequence > keyFrame.sequence else { return }
        }
        keyFrame = packet
        keyFrameArrival = now.monotonic
        keyFrameWantedSince = nil
        keyFrameAttempts = 0
    }

    /// The first packet of the latest key frame if everything since is here and it is fresh enough to show.
    func replayStart(at now: MonotonicInstant) -> StoredPacket? {
        guard let keyFrame, now - keyFrameArrival <= Self.replaySpan else { return nil }
        let highest = store.highest
        guard highest >= keyFrame.sequence, highest - keyFrame.sequence < store.packetCapacity else { return nil }
        for sequence in keyFrame.sequence...highest where store.packet(sequence) == nil { return nil }
        return keyFrame
    }

    /// Says that somebody cannot go on without a key frame.
    mutating func wantKeyFrame(at now: MonotonicInstant) {
        guard kind == .video else { return }
        if keyFrameWantedSince == nil {
            keyFrameWantedSince = now
            keyFrameAttempts = 0
        }
    }

    /// Whether a request is to be sent now; if so it counts as sent.
    mutating func takeKeyFrameRequest(at now: MonotonicInstant, interval: Interval) -> Bool {
        guard let due = keyFrameRequestDue(interval: interval), due <= now else { return false }
        guard keyFrameAttempts < Self.keyFrameRequestAttempts else {
            keyFrameWantedSince = nil
            return false
        }
        keyFrameAttempts += 1
        keyFrameAsked = now
        return true
    }

    /// When the next request may go, or nil when none is wanted.
    func keyFrameRequestDue(interval: Interval) -> MonotonicInstant? {
        guard let since = keyFrameWantedSince else { return nil }
        guard let keyFrameAsked else { return since }
        return max(since, keyFrameAsked + interval)
    }

    /// Another publisher or parent: it is asked at once.
    mutating func keyFrameSourceChanged() { keyFrameAsked = nil }

    /// The origin's clock and the timestamp it showed then, at `now`; nil before any packet.
    func clock(at now: MonotonicInstant) -> (networkTime: UInt64, timestamp: UInt32)? {
        guard let mapping = clock ?? fallbackClock else { return nil }
        let elapsed = now - mapping.learnt
        return (
            mapping.networkTime &+ NetworkTime.units(elapsed),
            mapping.timestamp &+ NetworkTime.ticks(elapsed, rate: clockRate)
        )
    }
}
