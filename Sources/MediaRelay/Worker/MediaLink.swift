import SwarmCore
import SwarmCrypto

/// One keyed path to a worker of a peer, shared by every stream between the two (PROTOCOL.md, "Media links").
///
/// The child opens it: it sends until it is answered. The parent sends nothing before the first authentic packet, which
/// shows it the child's address; a later address gets media only after it has answered a challenge.
struct MediaLink: ~Copyable {
    let handle: LinkHandle
    let peer: NodeID
    let isInitiator: Bool
    private let remoteConnectionID: UInt32
    private var sealer: LinkCipher
    private var opener: LinkCipher
    private var sendCounter: UInt64 = 0
    private var window = ReplayWindow()
    /// Gaps in the peer's counters.
    var loss = LossTracker(capacity: 512, reorderAllowance: .milliseconds(5))

    /// Where packets go; nil until the peer is known to be there.
    private(set) var remoteAddress: NetworkAddress?
    private var challenge: PathChallenge?
    var isEstablished = false
    private(set) var isLost = false
    private let opened: MonotonicInstant
    private(set) var lastReceived: MonotonicInstant
    private(set) var lastSent: MonotonicInstant
    private var pingDue: MonotonicInstant
    private(set) var roundTrip: Interval?

    var incoming: [IncomingStream] = []
    var outgoing: [OutgoingStream] = []
    /// Taken when the first stream leaves: 4,096 packets are two seconds at 2,000 packets a second.
    private var sent: [SentRecord] = []
    private var repairBudget: RepairBudget
    var statistics: WorkerStatistics.Link

    private struct PathChallenge {
        var address: NetworkAddress
        var value: UInt64
        var sent: MonotonicInstant
    }

    /// On a link that carries a stream a frame passes at least so often (DESIGN §7).
    static var activeInterval: Interval { .milliseconds(50) }
    static var idleInterval: Interval { .milliseconds(300) }
    /// Silence that ends a link: twenty active or three idle intervals.
    static var lossTimeout: Interval { .seconds(1) }
    /// A link that never spoke.
    static var openTimeout: Interval { .seconds(5) }
    private static var pingInterval: Interval { .milliseconds(500) }
    private static var sentCapacity: Int { 4096 }

    init(_ configuration: MediaLinkConfiguration, suite: CryptoSuite, at now: MonotonicInstant) {
        handle = configuration.handle
        peer = configuration.peer
        isInitiator = configuration.isInitiator
        remoteConnectionID = configuration.remoteConnectionID
        sealer = LinkCipher(configuration.cipher, key: configuration.sendKey, direction: .sealing, suite: suite)
        opener = LinkCipher(configuration.cipher, key: configuration.receiveKey, direction: .opening, suite: suite)
        remoteAddress = configuration.isInitiator ? configuration.remoteAddress : nil
        opened = now
        lastReceived = now
        lastSent = .zero
        pingDue = now
        // A child may miss two key frames at once, and then what a 64 Mb/s link loses at one in ten.
        repairBudget = RepairBudget(burstBytes: 2 * 1024 * 1024, bytesPerMillisecond: 8 * 1024, at: now)
        statistics = WorkerStatistics.Link(handle: configuration.handle, peer: configuration.peer, isEstablished: false)
    }

    var isActive: Bool { !incoming.isEmpty || !outgoing.isEmpty }

    // Index loops rather than closures: a closure over elements of this size costs a box where it is not inlined.

    func incomingIndex(alias: UInt32) -> Int? {
        for index in incoming.indices where incoming[index].alias == alias { return index }
        return nil
    }

    func outgoingIndex(alias: UInt32) -> Int? {
        for index in outgoing.indices where outgoing[index].alias == alias { return index }
        return nil
    }

    func outgoingIndex(stream: SlotID) -> Int? {
        for index in outgoing.indices where outgoing[index].stream == stream { return index }
        return nil
    }

    // MARK: Sending

    /// Seals one datagram of the frames that `body` writes; returns its counter, or nil where it was not sent.
    @discardableResult
    mutating func send(
        to address: NetworkAddress? = nil, at now: MonotonicInstant, into out: inout Outbox,
        _ body: (inout ByteWriter) -> Void
    ) -> UInt64? {
        guard let address = address ?? remoteAddress else { return nil }
        let counter = sendCounter
        var isSealed = false
        var byteCount = 0
        let kept = out.append(to: address, capacity: PacketLimits.linkDatagramBytes) { writer in
            writer.append(MediaLink.firstByte)
            writer.append(remoteConnectionID)
            writer.append(UInt32(truncatingIfNeeded: counter))
            body(&writer)
            writer.append(repeating: 0, count: PacketLimits.tagBytes)
            guard !writer.overflowed else { return }
            var packet = writer.written()
            sealer.seal(counter: counter, headerByteCount: PacketLimits.linkHeaderBytes, packet: &packet)
            isSealed = true
            byteCount = packet.count
        }
        guard kept, isSealed else { return nil }
        sendCounter += 1
        lastSent = now
        statistics.packetsSent &+= 1
        statistics.bytesSent &+= UInt64(byteCount)
        return counter
    }

    static var firstByte: UInt8 { 0xd0 }

    /// Sends one packet of an outgoing layer; `repairing` names the counter it was lost under.
    mutating func sendMedia(
        _ packet: StoredPacket, bytes: Span<UInt8>, layer: SlotID, bit: UInt8, alias: UInt32, epochTag: UInt8,
        repairing: UInt64?, at now: MonotonicInstant, into out: inout Outbox
    ) {
        let counter = send(at: now, into: &out) { writer in
            writer.appendMedia(
                packet, bytes: bytes, alias: alias, layer: bit, epochTag: epochTag, repairing: repairing)
        }
        guard let counter else { return }
        if repairing != nil { statistics.packetsRetransmitted &+= 1 }
        record(counter, .media(layer: layer, alias: alias, bit: bit, sequence: packet.sequence))
    }

    mutating func record(_ counter: UInt64, _ content: SentRecord.Content) {
        if sent.isEmpty { sent = Array(repeating: SentRecord(), count: Self.sentCapacity) }
        sent[Int(counter % UInt64(Self.sentCapacity))] = SentRecord(counter: counter, content: content)
    }

    /// What the datagram with these low bits carried, once: a second request for it finds nothing.
    mutating func takeSent(counterLow: UInt32) -> (counter: UInt64, content: SentRecord.Content)? {
        guard !sent.isEmpty else { return nil }
        let counter = Counter64.expand(counterLow, near: sendCounter)
        let cell = Int(counter % UInt64(Self.sentCapacity))
        guard sent[cell].counter == counter else { return nil }
        let content = sent[cell].content
        sent[cell] = SentRecord()
        return (counter, content)
    }

    mutating func takeRepair(bytes: Int, at now: MonotonicInstant) -> Bool { repairBudget.take(bytes, at: now) }

    // MARK: Receiving

    enum Opening {
        case refused(MediaRefusal)
        /// Frames lie in the range. `isFirst` where nothing authentic came before, or the link had been lost.
        case opened(Range<Int>, isFirst: Bool)
    }

    /// Opens a datagram in place and follows the peer's address.
    mutating func open(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, at now: MonotonicInstant,
        challengeValue: UInt64, into out: inout Outbox
    ) -> Opening {
        let header = PacketLimits.linkHeaderBytes
        guard datagram.count >= header + PacketLimits.tagBytes else { return .refused(.malformedLinkFrame) }
        let counter = Counter64.expand(datagram.span.loadUInt32(at: 5), near: window.newest.map { $0 + 1 } ?? 0)
        guard window.isFresh(counter) else { return .refused(.linkReplay) }
        guard opener.open(counter: counter, headerByteCount: header, packet: &datagram) else {
            return .refused(.linkNotAuthentic)
        }
        guard window.accept(counter) else { return .refused(.linkReplay) }
        let isFirst = !isEstablished || isLost
        isEstablished = true
        isLost = false
        statistics.isEstablished = true
        statistics.packetsReceived &+= 1
        statistics.bytesReceived &+= UInt64(datagram.count)
        loss.arrived(counter, at: now)
        lastReceived = now
        if source != remoteAddress { follow(source, value: challengeValue, at: now, into: &out) }
        return .opened(header..<(datagram.count - PacketLimits.tagBytes), isFirst: isFirst)
    }

    /// A repair names the counter it stands for.
    mutating func noteRepaired(_ low: UInt32) {
        if let newest = window.newest { loss.found(Counter64.expand(low, near: newest)) }
    }

    private mutating func follow(
        _ source: NetworkAddress, value: UInt64, at now: MonotonicInstant, into out: inout Outbox
    ) {
        guard remoteAddress != nil else {
            // The first address has proved the key; it gets no more than the stream it asked for.
            remoteAddress = source
            return
        }
        if let challenge, challenge.address == source, now - challenge.sent < .milliseconds(200) { return }
        challenge = PathChallenge(address: source, value: value, sent: now)
        send(to: source, at: now, into: &out) { $0.appendWord(LinkFrame.Kind.pathChallenge, value) }
    }

    /// A response moves the link where it came from the challenged address with the right value.
    mutating func pathResponse(_ value: UInt64, from source: NetworkAddress) {
        guard let challenge, challenge.value == value, challenge.address == source else { return }
        remoteAddress = source
        self.challenge = nil
    }

    mutating func pong(_ value: UInt64, at now: MonotonicInstant) {
        let elapsed = now - MonotonicInstant(nanoseconds: value)
        guard elapsed >= .zero, elapsed < .seconds(10) else { return }
        let smoothed = roundTrip.map { Interval(nanoseconds: ($0.nanoseconds * 7 + elapsed.nanoseconds) / 8) }
        roundTrip = smoothed ?? elapsed
    }

    // MARK: Timers

    var nextDeadline: MonotonicInstant? {
        guard !isLost else { return nil }
        var next = (isEstablished ? lastReceived + Self.lossTimeout : opened + Self.openTimeout)
        if remoteAddress != nil {
            next = min(next, lastSent + keepAliveInterval)
            if let due = loss.nextDeadline { next = min(next, due) }
            if isEstablished { next = min(next, pingDue) }
        }
        for index in incoming.indices {
            if let due = incoming[index].resumeDue { next = min(next, due) }
            if let expires = incoming[index].expires { next = min(next, expires) }
        }
        for index in outgoing.indices {
            if let due = outgoing[index].startDue { next = min(next, due) }
        }
        return next
    }

    private var keepAliveInterval: Interval {
        isActive || !isEstablished ? Self.activeInterval : Self.idleInterval
    }

    /// True once, when silence has lasted too long.
    mutating func checkLost(at now: MonotonicInstant) -> Bool {
        guard !isLost else { return false }
        let deadline = isEstablished ? lastReceived + Self.lossTimeout : opened + Self.openTimeout
        guard now >= deadline else { return false }
        isLost = true
        statistics.isEstablished = false
        return true
    }

    /// NACKs, PINGs and what a silent link says.
    mutating func sendDue(
        heads: borrowing Slab<MediaLayer>, at now: MonotonicInstant, into out: inout Outbox
    ) {
        guard remoteAddress != nil, !isLost else { return }
        sendNacks(at: now, into: &out)
        if isEstablished, pingDue <= now {
            pingDue = now + Self.pingInterval
            let highest = window.newest ?? 0
            let received = statistics.packetsReceived
            send(at: now, into: &out) { writer in
                writer.appendWord(LinkFrame.Kind.ping, now.nanoseconds)
                writer.appendLinkReport(highest: highest, received: received)
            }
        }
        guard lastSent + keepAliveInterval <= now else { return }
        // Only of layers that have begun: to a child that still asks (RESUME), HEAD would be the answer.
        let outgoing = outgoing
        send(at: now, into: &out) { writer in
            writer.appendOpen()
            for stream in outgoing {
                for layer in stream.layers
                where layer.subscription != nil && heads.contains(layer.slot) && writer.remaining > 64 {
                    writer.appendHead(
                        alias: stream.alias, layer: layer.bit, epoch: stream.epoch,
                        highest: heads[layer.slot].store.highest)
                }
            }
        }
    }

    private mutating func sendNacks(at now: MonotonicInstant, into out: inout Outbox) {
        guard let due = loss.nextDeadline, due <= now else { return }
        var counters = InlineArray<63, UInt32>(repeating: 0)
        var count = 0
        loss.collectDue(at: now, roundTrip: roundTrip ?? .milliseconds(100), limit: 63) { counter in
            counters[count] = UInt32(truncatingIfNeeded: counter)
            count += 1
        }
        guard count > 0 else { return }
        send(at: now, into: &out) { writer in
            writer.appendLinkNackHead(count: count)
            for index in 0..<count { writer.append(counters[index]) }
        }
    }
}
