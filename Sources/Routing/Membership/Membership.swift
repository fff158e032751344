import SwarmCore
import SwarmCrypto

/// Who is in the swarm: SWIM (Das, Gupta and Motivala 2002) with Lifeguard's corrections (Dadgar, Phillips and Currey
/// 2018) in first form.
///
/// Every node is watched by five stable monitors (`WatchList`), which probe it every two seconds, each in its own time.
/// Who answers neither three probes nor three helpers is *suspected*; it may refute by raising its version; after six
/// seconds of silence it has *failed*. News rides on probes, is pushed at once where it matters, and an anti-entropy sync
/// every ten to twenty seconds repairs what was lost.
///
/// Call order: `init`, `join`, then `receive` and `advance` as the driver sees fit, at last `leave`. One call emits at
/// most 2 events per entry of a message, 64 in all; `advance` at most 1 per member.
package struct Membership: ~Copyable, PeerMachine {
    package typealias Event = MembershipEvent

    let timing: MembershipTiming
    let suite: CryptoSuite
    let interner: MemberInterner?
    /// What this node says of itself, as it would say it now.
    package internal(set) var own: MemberDescription
    /// The same as it was told last, under its version.
    var ownRecord: MemberRecord
    /// The cell this node follows; while the swarm is small, all of it.
    var table = MemberTable()
    let sizes: CellSizes
    var cell = CellDepth()
    var foreign: ForeignSample
    /// Members that failed or strayed and are asked now and then whether they are back, and since when.
    var lost: [LostMember] = []
    var news = NewsQueue()
    var generator: SeededGenerator
    package internal(set) var refusals = Counters<RoutingRefusal>()

    var watch: WatchList
    /// Beside it while some of the cell divide it more finely: they watch only their part, so theirs has watchers of
    /// its own from here too, and nobody is left to monitors that do not know it.
    var fineWatch: WatchList?
    var nextWatchRebuild: MonotonicInstant
    /// Those this node monitors.
    var probes: [Probe] = []
    var relayed: [RelayedProbe] = []
    var callers = Callers()
    /// Lifeguard's local health: raised when our own probes and helpers are all silent, so that a starved node doubts
    /// itself before others. 0…4; probe time-outs grow by a quarter for each.
    var localHealth = 0

    var seeds: [Contact] = []
    /// From `meet`, to be asked at the next `advance`.
    var hints: [Contact] = []
    var lastHint: MonotonicInstant
    var syncs: [SyncSession] = []
    var nextSync: MonotonicInstant
    /// What the last answer to a SYNC-REQUEST said.
    var foundNoDifference = false
    var nextJoin: MonotonicInstant?
    var joinInterval: Interval
    var nextPush: MonotonicInstant?
    var lastPush: MonotonicInstant?
    /// When the latest description may be told; nil when it has been.
    var nextDescription: MonotonicInstant?
    var lastDescription: MonotonicInstant
    var nextCoordinate: MonotonicInstant
    var coordinateInterval: Interval
    package private(set) var hasLeft = false
    /// The earliest of all the times above, kept so that asking for it and coming too early cost nothing.
    private var deadline: MonotonicInstant
    private let inPlace = InPlace()

    package init(configuration: MembershipConfiguration, generator: SeededGenerator, now: Now) {
        var generator = generator
        timing = configuration.timing
        suite = configuration.suite
        interner = configuration.interner
        sizes = configuration.sizes
        foreign = ForeignSample(limit: configuration.sizes.foreign)
        own = MemberDescription(
            contact: configuration.contact, version: min(max(now.wallMilliseconds, 1), RoutingLimits.version / 2),
            instance: generator.next(), freeChildSlots: configuration.freeChildSlots, roles: configuration.roles,
            workerPorts: Array(configuration.workerPorts.prefix(RoutingLimits.workersPerMember)),
            publicURL: configuration.publicURL.utf8.count <= RoutingLimits.urlBytes ? configuration.publicURL : "",
            region: configuration.region.utf8.count <= RoutingLimits.regionBytes ? configuration.region : "")
        ownRecord = MemberRecord(own)
        watch = WatchList(own: configuration.contact.id, depth: 0, table: table.present)
        nextWatchRebuild = now.monotonic
        nextSync = now.monotonic + generator.jittered(configuration.timing.syncInterval, by: 0.5)
        joinInterval = configuration.timing.joinRetryMinimum
        lastDescription = now.monotonic
        lastHint = now.monotonic
        nextCoordinate = now.monotonic
        coordinateInterval = configuration.timing.coordinateInterval
        self.generator = generator
        deadline = nextSync
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
        if !seeds.isEmpty, table.present.isEmpty { becomeNewcomer(at: now) }
        settleDeadline()
    }

    /// Alone, and told of others: they know how the swarm is divided.
    mutating func becomeNewcomer(at now: Now) {
        cell.isSettled = false
        cell.settlesAt = now.monotonic + CellDepth.patience
    }

    /// Tells some members that this node leaves on purpose. Final: nothing is sent or expected afterwards.
    package mutating func leave(at now: Now, into out: inout MessageOutbox) {
        guard !hasLeft else { return }
        hasLeft = true
        raiseVersion()
        let farewell = News.status(.left, own.contact.id, version: own.version, accuser: own.contact.id.prefix)
        for record in randomMembers(count: RoutingLimits.pushFanOut * 2) {
            out.append(to: record.contact) { writer in
                writer.append(MembershipMessageType.news)
                writer.append(UInt8(1))
                farewell.write(to: &writer)
            }
        }
        settleDeadline()
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

    // MARK: Machine

    package var nextDeadline: MonotonicInstant? { deadline == .distantFuture ? nil : deadline }

    package mutating func advance(
        to now: Now, into out: inout MessageOutbox, events: inout EventBuffer<MembershipEvent>
    ) {
        guard deadline <= now.monotonic else { return }
        expireMembers(at: now, events: &events)
        considerDepth(at: now, events: &events)
        runProbes(at: now, into: &out, events: &events)
        // Our own accusation may be the second one against somebody, which ends an old suspicion at once.
        expireMembers(at: now, events: &events)
        expireRelayedProbes(at: now, into: &out)
        runSyncs(at: now, into: &out)
        tellDescription(at: now)
        push(at: now, into: &out)
        updateWatches(at: now)
        settleDeadline()
    }

    package mutating func receive(
        _ message: Span<UInt8>, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<MembershipEvent>
    ) {
        guard !hasLeft, peer.id != own.contact.id else { return }
        var reader = ByteReader(message)
        guard let type = reader.readUInt8() else { return refusals.add(.malformed) }
        guard peer.isConfirmed || type == MembershipMessageType.ping else { return refusals.add(.unconfirmed) }
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
            _ = greet(peer.id, at: now)
            _ = receiveNews(&reader, from: peer, .pushed, at: now, into: &out, events: &events)
        case MembershipMessageType.syncRequest:
            receiveSyncRequest(&reader, from: peer, at: now, into: &out, events: &events)
        case MembershipMessageType.syncPage:
            receiveSyncPage(&reader, from: peer, at: now, into: &out, events: &events)
        case MembershipMessageType.syncDifference:
            receiveSyncDifference(&reader, from: peer, at: now, into: &out, events: &events)
        case MembershipMessageType.pull:
            receivePull(&reader, from: peer, at: now, into: &out, events: &events)
        default: refusals.add(.unknownType)
        }
        if table.present.count >= sizes.limit(at: cell.bits) { considerDepth(at: now, events: &events) }
        updateWatches(at: now)
        settleDeadline()
    }

    /// Finds the earliest deadline after whatever has happened.
    mutating func settleDeadline() {
        guard !hasLeft else { return deadline = .distantFuture }
        var earliest = min(nextSync, table.nextExpiry)
        if let nextJoin { earliest = min(earliest, nextJoin) }
        if let nextPush { earliest = min(earliest, nextPush) }
        if let nextDescription { earliest = min(earliest, nextDescription) }
        if !hints.isEmpty { earliest = min(earliest, lastHint + .milliseconds(100)) }
        if let since = cell.smallSince { earliest = min(earliest, since + CellDepth.patience) }
        if watch.isStale || fineWatch?.isStale == true { earliest = min(earliest, nextWatchRebuild) }
        for index in probes.indices { earliest = min(earliest, probes[index].deadline) }
        for probe in relayed { earliest = min(earliest, probe.expires) }
        for sync in syncs { earliest = min(earliest, sync.retryAt) }
        deadline = earliest
    }

    // MARK: Shared helpers

    mutating func raiseVersion(above version: UInt64 = 0) {
        own.version = min(max(own.version, version) + 1, RoutingLimits.version)
        ownRecord = MemberRecord(own)
    }

    /// Notes that a confirmed message came from `id`, and says what it is to us.
    mutating func greet(_ id: NodeID, at now: Now) -> MemberTable.Standing {
        if let index = probeIndex(of: id) {
            probes[index].lastHeard = now.monotonic
            return probes[index].isSuspected ? .suspected : .alive
        }
        if callers.heard(id, at: now.monotonic) { return .alive }
        guard let index = table.present.index(of: id) else { return table.standing(of: id) }
        guard !table.present[index].isSuspected else {
            table.heard(at: index, now.monotonic)
            return .suspected
        }
        if let displaced = callers.add(id, at: now.monotonic) {
            let place = table.present.firstIndex(notBelow: displaced.prefix)
            if place < table.present.count, table.present.prefixes[place] == displaced.prefix {
                table.heard(at: place, displaced.heard)
            }
        }
        return .alive
    }

    func lastHeard(_ id: NodeID) -> MonotonicInstant? {
        if let index = probeIndex(of: id) { return probes[index].lastHeard }
        return callers.lastHeard(id) ?? table.present.index(of: id).flatMap { table.present[$0].heard.instant }
    }

    /// Up to `count` different members that are alive, chosen at random: by lot as long as that finds somebody, then in
    /// turn from a place drawn by lot.
    mutating func randomMembers(count: Int, except excluded: NodeID? = nil) -> [MemberRecord] {
        var chosen: [MemberRecord] = []
        let present = table.present
        guard !present.isEmpty else { return chosen }
        func isEligible(_ member: PresentMember) -> Bool {
            !member.isSuspected && member.id != excluded && !chosen.contains { $0 === member.record }
        }
        var draws = 0
        while chosen.count < count, draws < 4 * count + 8 {
            draws += 1
            let member = present[generator.integer(below: present.count)]
            if isEligible(member) { chosen.append(member.record) }
        }
        let start = chosen.count < count ? generator.integer(below: present.count) : 0
        for offset in 0..<present.count where chosen.count < count {
            let member = present[(start + offset) % present.count]
            if isEligible(member) { chosen.append(member.record) }
        }
        return chosen
    }
}
