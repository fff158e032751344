import SwarmCore
import SwarmCrypto

/// The media plane of one core: every session, stream and link that lives on one UDP port.
///
/// Call order, on one thread:
/// 1. `apply` for each command of the control thread;
/// 2. `receive` for each datagram of a batch (`receivePlainRTP` for those of a plain source's own sockets);
/// 3. `endBatch` once after the batch, which forwards what arrived: while it returns true, send and empty the outbox
///    and call it again;
/// 4. `advance` when `nextDeadline` has passed, then `endBatch` again (timers release paced packets).
///
/// Nothing is forwarded by `receive`: it decrypts, parses and stores. `endBatch` walks the egresses outside and each
/// one's packets inside, so that the packets of one destination lie one after the other in the outbox and leave as
/// one segment train. No call allocates per packet. One call emits at most one event per session and link.
package struct MediaWorker: ~Copyable, Machine {
    package typealias Event = WorkerEvent

    package let index: Int
    let limits: MediaLimits
    let certificate: DTLSCertificate
    let suite: CryptoSuite
    var generator: SeededGenerator

    var publishers: Slab<PublisherSession>
    var viewers: Slab<ViewerSession>
    var streams: Slab<StreamState>
    var layers: Slab<MediaLayer>
    var links: Slab<MediaLink>

    var publisherDeadlines: DeadlineTable
    var viewerDeadlines: DeadlineTable
    var layerDeadlines: DeadlineTable
    var linkDeadlines: DeadlineTable

    var addresses: FlatTable<NetworkAddress, SessionRef>
    var usernames: FlatTable<UInt64, SessionRef>
    var sessionIDs: FlatTable<SessionID, SessionRef>
    var streamHandles: FlatTable<StreamHandle, SlotID>
    var linkHandles: FlatTable<LinkHandle, SlotID>

    /// Streams for `endBatch`; each is here at most once.
    var dirtyStreams: [SlotID] = []
    /// Canonical extensions of the packet at hand.
    var scratch = ByteArena(capacity: PacketLimits.extensionBytes)
    var refusals = Counters<MediaRefusal>()
    /// Of the transports of sessions that have closed.
    var closedEdgeRefusals = Counters<EdgeRefusal>()

    package init(
        index: Int, certificate: DTLSCertificate, generator: SeededGenerator, limits: MediaLimits = MediaLimits(),
        suite: CryptoSuite = .real
    ) {
        self.index = index
        self.limits = limits
        self.certificate = certificate
        self.suite = suite
        self.generator = generator
        let salt = self.generator.next()
        publishers = Slab(capacity: limits.publishers)
        viewers = Slab(capacity: limits.viewers)
        streams = Slab(capacity: limits.streams)
        layers = Slab(capacity: limits.layers)
        links = Slab(capacity: limits.links)
        publisherDeadlines = DeadlineTable(capacity: limits.publishers)
        viewerDeadlines = DeadlineTable(capacity: limits.viewers)
        layerDeadlines = DeadlineTable(capacity: limits.layers)
        linkDeadlines = DeadlineTable(capacity: limits.links)
        let sessions = limits.publishers + limits.viewers
        addresses = FlatTable(capacity: sessions * EdgeLimits.addressesPerSession, salt: salt)
        usernames = FlatTable(capacity: sessions * 2, salt: salt &+ 1)
        sessionIDs = FlatTable(capacity: sessions, salt: salt &+ 2)
        streamHandles = FlatTable(capacity: limits.streams, salt: salt &+ 3)
        linkHandles = FlatTable(capacity: limits.links, salt: salt &+ 4)
        dirtyStreams.reserveCapacity(limits.streams)
    }

    package var nextDeadline: MonotonicInstant? {
        let sessions = Deadline.earlier(publisherDeadlines.next, viewerDeadlines.next)
        return Deadline.earlier(sessions, Deadline.earlier(layerDeadlines.next, linkDeadlines.next))
    }

    /// Arrivals refused, by reason.
    package var refusalCounts: Counters<MediaRefusal> { refusals }

    /// One datagram of the worker's own socket; it is decrypted in place. The first byte tells the protocol (RFC 7983 §7;
    /// ours lie in 192–223).
    package mutating func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<WorkerEvent>
    ) {
        guard datagram.count > 0 else {
            refusals.add(.unknownProtocol)
            return
        }
        switch datagram[0] {
        case 128...191: receiveMedia(&datagram, from: source, at: now, into: &out, events: &events)
        case MediaLink.firstByte: receiveLink(&datagram, from: source, at: now, into: &out, events: &events)
        case 0...3: receiveSTUN(&datagram, from: source, at: now, into: &out, events: &events)
        case 20...63: receiveDTLS(&datagram, from: source, at: now, into: &out, events: &events)
        default: refusals.add(.unknownProtocol)
        }
    }

    private mutating func receiveMedia(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<WorkerEvent>
    ) {
        guard datagram.count >= 8, let session = addresses[source] else {
            refusals.add(datagram.count >= 8 ? .unknownSource : .malformedRTP)
            return
        }
        // RFC 5761 §4: RTCP types 192–223 are payload types 64–95 with the marker bit.
        let isControl = (192...223).contains(datagram[1])
        switch session {
        case .publisher(let slot):
            guard publishers.contains(slot) else { return }
            if isControl {
                guard let count = publishers[slot].transport?.unprotectRTCP(&datagram, at: now) else {
                    refusals.add(.notAuthentic)
                    return
                }
                receiveRTCP(datagram.span.extracting(0..<count), publisher: slot, at: now, into: &out, events: &events)
            } else {
                guard let count = publishers[slot].transport?.unprotectRTP(&datagram, at: now) else {
                    refusals.add(.notAuthentic)
                    return
                }
                ingest(datagram.span.extracting(0..<count), publisher: slot, only: nil, at: now)
            }
        case .viewer(let slot):
            guard viewers.contains(slot), isControl else {
                refusals.add(.unexpectedMedia)
                return
            }
            guard let count = viewers[slot].transport.unprotectRTCP(&datagram, at: now) else {
                refusals.add(.notAuthentic)
                return
            }
            receiveRTCP(datagram.span.extracting(0..<count), viewer: slot, at: now, into: &out, events: &events)
        }
    }

    /// One clear RTP or RTCP datagram of a plain source: `track` is the index within its `PublisherConfiguration.tracks`
    /// whose port received it, or nil where all tracks share a port. The first source to send is the only one heard.
    package mutating func receivePlainRTP(
        _ datagram: Span<UInt8>, session: SessionID, track: Int?, from source: NetworkAddress, at now: Now,
        into out: inout Outbox, events: inout EventBuffer<WorkerEvent>
    ) {
        guard case .publisher(let slot)? = sessionIDs[session], publishers.contains(slot), publishers[slot].isPlain,
            datagram.count >= 8
        else {
            refusals.add(.unknownHandle)
            return
        }
        if let known = publishers[slot].plainSource {
            guard known.hasSameHost(as: source) else {
                refusals.add(.unknownSource)
                return
            }
        } else {
            publishers[slot].plainSource = source
            events.append(.sessionConnected(session))
        }
        if (192...223).contains(datagram[1]) {
            receiveRTCP(datagram, publisher: slot, at: now, into: &out, events: &events)
        } else {
            ingest(datagram, publisher: slot, only: track, at: now)
        }
    }
}
