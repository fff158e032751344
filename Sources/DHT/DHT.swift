import SwarmCore
import SwarmCrypto

/// The distributed hash table: who holds a stream, and who else carries it (Kademlia, with the corrections ARCHITECTURE.md
/// names). A machine without sockets, clock or entropy.
///
/// Order of calls: `bootstrap` once; then, in any order, `publish`, `announceCarrier`, `lookup`, `list` and their
/// opposites; `observe` and `remove` as links open and members fail; `receive` for each message 0x10–0x2f; `advance` when
/// `nextDeadline` has passed. After every call the owner sends what is in the outbox and drains the events. An answer that
/// this node knows itself is among the events when `lookup` or `list` returns.
///
/// Nothing that arrives can trap, throw or grow a table past `DHTLimits`; what is refused is counted in `refusals`.
package struct DHT: ~Copyable, PeerMachine {
    package typealias Event = DHTEvent

    /// How others reach this node, as its records say.
    package private(set) var contact: Contact
    let identity: Identity
    let configuration: DHTConfiguration
    /// This node's place in latency space, as its answers tell it.
    package internal(set) var coordinate = Coordinate.origin
    var generator: SeededGenerator

    package internal(set) var table: RoutingTable
    package internal(set) var store: RecordStore
    package internal(set) var refusals = Counters<DHTRefusal>()
    package internal(set) var traffic = Counters<DHTTraffic>()

    var requests = RequestTable()
    var answerTimes = AnswerTimes()
    /// In the order they were started, which is that of their ids.
    var lookups: [ActiveLookup] = []
    /// Those that something happened to since they were last driven.
    var dirtyLookups: [LookupID] = []
    /// In the order they were made.
    var publications: [Publication] = [] { didSet { publicationsChanged = true } }
    /// Whether `publications` may have work, or another deadline, since it was last looked at.
    private var publicationsChanged = false
    private var publicationDeadline: MonotonicInstant?
    /// Where recent lookups found the holders of a key, newest last.
    var located: [LocatedKey] = []
    var addressBook = AddressBook()
    var callers = Callers()
    var joining = Joining()
    var upkeep = Upkeep()
    var size = SwarmSize()
    private let inPlace = InPlace()
    /// The owner knows its place better, and sets it; otherwise it follows from own round trips.
    private(set) var hasGivenCoordinate = false
    private var lastNumber: UInt64 = 0
    /// The sequence this node signed last.
    var lastSequence: UInt64 = 0

    /// `contact` may have no addresses yet. `generator` names requests and spreads timers.
    package init(
        contact: Contact, identity: Identity, generator: SeededGenerator,
        configuration: DHTConfiguration = DHTConfiguration()
    ) {
        self.contact = contact
        self.identity = identity
        self.configuration = configuration
        self.generator = generator
        table = RoutingTable(own: identity.id, configuration: configuration)
        store = RecordStore(own: identity.id)
    }

    // MARK: Peers

    /// New addresses of this node: what it publishes is signed anew.
    package mutating func updateSelf(
        contact: Contact, at now: Now, into out: inout MessageOutbox, events: inout EventBuffer<DHTEvent>
    ) {
        guard contact != self.contact else { return }
        self.contact = contact
        for index in publications.indices { publications[index].hasten(to: now.monotonic) }
        addressBook.expire()
        drive(now, &out, &events)
    }

    /// This node's place in latency space, where the owner measures it. From the first call on the DHT's own measurements
    /// change nothing.
    package mutating func updateSelf(coordinate: Coordinate) {
        self.coordinate = coordinate
        hasGivenCoordinate = true
    }

    /// The link to `peer` is proved in both directions: if it has asked something in its first message, it is entered now.
    package mutating func confirm(_ peer: Peer, at now: Now, into out: inout MessageOutbox) {
        welcome(peer, at: now, into: &out)
        if publicationsChanged { settlePublications() }
    }

    /// A node that has spoken for itself, as membership heard it. Feeds the table.
    package mutating func observe(
        _ contact: Contact, roundTrip: Interval?, at now: Now, into out: inout MessageOutbox
    ) {
        hear(contact, roundTrip: roundTrip, at: now, into: &out)
        if publicationsChanged { settlePublications() }
    }

    /// A node that is gone: membership found it dead, or it left. What it had stored here ends with it, so that a name it
    /// held is free at once where the news has arrived.
    package mutating func remove(_ id: NodeID, at now: Now) {
        table.remove(id)
        store.retire(id, at: now.monotonic)
        noteLoss(now)
    }

    /// Joins through any of `contacts` (at most `DHTLimits.seeds`), which are asked again whenever everybody is lost. With
    /// none, this is the first node of its swarm.
    package mutating func bootstrap(
        _ contacts: [Contact], at now: Now, into out: inout MessageOutbox, events: inout EventBuffer<DHTEvent>
    ) {
        joining.add(contacts.filter { $0.id != identity.id })
        startJoining(now, &events)
        drive(now, &out, &events)
    }

    // MARK: Streams

    /// Makes this node the origin of `stream` until `unpublish`: signed, stored at the nearest nodes, refreshed. Ends in
    /// `.published` or `.nameTaken`. A name that is bound to a key needs the `delegation` of that key to this node. False
    /// where this node publishes too many streams already, or the delegation is missing or no good (counted).
    package mutating func publish(
        _ stream: StreamName, epoch: UInt64, delegation: Delegation? = nil, at now: Now,
        into out: inout MessageOutbox, events: inout EventBuffer<DHTEvent>
    ) -> Bool {
        guard startPublishing(stream, epoch: epoch, delegation: delegation, at: now) else { return false }
        drive(now, &out, &events)
        return true
    }

    /// Takes `publish` back: tombstones go to the holders at once.
    package mutating func unpublish(
        _ stream: StreamName, at now: Now, into out: inout MessageOutbox, events: inout EventBuffer<DHTEvent>
    ) {
        withdraw(stream, kinds: [.streamOrigin, .prefixEntry], at: now)
        drive(now, &out, &events)
    }

    /// Says that this node has `stream` to give.
    package mutating func announceCarrier(
        _ stream: StreamName, at now: Now, into out: inout MessageOutbox, events: inout EventBuffer<DHTEvent>
    ) -> Bool {
        guard startCarrying(stream, at: now) else { return false }
        drive(now, &out, &events)
        return true
    }

    package mutating func withdrawCarrier(
        _ stream: StreamName, at now: Now, into out: inout MessageOutbox, events: inout EventBuffer<DHTEvent>
    ) {
        withdraw(stream, kinds: [.streamCarrier], at: now)
        drive(now, &out, &events)
    }

    /// Finds the origin of `stream` and some carriers. Ends in `.found` with the first valid record of an origin, in
    /// `.notFound` only after the nodes nearest to the name have answered, or in `.overloaded`: no verdict.
    package mutating func lookup(
        _ stream: StreamName, at now: Now, into out: inout MessageOutbox, events: inout EventBuffer<DHTEvent>
    ) -> LookupID {
        let id = nextLookupID()
        startResolving(stream, id, now, &events)
        drive(now, &out, &events)
        return id
    }

    /// Lists the streams at and below `prefix` (whole segments; empty for all). Ends in `.listing` or `.overloaded`.
    package mutating func list(
        _ prefix: String, at now: Now, into out: inout MessageOutbox, events: inout EventBuffer<DHTEvent>
    ) -> LookupID {
        let id = nextLookupID()
        startListing(prefix, id, now, &events)
        drive(now, &out, &events)
        return id
    }

    /// Asks a node whether it is there. Ends in `.pinged` or `.overloaded`.
    package mutating func ping(
        _ contact: Contact, at now: Now, into out: inout MessageOutbox, events: inout EventBuffer<DHTEvent>
    ) -> LookupID {
        let id = nextLookupID()
        let isClient = configuration.isClientOnly
        let place = ownPlace
        let isSent = ask(contact, .ping(id), at: now, into: &out) { .ping($0, isClient: isClient, from: place) }
        if !isSent { events.append(.overloaded(id)) }
        return id
    }

    /// Nobody waits for the lookup any more; it emits nothing.
    package mutating func cancel(_ id: LookupID) {
        lookups.removeAll { $0.id == id && $0.purpose.isForOwner }
        requests.removeAll(for: [.lookup(id), .page(id), .ping(id)])
    }

    // MARK: PeerMachine

    package mutating func receive(
        _ message: Span<UInt8>, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<DHTEvent>
    ) {
        guard peer.id != identity.id else { return refusals.add(.fromSelf) }
        do throws(DHTRefusal) {
            let parsed = try DHTMessage.parse(message, suite: identity.suite)
            for reason in parsed.skipped { refusals.add(reason) }
            handle(parsed.message, from: peer, at: now, into: &out, events: &events)
        } catch {
            refusals.add(error)
        }
        drive(now, &out, &events)
    }

    package mutating func advance(
        to now: Now, into out: inout MessageOutbox, events: inout EventBuffer<DHTEvent>
    ) {
        store.sweep(now.monotonic)
        repeatRequests(now, &out, &events)
        expireLookups(now.monotonic)
        continueJoining(now, &events)
        if publicationDeadline.map({ $0 <= now.monotonic }) ?? false { wakePublications(now.monotonic) }
        publishAddresses(now, &out)
        tendTable(now, &out)
        drive(now, &out, &events)
        noteLoss(now)
    }

    package var nextDeadline: MonotonicInstant? {
        var earliest = Deadline.earlier(store.nextDeadline, requests.nextDeadline)
        earliest = Deadline.earlier(earliest, lookups.first?.endsAt)
        earliest = Deadline.earlier(earliest, publicationDeadline)
        earliest = Deadline.earlier(earliest, addressBook.nextDeadline)
        earliest = Deadline.earlier(earliest, upkeep.nextTick)
        if joining.hasLostEverybody(table) { earliest = .zero }
        return Deadline.earlier(earliest, joining.nextDeadline)
    }

    // MARK: Reading

    package var id: NodeID { identity.id }
    /// The streams this node is the origin of.
    package var publishedStreams: [StreamName] {
        publications.filter { $0.kind == .streamOrigin && !$0.isWithdrawn }.map(\.stream)
    }
    /// About how many nodes the swarm has, this one included.
    package var estimatedSize: Double { size.estimate }
    /// The nodes nearest to this one, nearest first: the 2k nearest of the swarm, as far as was heard.
    package var neighbours: [Contact] { table.siblings }
    package var activeLookups: Int { lookups.count }
    package var pendingRequests: Int { requests.count }

    // MARK: Inside

    /// Where this node stands, as far as that is worth telling.
    var ownPlace: Coordinate? { coordinate.isSettled ? coordinate : nil }

    mutating func nextNumber() -> UInt64 {
        lastNumber += 1
        return lastNumber
    }

    mutating func nextLookupID() -> LookupID { LookupID(number: nextNumber()) }

    /// Moves every lookup and publication as far as it goes without an answer.
    mutating func drive(_ now: Now, _ out: inout MessageOutbox, _ events: inout EventBuffer<DHTEvent>) {
        var haveMoved = false
        while true {
            let hasEnded = !dirtyLookups.isEmpty && driveLookups(now, &out, &events)
            guard hasEnded || publicationsChanged else { break }
            publicationsChanged = false
            haveMoved = true
            _ = movePublications(now, &out, &events)
        }
        if haveMoved { settlePublications() }
    }

    /// Notes when the first publication falls due.
    private mutating func settlePublications() {
        var earliest: MonotonicInstant?
        for publication in publications { earliest = Deadline.earlier(earliest, publication.nextDeadline) }
        publicationDeadline = earliest
    }
}
