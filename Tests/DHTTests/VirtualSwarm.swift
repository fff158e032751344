import DHT
import SwarmCore
import SwarmCrypto

/// One machine of a test with its boxes.
final class VirtualNode {
    var dht: DHT
    let contact: Contact
    var out = MessageOutbox()
    var events = EventBuffer<DHTEvent>()
    /// Everything it has told its owner.
    var log: [DHTEvent] = []
    var isAlive = true
    var isConfirmed = true
    /// Where it stands on a line of milliseconds: half the round trip to others is the distance.
    let position: Double

    init(dht: consuming DHT, contact: Contact, position: Double) {
        self.dht = dht
        self.contact = contact
        self.position = position
    }
}

/// Machines on a virtual wire with seeded latency and loss, driven by their deadlines.
final class VirtualSwarm {
    private struct Flight {
        var arrival: MonotonicInstant
        var number: UInt64
        var from: Int
        var to: Int
        var bytes: [UInt8]

        static func < (a: Flight, b: Flight) -> Bool {
            a.arrival == b.arrival ? a.number < b.number : a.arrival < b.arrival
        }
    }

    private(set) var nodes: [VirtualNode] = []
    private(set) var now = Now(
        monotonic: MonotonicInstant(nanoseconds: 1_000_000_000), wallMilliseconds: 1_800_000_000_000)
    private var generator: SeededGenerator
    private var flights: [Flight] = []
    private var indexOf: [NodeID: Int] = [:]
    /// What each machine said when it was last called: asking all of them at each step would cost more than they do.
    private var deadlines: [MonotonicInstant?] = []
    private var sent: UInt64 = 0
    private(set) var bytesSent = 0
    /// A digest of everything on the wire, to compare two runs.
    private(set) var trace: UInt64 = 0xcbf2_9ce4_8422_2325
    var loss: Double
    /// Sees every message as it is sent.
    var tap: (([UInt8]) -> Void)?
    /// Pairs the wire is cut between: a group number per node, all zero when whole.
    var group: [Int] = []
    let suite: CryptoSuite

    init(seed: UInt64, loss: Double = 0, suite: CryptoSuite = .counted()) {
        generator = SeededGenerator(seed: seed)
        self.loss = loss
        self.suite = suite
    }

    @discardableResult
    func addNode(_ configuration: DHTConfiguration = DHTConfiguration()) -> VirtualNode {
        let seed = Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
        let identity = Identity(seed: seed, suite: suite)
        let address = NetworkAddress(ipv4: 0x0a00_0000 + UInt32(nodes.count), port: 7788)
        let contact = identity.contact(at: AddressList(address))
        let dht = DHT(
            contact: contact, identity: identity, generator: generator.child(UInt64(nodes.count)),
            configuration: configuration)
        let node = VirtualNode(dht: dht, contact: contact, position: generator.unitInterval() * 60)
        indexOf[contact.id] = nodes.count
        nodes.append(node)
        group.append(0)
        deadlines.append(nil)
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
        var id = LookupID(number: 0)
        call(node) { node, now in id = node.dht.lookup(stream, at: now, into: &node.out, events: &node.events) }
        return answer(to: id, at: node)
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
        call(node) { node, now in
            let source = Peer(
                contact: peer.contact, address: peer.contact.addresses.first ?? .unspecified, isConfirmed: isConfirmed)
            node.dht.receive(bytes.span, from: source, at: now, into: &node.out, events: &node.events)
        }
    }

    // MARK: Inside

    /// One delivery or one deadline, whichever is first; false when nothing happens before `end`.
    private func step(until end: MonotonicInstant) -> Bool {
        var due: (index: Int, at: MonotonicInstant)?
        for index in nodes.indices where nodes[index].isAlive {
            guard let deadline = deadlines[index] else { continue }
            if let earliest = due, earliest.at <= deadline { continue }
            due = (index, deadline)
        }
        if let flight = flights.first, flight.arrival <= due?.at ?? .distantFuture {
            guard flight.arrival <= end else { return false }
            _ = popFlight()
            moveClock(to: flight.arrival)
            arrive(flight)
            return true
        }
        guard let due, due.at <= end else { return false }
        moveClock(to: due.at)
        call(nodes[due.index]) { node, now in
            node.dht.advance(to: now, into: &node.out, events: &node.events)
        }
        return true
    }

    private func moveClock(to instant: MonotonicInstant) {
        if instant > now.monotonic { now = now + (instant - now.monotonic) }
    }

    private func arrive(_ flight: Flight) {
        let node = nodes[flight.to]
        guard node.isAlive, group[flight.from] == group[flight.to] else { return }
        deliver(flight.bytes, from: nodes[flight.from], to: node, isConfirmed: nodes[flight.from].isConfirmed)
    }

    private func carry(_ node: VirtualNode) {
        while let event = node.events.popFirst() { node.log.append(event) }
        guard let from = indexOf[node.contact.id] else { return }
        deadlines[from] = node.dht.nextDeadline
        for index in 0..<node.out.count {
            let bytes = node.out.bytes(of: index).copied()
            for byte in bytes { trace = (trace ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
            bytesSent += bytes.count
            tap?(bytes)
            guard let to = indexOf[node.out.entry(index).destination.id] else { continue }
            let gap = nodes[to].position - node.position
            let latency = 2 + (gap < 0 ? -gap : gap) + generator.unitInterval() * 2
            let isLost = generator.unitInterval() < loss
            guard !isLost else { continue }
            sent += 1
            push(
                Flight(
                    arrival: now.monotonic + .microseconds(Int64(latency * 1000)), number: sent, from: from, to: to,
                    bytes: bytes))
        }
        node.out.removeAll()
    }

    private func push(_ flight: Flight) {
        flights.append(flight)
        var index = flights.count - 1
        while index > 0, flights[index] < flights[(index - 1) / 2] {
            flights.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private func popFlight() -> Flight? {
        guard !flights.isEmpty else { return nil }
        flights.swapAt(0, flights.count - 1)
        let first = flights.removeLast()
        var index = 0
        while true {
            var smallest = index
            for child in [2 * index + 1, 2 * index + 2] where child < flights.count {
                if flights[child] < flights[smallest] { smallest = child }
            }
            guard smallest != index else { return first }
            flights.swapAt(index, smallest)
            index = smallest
        }
    }
}

extension DHTEvent {
    var lookup: LookupID? {
        switch self {
        case .found(let id, _), .notFound(let id), .listing(let id, _), .overloaded(let id): id
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
