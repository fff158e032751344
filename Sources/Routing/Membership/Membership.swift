import SwarmCore
import SwarmCrypto

/// What a `Membership` is made with.
package struct MembershipConfiguration: Sendable {
    package var contact: Contact
    package var workerPorts: [UInt16]
    package var publicURL: String
    package var region: String
    package var roles: MemberRoles
    package var freeChildSlots: UInt16
    package var timing = MembershipTiming()
    /// Computes the ids of contacts that peers name.
    package var suite: CryptoSuite

    package init(
        contact: Contact, workerPorts: [UInt16] = [], publicURL: String = "", region: String = "",
        roles: MemberRoles = [.relays, .serves], freeChildSlots: UInt16 = 0, suite: CryptoSuite = .real
    ) {
        self.contact = contact
        self.workerPorts = workerPorts
        self.publicURL = publicURL
        self.region = region
        self.roles = roles
        self.freeChildSlots = freeChildSlots
        self.suite = suite
    }
}

/// Who is in the swarm: SWIM (Das, Gupta and Motivala 2002) with Lifeguard's corrections (Dadgar, Phillips and Currey
/// 2018) in first form.
///
/// Every node is watched by five stable monitors (`Rendezvous`), which probe it about once a second. Who does not
/// answer, nor answers three helpers, is *suspected*; it may refute by raising its version; after six seconds of
/// silence it has *failed*. News rides on probes, is pushed at once where it matters, and an anti-entropy sync every
/// ten seconds repairs what was lost.
///
/// Call order: `init`, `join`, then `receive` and `advance` as the driver sees fit, at last `leave`. One call emits at
/// most 2 events per entry of a message, 64 in all; `advance` at most 1 per member.
package struct Membership: ~Copyable, PeerMachine {
    package typealias Event = MembershipEvent

    let timing: MembershipTiming
    let suite: CryptoSuite
    /// What this node says of itself.
    package internal(set) var own: MemberDescription
    var table: MemberTable
    var news = NewsQueue()
    var generator: SeededGenerator
    package internal(set) var refusals = Counters<RoutingRefusal>()

    /// Those this node monitors, by id.
    var probes: [Probe] = []
    var relayed: [RelayedProbe] = []
    var monitorsAreStale = false
    var nextMonitorUpdate: MonotonicInstant
    /// Lifeguard's local health: raised when our own probes and helpers are all silent, so that a starved node doubts
    /// itself before others. 0…4; probe time-outs grow by a quarter for each.
    var localHealth = 0

    var seeds: [Contact] = []
    var syncs: [SyncSession] = []
    var nextSync: MonotonicInstant
    var nextJoin: MonotonicInstant?
    var joinInterval: Interval
    var nextPush: MonotonicInstant?
    /// When the latest description may be told; nil when it has been.
    var nextDescription: MonotonicInstant?
    var lastDescription: MonotonicInstant
    var toldCoordinate = Coordinate.origin
    package private(set) var hasLeft = false

    package init(configuration: MembershipConfiguration, generator: SeededGenerator, now: Now) {
        var generator = generator
        timing = configuration.timing
        suite = configuration.suite
        own = MemberDescription(
            contact: configuration.contact, version: min(max(now.wallMilliseconds, 1), RoutingLimits.version / 2),
            instance: generator.next(), freeChildSlots: configuration.freeChildSlots, roles: configuration.roles,
            workerPorts: Array(configuration.workerPorts.prefix(RoutingLimits.workersPerMember)),
            publicURL: configuration.publicURL.utf8.count <= RoutingLimits.urlBytes ? configuration.publicURL : "",
            region: configuration.region.utf8.count <= RoutingLimits.regionBytes ? configuration.region : "")
        table = MemberTable(own: configuration.contact.id)
        nextMonitorUpdate = now.monotonic
        nextSync = now.monotonic + generator.jittered(configuration.timing.syncInterval, by: 0.5)
        joinInterval = configuration.timing.joinRetryMinimum
        lastDescription = now.monotonic
        self.generator = generator
    }

    // MARK: What the owner does

    /// Adds `contacts` to the nodes asked while this one is alone, and asks at the next `advance`. Repeatable.
    package mutating func join(_ contacts: [Contact], at now: Now) {
        for contact in contacts where contact.id != own.contact.id && !contact.addresses.isEmpty {
            if let index = seeds.firstIndex(where: { $0.id == contact.id }) {
                seeds[index] = contact
            } else if seeds.count < RoutingLimits.seeds {
                seeds.append(contact)
            }
        }
        joinInterval = timing.joinRetryMinimum
        if !seeds.isEmpty { nextJoin = now.monotonic }
    }

    /// Tells some members that this node leaves on purpose. Final: nothing is sent or expected afterwards.
    package mutating func leave(at now: Now, into out: inout MessageOutbox) {
        guard !hasLeft else { return }
        hasLeft = true
        raiseVersion()
        let entry = NewsEntry.status(.left, own.contact.id, version: own.version, accuser: own.contact.id.prefix)
        for contact in randomContacts(count: RoutingLimits.pushFanOut * 2) {
            out.append(to: contact) { writer in
                writer.append(MembershipMessageType.news)
                NewsList.write([entry.encoded()], to: &writer)
            }
        }
    }

    /// Load (0–1000 ‰) and free child slots. Told to others when they changed by much, at most every two seconds.
    package mutating func updateSelf(load: UInt16, freeChildSlots: UInt16, at now: Now) {
        let load = min(load, 1000)
        let difference = Int(load) - Int(own.load)
        let crossesZero = (freeChildSlots == 0) != (own.freeChildSlots == 0)
        guard difference.magnitude >= 50 || crossesZero else { return }
        own.load = load
        own.freeChildSlots = freeChildSlots
        scheduleDescription(at: now)
    }

    /// New addresses, best first; the key must stay.
    package mutating func updateSelf(contact: Contact, at now: Now) {
        guard contact.id == own.contact.id, contact != own.contact, !contact.addresses.isEmpty else { return }
        own.contact = contact
        scheduleDescription(at: now)
    }

    package mutating func updateSelf(roles: MemberRoles, at now: Now) {
        guard roles != own.roles else { return }
        own.roles = roles
        scheduleDescription(at: now)
    }

    // MARK: What the owner reads

    /// All known members without this node, by id; the dead stay for two minutes.
    package var members: [Member] { table.members }
    package var presentCount: Int { table.presentCount }
    package func member(_ id: NodeID) -> Member? { table.index(of: id).map { table.members[$0] } }

    /// Measured where this node measures, else predicted by coordinates; nil for strangers and before any measurement.
    package func predictedRoundTrip(from first: NodeID, to second: NodeID) -> Interval? {
        guard first != second else { return .zero }
        if first == own.contact.id, let measured = member(second)?.quality.roundTrip { return measured }
        if second == own.contact.id, let measured = member(first)?.quality.roundTrip { return measured }
        guard let one = coordinate(of: first), let other = coordinate(of: second) else { return nil }
        guard one.relativeError < 1.2, other.relativeError < 1.2 else { return nil }
        return .microseconds(Int64(one.distance(to: other) * 1000))
    }

    private func coordinate(of id: NodeID) -> Coordinate? {
        id == own.contact.id ? own.coordinate : member(id)?.description.coordinate
    }

    // MARK: Machine

    package var nextDeadline: MonotonicInstant? {
        guard !hasLeft else { return nil }
        var deadline: MonotonicInstant? = nextSync
        deadline = Deadline.earlier(deadline, nextJoin)
        deadline = Deadline.earlier(deadline, nextPush)
        deadline = Deadline.earlier(deadline, nextDescription)
        if monitorsAreStale { deadline = Deadline.earlier(deadline, nextMonitorUpdate) }
        for probe in probes { deadline = Deadline.earlier(deadline, probe.deadline) }
        for probe in relayed { deadline = Deadline.earlier(deadline, probe.expires) }
        for sync in syncs { deadline = Deadline.earlier(deadline, sync.retryAt) }
        return Deadline.earlier(deadline, table.nextDeadline)
    }

    package mutating func advance(
        to now: Now, into out: inout MessageOutbox, events: inout EventBuffer<MembershipEvent>
    ) {
        guard !hasLeft else { return }
        expireSuspicions(at: now, events: &events)
        updateMonitors(at: now)
        runProbes(at: now, into: &out, events: &events)
        expireRelayedProbes(at: now, into: &out)
        runSyncs(at: now, into: &out)
        tellDescription(at: now)
        push(at: now, into: &out)
    }

    package mutating func receive(
        _ message: Span<UInt8>, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<MembershipEvent>
    ) {
        guard !hasLeft, peer.id != own.contact.id else { return }
        var reader = ByteReader(message)
        guard let type = reader.readUInt8() else { return refusals.add(.malformed) }
        guard peer.isConfirmed || type == MembershipMessageType.ping else { return refusals.add(.unconfirmed) }
        if peer.isConfirmed { table.heard(peer.id, at: now.monotonic) }
        switch type {
        case MembershipMessageType.ping:
            receivePing(&reader, from: peer, at: now, into: &out, events: &events)
        case MembershipMessageType.acknowledgement:
            receiveAcknowledgement(&reader, from: peer, at: now, into: &out, events: &events)
        case MembershipMessageType.indirectPing:
            receiveIndirectPing(&reader, from: peer, at: now, into: &out, events: &events)
        case MembershipMessageType.indirectResult:
            receiveIndirectResult(&reader, from: peer, at: now)
        case MembershipMessageType.news:
            receiveNews(&reader, from: peer, isUrgent: true, at: now, into: &out, events: &events)
        case MembershipMessageType.syncRequest:
            receiveSyncRequest(&reader, from: peer, at: now, into: &out, events: &events)
        case MembershipMessageType.syncPage:
            receiveSyncPage(&reader, from: peer, at: now, into: &out, events: &events)
        default: refusals.add(.unknownType)
        }
    }

    // MARK: Shared helpers

    mutating func raiseVersion(above version: UInt64 = 0) {
        own.version = min(max(own.version, version) + 1, RoutingLimits.version)
    }

    /// Up to `count` different members that are alive, chosen at random.
    mutating func randomContacts(count: Int, except excluded: NodeID? = nil) -> [Contact] {
        var eligible: [Int] = []
        for index in table.members.indices where table.members[index].status == .alive {
            if table.members[index].id != excluded { eligible.append(index) }
        }
        var chosen: [Contact] = []
        while chosen.count < count, !eligible.isEmpty {
            let pick = generator.integer(below: eligible.count)
            chosen.append(table.members[eligible[pick]].contact)
            eligible.swapAt(pick, eligible.count - 1)
            eligible.removeLast()
        }
        return chosen
    }
}
