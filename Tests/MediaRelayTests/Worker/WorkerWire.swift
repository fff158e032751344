import MediaRelay
import SwarmCore
import SwarmCrypto
import Testing

/// A media worker with what its driver would give it.
final class MediaNode {
    var address: NetworkAddress
    var worker: MediaWorker
    var outbox = Outbox(byteCapacity: 256 * 1024, datagramCapacity: 160)
    var events = EventBuffer<WorkerEvent>()
    var seen: [WorkerEvent] = []

    init(port: UInt16, seed: UInt64, certificate: DTLSCertificate, suite: CryptoSuite = .real) {
        address = NetworkAddress.loopback(port: port)
        worker = MediaWorker(
            index: 0, certificate: certificate, generator: SeededGenerator(seed: seed), suite: suite)
    }

    func statistics(at now: Now) -> WorkerStatistics {
        worker.apply(.collectStatistics(token: 1), at: now, into: &outbox, events: &events)
        var found = WorkerStatistics(token: 0, worker: 0)
        while let event = events.popFirst() {
            if case .statistics(let statistics) = event { found = statistics } else { seen.append(event) }
        }
        return found
    }
}

/// One datagram under way.
private struct Flight {
    var arrival: MonotonicInstant
    var order: Int
    var source: NetworkAddress
    var destination: NetworkAddress
    var bytes: [UInt8]
}

/// What an RTP packet looked like to the viewer that opened it.
struct ViewedPacket: Equatable {
    var ssrc: UInt32
    var payloadType: UInt8
    var sequence: UInt16
    var timestamp: UInt32
    var marker: Bool
    var payload: [UInt8]
    var arrival: MonotonicInstant
}

/// A viewer that only opens packets.
final class TestViewer {
    let address: NetworkAddress
    var transport: EdgeTransport
    var packets: [ViewedPacket] = []
    var control: [[UInt8]] = []
    var ciphertexts: [[UInt8]] = []
    var unopened = 0

    init(port: UInt16, seed: UInt64, node: NetworkAddress, profile: SRTPProfile = .aes128GCM, at now: Now) {
        address = NetworkAddress.loopback(port: port)
        let keys = SRTPSessionKeys.derived(profile: profile, seed: seed, isServer: false)
        transport = EdgeTransport(testKeys: keys, remoteAddress: node, at: now)
    }

    func receive(_ bytes: [UInt8], at now: Now) {
        ciphertexts.append(bytes)
        var copy = bytes
        var span = copy.mutableSpan
        if (192...223).contains(bytes[1]) {
            guard let count = transport.unprotectRTCP(&span, at: now) else { return unopened += 1 }
            control.append(Array(copy[..<count]))
            return
        }
        guard let count = transport.unprotectRTP(&span, at: now) else { return unopened += 1 }
        guard let header = RTPHeader(copy.span.extracting(0..<count)) else { return unopened += 1 }
        packets.append(
            ViewedPacket(
                ssrc: header.ssrc, payloadType: header.payloadType, sequence: header.sequence,
                timestamp: header.timestamp, marker: header.marker, payload: Array(copy[header.payloadRange]),
                arrival: now.monotonic))
    }

    /// A protected RTCP datagram of the frames that `body` writes.
    func rtcp(_ body: (inout ByteWriter) -> Void) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 1500)
        var count = 0
        do {
            var writer = ByteWriter(bytes.mutableSpan)
            body(&writer)
            count = writer.count
        }
        var span = bytes.mutableSpan
        let total = transport.protectRTCP(&span, count: count) ?? 0
        return Array(bytes[..<total])
    }
}

/// Nodes and viewers joined by a wire with delay and loss; time passes only here.
final class MediaWire {
    var now = Now(monotonic: MonotonicInstant(nanoseconds: 1_000_000_000), wallMilliseconds: 1_700_000_000_000)
    var nodes: [MediaNode] = []
    var viewers: [TestViewer] = []
    /// Chance in 1,000 that a link datagram is lost.
    var linkLossPerMille = 0
    var delay = Interval.milliseconds(10)
    /// Pairs of ports between which nothing passes.
    var cut: Set<UInt16> = []
    /// Datagrams over links, by (source port, destination port).
    var linkDatagrams = 0
    /// Link datagrams of `from` also arrive, a little earlier, from the address `by`.
    var divert: (from: NetworkAddress, by: NetworkAddress)?
    private var strays: [(destination: NetworkAddress, count: Int)] = []
    private var generator: SeededGenerator
    private var flights: [Flight] = []
    private var order = 0

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    func apply(_ command: WorkerCommand, to node: MediaNode) {
        node.worker.apply(command, at: now, into: &node.outbox, events: &node.events)
        flush(node)
    }

    /// Empties the node's outbox onto the wire, forwarding until nothing is left.
    func flush(_ node: MediaNode) {
        var more = true
        while more {
            more = node.worker.endBatch(at: now, into: &node.outbox, events: &node.events)
            postOutbox(of: node)
        }
        while let event = node.events.popFirst() { node.seen.append(event) }
    }

    func postOutbox(of node: MediaNode) {
        for index in 0..<node.outbox.count {
            post(
                Array(node.outbox.bytes(of: index).copied()), from: node.address,
                to: node.outbox.destination(of: index))
        }
        node.outbox.removeAll()
    }

    func post(_ bytes: [UInt8], from source: NetworkAddress, to destination: NetworkAddress) {
        if cut.contains(source.port) || cut.contains(destination.port) { return }
        if bytes[0] == 0xd0 {
            linkDatagrams += 1
            if generator.integer(below: 1000) < linkLossPerMille { return }
        }
        order += 1
        if let divert, source == divert.from, bytes[0] == 0xd0 {
            flights.append(
                Flight(
                    arrival: now.monotonic + delay / 2, order: order, source: divert.by, destination: destination,
                    bytes: bytes))
        }
        flights.append(
            Flight(
                arrival: now.monotonic + delay, order: order, source: source, destination: destination, bytes: bytes))
    }

    /// Datagrams that reached an address where nobody lives.
    func delivered(to address: NetworkAddress) -> Int { strays.filter { $0.destination == address }.count }
    func bytesDelivered(to address: NetworkAddress) -> Int {
        strays.filter { $0.destination == address }.reduce(0) { $0 + $1.count }
    }

    /// Runs the wire and every timer for `interval`.
    func run(for interval: Interval) {
        let end = now.monotonic + interval
        var turnsAtOnce = 0
        while true {
            var next = end
            for flight in flights { next = min(next, flight.arrival) }
            for node in nodes { if let deadline = node.worker.nextDeadline { next = min(next, deadline) } }
            turnsAtOnce = next > now.monotonic ? 0 : turnsAtOnce + 1
            guard turnsAtOnce < 10_000 else {
                Issue.record("a deadline stays in the past")
                return
            }
            if next > now.monotonic { now = now + (next - now.monotonic) }
            deliver()
            for node in nodes {
                guard let deadline = node.worker.nextDeadline, deadline <= now.monotonic else { continue }
                node.worker.advance(to: now, into: &node.outbox, events: &node.events)
                flush(node)
            }
            if now.monotonic >= end { return }
        }
    }

    private func deliver() {
        let due = flights.filter { $0.arrival <= now.monotonic }.sorted { $0.order < $1.order }
        flights.removeAll { $0.arrival <= now.monotonic }
        var touched: [MediaNode] = []
        for flight in due {
            if let node = nodes.first(where: { $0.address == flight.destination }) {
                var bytes = flight.bytes
                var span = bytes.mutableSpan
                node.worker.receive(&span, from: flight.source, at: now, into: &node.outbox, events: &node.events)
                if !touched.contains(where: { $0 === node }) { touched.append(node) }
            } else if let viewer = viewers.first(where: { $0.address == flight.destination }) {
                viewer.receive(flight.bytes, at: now)
            } else {
                strays.append((flight.destination, flight.bytes.count))
            }
        }
        for node in touched { flush(node) }
    }
}

/// A plain RTP source with one VP8 and one Opus track, whose payloads say which packet they are.
struct TestPublisher {
    static let session = SessionID(1)
    var videoSequence: UInt16 = 65_000
    var audioSequence: UInt16 = 100
    var videoTimestamp: UInt32 = 90_000
    var audioTimestamp: UInt32 = 48_000
    var videoNumber: UInt64 = 0
    var audioNumber: UInt64 = 0
    var payloadBytes = 1000

    static var descriptor: StreamDescriptor { descriptor(epoch: 1_700_000_000_000) }

    static func descriptor(epoch: UInt64) -> StreamDescriptor {
        let video = CodecDescription(kind: .video, name: "VP8", clockRate: 90_000, channels: 1, formatParameters: "")
        let audio = CodecDescription(kind: .audio, name: "opus", clockRate: 48_000, channels: 2, formatParameters: "")
        return StreamDescriptor(
            epoch: epoch, version: 1,
            tracks: [
                TrackDescription(codec: audio, encodings: [EncodingDescription(rid: "")], extensions: []),
                TrackDescription(codec: video, encodings: [EncodingDescription(rid: "")], extensions: []),
            ])
    }

    static func configuration(
        stream: StreamHandle, session: SessionID = TestPublisher.session
    ) -> PublisherConfiguration {
        func track(_ index: UInt8, _ kind: MediaKind, _ rate: UInt32, _ name: String, _ type: UInt8) -> PublisherTrack {
            PublisherTrack(
                track: index, kind: kind, clockRate: rate, codecName: name, mid: "", payloadType: type,
                retransmissionPayloadType: nil, ssrc: nil, retransmissionSSRC: nil, extensions: [],
                supportsNACK: false, supportsPLI: false, supportsTransportFeedback: false)
        }
        return PublisherConfiguration(
            session: session, stream: stream, transport: nil,
            tracks: [track(0, .audio, 48_000, "opus", 111), track(1, .video, 90_000, "VP8", 96)])
    }

    /// The RTP packets of one video frame.
    mutating func videoFrame(isKey: Bool, packets: Int) -> [[UInt8]] {
        var frame: [[UInt8]] = []
        for index in 0..<packets {
            var payload: [UInt8] = [index == 0 ? 0x10 : 0x00, isKey ? 0x00 : 0x01]
            payload += bigEndian(videoNumber)
            payload += [UInt8](repeating: UInt8(truncatingIfNeeded: videoNumber), count: max(0, payloadBytes - 10))
            videoNumber += 1
            frame.append(
                Self.packet(
                    type: 96, marker: index == packets - 1, sequence: videoSequence, timestamp: videoTimestamp,
                    ssrc: 0x1111, payload: payload))
            videoSequence &+= 1
        }
        videoTimestamp &+= 3_000
        return frame
    }

    mutating func audioPacket() -> [UInt8] {
        var payload: [UInt8] = [0xfc, 0x00]
        payload += bigEndian(audioNumber)
        payload += [UInt8](repeating: 7, count: 70)
        audioNumber += 1
        let packet = Self.packet(
            type: 111, marker: false, sequence: audioSequence, timestamp: audioTimestamp, ssrc: 0x2222,
            payload: payload)
        audioSequence &+= 1
        audioTimestamp &+= 960
        return packet
    }

    static func packet(
        type: UInt8, marker: Bool, sequence: UInt16, timestamp: UInt32, ssrc: UInt32, payload: [UInt8]
    ) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 12)
        var writer = ByteWriter(bytes.mutableSpan)
        writer.appendRTPHeader(
            marker: marker, payloadType: type, sequence: sequence, timestamp: timestamp, ssrc: ssrc)
        return bytes + payload
    }

    private func bigEndian(_ value: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64(56 - $0 * 8)) }
    }

    /// The number that `videoFrame` or `audioPacket` put into a payload.
    static func number(of payload: [UInt8]) -> UInt64 {
        payload.count < 10 ? .max : payload[2..<10].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    }
}

extension MediaWire {
    /// Feeds packets of the plain source into a node, then forwards.
    func publish(_ packets: [[UInt8]], session: SessionID = TestPublisher.session, into node: MediaNode) {
        for packet in packets {
            node.worker.receivePlainRTP(
                packet.span, session: session, track: nil, from: NetworkAddress.loopback(port: 9), at: now,
                into: &node.outbox, events: &node.events)
        }
        flush(node)
    }

    /// Thirty frames a second of `packetsPerFrame` packets, a key frame each `keyEvery`, with audio between.
    func stream(
        _ publisher: inout TestPublisher, frames: Int, keyEvery: Int, packetsPerFrame: Int, into node: MediaNode
    ) {
        for frame in 0..<frames {
            publish(
                publisher.videoFrame(isKey: frame % keyEvery == 0, packets: packetsPerFrame)
                    + [publisher.audioPacket()], into: node)
            run(for: .milliseconds(33))
        }
    }

    /// Opens a keyed link over which `child` gets media of `parent`.
    func link(parent: MediaNode, child: MediaNode, id: UInt32) -> (parent: LinkHandle, child: LinkHandle) {
        let down = Bytes32(UInt64(id), 1, 2, 3)
        let up = Bytes32(UInt64(id), 4, 5, 6)
        let parentHandle = LinkHandle(id)
        let childHandle = LinkHandle(id + 1000)
        apply(
            .openLink(
                MediaLinkConfiguration(
                    handle: parentHandle, remoteConnectionID: childHandle.raw, peer: NodeID(.zero), isInitiator: false,
                    sendKey: down, receiveKey: up, cipher: .aes256GCM, remoteAddress: child.address)), to: parent)
        apply(
            .openLink(
                MediaLinkConfiguration(
                    handle: childHandle, remoteConnectionID: parentHandle.raw, peer: NodeID(.zero), isInitiator: true,
                    sendKey: up, receiveKey: down, cipher: .aes256GCM, remoteAddress: parent.address)), to: child)
        return (parentHandle, childHandle)
    }

    /// Adds a viewer with ready keys of both tracks.
    func addViewer(
        to node: MediaNode, stream: StreamHandle, port: UInt16, hasRTX: Bool = true,
        profile: SRTPProfile = .aes128GCM, extensions: [ExtensionMapping] = []
    ) -> TestViewer {
        let viewer = TestViewer(port: port, seed: UInt64(port), node: node.address, profile: profile, at: now)
        viewers.append(viewer)
        func track(_ index: UInt8, _ kind: MediaKind, _ rate: UInt32, _ name: String, _ type: UInt8) -> ViewerTrack {
            ViewerTrack(
                track: index, kind: kind, clockRate: rate, codecName: name, mid: "\(index)", payloadType: type,
                retransmissionPayloadType: hasRTX && kind == .video ? type + 1 : nil, ssrc: 5_000 + UInt32(index),
                retransmissionSSRC: 6_000 + UInt32(index), extensions: extensions)
        }
        let nobody = ICECredentials(usernameFragment: "user\(port)", password: "passwordpasswordpassword")
        let configuration = ViewerConfiguration(
            session: SessionID(UInt64(port)), stream: stream,
            transport: TransportConfiguration(
                iceRole: .lite, local: nobody, remote: nobody, remoteFingerprint: .zero, dtlsRole: .server),
            tracks: [track(0, .audio, 48_000, "opus", 109), track(1, .video, 90_000, "VP8", 120)],
            canonicalName: "stream")
        node.worker.addKeyedViewer(
            configuration, keys: SRTPSessionKeys.derived(profile: profile, seed: UInt64(port), isServer: true),
            remoteAddress: viewer.address, at: now, into: &node.outbox, events: &node.events)
        flush(node)
        return viewer
    }
}
