import DHT
import MediaRelay
import Routing
import SwarmCore
import SwarmCrypto

/// What a composition is made with.
package struct CompositionConfiguration: Sendable {
    package var identity: Identity
    package var secret: SwarmSecret
    package var entropy: Entropy
    package var generator: SeededGenerator
    /// Where peers reach the swarm socket, best first.
    package var addresses: AddressList
    /// Where clients reach the media workers (hosts; the ports are the workers'), best first.
    package var mediaHosts: AddressList
    /// UDP port of each media worker.
    package var workerPorts: [UInt16]
    /// SHA-256 of the node's DTLS certificate.
    package var fingerprint: Bytes32
    /// Nodes this one may feed, over all streams.
    package var maxChildren: Int
    package var publicURL: String
    package var region: String
    /// This host's own addresses, loopback excluded: tell a peer on the same machine from one elsewhere.
    package var localHosts: [NetworkAddress]
    /// False only where a simulation measures discovery alone: nobody is watched, no news is told.
    package var hasMembership = true
    /// Shared by the nodes of a simulation, as their driver is; a node of its own has its own.
    package var scratch: SwarmScratch?
    /// Shares equal descriptions of members among the nodes of a simulation.
    package var interner: MemberInterner?

    package init(
        identity: Identity, secret: SwarmSecret, entropy: Entropy, generator: SeededGenerator, addresses: AddressList,
        mediaHosts: AddressList, workerPorts: [UInt16], fingerprint: Bytes32, maxChildren: Int, publicURL: String = "",
        region: String = "", localHosts: [NetworkAddress] = []
    ) {
        precondition(!workerPorts.isEmpty, "a node has at least one media worker")
        self.identity = identity
        self.secret = secret
        self.entropy = entropy
        self.generator = generator
        self.addresses = addresses
        self.mediaHosts = mediaHosts
        self.workerPorts = workerPorts
        self.fingerprint = fingerprint
        self.maxChildren = maxChildren
        self.publicURL = publicURL
        self.region = region
        self.localHosts = localHosts
    }
}

/// The whole control plane of one node, and the only place where discovery, routing and media meet.
///
/// It holds the link table, the DHT, the membership and the stream routes, hands each message to its machine, and
/// turns what they say into commands for the media workers and replies to the node's users. It has no socket, clock,
/// thread or entropy of its own; `mafalda run` drives it from the control thread, the simulator from its event heap.
///
/// Call order: `start` once; then `receive`, `advance`, `request`, `handle(_:from:)` as things happen; `drain` when the
/// node is to leave. After each call the driver sends `out` and empties `events`.
package struct SwarmMachine: ~Copyable, Machine {
    package typealias Event = SwarmEvent

    let configuration: CompositionConfiguration
    var links: LinkTable
    var discovery: DiscoveryPart
    var membership: Membership
    var routes: StreamRoutes
    var entropy: Entropy
    var generator: SeededGenerator
    var streams: StreamDirectory
    var sessions = SessionDirectory()
    var pending = PendingRequests()
    /// Lookups whose answer is for the routes.
    var lookupsForRoutes: [LookupID: StreamName] = [:]
    /// Plain RTP publishers that wait for their ports.
    var plainRequests: [SessionID: RequestID] = [:]
    var announcements = Announcements()
    var load: UInt16 = 0
    var isDraining = false

    /// The machines' outputs, drained after every call.
    let scratch: SwarmScratch
    var refusals = Counters<CompositionRefusal>()
    private let inPlace = InPlace()

    package init(_ configuration: CompositionConfiguration, at now: Now) {
        self.configuration = configuration
        scratch = configuration.scratch ?? SwarmScratch()
        let own = configuration.identity.contact(at: configuration.addresses)
        let root = configuration.generator
        let slots = UInt16(clamping: configuration.maxChildren)
        entropy = configuration.entropy
        generator = root.child(1)
        links = LinkTable(
            identity: configuration.identity, secret: configuration.secret, entropy: configuration.entropy,
            generator: root.child(2))
        discovery = DiscoveryPart(
            DHT(contact: own, identity: configuration.identity, generator: root.child(3)))
        membership = Membership(
            configuration: MembershipConfiguration(
                contact: own, workerPorts: configuration.workerPorts, publicURL: configuration.publicURL,
                region: configuration.region, freeChildSlots: slots, suite: configuration.identity.suite,
                interner: configuration.interner),
            generator: root.child(4), now: now)
        routes = StreamRoutes(
            configuration: StreamRoutesConfiguration(
                own: own, workerPorts: configuration.workerPorts, maxChildren: configuration.maxChildren,
                preferredCipher: .preferred, suite: configuration.identity.suite),
            generator: root.child(5), now: now)
        streams = StreamDirectory(workerCount: configuration.workerPorts.count)
        settleDeadline()
    }

    package var id: NodeID { configuration.identity.id }

    /// Joins through `seeds`; without seeds the node is a swarm of one until somebody joins through it.
    package mutating func start(
        seeds: [Contact], at now: Now, into out: inout Outbox, events: inout EventBuffer<SwarmEvent>
    ) {
        if configuration.hasMembership { membership.join(seeds, at: now) }
        discovery.dht.bootstrap(seeds, at: now, into: &scratch.messages, events: &scratch.dhtEvents)
        advance(to: now, into: &out, events: &events)
    }

    // MARK: Machine

    package mutating func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<SwarmEvent>
    ) {
        if let delivery = links.receive(&datagram, from: source, at: now, into: &out, events: &scratch.linkEvents) {
            dispatch(datagram.span.extracting(delivery.range), from: delivery.peer, at: now)
        }
        settle(at: now, into: &out, events: &events)
        links.finishReceive(at: now, into: &out, events: &scratch.linkEvents)
        settleDeadline()
    }

    package mutating func advance(
        to now: Now, into out: inout Outbox, events: inout EventBuffer<SwarmEvent>
    ) {
        func isDue(_ deadline: MonotonicInstant?) -> Bool { deadline.map { $0 <= now.monotonic } ?? false }
        if isDue(links.nextDeadline) { links.advance(to: now, into: &out, events: &scratch.linkEvents) }
        if isDue(discovery.settledDeadline()) {
            discovery.dht.advance(to: now, into: &scratch.messages, events: &scratch.dhtEvents)
        }
        if isDue(membershipDeadline) {
            membership.advance(to: now, into: &scratch.messages, events: &scratch.memberEvents)
        }
        if isDue(routes.nextDeadline) { routes.advance(to: now, into: &scratch.messages, events: &scratch.routeEvents) }
        if isDue(streams.nextRelease) { releaseUnwatched(at: now, events: &events) }
        if isDue(announcements.nextDeadline) { endAnnouncements(at: now) }
        if isDue(pending.nextDeadline) { expireRequests(at: now, events: &events) }
        settle(at: now, into: &out, events: &events)
    }

    /// Known after every call: a driver asks more often than it changes.
    package private(set) var nextDeadline: MonotonicInstant?

    mutating func settleDeadline() {
        var deadline = Deadline.earlier(links.nextDeadline, discovery.settledDeadline())
        deadline = Deadline.earlier(deadline, membershipDeadline)
        deadline = Deadline.earlier(deadline, routes.nextDeadline)
        deadline = Deadline.earlier(deadline, streams.nextRelease)
        deadline = Deadline.earlier(deadline, announcements.nextDeadline)
        nextDeadline = Deadline.earlier(deadline, pending.nextDeadline)
    }

    private var membershipDeadline: MonotonicInstant? {
        configuration.hasMembership ? membership.nextDeadline : nil
    }

    // MARK: Between the machines

    /// Hands the decrypted message to the machine that its first byte names.
    private mutating func dispatch(_ message: Span<UInt8>, from peer: Peer, at now: Now) {
        switch message[0] {
        case 0x10...0x2f:
            discovery.dht.receive(message, from: peer, at: now, into: &scratch.messages, events: &scratch.dhtEvents)
        case 0x30...0x3f:
            membership.receive(message, from: peer, at: now, into: &scratch.messages, events: &scratch.memberEvents)
        case 0x40...0x5f:
            let epoch = links.mediaSecret(with: peer.id)?.epoch
            routes.receive(
                message, from: peer, mediaEpoch: epoch, at: now, into: &scratch.messages, events: &scratch.routeEvents)
        default:
            refusals.add(.unknownMessageType)
        }
    }

    /// Runs until no machine has anything left to say: messages to the links, events to whom they concern. Each round
    /// only handles what an earlier one caused, and every cause is finite, so this ends; the bound is a safeguard
    /// against a defect, and counted.
    mutating func settle(at now: Now, into out: inout Outbox, events: inout EventBuffer<SwarmEvent>) {
        defer { settleDeadline() }
        for _ in 0..<Self.settleRounds {
            sendMessages(at: now, into: &out)
            var isQuiet = true
            // Whether a node is gone each machine finds out by its own.
            while let event = scratch.linkEvents.popFirst() {
                guard case .established(let peer) = event else { continue }
                discovery.dht.confirm(peer, at: now, into: &scratch.messages)
            }
            while let event = scratch.memberEvents.popFirst() {
                isQuiet = false
                handle(event, at: now, events: &events)
            }
            while let event = scratch.dhtEvents.popFirst() {
                isQuiet = false
                handle(event, at: now, events: &events)
            }
            while let event = scratch.routeEvents.popFirst() {
                isQuiet = false
                handle(event, at: now, events: &events)
            }
            if isQuiet, scratch.messages.isEmpty { return }
        }
        refusals.add(.unsettled)
    }

    private static var settleRounds: Int { 64 }

    private mutating func sendMessages(at now: Now, into out: inout Outbox) {
        guard !scratch.messages.isEmpty else { return }
        Self.transmit(
            scratch.messages, over: &links, localHosts: configuration.localHosts, now, &out, &scratch.linkEvents)
        scratch.messages.removeAll()
    }

    /// Takes the machines' parts one by one, so that the messages can be read while the links change.
    private static func transmit(
        _ messages: borrowing MessageOutbox, over links: inout LinkTable, localHosts: [NetworkAddress], _ now: Now,
        _ out: inout Outbox, _ events: inout EventBuffer<LinkEvent>
    ) {
        for index in 0..<messages.count {
            let entry = messages.entry(index)
            links.send(
                messages.bytes(of: index), to: reachable(entry.destination, from: localHosts),
                isIdempotent: entry.isIdempotent, at: now, into: &out, events: &events)
        }
    }

    /// A contact's loopback address reaches it only from the machine it runs on, which shares another address with us
    /// (or has none); from anywhere else it would reach ourselves.
    private static func reachable(_ contact: Contact, from localHosts: [NetworkAddress]) -> Contact {
        guard contact.addresses.contains(where: \.isLoopback) else { return contact }
        let others = contact.addresses.filter { !$0.isLoopback }
        let isHere = others.contains { address in localHosts.contains { $0.hasSameHost(as: address) } }
        var reachable = contact
        if others.isEmpty { return contact }
        reachable.addresses = AddressList(isHere ? contact.addresses.filter(\.isLoopback) : others)
        return reachable
    }
}

/// The DHT, and its deadline: that follows from many tables, and most calls concern the DHT not at all, so it is asked for
/// only after the DHT was touched.
struct DiscoveryPart: ~Copyable {
    private var machine: DHT
    private var isTouched = true
    private var deadline: MonotonicInstant?

    init(_ machine: consuming DHT) { self.machine = machine }

    var dht: DHT {
        _read { yield machine }
        _modify {
            isTouched = true
            yield &machine
        }
    }

    mutating func settledDeadline() -> MonotonicInstant? {
        if isTouched {
            deadline = machine.nextDeadline
            isTouched = false
        }
        return deadline
    }
}

/// What the composition itself refuses; each machine counts its own.
package enum CompositionRefusal: Int, CaseIterable, Sendable {
    case unknownMessageType
    /// More rounds than any cause needs: a defect.
    case unsettled
    case streamsFull
    case sessionsFull
    /// An agreed media link whose control session has no secret any more.
    case missingMediaSecret
    case badDescriptor
}
