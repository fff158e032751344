import MediaRelay
import SwarmCore
import Testing

/// One node whole but for its sockets: headless clients negotiate by WHIP and WHEP, connect by ICE and DTLS, and media
/// goes from the publisher through a `MediaWorker` to the players.
struct ClientWorkerTests {
    @Test func aClipReachesTwoPlayers() throws {
        var node = try ClientNode(seed: 11, lossPerThousand: 0)
        try node.join()
        try node.join()
        node.run(for: .seconds(10))
        #expect(node.connectedClients == 3)
        let sent = node.publisher.statistics
        #expect(sent.packetsSent > 900)
        for report in node.reports {
            #expect(report.isConnected)
            #expect(report.tracks.map(\.codec) == ["VP8", "opus"])
            #expect(report.packetsLost == 0 && report.packetsDuplicate == 0 && report.packetsRefused == 0)
            #expect(report.tracks[0].framesComplete > 280)
            #expect(report.tracks[1].packetsReceived > 480)
            #expect(try #require(report.timeToFirstKeyFrame) < .milliseconds(1_500))
            #expect(report.longestGap < .milliseconds(100))
        }
        #expect(sent.roundTrip != nil)
    }

    @Test func playersAreRepairedOnTheirWay() throws {
        var node = try ClientNode(seed: 12, lossPerThousand: 20)
        try node.join()
        node.run(for: .seconds(15))
        let report = try #require(node.reports.first)
        #expect(report.isConnected)
        #expect(report.tracks[0].packetsRecovered > 5)
        let ratio = Double(report.tracks[0].packetsLost) / Double(max(report.tracks[0].packetsExpected, 1))
        #expect(ratio < 0.004)
        #expect(node.publisher.statistics.packetsRetransmitted > 5)
    }

    /// A player that comes late starts with a key frame at once.
    @Test func aLatePlayerStartsAtOnce() throws {
        var node = try ClientNode(seed: 13, lossPerThousand: 0)
        try node.join()
        node.run(for: .milliseconds(4_530))
        try node.join()
        node.run(for: .seconds(3))
        let report = node.reports[1]
        #expect(report.isConnected)
        #expect(try #require(report.timeToFirstKeyFrame) < .milliseconds(500))
        #expect(report.tracks[0].framesComplete > 80)
    }
}

/// The wire, the node's worker and its clients. Each client has an address of its own.
private struct ClientNode: ~Copyable {
    static let nodeAddress = NetworkAddress(ipv4: 0xc633_6401, port: 7789)
    private static let delay = Interval.milliseconds(10)

    private struct Flight {
        let at: MonotonicInstant
        let from: NetworkAddress
        let to: NetworkAddress
        let bytes: [UInt8]
    }

    private var now: Now
    private var worker: MediaWorker
    private(set) var publisher: PublisherMachine
    private var players: [PlayerBox] = []
    private var flights: [Flight] = []
    private var out = Outbox(byteCapacity: 1 << 20, datagramCapacity: 2_048)
    private var workerEvents = EventBuffer<WorkerEvent>()
    private var clientEvents = EventBuffer<ClientEvent>()
    private var generator: SeededGenerator
    private let lossPerThousand: Int
    private let descriptor: StreamDescriptor
    private let nodeTransport: LocalTransport
    private let clientCertificate: DTLSCertificate
    private(set) var connectedClients = 0

    /// A noncopyable machine in an array.
    private final class PlayerBox {
        var machine: PlayerMachine
        init(_ machine: consuming PlayerMachine) { self.machine = machine }
    }

    init(seed: UInt64, lossPerThousand: Int) throws {
        let start = Now(monotonic: MonotonicInstant(nanoseconds: 5_000_000_000), wallMilliseconds: 1_700_000_000_000)
        var generator = SeededGenerator(seed: seed)
        let certificates = (try DTLSCertificate(at: start), try DTLSCertificate(at: start))
        let transport = LocalTransport(
            credentials: ICECredentials(usernameFragment: "node", password: "nodePassword0123456789ab"),
            fingerprint: certificates.0.fingerprint, candidates: [Self.nodeAddress])
        let clip = try WebMReader.read(DemoClip.bytes)
        let credentials = ICECredentials(usernameFragment: "publ", password: "publisherPassword0123456789")
        let offer = ClientOffer(
            purpose: .publishing(clip.tracks.map(\.codec)), credentials: credentials,
            fingerprint: certificates.1.fingerprint, generator: &generator)
        var local = transport
        local.credentials.usernameFragment = "nodeP"
        let answer = try WHIPNegotiation.answer(
            offer: offer.sdp, session: SessionID(1), stream: StreamHandle(1), epoch: 1, local: local)
        let session = try offer.apply(answer: answer.sdp)

        now = start
        nodeTransport = transport
        clientCertificate = certificates.1
        descriptor = answer.descriptor
        worker = MediaWorker(index: 0, certificate: certificates.0, generator: generator.child(1))
        publisher = PublisherMachine(
            clip: clip, session: session, certificate: certificates.1, generator: generator.child(2), at: start)
        self.generator = generator
        self.lossPerThousand = lossPerThousand
        worker.apply(.openStream(StreamHandle(1), answer.descriptor), at: now, into: &out, events: &workerEvents)
        worker.apply(.addPublisher(answer.configuration), at: now, into: &out, events: &workerEvents)
    }

    var reports: [PlayerReport] { players.map { $0.machine.report(at: now.monotonic) } }

    mutating func join() throws {
        let index = players.count
        let credentials = ICECredentials(usernameFragment: "play\(index)", password: "playerPassword0123456789\(index)")
        let offer = ClientOffer(
            purpose: .playing([.video, .audio]), credentials: credentials,
            fingerprint: clientCertificate.fingerprint, generator: &generator)
        var local = nodeTransport
        local.credentials.usernameFragment = "nodeV\(index)"
        let answer = try WHEPNegotiation.answer(
            offer: offer.sdp, descriptor: descriptor, session: SessionID(UInt64(100 + index)), stream: StreamHandle(1),
            local: local, generator: &generator)
        worker.apply(.addViewer(answer.configuration), at: now, into: &out, events: &workerEvents)
        players.append(
            PlayerBox(
                PlayerMachine(
                    session: try offer.apply(answer: answer.sdp), certificate: clientCertificate,
                    generator: generator.child(UInt64(10 + index)), startedAt: now.monotonic, at: now)))
    }

    mutating func run(for interval: Interval) {
        let end = now.monotonic + interval
        for _ in 0..<400_000 {
            advanceAll()
            var next = Deadline.earlier(worker.nextDeadline, publisher.nextDeadline) ?? .distantFuture
            for player in players { next = Deadline.earlier(next, player.machine.nextDeadline) ?? next }
            for flight in flights { next = min(next, flight.at) }
            guard next <= end else { break }
            if next > now.monotonic { now = now + (next - now.monotonic) }
            deliver()
        }
        if end > now.monotonic { now = now + (end - now.monotonic) }
    }

    private static func address(_ client: Int) -> NetworkAddress {
        NetworkAddress(ipv4: 0xc000_0200 + UInt32(client), port: 5_000)
    }

    private mutating func advanceAll() {
        publisher.advance(to: now, into: &out, events: &clientEvents)
        dispatch(from: Self.address(0))
        for index in players.indices {
            players[index].machine.advance(to: now, into: &out, events: &clientEvents)
            dispatch(from: Self.address(index + 1))
        }
        worker.advance(to: now, into: &out, events: &workerEvents)
        endBatch()
        while let event = clientEvents.popFirst() { connectedClients += event == .connected ? 1 : 0 }
        while workerEvents.popFirst() != nil {}
    }

    private mutating func endBatch() {
        var more = true
        while more {
            more = worker.endBatch(at: now, into: &out, events: &workerEvents)
            dispatch(from: Self.nodeAddress)
        }
    }

    private mutating func dispatch(from source: NetworkAddress) {
        for index in 0..<out.count {
            let bytes = out.bytes(of: index).copied()
            // Handshakes are spared: OpenSSL's retransmission reads the real clock.
            let isMedia = (128...191).contains(bytes.first ?? 0)
            if isMedia, generator.integer(below: 1_000) < lossPerThousand { continue }
            flights.append(
                Flight(at: now.monotonic + Self.delay, from: source, to: out.destination(of: index), bytes: bytes))
        }
        out.removeAll()
    }

    private mutating func deliver() {
        let instant = now.monotonic
        let due = flights.filter { $0.at <= instant }
        flights.removeAll { $0.at <= instant }
        for flight in due {
            var bytes = flight.bytes
            var span = bytes.mutableSpan
            if flight.to == Self.nodeAddress {
                worker.receive(&span, from: flight.from, at: now, into: &out, events: &workerEvents)
                dispatch(from: Self.nodeAddress)
            } else if flight.to == Self.address(0) {
                publisher.receive(&span, from: flight.from, at: now, into: &out, events: &clientEvents)
                dispatch(from: Self.address(0))
            } else if let index = players.indices.first(where: { Self.address($0 + 1) == flight.to }) {
                players[index].machine.receive(&span, from: flight.from, at: now, into: &out, events: &clientEvents)
                dispatch(from: Self.address(index + 1))
            }
        }
        endBatch()
    }
}
