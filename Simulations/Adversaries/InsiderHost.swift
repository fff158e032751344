import Composition
import DHT
import Routing
import SwarmCore
import SwarmCrypto

/// What an insider does differently. Each message and each timer passes here first.
package protocol Conduct: AnyObject {
    /// True where the message has been dealt with (answered, swallowed); false leaves it to the honest machines.
    func receive(_ message: Span<UInt8>, from peer: Peer, at now: Now, host: InsiderHost) -> Bool
    /// Whether a message that the honest machines wrote may leave.
    func permits(_ message: Span<UInt8>, to peer: Contact) -> Bool
    /// Whether a datagram may come in, before anything reads it.
    func admits(_ datagram: Span<UInt8>) -> Bool
    func advance(to now: Now, host: InsiderHost)
    var nextDeadline: MonotonicInstant? { get }
}

extension Conduct {
    package func receive(_ message: Span<UInt8>, from peer: Peer, at now: Now, host: InsiderHost) -> Bool { false }
    package func permits(_ message: Span<UInt8>, to peer: Contact) -> Bool { true }
    package func admits(_ datagram: Span<UInt8>) -> Bool { true }
    package func advance(to now: Now, host: InsiderHost) {}
    package var nextDeadline: MonotonicInstant? { nil }
}

/// A member who breaks rules: it has the swarm's secret, a genuine identity, real links, and a real DHT and membership
/// that bring it into everybody's tables; `conduct` says where it departs from them. It relays no streams.
package final class InsiderHost: AdversaryHost {
    package let contact: Contact
    package let identity: Identity
    package let conduct: any Conduct
    package var dht: DHT
    package var membership: Membership
    package var generator: SeededGenerator
    private var links: LinkTable
    private var messages = MessageOutbox()
    private var linkEvents = EventBuffer<LinkEvent>()
    private var dhtEvents = EventBuffer<DHTEvent>()
    private var memberEvents = EventBuffer<MembershipEvent>()
    private let hasMembership: Bool

    /// `identity` where it is not the one that `configuration` has: ground ids, say.
    package init(
        _ configuration: CompositionConfiguration, identity: Identity? = nil, conduct: any Conduct, at now: Now
    ) {
        let own = identity ?? configuration.identity
        let root = configuration.generator
        self.identity = own
        self.conduct = conduct
        contact = own.contact(at: configuration.addresses)
        hasMembership = configuration.hasMembership
        generator = root.child(1)
        links = LinkTable(
            identity: own, secret: configuration.secret, entropy: configuration.entropy, generator: root.child(2))
        dht = DHT(contact: contact, identity: own, generator: root.child(3))
        membership = Membership(
            configuration: MembershipConfiguration(
                contact: contact, workerPorts: configuration.workerPorts, freeChildSlots: 0, suite: own.suite),
            generator: root.child(4), now: now)
    }

    // MARK: What conducts use

    /// Sends one DHT message to `peer`.
    package func send(_ message: DHTMessage, to peer: Contact) {
        messages.append(to: peer, isIdempotent: message.kind != .put) { writer in message.write(to: &writer) }
    }

    /// Sends one message of any kind to `peer`.
    package func send(to peer: Contact, _ body: (inout ByteWriter) -> Void) { messages.append(to: peer, body) }

    /// Where an answer to `peer` goes.
    package static func returnContact(of peer: Peer) -> Contact {
        var contact = peer.contact
        contact.addresses.promote(peer.address)
        return contact
    }

    // MARK: SimulatedHost

    package func start(
        seeds: [Contact], at now: Now, into out: inout Outbox, events: inout EventBuffer<SwarmEvent>
    ) {
        if hasMembership { membership.join(seeds, at: now) }
        dht.bootstrap(seeds, at: now, into: &messages, events: &dhtEvents)
        advance(to: now, into: &out, events: &events)
    }

    package func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<SwarmEvent>
    ) {
        guard conduct.admits(datagram.span) else { return }
        if let delivery = links.receive(&datagram, from: source, at: now, into: &out, events: &linkEvents) {
            dispatch(datagram.span.extracting(delivery.range), from: delivery.peer, at: now)
        }
        settle(at: now, into: &out)
        links.finishReceive(at: now, into: &out, events: &linkEvents)
    }

    package func advance(to now: Now, into out: inout Outbox, events: inout EventBuffer<SwarmEvent>) {
        func isDue(_ deadline: MonotonicInstant?) -> Bool { deadline.map { $0 <= now.monotonic } ?? false }
        if isDue(links.nextDeadline) { links.advance(to: now, into: &out, events: &linkEvents) }
        if isDue(dht.nextDeadline) { dht.advance(to: now, into: &messages, events: &dhtEvents) }
        if hasMembership, isDue(membership.nextDeadline) {
            membership.advance(to: now, into: &messages, events: &memberEvents)
        }
        if isDue(conduct.nextDeadline) { conduct.advance(to: now, host: self) }
        settle(at: now, into: &out)
    }

    package var nextDeadline: MonotonicInstant? {
        var deadline = Deadline.earlier(links.nextDeadline, dht.nextDeadline)
        if hasMembership { deadline = Deadline.earlier(deadline, membership.nextDeadline) }
        return Deadline.earlier(deadline, conduct.nextDeadline)
    }

    // MARK: Inside

    private func dispatch(_ message: Span<UInt8>, from peer: Peer, at now: Now) {
        guard !conduct.receive(message, from: peer, at: now, host: self) else { return }
        switch message[0] {
        case 0x10...0x2f: dht.receive(message, from: peer, at: now, into: &messages, events: &dhtEvents)
        case 0x30...0x3f:
            membership.receive(message, from: peer, at: now, into: &messages, events: &memberEvents)
        default: break
        }
    }

    /// As in `SwarmMachine.settle`, with a bound for conducts that answer themselves.
    private func settle(at now: Now, into out: inout Outbox) {
        for _ in 0..<64 {
            transmit(at: now, into: &out)
            var isQuiet = true
            while let event = linkEvents.popFirst() {
                isQuiet = false
                guard case .established(let peer) = event else { continue }
                dht.confirm(peer, at: now, into: &messages)
            }
            while let event = memberEvents.popFirst() {
                isQuiet = false
                handle(event, at: now)
            }
            while dhtEvents.popFirst() != nil {}
            if isQuiet, messages.isEmpty { return }
        }
    }

    private func handle(_ event: MembershipEvent, at now: Now) {
        switch event {
        case .joined(let contact):
            dht.observe(contact, roundTrip: links.roundTrip(to: contact.id), at: now, into: &messages)
        case .failed(let id), .left(let id):
            dht.remove(id, at: now)
            if membership.member(id)?.status.isPresent != true { links.forget(id) }
        case .suspected, .alive, .changed: break
        }
    }

    private func transmit(at now: Now, into out: inout Outbox) {
        guard !messages.isEmpty else { return }
        // Taken out, so that it can be read while the links change.
        var written = MessageOutbox()
        swap(&written, &messages)
        for index in 0..<written.count {
            let entry = written.entry(index)
            guard conduct.permits(written.bytes(of: index), to: entry.destination) else { continue }
            links.send(
                written.bytes(of: index), to: entry.destination, isIdempotent: entry.isIdempotent, at: now, into: &out,
                events: &linkEvents)
        }
        written.removeAll()
        if messages.isEmpty { swap(&written, &messages) }
    }
}
