import SwarmCore
import SwarmCrypto

struct MediaSecret: Equatable {
    var epoch: UInt64
    var secret: Bytes32
}

/// A node of a link test: its table, and what it was told.
final class LinkNode {
    let identity: Identity
    var links: LinkTable
    var address: NetworkAddress
    var out = Outbox(byteCapacity: 1 << 20, datagramCapacity: 1024)
    var events = EventBuffer<LinkEvent>()
    /// Everything delivered, with its sender.
    var received: [(message: [UInt8], peer: Peer, at: MonotonicInstant)] = []
    var told: [LinkEvent] = []
    /// Answers a request (0x10 …) with 0x11 and the same rest, this many times.
    var answersPerRequest = 0
    /// Bytes received from and sent to every address.
    var bytesIn: [NetworkAddress: Int] = [:]
    var bytesOut: [NetworkAddress: Int] = [:]

    init(
        _ number: UInt8, suite: CryptoSuite, secret: SwarmSecret, limits: LinkLimits = LinkLimits(),
        entropySeed: UInt64? = nil
    ) {
        let byte = UInt64(number)
        identity = Identity(seed: Bytes32(byte, 2, 3, 4), suite: suite)
        address = NetworkAddress(ipv4: 0x0a00_0000 | UInt32(number), port: 7788)
        links = LinkTable(
            identity: identity, secret: secret, entropy: .seeded(SeededGenerator(seed: entropySeed ?? byte)),
            generator: SeededGenerator(seed: byte + 1000), limits: limits)
    }

    init(_ identity: Identity, at address: NetworkAddress, secret: SwarmSecret, seed: UInt64) {
        self.identity = identity
        self.address = address
        links = LinkTable(
            identity: identity, secret: secret, entropy: .seeded(SeededGenerator(seed: seed)),
            generator: SeededGenerator(seed: seed + 1000))
    }

    var contact: Contact { identity.contact(at: AddressList(address)) }

    func send(_ message: [UInt8], to contact: Contact, isIdempotent: Bool = true, at now: Now) {
        links.send(message.span, to: contact, isIdempotent: isIdempotent, at: now, into: &out, events: &events)
        collectEvents()
    }

    func receive(_ datagram: [UInt8], from source: NetworkAddress, at now: Now) {
        bytesIn[source, default: 0] += datagram.count
        var bytes = datagram
        var span = bytes.mutableSpan
        if let delivery = links.receive(&span, from: source, at: now, into: &out, events: &events) {
            let message = span.span.extracting(delivery.range).copied()
            received.append((message, delivery.peer, now.monotonic))
            if message[0] == 0x10 {
                for index in 0..<answersPerRequest {
                    var answer = message
                    answer[0] = 0x11 + UInt8(index)
                    send(answer, to: delivery.peer.contact, at: now)
                }
            }
        }
        links.finishReceive(at: now, into: &out, events: &events)
        collectEvents()
    }

    func advance(to now: Now) {
        links.advance(to: now, into: &out, events: &events)
        collectEvents()
    }

    // The testing macros copy what they look at, which a table does not allow: so values are asked for here.
    func refusals(_ reason: LinkRefusal) -> UInt64 { links.refusals[reason] }
    var refusalTotal: UInt64 { links.refusals.total }
    var relationCount: Int { links.relationCount }
    var pendingCount: Int { links.pendingCount }
    var nextDeadline: MonotonicInstant? { links.nextDeadline }
    var completedHandshakes: UInt64 { links.completedHandshakes }
    func isEstablished(with other: LinkNode) -> Bool { links.isEstablished(other.identity.id) }
    func address(of other: LinkNode) -> NetworkAddress? { links.address(of: other.identity.id) }
    func contact(of other: LinkNode) -> Contact? { links.contact(of: other.identity.id) }
    func roundTrip(to other: LinkNode) -> Interval? { links.roundTrip(to: other.identity.id) }
    func mediaSecret(with other: LinkNode) -> MediaSecret? {
        links.mediaSecret(with: other.identity.id).map { MediaSecret(epoch: $0.epoch, secret: $0.secret) }
    }
    func mediaSecret(with other: LinkNode, epoch: UInt64) -> Bytes32? {
        links.mediaSecret(with: other.identity.id, epoch: epoch)
    }

    var messages: [[UInt8]] { received.map(\.message) }
    func count(_ message: [UInt8]) -> Int { received.count { $0.message == message } }
    var establishedCount: Int {
        told.count { event in
            if case .established = event { true } else { false }
        }
    }

    private func collectEvents() {
        while let event = events.popFirst() { told.append(event) }
    }
}

/// Datagrams between nodes, delayed, lost, doubled and reordered by a seed; and the clock of all of them.
final class VirtualWire {
    struct Datagram {
        var bytes: [UInt8]
        var source: NetworkAddress
        var destination: NetworkAddress
        var at: MonotonicInstant
        var order: Int
    }

    var nodes: [LinkNode]
    var now = Now(monotonic: MonotonicInstant(nanoseconds: 1_000_000_000), wallMilliseconds: 1_700_000_000_000)
    var delay = Interval.milliseconds(20)
    var jitter = Interval.zero
    var lossRatio = 0.0
    var duplicateRatio = 0.0
    /// The number of the one datagram that is lost, counted from the start.
    var loseDatagram: Int?
    /// Addresses nothing reaches.
    var unreachable: Set<NetworkAddress> = []
    /// Everything that was put on the wire, lost or not.
    var log: [Datagram] = []
    private var inFlight: [Datagram] = []
    private var generator: SeededGenerator
    private var order = 0

    init(_ nodes: [LinkNode], seed: UInt64 = 1) {
        self.nodes = nodes
        generator = SeededGenerator(seed: seed)
    }

    /// Runs until `interval` has passed.
    func run(_ interval: Interval) {
        let end = now.monotonic + interval
        collect()
        while true {
            var next = end
            for datagram in inFlight { next = min(next, datagram.at) }
            for node in nodes { if let deadline = node.links.nextDeadline { next = min(next, deadline) } }
            now = now + max(.zero, next - now.monotonic)
            deliver()
            for node in nodes { node.advance(to: now) }
            collect()
            guard now.monotonic < end else { return }
        }
    }

    /// Puts a datagram on the wire, as an attacker can.
    func inject(_ bytes: [UInt8], from source: NetworkAddress, to destination: NetworkAddress) {
        order += 1
        inFlight.append(
            Datagram(bytes: bytes, source: source, destination: destination, at: now.monotonic + delay, order: order))
    }

    private func deliver() {
        let due = inFlight.filter { $0.at <= now.monotonic }.sorted { ($0.at, $0.order) < ($1.at, $1.order) }
        inFlight.removeAll { $0.at <= now.monotonic }
        for datagram in due {
            for node in nodes where node.address == datagram.destination {
                node.receive(datagram.bytes, from: datagram.source, at: now)
            }
        }
    }

    func collect() {
        for node in nodes {
            for (bytes, destination) in drain(&node.out) {
                put(bytes, from: node.address, to: destination)
                node.bytesOut[destination, default: 0] += bytes.count
            }
        }
    }

    private func put(_ bytes: [UInt8], from source: NetworkAddress, to destination: NetworkAddress) {
        let copies = generator.unitInterval() < duplicateRatio ? 2 : 1
        for _ in 0..<copies {
            order += 1
            let extra = Interval(nanoseconds: Int64(Double(jitter.nanoseconds) * generator.unitInterval()))
            let datagram = Datagram(
                bytes: bytes, source: source, destination: destination, at: now.monotonic + delay + extra, order: order)
            let isLost = generator.unitInterval() < lossRatio || loseDatagram == log.count
            log.append(datagram)
            if !isLost && !unreachable.contains(destination) && !unreachable.contains(source) {
                inFlight.append(datagram)
            }
        }
    }
}

/// Takes every datagram out of `out`.
func drain(_ out: inout Outbox) -> [(bytes: [UInt8], destination: NetworkAddress)] {
    var datagrams: [(bytes: [UInt8], destination: NetworkAddress)] = []
    for index in 0..<out.count { datagrams.append((out.bytes(of: index).copied(), out.destination(of: index))) }
    out.removeAll()
    return datagrams
}

/// The suites every link test runs with.
enum SuiteChoice: CaseIterable, Sendable {
    case real, counted

    var suite: CryptoSuite { self == .real ? .real : .counted() }
}

let homeSecret = SwarmSecret(current: Bytes32(7, 7, 7, 7))

/// Two nodes of one swarm on a wire of 20 ms each way.
func makePair(_ choice: SuiteChoice, seed: UInt64 = 1, limits: LinkLimits = LinkLimits()) -> (
    VirtualWire, LinkNode, LinkNode
) {
    let suite = choice.suite
    let first = LinkNode(1, suite: suite, secret: homeSecret, limits: limits)
    let second = LinkNode(2, suite: suite, secret: homeSecret, limits: limits)
    return (VirtualWire([first, second], seed: seed), first, second)
}
