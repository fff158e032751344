import SwarmCore

/// What a headless client tells its driver.
package enum ClientEvent: Hashable, Sendable {
    /// ICE and DTLS are done; media flows.
    case connected
    /// The session has ended; nothing more happens. Given once, unless the driver itself closed it.
    case closed(SessionCloseReason)
}

/// The transport half of a headless client: an `EdgeTransport` with RFC 7983 demultiplexing in front and a buffer in
/// which outgoing packets are sealed. Shared by `PublisherMachine` and `PlayerMachine`.
struct ClientTransport: ~Copyable, Sendable {
    enum Arrival {
        case nothing
        /// The datagram now starts with a clear RTP packet of that many bytes.
        case rtp(Int)
        /// The datagram now starts with a clear RTCP compound of that many bytes.
        case rtcp(Int)
    }

    /// An RTP header to be written.
    struct OutgoingHeader {
        var marker: Bool
        var payloadType: UInt8
        /// Its low 16 bits are the sequence number, the rest is the roll-over counter.
        var index: UInt64
        var timestamp: UInt32
        var ssrc: UInt32
        /// The id and value of the one extension a client sends: its mid.
        var mid: (id: UInt8, text: String)?
    }

    private static var scratchBytes: Int { 1_536 }

    private var edge: EdgeTransport
    private var scratch = [UInt8](repeating: 0, count: ClientTransport.scratchBytes)

    init(
        configuration: TransportConfiguration, certificate: DTLSCertificate, generator: SeededGenerator, at now: Now
    ) {
        edge = EdgeTransport(configuration: configuration, certificate: certificate, generator: generator, at: now)
    }

    /// With keys agreed elsewhere: see `EdgeTransport.init(testKeys:remoteAddress:at:)`.
    init(testKeys keys: SRTPSessionKeys, remoteAddress: NetworkAddress, at now: Now) {
        edge = EdgeTransport(testKeys: keys, remoteAddress: remoteAddress, at: now)
    }

    var isConnected: Bool { edge.isConnected }
    var nextDeadline: MonotonicInstant? { edge.nextDeadline }

    @_lifetime(datagram: copy datagram)
    mutating func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<ClientEvent>
    ) -> Arrival {
        guard datagram.count > 1 else { return .nothing }
        switch datagram[0] {
        case 0...3: report(edge.handleSTUN(&datagram, from: source, at: now, into: &out), &events)
        case 20...63: report(edge.handleDTLS(&datagram, from: source, at: now, into: &out), &events)
        case 128...191:
            if (192...223).contains(datagram[1]) {
                return edge.unprotectRTCP(&datagram, at: now).map { .rtcp($0) } ?? .nothing
            }
            return edge.unprotectRTP(&datagram, at: now).map { .rtp($0) } ?? .nothing
        default: break
        }
        return .nothing
    }

    mutating func advance(to now: Now, into out: inout Outbox, events: inout EventBuffer<ClientEvent>) {
        report(edge.advance(to: now, into: &out), &events)
    }

    mutating func close(into out: inout Outbox) { edge.close(into: &out) }

    /// Seals and queues one RTP packet. Returns its size on the wire, or nil where nothing could be sent.
    mutating func sendRTP(_ header: OutgoingHeader, payload: Span<UInt8>, into out: inout Outbox) -> Int? {
        guard let target = edge.remoteAddress else { return nil }
        var writer = ByteWriter(scratch.mutableSpan)
        let headerLength = writer.appendRTPHeader(header)
        writer.append(payload)
        let count = writer.count
        guard !writer.overflowed, count + EdgeTransport.rtpOverhead <= Self.scratchBytes else { return nil }
        return Self.seal(&scratch, out: &out, to: target) { packet in
            edge.protectRTP(
                &packet, count: count, headerLength: headerLength, index: header.index & 0xffff_ffff_ffff)
        }
    }

    /// Seals and queues one RTCP compound written by `body`.
    @discardableResult
    mutating func sendRTCP(into out: inout Outbox, _ body: (inout ByteWriter) -> Void) -> Bool {
        guard let target = edge.remoteAddress else { return false }
        var writer = ByteWriter(scratch.mutableSpan)
        body(&writer)
        let count = writer.count
        guard !writer.overflowed, count > 0, count + EdgeTransport.rtcpOverhead <= Self.scratchBytes else {
            return false
        }
        return Self.seal(&scratch, out: &out, to: target) { edge.protectRTCP(&$0, count: count) } != nil
    }

    /// Protects what is in `scratch` and queues the result. Returns its size, or nil where that failed.
    private static func seal(
        _ scratch: inout [UInt8], out: inout Outbox, to target: NetworkAddress,
        _ protect: (inout MutableSpan<UInt8>) -> Int?
    ) -> Int? {
        var packet = scratch.mutableSpan
        guard let count = protect(&packet) else { return nil }
        return out.append(to: target, copying: packet.span.extracting(0..<count)) ? count : nil
    }

    private func report(_ signal: TransportSignal, _ events: inout EventBuffer<ClientEvent>) {
        switch signal {
        case .none, .addressValidated: break
        case .connected: events.append(.connected)
        case .closedByPeer: events.append(.closed(.closedByPeer))
        case .failed(let failure): events.append(.closed(failure.closeReason))
        }
    }
}

extension ByteWriter {
    /// RFC 3550 §5.1, with a one-byte header extension (RFC 8285 §4.2) for the mid. Returns the header's length.
    @_lifetime(self: copy self)
    fileprivate mutating func appendRTPHeader(_ header: ClientTransport.OutgoingHeader) -> Int {
        append(UInt8(header.mid == nil ? 0x80 : 0x90))
        append((header.marker ? 0x80 : 0) | header.payloadType & 0x7f)
        append(UInt16(truncatingIfNeeded: header.index))
        append(header.timestamp)
        append(header.ssrc)
        guard let mid = header.mid else { return 12 }
        let value = Array(mid.text.utf8.prefix(SDPLimits.midBytesOnWire))
        let words = (1 + value.count + 3) / 4
        append(UInt16(0xbede))
        append(UInt16(truncatingIfNeeded: words))
        append(mid.id << 4 | UInt8(truncatingIfNeeded: max(value.count, 1) - 1))
        append(value.span)
        append(repeating: 0, count: words * 4 - 1 - value.count)
        return 16 + words * 4
    }
}

extension ClientTransport.OutgoingHeader {
    /// The mid extension as `track` has negotiated it.
    static func mid(of track: ViewerTrack) -> (id: UInt8, text: String)? {
        guard !track.mid.isEmpty, let mapping = track.extensions.first(where: { $0.header == .mid }) else { return nil }
        return (mapping.id, track.mid)
    }
}

/// The clients' bounds and rhythms.
package enum ClientLimits {
    /// Between reports (RFC 3550 §6.2 allows more than one in 5 s at these rates).
    package static var reportInterval: Interval { .seconds(1) }
    /// Packets a publisher keeps for retransmission: a second of 4 Mb/s.
    package static var historyPackets: Int { 512 }
    /// Between jumps to a key frame, and between a player's requests for one.
    package static var keyFrameInterval: Interval { .milliseconds(500) }
    /// A key frame that is due within this is waited for rather than jumped to.
    package static var keyFramePatience: Interval { .milliseconds(150) }
    /// What a player takes for the round trip when it spaces its NACKs.
    package static var assumedRoundTrip: Interval { .milliseconds(80) }
    /// NACK items in one message.
    package static var nackItems: Int { 64 }
    /// Sequence numbers a player remembers, for duplicates and frames; a power of two.
    package static var window: Int { 2_048 }
}
