import Routing
import SwarmCore
import SwarmCrypto

/// One node on the virtual wire: a machine behind the verbs the wire needs.
class WireNode {
    let contact: Contact
    var isUp = true

    init(contact: Contact) { self.contact = contact }

    func receive(_ bytes: [UInt8], from peer: Peer, at now: Now, into out: inout MessageOutbox) {}
    func advance(to now: Now, into out: inout MessageOutbox) {}
    var nextDeadline: MonotonicInstant? { nil }
}

/// A network of machines with seeded latency and loss, and a clock that jumps from event to event.
final class VirtualWire<Node: WireNode> {
    private struct Arrival {
        let at: MonotonicInstant
        let serial: UInt64
        let run: () -> Void
    }

    private(set) var nodes: [Node] = []
    private var byID: [NodeID: Int] = [:]
    private(set) var now = Now(
        monotonic: MonotonicInstant(nanoseconds: 1_000_000_000), wallMilliseconds: 1_700_000_000_000)
    private var arrivals: [Arrival] = []
    /// As each machine left it; asked anew after each call.
    private var deadlines: [MonotonicInstant?] = []
    private var serial: UInt64 = 0
    var generator: SeededGenerator
    var lossPerMille: Int
    /// One-way delay between two nodes, in milliseconds, besides up to a tenth of jitter.
    var delayMilliseconds: (Int, Int) -> Double
    var isBlocked: (Int, Int) -> Bool = { _, _ in false }
    /// Called after every step, for invariants.
    var afterStep: () -> Void = {}
    private(set) var messagesSent = 0
    /// A hash over every message sent, in order: equal for two runs that did the same.
    private(set) var trace: UInt64 = 0
    private(set) var bytesSent = 0
    /// Emptied after each call; made once, since clearing its arena is the dearest thing here.
    private var out = MessageOutbox()
    /// Messages that outgrew the outbox or themselves.
    var dropped: UInt64 { out.dropped + out.oversized }

    init(seed: UInt64, lossPerMille: Int = 0, delayMilliseconds: @escaping (Int, Int) -> Double = { _, _ in 10 }) {
        generator = SeededGenerator(seed: seed)
        self.lossPerMille = lossPerMille
        self.delayMilliseconds = delayMilliseconds
    }

    func add(_ node: Node) {
        byID[node.contact.id] = nodes.count
        nodes.append(node)
    }

    /// A new process in the place of node `index`.
    func replace(_ index: Int, with node: Node) {
        byID[node.contact.id] = index
        nodes[index] = node
        if index < deadlines.count { deadlines[index] = node.nextDeadline }
    }

    func index(of id: NodeID) -> Int? { byID[id] }

    func schedule(after delay: Interval, _ run: @escaping () -> Void) {
        let arrival = Arrival(at: now.monotonic + delay, serial: serial, run: run)
        serial += 1
        var place = arrivals.count
        while place > 0, arrivals[place - 1].at < arrival.at { place -= 1 }
        // Kept latest first; of equal times the earlier sent is popped first.
        while place > 0, arrivals[place - 1].at == arrival.at { place -= 1 }
        arrivals.insert(arrival, at: place)
    }

    /// Calls `body` with an outbox of node `index` and carries what it sends.
    func call(_ index: Int, _ body: (Node, Now, inout MessageOutbox) -> Void) {
        body(nodes[index], now, &out)
        if index < deadlines.count { deadlines[index] = nodes[index].nextDeadline }
        for entry in 0..<out.count {
            send(out.bytes(of: entry).copied(), from: index, to: out.entry(entry).destination)
        }
        out.removeAll()
    }

    func send(_ bytes: [UInt8], from sender: Int, to destination: Contact, isConfirmed: Bool = true) {
        messagesSent += 1
        bytesSent += bytes.count
        trace = HomeWorker.hash(bytes) ^ (trace &* 0x9e37_79b9_7f4a_7c15) ^ UInt64(sender) ^ now.monotonic.nanoseconds
        guard let target = byID[destination.id], !isBlocked(sender, target) else { return }
        guard generator.integer(below: 1000) >= lossPerMille else { return }
        let base = delayMilliseconds(sender, target)
        let delay = base * (1 + 0.1 * generator.unitInterval())
        let contact = nodes[sender].contact
        let peer = Peer(
            contact: contact, address: contact.addresses.first ?? .unspecified, isConfirmed: isConfirmed)
        let receiver = nodes[target]
        schedule(after: .microseconds(Int64(delay * 1000))) { [unowned self] in
            // A process that has gone since gets nothing, nor does its successor.
            guard receiver.isUp, nodes[target] === receiver else { return }
            call(target) { node, now, out in node.receive(bytes, from: peer, at: now, into: &out) }
        }
    }

    /// Lets `interval` pass.
    func run(for interval: Interval) { run(until: now.monotonic + interval) { false } }

    /// Runs until `condition` holds; returns how long that took, or nil after `limit`.
    func run(atMost limit: Interval, until condition: () -> Bool) -> Interval? {
        let start = now.monotonic
        return run(until: start + limit, condition) ? now.monotonic - start : nil
    }

    @discardableResult
    private func run(until end: MonotonicInstant, _ condition: () -> Bool) -> Bool {
        deadlines = nodes.map(\.nextDeadline)
        while true {
            if condition() { return true }
            var next = arrivals.last?.at.nanoseconds ?? .max
            var due: Int?
            for index in deadlines.indices {
                if let deadline = deadlines[index]?.nanoseconds, deadline < next, nodes[index].isUp {
                    next = deadline
                    due = index
                }
            }
            guard next <= end.nanoseconds else {
                now = now + (end - now.monotonic)
                return condition()
            }
            if next > now.monotonic.nanoseconds { now = now + (MonotonicInstant(nanoseconds: next) - now.monotonic) }
            if let due {
                call(due) { node, now, out in node.advance(to: now, into: &out) }
                if let deadline = nodes[due].nextDeadline {
                    precondition(deadline > now.monotonic, "node \(due) left a deadline that is due")
                }
            } else {
                arrivals.popLast()?.run()
            }
            afterStep()
        }
    }
}

/// A contact with a key made from `seed`; the id is computed as on the wire.
func testContact(_ seed: Int) -> Contact {
    var generator = SeededGenerator(seed: UInt64(seed) &+ 77)
    let key = PublicKey(Bytes32(generator.next(), generator.next(), generator.next(), generator.next()))
    let address = NetworkAddress(ipv4: 0x0a00_0000 + UInt32(seed), port: 7788)
    return CryptoSuite.real.contact(key, AddressList(address))
}

/// Delays from seeded places on a plane of `side` milliseconds, plus 1 ms.
func planeDelays(seed: UInt64, count: Int, side: Double) -> (Int, Int) -> Double {
    var generator = SeededGenerator(seed: seed)
    var places: [(Double, Double)] = []
    for _ in 0..<count { places.append((generator.unitInterval() * side, generator.unitInterval() * side)) }
    return { a, b in
        let x = places[a].0 - places[b].0
        let y = places[a].1 - places[b].1
        return (x * x + y * y).squareRoot() + 1
    }
}
