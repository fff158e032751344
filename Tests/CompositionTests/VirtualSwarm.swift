import CDemoClip
import Composition
import MediaRelay
import SwarmCore
import SwarmCrypto

/// One node: the control plane and one media worker, without threads between them.
final class VirtualNode {
    var machine: SwarmMachine
    var worker: MediaWorker
    let contact: Contact
    let address: NetworkAddress
    let workerAddress: NetworkAddress
    var isAlive = true
    var replies: [RequestID: ControlReply] = [:]

    init(index: Int, maxChildren: Int, now: Now) throws {
        let generator = SeededGenerator(seed: UInt64(1000 + index))
        var entropy = Entropy.seeded(generator.child(9))
        let identity = Identity(from: &entropy)
        let host = NetworkAddress(ipv4: 0xc000_0200 + UInt32(index + 1), port: 7788)
        let certificate = try DTLSCertificate(at: now)
        address = host
        workerAddress = host.withPort(7789)
        contact = identity.contact(at: AddressList(host))
        machine = SwarmMachine(
            CompositionConfiguration(
                identity: identity, secret: SwarmSecret(current: Bytes32(1, 2, 3, 4)), entropy: entropy,
                generator: generator, addresses: AddressList(host), mediaHosts: AddressList(host),
                workerPorts: [7789], fingerprint: certificate.fingerprint, maxChildren: maxChildren), at: now)
        worker = MediaWorker(index: 0, certificate: certificate, generator: generator.child(8))
    }

    var id: NodeID { machine.id }
}

/// A headless client of one node: a publisher or a player.
final class VirtualClient {
    var publisher: PublisherMachine?
    var player: PlayerMachine?
    let address: NetworkAddress
    let token: String

    init(
        publisher: consuming PublisherMachine?, player: consuming PlayerMachine?, address: NetworkAddress, token: String
    ) {
        self.publisher = publisher
        self.player = player
        self.address = address
        self.token = token
    }

    var nextDeadline: MonotonicInstant? { Deadline.earlier(publisher?.nextDeadline, player?.nextDeadline) }

    func report(at now: Now) -> PlayerReport { player?.report(at: now.monotonic) ?? PlayerReport(duration: .zero) }

    func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<ClientEvent>
    ) {
        publisher?.receive(&datagram, from: source, at: now, into: &out, events: &events)
        player?.receive(&datagram, from: source, at: now, into: &out, events: &events)
    }

    func advance(to now: Now, into out: inout Outbox, events: inout EventBuffer<ClientEvent>) {
        publisher?.advance(to: now, into: &out, events: &events)
        player?.advance(to: now, into: &out, events: &events)
    }
}

/// Nodes and clients on a wire with a fixed delay and seeded loss between nodes, under one virtual clock.
final class VirtualSwarm {
    private struct Datagram {
        let due: UInt64
        let order: UInt64
        let from: NetworkAddress
        let to: NetworkAddress
        let bytes: [UInt8]
    }

    /// What crosses between a node's control thread and its worker's: later, as between real threads.
    private struct Hop {
        enum Content {
            case command(WorkerCommand)
            case event(WorkerEvent)
        }

        let due: MonotonicInstant
        let node: VirtualNode
        let content: Content
    }

    var nodes: [VirtualNode] = []
    var clients: [VirtualClient] = []
    /// Share of lost datagrams between nodes, 0…1. Clients' paths lose nothing: OpenSSL's timers run on real time.
    var loss = 0.0
    var delay = Interval.milliseconds(10)
    /// Longer than the wire's: whatever relies on the threads being in step fails.
    var hopDelay = Interval.milliseconds(15)
    private var hops: [Hop] = []
    private(set) var now = Now(
        monotonic: MonotonicInstant(nanoseconds: 1_000_000_000), wallMilliseconds: 1_800_000_000_000)
    private var wire: [Datagram] = []
    private var order: UInt64 = 0
    private var nextRequest: UInt64 = 1
    private var nextHost: UInt32 = 1
    private var generator = SeededGenerator(seed: 42)
    private var out = Outbox(byteCapacity: 4 << 20, datagramCapacity: 8192)
    private var events = EventBuffer<SwarmEvent>()
    private var workerEvents = EventBuffer<WorkerEvent>()
    private var clientEvents = EventBuffer<ClientEvent>()

    // MARK: Building

    func addNode(maxChildren: Int = 32) throws -> VirtualNode {
        let node = try VirtualNode(index: nodes.count, maxChildren: maxChildren, now: now)
        let seeds = nodes.first.map { [$0.contact] } ?? []
        nodes.append(node)
        node.machine.start(seeds: seeds, at: now, into: &out, events: &events)
        finish(node)
        return node
    }

    /// Asks `node` and runs until it has answered.
    func ask(_ node: VirtualNode, _ request: ControlRequest) -> ControlReply {
        let id = RequestID(nextRequest)
        nextRequest += 1
        node.machine.request(id, request, at: now, into: &out, events: &events)
        finish(node)
        run(for: .seconds(8)) { node.replies[id] != nil }
        return node.replies.removeValue(forKey: id) ?? .refused(.timedOut)
    }

    func publish(_ name: StreamName, at node: VirtualNode) throws -> VirtualClient? {
        let clip = try WebMReader.read(demoClip())
        let generator = nextGenerator()
        let certificate = try DTLSCertificate(at: now)
        var random = generator.child(1)
        let offer = ClientOffer(
            purpose: .publishing(clip.tracks.map(\.codec)), credentials: credentials(&random),
            fingerprint: certificate.fingerprint, generator: &random)
        guard case .created(let created) = ask(node, .publish(name, offer: offer.sdp)) else { return nil }
        let session = try offer.apply(answer: created.sdp)
        let machine = PublisherMachine(
            clip: clip, session: session, certificate: certificate, generator: generator, at: now)
        return add(publisher: machine, token: created.token)
    }

    func play(_ name: StreamName, at node: VirtualNode) throws -> VirtualClient? {
        let generator = nextGenerator()
        let certificate = try DTLSCertificate(at: now)
        var random = generator.child(1)
        let startedAt = now.monotonic
        let offer = ClientOffer(
            purpose: .playing([.video, .audio]), credentials: credentials(&random),
            fingerprint: certificate.fingerprint, generator: &random)
        guard case .created(let created) = ask(node, .play(name, offer: offer.sdp)) else { return nil }
        let session = try offer.apply(answer: created.sdp)
        let machine = PlayerMachine(
            session: session, certificate: certificate, generator: generator, startedAt: startedAt, at: now)
        return add(player: machine, token: created.token)
    }

    func statistics(of node: VirtualNode) -> NodeStatistics? {
        guard case .statistics(let statistics) = ask(node, .statistics) else { return nil }
        return statistics
    }

    func route(_ name: StreamName, at node: VirtualNode) -> [NodeID]? {
        guard case .route(let trace) = ask(node, .route(name)) else { return nil }
        return trace.hops.map(\.node)
    }

    /// Every node knows every other.
    func settle() {
        run(for: .seconds(20)) { [self] in
            nodes.allSatisfy { node in
                guard case .members(let members) = ask(node, .members) else { return false }
                return members.count == nodes.count
            }
        }
    }

    // MARK: Running

    func run(for interval: Interval) { run(for: interval) { false } }

    /// Steps from event to event until `isDone` or the time is over.
    func run(for interval: Interval, until isDone: () -> Bool) {
        let end = now.monotonic + interval
        while !isDone(), step(until: end) {}
    }

    private func step(until end: MonotonicInstant) -> Bool {
        var due = wire.first.map { MonotonicInstant(nanoseconds: $0.due) }
        due = Deadline.earlier(due, hops.first?.due)
        for node in nodes where node.isAlive {
            due = Deadline.earlier(due, Deadline.earlier(node.machine.nextDeadline, node.worker.nextDeadline))
        }
        for client in clients { due = Deadline.earlier(due, client.nextDeadline) }
        guard let due, due <= end else {
            advanceClock(to: end)
            return false
        }
        advanceClock(to: due)
        if let datagram = wire.first, datagram.due <= now.monotonic.nanoseconds {
            wire.removeFirst()
            deliver(datagram)
        }
        while let hop = hops.first, hop.due <= now.monotonic {
            hops.removeFirst()
            land(hop)
        }
        for node in nodes where node.isAlive {
            if let deadline = node.machine.nextDeadline, deadline <= now.monotonic {
                node.machine.advance(to: now, into: &out, events: &events)
                finish(node)
            }
            if let deadline = node.worker.nextDeadline, deadline <= now.monotonic {
                node.worker.advance(to: now, into: &out, events: &workerEvents)
                finishWorker(node)
            }
        }
        for client in clients {
            if let deadline = client.nextDeadline, deadline <= now.monotonic {
                client.advance(to: now, into: &out, events: &clientEvents)
                flush(from: client.address)
            }
        }
        return true
    }

    private func advanceClock(to instant: MonotonicInstant) {
        guard instant > now.monotonic else { return }
        now = now + (instant - now.monotonic)
    }

    private func deliver(_ datagram: Datagram) {
        var bytes = datagram.bytes
        var span = bytes.mutableSpan
        if let client = clients.first(where: { $0.address == datagram.to }) {
            client.receive(&span, from: datagram.from, at: now, into: &out, events: &clientEvents)
            return flush(from: client.address)
        }
        guard let node = nodes.first(where: { $0.address.hasSameHost(as: datagram.to) }), node.isAlive else { return }
        if datagram.to == node.address {
            node.machine.receive(&span, from: datagram.from, at: now, into: &out, events: &events)
            finish(node)
        } else if datagram.to == node.workerAddress {
            node.worker.receive(&span, from: datagram.from, at: now, into: &out, events: &workerEvents)
            finishWorker(node)
        }
    }

    /// Sends what the control plane wrote and hands its commands to the worker.
    private func finish(_ node: VirtualNode) {
        flush(from: node.address)
        while let event = events.popFirst() {
            switch event {
            case .command(_, let command):
                hops.append(Hop(due: now.monotonic + hopDelay, node: node, content: .command(command)))
            case .reply(let id, let reply): node.replies[id] = reply
            case .openPlainPorts, .closePlainPorts, .notice: break
            }
        }
    }

    private func finishWorker(_ node: VirtualNode) {
        var more = true
        while more {
            more = node.worker.endBatch(at: now, into: &out, events: &workerEvents)
            flush(from: node.workerAddress)
        }
        while let event = workerEvents.popFirst() {
            hops.append(Hop(due: now.monotonic + hopDelay, node: node, content: .event(event)))
        }
    }

    private func land(_ hop: Hop) {
        guard hop.node.isAlive else { return }
        switch hop.content {
        case .command(let command):
            hop.node.worker.apply(command, at: now, into: &out, events: &workerEvents)
            finishWorker(hop.node)
        case .event(let event):
            hop.node.machine.handle(event, from: 0, at: now, into: &out, events: &events)
            finish(hop.node)
        }
    }

    private func flush(from source: NetworkAddress) {
        for index in 0..<out.count {
            let destination = out.destination(of: index)
            let isBetweenNodes = [source, destination].allSatisfy { end in
                nodes.contains { $0.address.hasSameHost(as: end) }
            }
            if isBetweenNodes, generator.unitInterval() < loss { continue }
            order += 1
            let due = (now.monotonic + delay).nanoseconds
            wire.append(
                Datagram(due: due, order: order, from: source, to: destination, bytes: out.bytes(of: index).copied()))
        }
        out.removeAll()
    }

    // MARK: Clients

    private func add(
        publisher: consuming PublisherMachine? = nil, player: consuming PlayerMachine? = nil, token: String
    ) -> VirtualClient {
        let address = NetworkAddress(ipv4: 0xc633_6400 + nextHost, port: 5000)
        nextHost += 1
        let client = VirtualClient(publisher: publisher, player: player, address: address, token: token)
        clients.append(client)
        client.advance(to: now, into: &out, events: &clientEvents)
        flush(from: address)
        return client
    }

    private func nextGenerator() -> SeededGenerator { SeededGenerator(seed: generator.next()) }

    private func credentials(_ generator: inout SeededGenerator) -> ICECredentials {
        ICECredentials(
            usernameFragment: String(generator.next(), radix: 36),
            password: String(generator.next(), radix: 36) + String(generator.next(), radix: 36) + "abcdefgh")
    }
}

private func demoClip() -> [UInt8] {
    unsafe Array(UnsafeBufferPointer(start: demo_clip_bytes, count: demo_clip_byte_count))
}
