import DHT
import MediaRelay
import Routing
import SwarmCore
import SwarmCrypto

/// What the node shows of itself and of the swarm.
extension SwarmMachine {
    func memberSnapshots(at now: Now) -> [MemberSnapshot] {
        let own = MemberSnapshot(
            id: id, key: configuration.identity.key, addresses: membership.own.contact.addresses, state: .alive,
            roundTrip: .zero,
            load: Double(load) / 1000, age: .zero, isSelf: true, publicURL: configuration.publicURL)
        return (membership.members.map { snapshot($0, at: now) } + [own]).sorted { $0.id < $1.id }
    }

    func memberSnapshot(of node: NodeID, at now: Now) -> MemberSnapshot? {
        membership.member(node).map { snapshot($0, at: now) }
    }

    private func snapshot(_ member: Member, at now: Now) -> MemberSnapshot {
        let state: MemberSnapshot.State =
            switch member.status {
            case .alive: .alive
            case .suspected: .suspected
            case .failed: .failed
            case .left: .left
            }
        return MemberSnapshot(
            id: member.id, key: member.contact.key, addresses: member.contact.addresses, state: state,
            roundTrip: links.roundTrip(to: member.id) ?? membership.predictedRoundTrip(from: id, to: member.id),
            load: Double(member.description.load) / 1000, age: member.lastHeard.map { now.monotonic - $0 },
            isSelf: false, publicURL: member.description.publicURL)
    }

    func localStreams(under prefix: String) -> [StreamSnapshot] {
        streams.sortedNames.filter { $0.isUnder(prefix) }.compactMap { name in
            guard let stream = streams[name], stream.descriptor != nil else { return nil }
            guard let origin = origin(of: name) else { return nil }
            return snapshot(stream, origin: origin)
        }
    }

    private func snapshot(_ stream: LocalStream, origin: NodeID) -> StreamSnapshot {
        StreamSnapshot(
            name: stream.name, origin: origin, descriptor: stream.descriptor, viewers: stream.viewerCount,
            children: routes.snapshot(of: stream.name)?.children.count ?? 0, isCarried: stream.isFed)
    }

    /// The swarm's listing joined with what is carried here, sorted by name.
    mutating func finishListing(
        _ request: RequestID, _ listed: [ListedStream], events: inout EventBuffer<SwarmEvent>
    ) {
        guard case .listing(let prefix)? = pending[request] else { return }
        var found = localStreams(under: prefix)
        for entry in listed where !found.contains(where: { $0.name == entry.stream }) {
            // Our own record outlives an unpublish by a moment.
            guard entry.origin.id != id else { continue }
            found.append(
                StreamSnapshot(
                    name: entry.stream, origin: entry.origin.id, descriptor: nil, viewers: 0, children: 0,
                    isCarried: false))
        }
        found.sort { $0.name < $1.name }
        reply(request, .streams(Array(found.prefix(CompositionLimits.listedStreams))), events: &events)
    }

    private func origin(of name: StreamName) -> NodeID? {
        if streams[name]?.isOrigin == true { return id }
        return routes.snapshot(of: name)?.path.first.flatMap { resolve($0) }
    }

    /// The whole id of a node on a path, by its first eight bytes.
    private func resolve(_ prefix: UInt64) -> NodeID? {
        if id.prefix == prefix { return id }
        return membership.members.first { $0.id.prefix == prefix }?.id
    }

    /// Origin first, this node last; nil where the stream is not carried here.
    func routeTrace(_ name: StreamName) -> RouteTrace? {
        guard let stream = streams[name], stream.isFed else { return nil }
        if stream.isOrigin {
            return RouteTrace(stream: name, origin: id, hops: [RouteTrace.Hop(node: id)])
        }
        guard let route = routes.snapshot(of: name), route.role == .attached || route.role == .attaching else {
            return nil
        }
        let nodes = route.path.compactMap { resolve($0) } + [id]
        var hops: [RouteTrace.Hop] = []
        for node in nodes {
            guard let parent = hops.last?.node else {
                hops.append(RouteTrace.Hop(node: node))
                continue
            }
            let roundTrip =
                (node == id ? links.roundTrip(to: parent) : nil)
                ?? membership.predictedRoundTrip(from: parent, to: node)
            let loss = node == id ? membership.member(parent)?.quality.lossPerMille.map { Double($0) / 1000 } : nil
            hops.append(RouteTrace.Hop(node: node, parent: parent, roundTrip: roundTrip, lossRatio: loss))
        }
        guard let origin = hops.first?.node else { return nil }
        return RouteTrace(stream: name, origin: origin, hops: hops)
    }

    func report(_ workers: [WorkerStatistics]) -> NodeStatistics {
        NodeStatistics(
            streams: streams.count, publishers: sessions.publisherCount, viewers: sessions.viewerCount,
            children: routes.maxChildren - routes.freeChildSlots, peers: membership.presentCount,
            load: Double(load) / 1000, workers: workers,
            names: streams.namesByHandle, refusals: controlRefusals())
    }

    private func controlRefusals() -> [(reason: String, count: UInt64)] {
        var rows: [(reason: String, count: UInt64)] = []
        rows += links.refusals.all.map { ("link.\($0.reason)", $0.count) }
        rows += discovery.dht.refusals.all.map { ("dht.\($0.reason)", $0.count) }
        rows += membership.refusals.all.map { ("membership.\($0.reason)", $0.count) }
        rows += routes.refusals.all.map { ("routes.\($0.reason)", $0.count) }
        rows += refusals.all.map { ("composition.\($0.reason)", $0.count) }
        return rows.filter { $0.count > 0 }
    }
}
