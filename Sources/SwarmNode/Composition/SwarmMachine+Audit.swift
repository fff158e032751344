import DHT
import Routing
import SwarmCore
import SwarmCrypto

/// How full one bounded table of a node is.
package struct TableAudit: Sendable {
    package let name: StaticString
    package let count: Int
    package let limit: Int

    package init(name: StaticString, count: Int, limit: Int) {
        self.name = name
        self.count = count
        self.limit = limit
    }
}

/// A member as a node believes it to be.
package struct MemberAudit: Sendable {
    package var id: NodeID
    /// Another value is another life.
    package var instance: UInt64
    package var version: UInt64
    /// Whether it counts as part of the swarm.
    package var isPresent: Bool

    package init(id: NodeID, instance: UInt64, version: UInt64, isPresent: Bool) {
        self.id = id
        self.instance = instance
        self.version = version
        self.isPresent = isPresent
    }
}

/// One stream's place in its tree as a node has it.
package struct RouteAudit: Sendable {
    package var stream: StreamName
    package var parent: NodeID?
    package var epoch: UInt64
    package var number: UInt32
    package var rank: Int?
    package var isOrigin: Bool
}

/// What the simulator's checkers read of a node. Nothing here changes anything.
extension SwarmMachine {
    private static var linkLimits: LinkLimits { LinkLimits() }
    private static let relationLimit = linkLimits.relations
    private static let pendingLimit = linkLimits.pendingResponses
    private static let contactLimit = DHTConfiguration().bucketSize * 256

    /// The first table beyond its limit, or nil: cheap enough to ask after every call.
    package var overfullTable: TableAudit? {
        if links.relationCount > Self.relationLimit {
            return TableAudit(name: "link relations", count: links.relationCount, limit: Self.relationLimit)
        }
        if links.pendingCount > Self.pendingLimit {
            return TableAudit(name: "pending responses", count: links.pendingCount, limit: Self.pendingLimit)
        }
        if discovery.dht.activeLookups > DHTLimits.lookups {
            return TableAudit(name: "lookups", count: discovery.dht.activeLookups, limit: DHTLimits.lookups)
        }
        if discovery.dht.pendingRequests > DHTLimits.requests {
            return TableAudit(name: "DHT requests", count: discovery.dht.pendingRequests, limit: DHTLimits.requests)
        }
        if routes.pendingFarewells > RoutingLimits.farewells {
            return TableAudit(name: "farewells", count: routes.pendingFarewells, limit: RoutingLimits.farewells)
        }
        if membership.presentCount > Limits.members {
            return TableAudit(name: "members", count: membership.presentCount, limit: Limits.members)
        }
        if streams.count > CompositionLimits.streams {
            return TableAudit(name: "streams", count: streams.count, limit: CompositionLimits.streams)
        }
        if sessions.count > CompositionLimits.sessions {
            return TableAudit(name: "sessions", count: sessions.count, limit: CompositionLimits.sessions)
        }
        return nil
    }

    /// Every bounded table of the node, those included that take a walk to count.
    package var tables: [TableAudit] {
        let stored = discovery.dht.store.counts
        return [
            TableAudit(name: "link relations", count: links.relationCount, limit: Self.relationLimit),
            TableAudit(name: "pending responses", count: links.pendingCount, limit: Self.pendingLimit),
            TableAudit(name: "routing table", count: discovery.dht.table.count, limit: Self.contactLimit),
            TableAudit(name: "lookups", count: discovery.dht.activeLookups, limit: DHTLimits.lookups),
            TableAudit(name: "DHT requests", count: discovery.dht.pendingRequests, limit: DHTLimits.requests),
            TableAudit(name: "records", count: stored.living, limit: DHTLimits.records),
            TableAudit(name: "remembered records", count: stored.remembered, limit: DHTLimits.rememberedRecords),
            TableAudit(
                name: "published streams", count: discovery.dht.publishedStreams.count,
                limit: DHTLimits.publishedStreams),
            TableAudit(name: "members", count: membership.knownCount, limit: Limits.members),
            TableAudit(name: "routes", count: routes.streams.count, limit: RoutingLimits.streams),
            TableAudit(name: "media links", count: routes.mediaLinks.count, limit: RoutingLimits.mediaLinks),
            TableAudit(name: "farewells", count: routes.pendingFarewells, limit: RoutingLimits.farewells),
            TableAudit(
                name: "child nodes", count: routes.maxChildren - routes.freeChildSlots, limit: routes.maxChildren),
            TableAudit(name: "streams", count: streams.count, limit: CompositionLimits.streams),
            TableAudit(name: "sessions", count: sessions.count, limit: CompositionLimits.sessions),
            TableAudit(name: "listings", count: pending.listingCount, limit: CompositionLimits.listings),
            TableAudit(name: "lookups for routes", count: lookupsForRoutes.count, limit: DHTLimits.lookups),
            TableAudit(name: "plain requests", count: plainRequests.count, limit: CompositionLimits.pendingRequests),
        ]
    }

    /// Whether a call has left something unsaid: a driver would never send it.
    package var hasUnsettledWork: Bool { !scratch.messages.isEmpty || refusals[.unsettled] > 0 }

    /// Which of the node's machines want to be called by `now`: those to blame for a deadline left behind.
    package func overdue(at now: MonotonicInstant) -> [String] {
        let deadlines = [
            ("links", links.nextDeadline), ("dht", discovery.dht.nextDeadline),
            ("membership", configuration.hasMembership ? membership.nextDeadline : nil),
            ("routes", routes.nextDeadline),
            ("streams", streams.nextRelease), ("pending", pending.nextDeadline),
        ]
        return deadlines.filter { ($0.1 ?? .distantFuture) <= now }.map(\.0)
    }

    package var dhtRefusals: Counters<DHTRefusal> { discovery.dht.refusals }
    package var linkRefusals: Counters<LinkRefusal> { links.refusals }

    /// The version of this node's own description.
    package var ownVersion: UInt64 { membership.own.version }

    /// Every member in the view.
    package func forEachMember(_ body: (MemberAudit) -> Void) {
        membership.forEachKnown { id, instance, version, status in
            body(MemberAudit(id: id, instance: instance, version: version, isPresent: status.isPresent))
        }
    }

    package func knowsMember(_ id: NodeID) -> Bool { membership.status(of: id)?.isPresent ?? false }
    package var presentMembers: Int { membership.presentCount }
    package func hasContact(_ id: NodeID) -> Bool { discovery.dht.table.entry(of: id) != nil }
    package var contactCount: Int { discovery.dht.table.count }

    /// The stream's place in its tree; nil where the node has no route of it.
    package func route(of stream: StreamName) -> RouteAudit? {
        guard let route = routes.snapshot(of: stream) else { return nil }
        return RouteAudit(
            stream: stream, parent: route.parent?.id, epoch: route.epoch, number: route.number, rank: route.rank,
            isOrigin: route.role == .origin)
    }

    package var routedStreams: [StreamName] { routes.streams }

    /// A fingerprint of what this node believes and holds: relations, contacts, records, members, routes; without
    /// counters, and without what a first handshake message may leave behind for a moment (answers not yet confirmed,
    /// reservations). A replayed datagram leaves it as it was.
    package var stateFingerprint: UInt64 {
        var hash = Fingerprint()
        hash.mix(UInt64(links.relationCount))
        for entry in discovery.dht.table.entries {
            hash.mix(entry.contact)
            hash.mix(entry.lastHeard.nanoseconds)
            hash.mix(UInt64(bitPattern: entry.roundTrip?.nanoseconds ?? -1))
            hash.mix(UInt64(entry.failures))
        }
        let stored = discovery.dht.store.counts
        for count in [
            stored.living, stored.remembered, stored.keys, discovery.dht.activeLookups, discovery.dht.pendingRequests,
        ] {
            hash.mix(UInt64(count))
        }
        for stream in discovery.dht.publishedStreams { hash.mix(stream.text) }
        mixMembers(&hash)
        for stream in routes.streams {
            guard let route = routes.snapshot(of: stream) else { continue }
            hash.mix(stream.text)
            hash.mix(route.epoch)
            hash.mix(UInt64(route.number))
            hash.mix(UInt64(route.rank ?? 255))
            hash.mix(route.parent?.id.bytes.word0 ?? 0)
            for child in route.children where child.isAttached { hash.mix(child.node.bytes.word0) }
        }
        hash.mix(UInt64(streams.count) << 32 | UInt64(sessions.count))
        return hash.value
    }

    private func mixMembers(_ hash: inout Fingerprint) {
        hash.mix(membership.own.version)
        membership.forEachKnown { id, instance, version, status in
            hash.mix(id.bytes.word0)
            hash.mix(instance)
            hash.mix(version)
            hash.mix(UInt64(status.rawValue))
            hash.mix(links.lastHeard(of: id)?.nanoseconds ?? 0)
            if let address = links.address(of: id) { hash.mix(address) }
        }
    }
}

/// Quick, well mixed, no defence against anybody.
private struct Fingerprint {
    private(set) var value: UInt64 = 0x6d61_6661_6c64_6121

    mutating func mix(_ word: UInt64) {
        value = (value ^ word) &* 0x9e37_79b9_7f4a_7c15
        value ^= value >> 29
    }

    mutating func mix(_ text: String) { for byte in text.utf8 { mix(UInt64(byte)) } }

    mutating func mix(_ address: NetworkAddress) {
        mix(address.high)
        mix(address.low)
        mix(UInt64(address.port))
    }

    mutating func mix(_ contact: Contact) {
        mix(contact.id.bytes.word0)
        for address in contact.addresses { mix(address) }
    }
}
