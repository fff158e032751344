import DHT
import SwarmCore
import SwarmCrypto

/// One machine of a test with its boxes.
final class VirtualNode {
    var dht: DHT
    let contact: Contact
    var out = MessageOutbox(byteCapacity: 64 * 1024, messageCapacity: 128)
    var events = EventBuffer<DHTEvent>()
    /// Everything it has told its owner.
    var log: [DHTEvent] = []
    /// The same with the time.
    var timedLog: [(DHTEvent, MonotonicInstant)] = []
    var isAlive = true
    var isConfirmed = true
    /// Where it stands on a line of milliseconds: half the round trip to others is the distance.
    var position: Double
    /// Its site on the map, if there is one, and its own way to it in milliseconds of round trip.
    var site = 0
    var access = 0.0
    /// What it answers instead of its machine, if it is a liar.
    var lie: (([UInt8], VirtualNode) -> [UInt8]?)?
    var scheduledAt: UInt64?

    init(dht: consuming DHT, contact: Contact, position: Double) {
        self.dht = dht
        self.contact = contact
        self.position = position
    }
}

/// Machines on a virtual wire with seeded latency and loss, driven by their deadlines.
final class VirtualSwarm {
    private(set) var nodes: [VirtualNode] = []
    private(set) var now = Now(
        monotonic: MonotonicInstant(nanoseconds: 1_000_000_000), wallMilliseconds: 1_800_000_000_000)
    private(set) var generator: SeededGenerator
    private var agenda = WireAgenda()
    private var pool: WirePool
    private var indexOf: [NodeID: Int] = [:]
    private(set) var messagesSent: UInt64 = 0
    /// Calls of `receive` and `advance`.
    private(set) var machineCalls: UInt64 = 0
    private(set) var bytesSent = 0
    /// A digest of everything on the wire, to compare two runs.
    private(set) var trace: UInt64 = 0xcbf2_9ce4_8422_2325
    var isTracing = true
    var loss: Double
    /// Distances by a map instead of a line.
    var map: VirtualMap?
    /// Links as production has them: the first message over one rides in the handshake (a PUT waits for it), is not
    /// confirmed, and costs what a handshake costs; a link unused for `linkIdle` is gone.
    var modelsLinks = false
    var linkIdle = Interval.seconds(60)
    private var links: [UInt64: UInt64] = [:]
    /// Sees every message as it is sent.
    var tap: (([UInt8]) -> Void)?
    /// Sees sender, receiver and bytes of every message as it is sent, and as it arrives.
    var onSend: ((Int, Int, [UInt8]) -> Void)?
    var onArrival: ((Int, Int, [UInt8]) -> Void)?
    /// Pairs the wire is cut between: a group number per node, all zero when whole.
    var group: [Int] = []
    let suite: CryptoSuite

    init(seed: UInt64, loss: Double = 0, suite: CryptoSuite = .counted(), places: Int = 4096) {
        generator = SeededGenerator(seed: seed)
        self.loss = loss
        self.suite = suite
        pool = WirePool(places: places)
    }

    @discardableResult
    func addNode(_ configuration: DHTConfiguration = DHTConfiguration()) -> VirtualNode {
        let seed = Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
        let identity = Identity(seed: seed, suite: suite)
        return addNode(identity: identity, configuration)
    }

    @discardableResult
    func addNode(identity: Identity, _ configuration: DHTConfiguration) -> VirtualNode {
        let address = NetworkAddress(ipv4: 0x0a00_0000 + UInt32(nodes.count), port: 7788)
        let contact = identity.contact(at: AddressList(address))
        let dht = DHT(
            contact: contact, identity: identity, generator: generator.child(UInt64(nodes.count)),
            configuration: configuration)
        let node = VirtualNode(dht: dht, contact: contact, position: generator.unitInterval() * 60)
        if let map {
            node.site = nodes.count % map.siteCount
            node.access = 0.2 + generator.unitInterval() * 1.5
        }
        indexOf[contact.id] = nodes.count
        nodes.append(node)
        group.append(0)
        return node
    }

    /// Calls one machine and carries what it says to the wire.
    func call(_ node: VirtualNode, _ body: (VirtualNode, Now) -> Void) {
        body(node, now)
        carry(node)
    }

    func bootstrap(_ node: VirtualNode, _ contacts: [Contact]) {
        call(node) { node, now in node.dht.bootstrap(contacts, at: now, into: &node.out, events: &node.events) }
    }

    @discardableResult
    func publish(_ name: String, at node: VirtualNode, epoch: UInt64 = 1) -> Bool {
        guard let stream = StreamName(name) else { return false }
        var isAccepted = false
        call(node) { node, now in
            isAccepted = node.dht.publish(stream, epoch: epoch, at: now, into: &node.out, events: &node.events)
        }
        return isAccepted
    }

    func unpublish(_ name: String, at node: VirtualNode) {
        guard let stream = StreamName(name) else { return }
        call(node) { node, now in node.dht.unpublish(stream, at: now, into: &node.out, events: &node.events) }
    }

    /// Looks up and runs until the answer is there.
    func find(_ name: String, from node: VirtualNode) -> DHTEvent? {
        guard let stream = StreamName(name) else { return nil }
        return answer(to: startLookup(stream, from: node), at: node)
    }

    func startLookup(_ stream: StreamName, from node: VirtualNode) -> LookupID {
        var id = LookupID(number: 0)
        call(node) { node, now in id = node.dht.lookup(stream, at: now, into: &node.out, events: &node.events) }
        return id
    }

    func list(_ prefix: String, from node: VirtualNode) -> [ListedStream]? {
        var id = LookupID(number: 0)
        call(node) { node, now in id = node.dht.list(prefix, at: now, into: &node.out, events: &node.events) }
        guard case .listing(_, let streams) = answer(to: id, at: node) else { return nil }
        return streams
    }

    private func answer(to id: LookupID, at node: VirtualNode) -> DHTEvent? {
        let end = now.monotonic + .seconds(15)
        while true {
            if let event = node.log.last(where: { $0.lookup == id }) { return event }
            guard step(until: end) else { return nil }
        }
    }

    func run(for interval: Interval) {
        let end = now.monotonic + interval
        while step(until: end) {}
        now = now + (end - now.monotonic)
    }

    /// Delivers a message a test has made, as if `peer` had sent it.
    func deliver(_ message: DHTMessage, from peer: VirtualNode, to node: VirtualNode, isConfirmed: Bool = true) {
        deliver(encode(message), from: peer, to: node, isConfirmed: isConfirmed)
    }

    func deliver(_ bytes: [UInt8], from peer: VirtualNode, to node: VirtualNode, isConfirmed: Bool = true) {
        receive(bytes.span, from: peer, to: node, isConfirmed: isConfirmed)
        carry(node)
    }

    private func receive(_ bytes: Span<UInt8>, from peer: VirtualNode, to node: VirtualNode, isConfirmed: Bool) {
        machineCalls += 1
        let source = Peer(
            contact: peer.contact, address: peer.contact.addresses.first ?? .unspecified, isConfirmed: isConfirmed)
        node.dht.receive(bytes, from: source, at: now, into: &node.out, events: &node.events)
    }

    // MARK: Inside

    /// One delivery or one deadline, whichever is first; false when nothing happens before `end`.
    func step(until end: MonotonicInstant) -> Bool {
        while let event = agenda.first {
            guard event.at <= end.nanoseconds else { return false }
            _ = agenda.pop()
            let node = nodes[Int(event.to)]
            if event.from >= 0 {
                moveClock(to: event.at)
                arrive(event)
                return true
            }
            if event.from < -1 {
                moveClock(to: event.at)
                confirm(Int(-2 - event.from), at: node)
                return true
            }
            guard node.scheduledAt == event.at else { continue }
            node.scheduledAt = nil
            guard node.isAlive else { continue }
            moveClock(to: event.at)
            machineCalls += 1
            node.dht.advance(to: now, into: &node.out, events: &node.events)
            carry(node)
            return true
        }
        return false
    }

    private func moveClock(to instant: UInt64) {
        let instant = MonotonicInstant(nanoseconds: instant)
        if instant > now.monotonic { now = now + (instant - now.monotonic) }
    }

    private func arrive(_ event: WireEvent) {
        let peer = nodes[Int(event.from)]
        let node = nodes[Int(event.to)]
        let place = Int(event.place)
        defer { pool.giveBack(place) }
        guard node.isAlive, group[Int(event.from)] == group[Int(event.to)] else { return }
        // The sign of the count says that the message came in the first one of a handshake.
        let isFirst = event.count < 0
        let count = Int(event.count.magnitude)
        if let onArrival {
            var bytes: [UInt8] = []
            pool.withBytes(place, count: count) { bytes = $0.copied() }
            onArrival(Int(event.from), Int(event.to), bytes)
        }
        if let lie = node.lie {
            var bytes: [UInt8] = []
            pool.withBytes(place, count: count) { bytes = $0.copied() }
            if let answer = lie(bytes, peer) {
                send(answer.span, from: Int(event.to), to: Int(event.from), isIdempotent: true)
                return
            }
        }
        pool.withBytes(place, count: count) {
            receive($0, from: peer, to: node, isConfirmed: peer.isConfirmed && !isFirst)
        }
        carry(node)
    }

    private func confirm(_ opener: Int, at node: VirtualNode) {
        guard node.isAlive, nodes[opener].isAlive else { return }
        call(node) { node, now in
            let contact = nodes[opener].contact
            let peer = Peer(contact: contact, address: contact.addresses.first ?? .unspecified, isConfirmed: true)
            node.dht.confirm(peer, at: now, into: &node.out)
        }
    }

    private func carry(_ node: VirtualNode) {
        while let event = node.events.popFirst() {
            node.log.append(event)
            node.timedLog.append((event, now.monotonic))
        }
        guard let from = indexOf[node.contact.id] else { return }
        if let deadline = node.dht.nextDeadline {
            let at = max(deadline.nanoseconds, now.monotonic.nanoseconds)
            if node.scheduledAt.map({ at < $0 }) ?? true {
                node.scheduledAt = at
                agenda.push(at: at, from: -1, to: from)
            }
        }
        guard !node.out.isEmpty else { return }
        for index in 0..<node.out.count {
            guard let to = indexOf[node.out.entry(index).destination.id] else { continue }
            send(node.out.bytes(of: index), from: from, to: to, isIdempotent: node.out.entry(index).isIdempotent)
        }
        node.out.removeAll()
    }

    private func send(_ bytes: Span<UInt8>, from: Int, to: Int, isIdempotent: Bool) {
        if isTracing {
            for index in bytes.indices { trace = (trace ^ UInt64(bytes[index])) &* 0x0000_0100_0000_01b3 }
        }
        if let tap { tap(bytes.copied()) }
        if let onSend { onSend(from, to, bytes.copied()) }
        var delay = oneWay(from, to)
        var isFirst = false
        bytesSent += bytes.count
        if modelsLinks { (delay, isFirst) = link(from, to, count: bytes.count, isIdempotent: isIdempotent, delay) }
        guard generator.unitInterval() >= loss, let place = pool.store(bytes) else { return }
        messagesSent += 1
        let at = now.monotonic.nanoseconds + UInt64(delay * 1_000_000)
        agenda.push(at: at, from: from, to: to, place: place, count: isFirst ? -bytes.count : bytes.count)
    }

    private func oneWay(_ from: Int, _ to: Int) -> Double {
        let (a, b) = (nodes[from], nodes[to])
        guard let map else {
            let gap = b.position - a.position
            return 2 + (gap < 0 ? -gap : gap) + generator.unitInterval() * 2
        }
        let base = (map.roundTrip(a.site, b.site) + a.access + b.access) / 2
        return base * (1 + generator.unitInterval() * generator.unitInterval() * 0.4)
    }

    /// The delay and whether the message is the first of a link; adds what the link itself costs.
    private func link(
        _ from: Int, _ to: Int, count: Int, isIdempotent: Bool, _ delay: Double
    ) -> (Double, Bool) {
        let key = UInt64(min(from, to)) << 32 | UInt64(max(from, to))
        let time = now.monotonic.nanoseconds
        let last = links.updateValue(time, forKey: key)
        // Type, connection id, counter and tag of a transport packet.
        bytesSent += 32
        if let last, time - last < UInt64(linkIdle.nanoseconds) { return (delay, false) }
        // Message 1 is padded to 416 bytes; message 2 has about 150 beside its payload; two small packets confirm.
        bytesSent += max(0, 416 - count - 32) + 150 + 120
        agenda.push(at: time + UInt64(delay * 3_000_000), from: -2 - from, to: to)
        return isIdempotent ? (delay, true) : (delay * 3, false)
    }
}

extension DHTEvent {
    var lookup: LookupID? {
        switch self {
        case .found(let id, _), .notFound(let id), .listing(let id, _), .overloaded(let id): id
        case .pinged(let id, _): id
        case .reached(let id, _): id
        case .published, .nameTaken, .bootstrapped: nil
        }
    }

    var origin: NodeID? {
        if case .found(_, let location) = self { location.origin.id } else { nil }
    }

    var isNotFound: Bool { if case .notFound = self { true } else { false } }
}

func encode(_ message: DHTMessage) -> [UInt8] {
    var storage = [UInt8](repeating: 0, count: Limits.messageBytes)
    var room = storage.mutableSpan
    var writer = ByteWriter(room._mutatingExtracting(0..<room.count))
    message.write(to: &writer)
    let count = writer.count
    return Array(storage[..<count])
}
