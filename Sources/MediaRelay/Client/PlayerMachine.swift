import SwarmCore

/// The headless player: receives one stream and measures it. It reports (RR), asks for what is missing (NACK) and for a
/// key frame where it has none or a loss could not be repaired (PLI), as a browser would; it decodes nothing.
///
/// Call order: `init`, `start` once, then `receive` and `advance` as for any machine; `close` at the end.
package struct PlayerMachine: ~Copyable, Machine, Sendable {
    package typealias Event = ClientEvent

    private var transport: ClientTransport
    private var receivers: [TrackReceiver]
    private let ssrc: UInt32
    private let canonicalName: [UInt8]
    private let startedAt: MonotonicInstant
    private var connectedAt: MonotonicInstant?
    private var isClosed = false
    private var reportDue: MonotonicInstant?
    private var keyFrameRequestDue: MonotonicInstant?
    private var refused: UInt64 = 0
    private var keyFrameRequests: UInt64 = 0
    private var nacksSent: UInt64 = 0

    /// `startedAt` is when the player asked for the stream; times to the first packet and key frame count from there.
    package init(
        session: ClientOffer.Session, certificate: DTLSCertificate, generator: SeededGenerator,
        startedAt: MonotonicInstant, at now: Now
    ) {
        self.init(
            session: session,
            transport: ClientTransport(
                configuration: session.transport, certificate: certificate, generator: generator.child(1), at: now),
            generator: generator, startedAt: startedAt)
    }

    /// Connected from the start, for tests and the simulator.
    package init(
        session: ClientOffer.Session, testKeys keys: SRTPSessionKeys, remoteAddress: NetworkAddress,
        generator: SeededGenerator, at now: Now
    ) {
        self.init(
            session: session, transport: ClientTransport(testKeys: keys, remoteAddress: remoteAddress, at: now),
            generator: generator, startedAt: now.monotonic)
    }

    private init(
        session: ClientOffer.Session, transport: consuming ClientTransport, generator: SeededGenerator,
        startedAt: MonotonicInstant
    ) {
        var random = generator.child(2)
        self.transport = transport
        receivers = session.received.map { TrackReceiver(track: $0) }
        ssrc = UInt32(truncatingIfNeeded: random.next()) | 1
        canonicalName = Array(session.canonicalName.utf8)
        self.startedAt = startedAt
    }

    package var isConnected: Bool { transport.isConnected }

    /// Sends the first checks.
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
        case .nothing: break
        case .rtp(let count): takeMedia(datagram.span.extracting(0..<count), at: now.monotonic)
        case .rtcp(let count): takeReports(datagram.span.extracting(0..<count), at: now.monotonic, events: &events)
        }
        beginIfConnected(at: now.monotonic)
    }

    package mutating func advance(to now: Now, into out: inout Outbox, events: inout EventBuffer<ClientEvent>) {
        guard !isClosed else { return }
        transport.advance(to: now, into: &out, events: &events)
        beginIfConnected(at: now.monotonic)
        guard transport.isConnected else { return }
        if let due = reportDue, now.monotonic >= due {
            reportDue = now.monotonic + ClientLimits.reportInterval
            sendReport(at: now.monotonic, into: &out)
        }
        askForMissing(at: now.monotonic, into: &out)
        askForKeyFrame(at: now.monotonic, into: &out)
    }

    package var nextDeadline: MonotonicInstant? {
        guard !isClosed else { return nil }
        var deadline = transport.nextDeadline
        guard transport.isConnected else { return deadline }
        deadline = Deadline.earlier(deadline, reportDue)
        deadline = Deadline.earlier(deadline, keyFrameRequestDue)
        for receiver in receivers where receiver.track.supportsNACK {
            deadline = Deadline.earlier(deadline, receiver.losses.nextDeadline)
        }
        return deadline
    }

    /// BYE and close_notify; afterwards every verb is a no-op.
    package mutating func close(at now: Now, into out: inout Outbox) {
        guard !isClosed else { return }
        isClosed = true
        let source = ssrc
        transport.sendRTCP(into: &out) { writer in
            writer.appendReceiverReport(ssrc: source, blockCount: 0)
            writer.appendBye(ssrc: source)
        }
        transport.close(into: &out)
    }

    // MARK: Receiving

    private mutating func beginIfConnected(at now: MonotonicInstant) {
        guard connectedAt == nil, transport.isConnected else { return }
        connectedAt = now
        reportDue = now + ClientLimits.reportInterval
        keyFrameRequestDue = now + ClientLimits.keyFrameInterval
    }

    private mutating func takeMedia(_ packet: Span<UInt8>, at now: MonotonicInstant) {
        guard let header = RTPHeader(packet) else {
            refused += 1
            return
        }
        for index in receivers.indices where receivers[index].claims(header) {
            receivers[index].take(header, payload: packet.extracting(header.payloadRange), at: now)
            return
        }
        refused += 1
    }

    private mutating func takeReports(
        _ compound: Span<UInt8>, at now: MonotonicInstant, events: inout EventBuffer<ClientEvent>
    ) {
        var iterator = RTCPIterator()
        while let packet = iterator.next(in: compound) {
            guard packet.type == RTCPPacket.senderReport,
                let report = SenderReport(compound.extracting(packet.body)),
                let index = receivers.firstIndex(where: { $0.ssrc == report.ssrc })
            else { continue }
            receivers[index].take(report, at: now)
        }
    }

    // MARK: Sending

    private mutating func sendReport(at now: MonotonicInstant, into out: inout Outbox) {
        var blocks: [ReportBlock] = []
        for index in receivers.indices {
            if let block = receivers[index].takeBlock(at: now) { blocks.append(block) }
        }
        let source = ssrc
        let name = canonicalName
        transport.sendRTCP(into: &out) { writer in
            writer.appendReceiverReport(ssrc: source, blockCount: blocks.count)
            for block in blocks { writer.append(block) }
            writer.appendSourceDescription(ssrc: source, canonicalName: name.span)
        }
    }

    private mutating func askForMissing(at now: MonotonicInstant, into out: inout Outbox) {
        for index in receivers.indices where receivers[index].track.supportsNACK {
            var items: [NackItem] = []
            receivers[index].losses.collectDue(
                at: now, roundTrip: ClientLimits.assumedRoundTrip, limit: ClientLimits.nackItems
            ) { number in
                let sequence = UInt16(truncatingIfNeeded: number)
                let distance = items.last.map { sequence &- $0.packetID } ?? 0
                if (1...16).contains(distance) {
                    items[items.count - 1].mask |= 1 << (distance - 1)
                } else {
                    items.append(NackItem(packetID: sequence, mask: 0))
                }
            }
            guard !items.isEmpty, let media = receivers[index].ssrc else { continue }
            nacksSent += UInt64(items.reduce(0) { $0 + $1.packetCount })
            let source = ssrc
            transport.sendRTCP(into: &out) { writer in
                writer.appendReceiverReport(ssrc: source, blockCount: 0)
                writer.appendNackHead(sender: source, media: media, itemCount: items.count)
                for item in items {
                    writer.append(item.packetID)
                    writer.append(item.mask)
                }
            }
        }
    }

    /// Once per interval, while a video track has no key frame yet or has lost what could not be repaired.
    private mutating func askForKeyFrame(at now: MonotonicInstant, into out: inout Outbox) {
        guard let due = keyFrameRequestDue, now >= due else { return }
        keyFrameRequestDue = now + ClientLimits.keyFrameInterval
        for index in receivers.indices where receivers[index].track.kind == .video {
            let hasLoss = receivers[index].takeUnrepairedLoss()
            guard receivers[index].track.supportsPLI, let media = receivers[index].ssrc,
                receivers[index].firstKeyFrameAt == nil || hasLoss
            else { continue }
            keyFrameRequests += 1
            let source = ssrc
            transport.sendRTCP(into: &out) { writer in
                writer.appendReceiverReport(ssrc: source, blockCount: 0)
                writer.appendPictureLoss(sender: source, media: media)
            }
        }
    }

    // MARK: Measurements

    /// What has been measured until `now`.
    package func report(at now: MonotonicInstant) -> PlayerReport {
        var report = PlayerReport(duration: connectedAt.map { now - $0 } ?? .zero)
        report.isConnected = connectedAt != nil
        report.timeToConnect = connectedAt.map { $0 - startedAt }
        report.keyFrameRequests = keyFrameRequests
        report.nacksSent = nacksSent
        report.packetsRefused = refused
        report.tracks = receivers.map { receiver in
            PlayerReport.Track(
                kind: receiver.track.kind, codec: receiver.track.codecName, mid: receiver.track.mid,
                timeToFirstPacket: receiver.firstPacketAt.map { $0 - startedAt },
                timeToFirstKeyFrame: receiver.firstKeyFrameAt.map { $0 - startedAt },
                packetsExpected: receiver.expected, packetsReceived: receiver.received, packetsLost: receiver.lost,
                packetsRecovered: receiver.recovered, packetsDuplicate: receiver.duplicates,
                payloadBytes: receiver.payloadBytes, framesComplete: receiver.framesComplete,
                keyFramesComplete: receiver.keyFramesComplete, jitter: receiver.jitter,
                longestGap: receiver.longestGap)
        }
        return report
    }

    /// How long no packet of any track has come; nil before the first.
    package func silence(at now: MonotonicInstant) -> Interval? {
        receivers.compactMap { $0.silence(at: now) }.min()
    }

    /// `longestGap` counts from here on: for measuring what a fault costs.
    package mutating func forgetGaps(at now: MonotonicInstant) {
        for index in receivers.indices { receivers[index].forgetGaps(at: now) }
    }
}
