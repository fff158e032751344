import SwarmCore

/// What `endBatch` and the timers learn from an egress after it sent what it could.
enum ForwardOutcome {
    /// Nothing is left to send before the given instant, if any.
    case done(wake: MonotonicInstant?)
    /// The outbox had no room: send it, and go on here.
    case outboxFull
}

/// One client that receives a stream: its transport and its tracks.
struct ViewerSession: ~Copyable {
    let id: SessionID
    let stream: SlotID
    var transport: EdgeTransport
    var egresses: [ViewerEgress] = []
    let ids: ViewerExtensionIDs
    /// Hashes of the username fragments that lead here (two after an ICE restart).
    var usernames: [UInt64] = []
    /// UTF-8, at most 255 bytes.
    private let canonicalName: [UInt8]
    /// Of the next packet, draft-holmer §2.
    private var transportSequence: UInt16 = 0
    private(set) var reportDue: MonotonicInstant?
    private(set) var packetsSent: UInt64 = 0
    private(set) var bytesSent: UInt64 = 0
    private(set) var feedbackReceived: UInt64 = 0
    private(set) var feedbackLost: UInt64 = 0
    private(set) var estimatedBitrate: UInt64?
    /// Address it was last seen at is `transport.remoteAddress`.
    private static var reportInterval: Interval { .seconds(1) }
    private static var firstReportDelay: Interval { .milliseconds(200) }

    init(
        _ configuration: ViewerConfiguration, stream: SlotID, transport: consuming EdgeTransport,
        generator: inout SeededGenerator, at now: Now
    ) {
        id = configuration.session
        self.stream = stream
        self.transport = transport
        var ids = ViewerExtensionIDs()
        for track in configuration.tracks.prefix(PacketLimits.tracks) {
            ids.add(track.extensions)
            egresses.append(ViewerEgress(track, generator: &generator, at: now.monotonic))
        }
        self.ids = ids
        canonicalName = Array(configuration.canonicalName.utf8.prefix(255))
    }

    var nextDeadline: MonotonicInstant? { Deadline.earlier(transport.nextDeadline, reportDue) }

    var isReplaying: Bool {
        for index in egresses.indices where egresses[index].wake != nil { return true }
        return false
    }

    /// Sends what the tracks owe, in one run.
    mutating func forward(
        layers: borrowing Slab<MediaLayer>, at now: Now, into out: inout Outbox
    ) -> ForwardOutcome {
        var wake: MonotonicInstant?
        for index in egresses.indices {
            guard let slot = egresses[index].layer, layers.contains(slot) else { continue }
            guard forward(egress: index, from: layers[slot], at: now, into: &out) else { return .outboxFull }
            wake = Deadline.earlier(wake, egresses[index].wake)
        }
        return .done(wake: wake)
    }

    /// One track's share; false when the outbox has no room.
    private mutating func forward(
        egress index: Int, from layer: borrowing MediaLayer, at now: Now, into out: inout Outbox
    ) -> Bool {
        guard egresses[index].hasWork(in: layer, at: now.monotonic) else { return true }
        while true {
            guard out.freeDatagrams > 0, out.freeBytes >= PacketLimits.viewerDatagramBytes else { return false }
            guard let packet = egresses[index].next(in: layer, at: now.monotonic) else { return true }
            send(packet, bytes: layer.store.bytes(of: packet), egress: index, at: now, into: &out)
        }
    }

    private mutating func send(
        _ packet: StoredPacket, bytes: Span<UInt8>, egress index: Int, at now: Now, into out: inout Outbox
    ) {
        guard let address = transport.remoteAddress,
            let packetIndex = egresses[index].index(of: packet, at: now.monotonic)
        else { return }
        let hop = egresses[index].retransmissionPayloadType == nil ? HopExtensions() : nextHopExtensions(at: now)
        let kept = out.append(to: address, capacity: PacketLimits.viewerDatagramBytes) { writer in
            let headerLength = egresses[index].write(
                packet, index: packetIndex, bytes: bytes, hop: hop, ids: ids, at: now.monotonic, to: &writer)
            protect(&writer, headerLength: headerLength, index: packetIndex)
        }
        guard kept else { return }
        packetsSent &+= 1
        bytesSent &+= UInt64(bytes.count)
        if reportDue == nil { reportDue = now.monotonic + Self.firstReportDelay }
    }

    /// Serves one number of a viewer's NACK; the reason where it can't.
    mutating func repair(
        viewerSequence: UInt16, egress index: Int, slot: SlotID, layers: borrowing Slab<MediaLayer>, at now: Now,
        into out: inout Outbox
    ) -> MediaRefusal? {
        repair(viewerSequence: viewerSequence, egress: index, from: layers[slot], at: now, into: &out)
    }

    private mutating func repair(
        viewerSequence: UInt16, egress index: Int, from layer: borrowing MediaLayer, at now: Now,
        into out: inout Outbox
    ) -> MediaRefusal? {
        guard let sequence = egresses[index].identity(ofViewerSequence: viewerSequence),
            let packet = layer.store.packet(sequence)
        else { return .repairNotStored }
        guard egresses[index].takeRepair(bytes: packet.byteCount + RepairBudget.overheadBytes, at: now.monotonic) else {
            return .repairOverBudget
        }
        sendAgain(packet, bytes: layer.store.bytes(of: packet), egress: index, at: now, into: &out)
        return nil
    }

    /// Sends a packet that the viewer missed: as RTX where negotiated, else the identical ciphertext.
    private mutating func sendAgain(
        _ packet: StoredPacket, bytes: Span<UInt8>, egress index: Int, at now: Now, into out: inout Outbox
    ) {
        guard let address = transport.remoteAddress else { return }
        guard let payloadType = egresses[index].retransmissionPayloadType else {
            guard let packetIndex = egresses[index].index(of: packet, at: now.monotonic) else { return }
            out.append(to: address, capacity: PacketLimits.viewerDatagramBytes) { writer in
                let headerLength = egresses[index].write(
                    packet, index: packetIndex, bytes: bytes, hop: HopExtensions(), ids: ids, at: now.monotonic,
                    to: &writer)
                protect(&writer, headerLength: headerLength, index: packetIndex)
            }
            return
        }
        let hop = nextHopExtensions(at: now)
        out.append(to: address, capacity: PacketLimits.viewerDatagramBytes) { writer in
            let (packetIndex, headerLength) = egresses[index].writeRetransmission(
                packet, bytes: bytes, hop: hop, ids: ids, payloadType: payloadType, to: &writer)
            protect(&writer, headerLength: headerLength, index: packetIndex)
        }
    }

    private mutating func protect(_ writer: inout ByteWriter, headerLength: Int, index: UInt64) {
        let count = writer.count
        writer.append(repeating: 0, count: PacketLimits.tagBytes)
        guard !writer.overflowed else { return }
        var packet = writer.written()
        let protected = transport.protectRTP(&packet, count: count, headerLength: headerLength, index: index)
        writer.truncate(to: protected ?? 0)
    }

    private mutating func nextHopExtensions(at now: Now) -> HopExtensions {
        var hop = HopExtensions()
        if ids.id(for: .transportSequence) != 0 {
            hop.transportSequence = transportSequence
            transportSequence &+= 1
        }
        if ids.id(for: .absoluteSendTime) != 0 {
            // 6.18 fixed point out of 32.32: a wrap each 64 s.
            let units = NetworkTime.units(now.monotonic - .zero)
            hop.absoluteSendTime = UInt32(truncatingIfNeeded: units >> 14) & 0xff_ffff
        }
        return hop
    }

    /// The track whose packets carry `ssrc`.
    func egress(ofSSRC ssrc: UInt32) -> Int? {
        for index in egresses.indices where egresses[index].ssrc == ssrc { return index }
        return nil
    }

    mutating func noteFeedback(received: UInt64, lost: UInt64) {
        feedbackReceived &+= received
        feedbackLost &+= lost
    }

    mutating func noteEstimatedBitrate(_ bitsPerSecond: UInt64) { estimatedBitrate = bitsPerSecond }

    /// Sends the sender reports that are due: network time and timestamp are the origin's, so that a viewer anywhere
    /// synchronises audio and video (RFC 3550 §6.4.1).
    mutating func sendReports(layers: borrowing Slab<MediaLayer>, at now: Now, into out: inout Outbox) {
        guard let due = reportDue, due <= now.monotonic else { return }
        reportDue = now.monotonic + Self.reportInterval
        guard let address = transport.remoteAddress else { return }
        for index in egresses.indices {
            guard let slot = egresses[index].layer, layers.contains(slot),
                let clock = layers[slot].clock(at: now.monotonic),
                let timestamp = egresses[index].viewerTimestamp(of: clock.timestamp)
            else { continue }
            egresses[index].noteReportSent(networkTime: clock.networkTime, at: now.monotonic)
            out.append(to: address, capacity: PacketLimits.rtcpBytes) { writer in
                writer.appendSenderReport(
                    ssrc: egresses[index].ssrc, networkTime: clock.networkTime, timestamp: timestamp,
                    packetCount: UInt32(truncatingIfNeeded: egresses[index].packetCount),
                    byteCount: UInt32(truncatingIfNeeded: egresses[index].byteCount))
                writer.appendSourceDescription(ssrc: egresses[index].ssrc, canonicalName: canonicalName.span)
                transport.protect(&writer)
            }
        }
    }

    /// Says goodbye on every track and closes DTLS.
    mutating func close(into out: inout Outbox) {
        if transport.isConnected, let address = transport.remoteAddress {
            out.append(to: address, capacity: PacketLimits.rtcpBytes) { writer in
                if let first = egresses.first { writer.appendReceiverReport(ssrc: first.ssrc, blockCount: 0) }
                for egress in egresses { writer.appendBye(ssrc: egress.ssrc) }
                transport.protect(&writer)
            }
        }
        transport.close(into: &out)
    }
}

extension EdgeTransport {
    /// Protects the RTCP compound that `writer` holds; on failure nothing is left to send.
    mutating func protect(_ writer: inout ByteWriter) {
        let count = writer.count
        writer.append(repeating: 0, count: Self.rtcpOverhead)
        guard !writer.overflowed else { return }
        var packet = writer.written()
        let protected = protectRTCP(&packet, count: count)
        writer.truncate(to: protected ?? 0)
    }
}
