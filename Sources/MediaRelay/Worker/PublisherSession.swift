import SwarmCore

/// One client that sends a stream: its transport (none for plain RTP) and its tracks.
struct PublisherSession: ~Copyable {
    let id: SessionID
    let stream: SlotID
    /// Nil for plain RTP: clear packets on sockets of their own, no feedback.
    var transport: EdgeTransport?
    var tracks: [IngestTrack] = []
    let ids: PublisherExtensionIDs
    /// Hashes of the username fragments that lead here (two after an ICE restart).
    var usernames: [UInt64] = []
    /// Names us in RTCP.
    let ssrc: UInt32
    private var feedback = TransportFeedbackBuilder()
    private var feedbackDue: MonotonicInstant?
    private var reportDue: MonotonicInstant?
    /// For plain RTP, the first source; others are refused.
    var plainSource: NetworkAddress?
    private(set) var lastPlainArrival: MonotonicInstant
    private(set) var packetsReceived: UInt64 = 0
    private(set) var bytesReceived: UInt64 = 0
    /// An estimate until a measurement: the publisher's path is not measured by RTCP in our direction.
    private let roundTrip = Interval.milliseconds(50)

    /// Chromium's estimator works best with reports each 50 to 100 ms.
    private static var feedbackInterval: Interval { .milliseconds(50) }
    private static var reportInterval: Interval { .seconds(1) }
    /// A plain source that is silent for so long has gone.
    static var plainTimeout: Interval { .seconds(30) }
    private let canonicalName = Array("mafalda".utf8)

    init(
        _ configuration: PublisherConfiguration, stream: SlotID, transport: consuming EdgeTransport?, ssrc: UInt32,
        at now: Now
    ) {
        id = configuration.session
        self.stream = stream
        self.transport = transport
        self.ssrc = ssrc
        var ids = PublisherExtensionIDs()
        for track in configuration.tracks.prefix(PacketLimits.tracks) {
            ids.add(track.extensions)
            tracks.append(IngestTrack(track))
        }
        self.ids = ids
        lastPlainArrival = now.monotonic
    }

    var isPlain: Bool {
        switch transport {
        case .some: false
        case .none: true
        }
    }

    var isConnected: Bool {
        switch transport {
        case .some(let transport): transport.isConnected
        case .none: plainSource != nil
        }
    }

    var remoteAddress: NetworkAddress? {
        switch transport {
        case .some(let transport): transport.remoteAddress
        case .none: plainSource
        }
    }

    /// Zero for plain RTP.
    var validatedAddressCount: Int {
        switch transport {
        case .some(let transport): transport.validatedAddressCount
        case .none: 0
        }
    }

    func validatedAddress(at index: Int) -> NetworkAddress {
        switch transport {
        case .some(let transport): transport.validatedAddress(at: index)
        case .none: .unspecified
        }
    }

    func accepts(username: Span<UInt8>) -> Bool {
        switch transport {
        case .some(let transport): transport.accepts(username: username)
        case .none: false
        }
    }

    var edgeRefusals: Counters<EdgeRefusal>? {
        switch transport {
        case .some(let transport): transport.refusals
        case .none: nil
        }
    }

    private var transportDeadline: MonotonicInstant? {
        switch transport {
        case .some(let transport): transport.nextDeadline
        case .none: lastPlainArrival + Self.plainTimeout
        }
    }

    var nextDeadline: MonotonicInstant? {
        var next = Deadline.earlier(transportDeadline, Deadline.earlier(feedbackDue, reportDue))
        guard isConnected, !isPlain else { return next }
        for index in tracks.indices where tracks[index].supportsNACK {
            next = Deadline.earlier(next, tracks[index].loss.nextDeadline)
        }
        return next
    }

    /// All that were bound said BYE.
    var hasEnded: Bool {
        var bound = false
        for index in tracks.indices where tracks[index].ssrc != nil {
            guard tracks[index].hasEnded else { return false }
            bound = true
        }
        return bound
    }

    mutating func noteReceived(bytes: Int, at now: MonotonicInstant) {
        packetsReceived &+= 1
        bytesReceived &+= UInt64(bytes)
        lastPlainArrival = now
        if reportDue == nil, !isPlain { reportDue = now + Self.reportInterval }
    }

    mutating func noteTransportSequence(_ sequence: UInt16, at now: MonotonicInstant) {
        feedback.arrived(sequence, at: now)
        if feedbackDue == nil { feedbackDue = now + Self.feedbackInterval }
    }

    /// The index of the track that a packet belongs to, and what it is to it. `only` is the track whose port received
    /// it, for plain sources.
    mutating func bind(
        _ header: RTPHeader, of packet: Span<UInt8>, mid: Range<Int>?, only: Int?
    ) -> (index: Int, binding: IngestTrack.Binding)? {
        if let only {
            guard tracks.indices.contains(only) else { return nil }
            let known = tracks[only].binding(ssrc: header.ssrc, payloadType: header.payloadType)
            if case .unknown = known {
                return (only, tracks[only].claim(header, of: packet, mid: nil))
            }
            return (only, known)
        }
        for index in tracks.indices {
            let known = tracks[index].binding(ssrc: header.ssrc, payloadType: header.payloadType)
            if case .unknown = known { continue }
            return (index, known)
        }
        for index in tracks.indices {
            let claimed = tracks[index].claim(header, of: packet, mid: mid)
            if case .unknown = claimed { continue }
            return (index, claimed)
        }
        return nil
    }

    func track(ofSSRC ssrc: UInt32) -> Int? {
        for index in tracks.indices where tracks[index].ssrc == ssrc { return index }
        return nil
    }

    /// Asks for a key frame of `track`: by PLI, else by FIR (RFC 5104 §4.3.1). False where that cannot be sent now.
    mutating func sendKeyFrameRequest(track: Int, into out: inout Outbox) -> Bool {
        guard let index = tracks.firstIndex(where: { $0.track == track }), let media = tracks[index].ssrc,
            isConnected, !isPlain, let address = remoteAddress
        else { return false }
        let sequence = tracks[index].nextFullIntraSequence()
        return out.append(to: address, capacity: PacketLimits.rtcpBytes) { writer in
            if tracks[index].supportsPLI {
                writer.appendPictureLoss(sender: ssrc, media: media)
            } else {
                writer.appendFullIntraRequest(sender: ssrc, media: media, sequence: sequence)
            }
            transport?.protect(&writer)
        }
    }

    /// Sends the feedback that is due: transport-wide reports, NACKs and receiver reports.
    mutating func sendFeedback(at now: Now, into out: inout Outbox) {
        guard isConnected, !isPlain, let address = remoteAddress else {
            feedbackDue = nil
            reportDue = nil
            return
        }
        if let due = feedbackDue, due <= now.monotonic {
            feedbackDue = nil
            sendTransportFeedback(to: address, into: &out)
        }
        for index in tracks.indices where !tracks[index].loss.isEmpty {
            var isEmpty = false
            out.append(to: address, capacity: PacketLimits.rtcpBytes) { writer in
                isEmpty = !tracks[index].appendNack(
                    to: &writer, sender: ssrc, roundTrip: roundTrip, at: now.monotonic)
                if !isEmpty { transport?.protect(&writer) }
            }
        }
        if let due = reportDue, due <= now.monotonic {
            reportDue = now.monotonic + Self.reportInterval
            sendReceiverReport(to: address, at: now, into: &out)
        }
    }

    /// The SSRC that transport-wide feedback names: any of the session's does.
    private var feedbackSource: UInt32? {
        for index in tracks.indices where tracks[index].supportsTransportFeedback {
            if let ssrc = tracks[index].ssrc { return ssrc }
        }
        return nil
    }

    private mutating func sendTransportFeedback(to address: NetworkAddress, into out: inout Outbox) {
        guard let media = feedbackSource else { return }
        // Two packets cover the ring; a flood of losses may need more, which the next interval sends.
        for _ in 0..<4 where feedback.hasNews {
            out.append(to: address, capacity: PacketLimits.rtcpBytes + 128) { writer in
                if feedback.append(to: &writer, sender: ssrc, media: media) { transport?.protect(&writer) }
            }
        }
    }

    private mutating func sendReceiverReport(to address: NetworkAddress, at now: Now, into out: inout Outbox) {
        var blocks = InlineArray<16, ReportBlock?>(repeating: nil)
        var count = 0
        for index in tracks.indices {
            guard let block = tracks[index].takeReportBlock(at: now.monotonic) else { continue }
            blocks[count] = block
            count += 1
        }
        guard count > 0 else { return }
        out.append(to: address, capacity: PacketLimits.rtcpBytes) { writer in
            writer.appendReceiverReport(ssrc: ssrc, blockCount: count)
            for index in 0..<count { if let block = blocks[index] { writer.append(block) } }
            writer.appendSourceDescription(ssrc: ssrc, canonicalName: canonicalName.span)
            transport?.protect(&writer)
        }
    }

    mutating func close(into out: inout Outbox) { transport?.close(into: &out) }
}
