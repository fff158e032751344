import DHT
import SwarmCore

/// Discovery by itself, for operators (`mafalda dht …`) and for runs that measure it: no session, no media.
extension SwarmMachine {
    /// Finds out where a stream is published, without fetching it.
    mutating func beginSearch(
        _ id: RequestID, _ name: StreamName, _ kind: PendingRequests.Kind, at now: Now,
        events: inout EventBuffer<SwarmEvent>
    ) {
        guard !pending.isFull else { return refuse(id, .full, events: &events) }
        pending.add(id, kind, deadline: now.monotonic + CompositionLimits.requestTimeout)
        pending.bind(discovery.dht.lookup(name, at: now, into: &scratch.messages, events: &scratch.dhtEvents), to: id)
    }

    /// The search has ended: the answer in the words of whoever asked. False where `id` is no such request.
    mutating func finishSearch(
        _ id: RequestID, _ location: StreamLocation?, events: inout EventBuffer<SwarmEvent>
    ) -> Bool {
        switch pending[id] {
        case .locate:
            reply(id, .location(location), events: &events)
        case .trace(let name):
            reply(id, location.map { .route(distantRoute(name, $0)) } ?? .refused(.notLive), events: &events)
        default: return false
        }
        return true
    }

    private func distantRoute(_ name: StreamName, _ location: StreamLocation) -> RouteTrace {
        RouteTrace(
            stream: name, origin: location.origin.id, hops: [RouteTrace.Hop(node: location.origin.id)],
            isCarried: false, carriers: location.carriers.map(\.id))
    }

    /// Makes this node the origin of `name` in the DHT alone, or takes that back. A name that is published here in
    /// earnest is left as it is.
    mutating func announce(
        _ id: RequestID, _ name: StreamName, isWithdrawn: Bool, lifetime: Interval?, at now: Now,
        events: inout EventBuffer<SwarmEvent>
    ) {
        guard streams[name]?.isOrigin != true else { return refuse(id, .nameTaken, events: &events) }
        announcements.remove(name)
        if isWithdrawn {
            discovery.dht.unpublish(name, at: now, into: &scratch.messages, events: &scratch.dhtEvents)
            return reply(id, .accepted, events: &events)
        }
        if let lifetime {
            guard announcements.add(name, until: now.monotonic + lifetime) else {
                return refuse(id, .full, events: &events)
            }
        }
        let isTaken = discovery.dht.publish(
            name, epoch: now.wallMilliseconds, at: now, into: &scratch.messages, events: &scratch.dhtEvents)
        if isTaken {
            reply(id, .accepted, events: &events)
        } else {
            announcements.remove(name)
            refuse(id, .full, events: &events)
        }
    }

    mutating func endAnnouncements(at now: Now) {
        while let name = announcements.popDue(now.monotonic) {
            guard streams[name]?.isOrigin != true else { continue }
            discovery.dht.unpublish(name, at: now, into: &scratch.messages, events: &scratch.dhtEvents)
        }
    }

    // MARK: Operators

    /// Asks a node whether it is there: where it was last known to be, and where that is nowhere or nobody answers, where it
    /// says itself that it is.
    mutating func beginPing(
        _ id: RequestID, _ node: NodeID, at now: Now, events: inout EventBuffer<SwarmEvent>
    ) {
        guard node != self.id else { return reply(id, .pinged(.zero), events: &events) }
        guard !pending.isFull else { return refuse(id, .full, events: &events) }
        pending.add(id, .ping(node, isLookedUp: false), deadline: now.monotonic + CompositionLimits.requestTimeout)
        if let contact = knownContact(of: node) {
            ping(contact, for: id, at: now)
        } else {
            lookUp(node, for: id, at: now)
        }
    }

    mutating func pinged(
        _ lookup: LookupID, _ roundTrip: Interval?, at now: Now, events: inout EventBuffer<SwarmEvent>
    ) {
        guard let id = pending.take(lookup: lookup), case .ping(let node, let isLookedUp) = pending[id] else { return }
        if roundTrip == nil, !isLookedUp {
            lookUp(node, for: id, at: now)
        } else {
            reply(id, .pinged(roundTrip), events: &events)
        }
    }

    /// What a node's neighbours keep of its addresses, or nil.
    mutating func reached(
        _ lookup: LookupID, _ contact: Contact?, at now: Now, events: inout EventBuffer<SwarmEvent>
    ) {
        guard let id = pending.take(lookup: lookup), case .ping(let node, _) = pending[id] else { return }
        let known = knownContact(of: node)
        if let contact, contact.addresses != known?.addresses {
            ping(contact, for: id, at: now)
        } else if known != nil || contact != nil {
            reply(id, .pinged(nil), events: &events)
        } else {
            refuse(id, .unknownNode, events: &events)
        }
    }

    private func knownContact(of node: NodeID) -> Contact? {
        discovery.dht.table.entry(of: node)?.contact ?? membership.member(node)?.contact
    }

    private mutating func ping(_ contact: Contact, for id: RequestID, at now: Now) {
        pending.bind(discovery.dht.ping(contact, at: now, into: &scratch.messages, events: &scratch.dhtEvents), to: id)
    }

    private mutating func lookUp(_ node: NodeID, for id: RequestID, at now: Now) {
        pending.change(id, to: .ping(node, isLookedUp: true))
        pending.bind(discovery.dht.reach(node, at: now, into: &scratch.messages, events: &scratch.dhtEvents), to: id)
    }

    func discoverySnapshot(at now: Now) -> DiscoverySnapshot {
        let entries = discovery.dht.table.entries
            .sorted { $0.contact.id.distance(to: id.bytes) < $1.contact.id.distance(to: id.bytes) }
        return DiscoverySnapshot(
            estimatedNodes: discovery.dht.estimatedSize,
            rows: entries.map { entry in
                DiscoverySnapshot.Row(
                    id: entry.contact.id, addresses: entry.contact.addresses, roundTrip: entry.roundTrip,
                    silence: now.monotonic - entry.lastHeard, failures: entry.failures, isSibling: entry.isSibling)
            },
            published: discovery.dht.publishedStreams.sorted(), records: discovery.dht.store.counts)
    }
}

/// Names announced by hand, each with its end.
struct Announcements {
    private var entries: [(name: StreamName, end: MonotonicInstant)] = []

    /// False where there are too many.
    mutating func add(_ name: StreamName, until end: MonotonicInstant) -> Bool {
        guard entries.count < CompositionLimits.announcements else { return false }
        entries.append((name, end))
        return true
    }

    mutating func remove(_ name: StreamName) { entries.removeAll { $0.name == name } }

    mutating func popDue(_ now: MonotonicInstant) -> StreamName? {
        guard let index = entries.firstIndex(where: { $0.end <= now }) else { return nil }
        return entries.remove(at: index).name
    }

    var nextDeadline: MonotonicInstant? { entries.reduce(nil) { Deadline.earlier($0, $1.end) } }
}

extension SwarmMachine {
    /// Members that nobody has declared gone, this node left out.
    package var presentPeers: Int { membership.presentCount }
}
