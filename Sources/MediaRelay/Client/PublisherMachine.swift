import SwarmCore

/// The headless publisher: sends a clip in a loop over one session, in the clip's own rhythm, answers NACK from a small
/// history (by RTX where negotiated) and key-frame requests by jumping to a key frame, and reports by SR.
///
/// Call order: `init`, `start` once, then `receive` and `advance` as for any machine; `close` at the end.
package struct PublisherMachine: ~Copyable, Machine, Sendable {
    package typealias Event = ClientEvent

    package struct Statistics: Hashable, Sendable {
        package var packetsSent: UInt64 = 0
        package var bytesSent: UInt64 = 0
        package var framesSent: UInt64 = 0
        package var keyFramesSent: UInt64 = 0
        package var packetsRetransmitted: UInt64 = 0
        package var keyFrameRequests: UInt64 = 0
        package var loops: UInt64 = 0
        /// From the node's last report; nil before one.
        package var lossRatio: Double?
        package var roundTrip: Interval?
        package var connectedAt: MonotonicInstant?
    }

    private let clip: MediaClip
    private var transport: ClientTransport
    private var senders: [TrackSender]
    /// The sender of each of the clip's tracks; nil for one that was not negotiated.
    private let senderOfTrack: [Int?]
    private let canonicalName: [UInt8]
    private var isClosed = false
    /// When the clip's time 0 was, on the present turn of the loop.
    private var turnStart = MonotonicInstant.zero
    private var nextFrame = 0
    private var isPlaying = false
    private var wantsKeyFrame = false
    private var lastJump: MonotonicInstant?
    private var reportDue: MonotonicInstant?
    package private(set) var statistics = Statistics()

    /// `session.sent` holds the clip's tracks, numbered as in the clip.
    package init(
        clip: MediaClip, session: ClientOffer.Session, certificate: DTLSCertificate, generator: SeededGenerator,
        at now: Now
    ) {
        self.init(
            clip: clip, session: session,
            transport: ClientTransport(
                configuration: session.transport, certificate: certificate, generator: generator.child(1), at: now),
            generator: generator)
    }

    /// Connected from the start, for tests and the simulator; `start` begins at once.
    package init(
        clip: MediaClip, session: ClientOffer.Session, testKeys keys: SRTPSessionKeys,
        remoteAddress: NetworkAddress, generator: SeededGenerator, at now: Now
    ) {
        self.init(
            clip: clip, session: session,
            transport: ClientTransport(testKeys: keys, remoteAddress: remoteAddress, at: now), generator: generator)
    }

    private init(
        clip: MediaClip, session: ClientOffer.Session, transport: consuming ClientTransport,
        generator: SeededGenerator
    ) {
        var random = generator.child(2)
        var senders: [TrackSender] = []
        var senderOfTrack = [Int?](repeating: nil, count: clip.tracks.count)
        for track in session.sent where Int(track.track) < clip.tracks.count {
            let source = clip.tracks[Int(track.track)]
            let packetizer = Packetizer(source, firstPictureID: UInt16(truncatingIfNeeded: random.next()))
            guard source.codec.name == track.codecName, let packetizer else { continue }
            senderOfTrack[Int(track.track)] = senders.count
            senders.append(TrackSender(track: track, packetizer: packetizer, generator: &random))
        }
        self.clip = clip
        self.transport = transport
        self.senders = senders
        self.senderOfTrack = senderOfTrack
        canonicalName = Array(session.canonicalName.utf8)
    }

    package var isConnected: Bool { transport.isConnected }

    /// Sends the first checks (or, with test keys, begins the media).
    package mutating func start(at now: Now, into out: inout Outbox, events: inout EventBuffer<ClientEvent>) {
        advance(to: now, into: &out, events: &events)
    }

    // MARK: Machine

    @_lifetime(datagram: copy datagram)
    package mutating func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<ClientEvent>
    ) {
        guard !isClosed else { return }
        switch transport.receive(&datagram, from: source, at: now, into: &out, events: &events) {
        case .nothing, .rtp: break
        case .rtcp(let count): takeFeedback(datagram.span.extracting(0..<count), at: now.monotonic, into: &out)
        }
        beginIfConnected(at: now.monotonic)
    }

    package mutating func advance(to now: Now, into out: inout Outbox, events: inout EventBuffer<ClientEvent>) {
        guard !isClosed else { return }
        transport.advance(to: now, into: &out, events: &events)
        beginIfConnected(at: now.monotonic)
        guard isPlaying, transport.isConnected else { return }
        sendDueFrames(at: now.monotonic, into: &out)
        if let due = reportDue, now.monotonic >= due {
            reportDue = now.monotonic + ClientLimits.reportInterval
            sendReports(at: now, into: &out)
        }
    }

    package var nextDeadline: MonotonicInstant? {
        guard !isClosed else { return nil }
        var deadline = transport.nextDeadline
        if isPlaying, transport.isConnected {
            deadline = Deadline.earlier(deadline, turnStart + clip.frames[nextFrame].time)
            deadline = Deadline.earlier(deadline, reportDue)
        }
        return deadline
    }

    /// BYE and close_notify; afterwards every verb is a no-op.
    package mutating func close(at now: Now, into out: inout Outbox) {
        guard !isClosed else { return }
        isClosed = true
        for index in senders.indices {
            let ssrc = senders[index].track.ssrc
            transport.sendRTCP(into: &out) { writer in
                writer.appendReceiverReport(ssrc: ssrc, blockCount: 0)
                writer.appendBye(ssrc: ssrc)
            }
        }
        transport.close(into: &out)
    }

    // MARK: Sending

    private mutating func beginIfConnected(at now: MonotonicInstant) {
        guard !isPlaying, transport.isConnected, !clip.frames.isEmpty else { return }
        isPlaying = true
        turnStart = now
        reportDue = now
        statistics.connectedAt = now
    }

    /// Sends what is due. After a pause of more than a second (a suspended process) the clip goes on from now rather
    /// than in a burst.
    private mutating func sendDueFrames(at now: MonotonicInstant, into out: inout Outbox) {
        if wantsKeyFrame { jumpToKeyFrame(at: now) }
        let lateness = now - (turnStart + clip.frames[nextFrame].time)
        if lateness > .seconds(1) { turnStart = turnStart + lateness }
        while turnStart + clip.frames[nextFrame].time <= now {
            send(clip.frames[nextFrame], due: turnStart + clip.frames[nextFrame].time, into: &out)
            nextFrame += 1
            if nextFrame == clip.frames.count {
                nextFrame = 0
                turnStart = turnStart + clip.duration
                statistics.loops += 1
            }
        }
    }

    /// Continues at the next key frame of the first video track, unless that is due by itself or a jump was just made.
    private mutating func jumpToKeyFrame(at now: MonotonicInstant) {
        wantsKeyFrame = false
        guard let video = clip.tracks.firstIndex(where: { $0.codec.kind == .video }),
            let target = clip.keyFrameIndex(track: video, from: clip.frames[nextFrame].time)
        else { return }
        if let lastJump, now - lastJump < ClientLimits.keyFrameInterval {
            wantsKeyFrame = true
            return
        }
        let wait = turnStart + clip.frames[target].time - now
        guard target < nextFrame || wait > ClientLimits.keyFramePatience else { return }
        lastJump = now
        nextFrame = target
        turnStart = now - clip.frames[target].time
    }

    private mutating func send(_ frame: MediaClip.Frame, due: MonotonicInstant, into out: inout Outbox) {
        guard let index = senderOfTrack[frame.track], let origin = statistics.connectedAt else { return }
        let payloads = senders[index].packetizer.payloads(of: clip.bytes(of: frame), isKey: frame.isKey)
        let timestamp = senders[index].timestamp(at: due - origin)
        statistics.framesSent += 1
        if frame.isKey, senders[index].track.kind == .video { statistics.keyFramesSent += 1 }
        for (position, payload) in payloads.enumerated() {
            let isLast = position == payloads.count - 1
            let header = senders[index].nextHeader(
                timestamp: timestamp, marker: isLast && senders[index].track.kind == .video)
            senders[index].remember(header, payload)
            guard let size = transport.sendRTP(header, payload: payload.span, into: &out) else { continue }
            senders[index].account(payloadBytes: payload.count)
            statistics.packetsSent += 1
            statistics.bytesSent += UInt64(size)
        }
    }

    /// A compound per source: SR and SDES (RFC 3550 §6.1).
    private mutating func sendReports(at now: Now, into out: inout Outbox) {
        guard let origin = statistics.connectedAt else { return }
        for index in senders.indices {
            let sender = senders[index]
            let timestamp = sender.timestamp(at: now.monotonic - origin)
            let networkTime = NetworkTime.from(wallMilliseconds: now.wallMilliseconds)
            let name = canonicalName
            transport.sendRTCP(into: &out) { writer in
                writer.appendSenderReport(
                    ssrc: sender.track.ssrc, networkTime: networkTime, timestamp: timestamp,
                    packetCount: UInt32(truncatingIfNeeded: sender.packetCount),
                    byteCount: UInt32(truncatingIfNeeded: sender.byteCount))
                writer.appendSourceDescription(ssrc: sender.track.ssrc, canonicalName: name.span)
            }
            senders[index].reported(networkTime, at: now.monotonic)
        }
    }

    // MARK: Feedback

    private mutating func takeFeedback(_ compound: Span<UInt8>, at now: MonotonicInstant, into out: inout Outbox) {
        var iterator = RTCPIterator()
        while let packet = iterator.next(in: compound) {
            switch packet.type {
            case RTCPPacket.receiverReport, RTCPPacket.senderReport:
                takeReports(packet, compound.extracting(packet.body), at: now)
            default:
                switch FeedbackMessage(packet, in: compound) {
                case .nack(let media, let items): resend(media, compound.extracting(items), into: &out)
                case .pictureLoss, .fullIntraRequest:
                    statistics.keyFrameRequests += 1
                    wantsKeyFrame = true
                case .transport, .estimatedMaximumBitrate, nil: break
                }
            }
        }
    }

    private mutating func takeReports(_ packet: RTCPPacket, _ body: Span<UInt8>, at now: MonotonicInstant) {
        let first = packet.type == RTCPPacket.senderReport ? 24 : 4
        for index in 0..<Int(packet.count) {
            guard let block = ReportBlock(body, at: first + index * ReportBlock.byteCount) else { return }
            guard let sender = senders.first(where: { $0.track.ssrc == block.ssrc }) else { continue }
            statistics.lossRatio = Double(block.fractionLost) / 256
            if let roundTrip = sender.roundTrip(block, at: now) { statistics.roundTrip = roundTrip }
        }
    }

    private mutating func resend(_ media: UInt32, _ items: Span<UInt8>, into out: inout Outbox) {
        guard let index = senders.firstIndex(where: { $0.track.ssrc == media }) else { return }
        for position in 0..<min(items.count / 4, ClientLimits.nackItems) {
            let item = NackItem(
                packetID: items.loadUInt16(at: position * 4), mask: items.loadUInt16(at: position * 4 + 2))
            for offset in 0...16 {
                guard let sequence = item.sequence(at: offset) else { continue }
                guard let (header, payload) = senders[index].retransmission(of: sequence) else { continue }
                if transport.sendRTP(header, payload: payload.span, into: &out) != nil {
                    statistics.packetsRetransmitted += 1
                }
            }
        }
    }
}
