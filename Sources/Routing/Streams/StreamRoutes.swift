import SwarmCore
import SwarmCrypto

/// The trees of all streams, as far as they touch this node: one tree per stream, grown by the nodes themselves.
///
/// A child subscribes at a parent, which accepts, delegates to its own children, or refuses. Media travels over *media
/// links* between workers, opened by the child and shared by all streams between the same two workers. Trees are
/// loop-free at every instant by the feasibility condition of Babel (`Feasibility`).
///
/// This machine never touches keys or sockets: its events carry what the composition needs to derive keys and to
/// command workers. Call order for a viewer: `subscribe`, `offer` after every `.needsCandidates`, `mediaLinkEstablished`
/// when a worker has seen the link work, `release`. For a publisher: `publish`, `updateDescriptor`, `unpublish`.
/// A call emits at most four events per edge it touches; `receive` touches one stream's edges, `peerFailed` and
/// `mediaLinkLost` all edges of that peer or link.
package struct StreamRoutes: ~Copyable, PeerMachine {
    package typealias Event = StreamRouteEvent
    typealias Events = EventBuffer<StreamRouteEvent>

    /// An UNSUBSCRIBE or ENDED that is repeated until answered.
    struct Farewell: Sendable {
        let contact: Contact
        let subscription: UInt64
        /// Nil for UNSUBSCRIBE.
        let endReason: EndReason?
        var sends = 0
        var next: MonotonicInstant
    }

    var configuration: StreamRoutesConfiguration
    var generator: SeededGenerator
    /// Sorted by name.
    var routes: [Route] = []
    var links: MediaLinkTable
    var farewells: [Farewell] = []
    /// Child edges per node; its count is the fan-out that `maxChildren` bounds. Looked up, never walked.
    var fanOut: [NodeID: Int] = [:]
    var childEdgeCount = 0
    private var nextSubscription: UInt64
    private var nextAlias: UInt32
    package internal(set) var refusals = Counters<RoutingRefusal>()
    private let inPlace = InPlace()

    package init(configuration: StreamRoutesConfiguration, generator: SeededGenerator, now: Now) {
        precondition(!configuration.workerPorts.isEmpty, "a node has at least one worker")
        var generator = generator
        self.configuration = configuration
        links = MediaLinkTable(firstID: UInt32(truncatingIfNeeded: generator.next()))
        nextAlias = UInt32(truncatingIfNeeded: generator.next())
        // Later than those of an earlier life, so that a parent can tell old requests from new ones.
        nextSubscription = now.wallMilliseconds << 16
        self.generator = generator
    }

    // MARK: Publishing

    /// Makes this node the origin of `stream`. Repeated with a newer epoch, a new publication replaces the old one;
    /// children stay. False where the descriptor exceeds its limit or the table is full.
    @discardableResult
    package mutating func publish(
        _ stream: StreamName, epoch: UInt64, descriptor: [UInt8], worker: Int, at now: Now,
        into out: inout MessageOutbox, events: inout EventBuffer<StreamRouteEvent>
    ) -> Bool {
        guard descriptor.count <= RoutingLimits.descriptorBytes else { return false }
        guard let index = routeIndex(of: stream, worker: worker) else { return false }
        if !routes[index].isOrigin { detachUpstream(index, at: now, into: &out, events: &events) }
        routes[index].isOrigin = true
        routes[index].search = nil
        routes[index].seekingSince = nil
        routes[index].number = epoch == routes[index].epoch ? routes[index].number &+ 1 : 1
        routes[index].epoch = epoch
        routes[index].descriptor = descriptor
        stopCarrying(index, events: &events)
        advertise(index, at: now, into: &out)
        return true
    }

    /// A newer descriptor of a stream published here; told to the whole tree. False where it is not, or too large.
    @discardableResult
    package mutating func updateDescriptor(
        _ stream: StreamName, descriptor: [UInt8], at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<StreamRouteEvent>
    ) -> Bool {
        guard descriptor.count <= RoutingLimits.descriptorBytes, let index = index(of: stream), routes[index].isOrigin
        else { return false }
        routes[index].descriptor = descriptor
        advertise(index, at: now, into: &out)
        return true
    }

    /// Ends the publication: the whole tree is told, and this node forgets the stream.
    package mutating func unpublish(
        _ stream: StreamName, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<StreamRouteEvent>
    ) {
        guard let index = index(of: stream), routes[index].isOrigin else { return }
        removeRoute(index, telling: .unpublished, at: now, into: &out, events: &events)
    }

    // MARK: Watching

    /// Local viewers want `layers` of the stream; `worker` is its home worker here. On a stream that is here already
    /// this only adds the interest (read `snapshot(of:)` for what is attached).
    package mutating func subscribe(
        _ stream: StreamName, layers: UInt64, worker: Int, candidates: [RouteCandidate], at now: Now,
        into out: inout MessageOutbox, events: inout EventBuffer<StreamRouteEvent>
    ) {
        guard let index = routeIndex(of: stream, worker: worker) else {
            return events.append(.failed(stream: stream, reason: .tableFull))
        }
        routes[index].hasLocalInterest = true
        routes[index].localLayers = layers
        guard !routes[index].isOrigin else { return }
        if routes[index].parent == nil, routes[index].search == nil {
            routes[index].seekingSince = now.monotonic
            routes[index].search = Search(now: now.monotonic)
        }
        if routes[index].search != nil { addCandidates(candidates, to: index, at: now) }
        refreshLayers(index, at: now)
        settle(stream, at: now, into: &out, events: &events)
    }

    /// Candidates for a parent, after `.needsCandidates` or because better ones were found: on an attached stream the
    /// old parent serves until the new one's link is up.
    package mutating func offer(
        _ stream: StreamName, candidates: [RouteCandidate], at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<StreamRouteEvent>
    ) {
        guard let index = index(of: stream), !routes[index].isOrigin, routes[index].nextParent == nil else { return }
        if routes[index].search == nil {
            guard let parent = routes[index].parent, parent.isEstablished else { return }
            routes[index].search = Search(now: now.monotonic)
        }
        addCandidates(candidates.filter { $0.contact.id != routes[index].parent?.contact.id }, to: index, at: now)
        settle(stream, at: now, into: &out, events: &events)
    }

    package mutating func setLayers(
        _ stream: StreamName, layers: UInt64, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<StreamRouteEvent>
    ) {
        guard let index = index(of: stream) else { return }
        routes[index].localLayers = layers
        refreshLayers(index, at: now)
        settle(stream, at: now, into: &out, events: &events)
    }

    /// No local viewer is left. The stream is kept while it has children.
    package mutating func release(
        _ stream: StreamName, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<StreamRouteEvent>
    ) {
        guard let index = index(of: stream) else { return }
        routes[index].hasLocalInterest = false
        routes[index].localLayers = 0
        refreshLayers(index, at: now)
        leaveIfUnused(index, at: now, into: &out, events: &events)
        settle(stream, at: now, into: &out, events: &events)
    }

    // MARK: What the world does

    /// A member failed, left, or restarted: every edge with it is gone.
    package mutating func peerFailed(
        _ peer: NodeID, at now: Now, into out: inout MessageOutbox, events: inout EventBuffer<StreamRouteEvent>
    ) {
        farewells.removeAll { $0.contact.id == peer }
        for stream in streams {
            guard let index = index(of: stream), touches(routes[index], peer) else { continue }
            loseUpstream(
                index, where: { $0.contact.id == peer }, telling: false, at: now, into: &out, events: &events)
            if let index = self.index(of: stream) {
                routes[index].search?.asks.removeAll { $0.candidate.contact.id == peer }
                routes[index].search?.waiting.removeAll { $0.candidate.contact.id == peer }
            }
            dropChildren(
                of: stream, where: { $0.contact.id == peer }, telling: nil, at: now, into: &out, events: &events)
            settle(stream, at: now, into: &out, events: &events)
        }
    }

    /// A worker has received the first authentic packet of the link.
    package mutating func mediaLinkEstablished(
        _ link: UInt32, at now: Now, into out: inout MessageOutbox, events: inout EventBuffer<StreamRouteEvent>
    ) {
        guard links.establish(link) else { return }
        for stream in streams {
            guard let index = index(of: stream) else { continue }
            if routes[index].parent?.link == link { parentEstablished(index, at: now, events: &events) }
            if routes[index].nextParent?.link == link { promoteNextParent(index, at: now, into: &out, events: &events) }
            for child in routes[index].children.indices where routes[index].children[child].link == link {
                if routes[index].children[child].hasOwnLink { confirm(index, child: child, at: now) }
                attachIfReady(index, child: child, events: &events)
            }
            settle(stream, at: now, into: &out, events: &events)
        }
    }

    /// A worker has heard nothing over the link for its time-out.
    package mutating func mediaLinkLost(
        _ link: UInt32, at now: Now, into out: inout MessageOutbox, events: inout EventBuffer<StreamRouteEvent>
    ) {
        for stream in streams {
            guard let index = index(of: stream) else { continue }
            loseUpstream(index, where: { $0.link == link }, telling: true, at: now, into: &out, events: &events)
            dropChildren(
                of: stream, where: { $0.link == link }, telling: .linkLost, at: now, into: &out, events: &events)
            settle(stream, at: now, into: &out, events: &events)
        }
    }

    // MARK: Reading

    package var streams: [StreamName] { routes.map(\.stream) }
    /// Links that are open or being opened.
    package var mediaLinks: [MediaLinkPlan] { links.links.map(\.plan) }
    /// How many more nodes may become children.
    package var freeChildSlots: Int { max(0, maxChildren - fanOut.count) }
    package var maxChildren: Int { max(0, min(configuration.maxChildren, RoutingLimits.childNodes)) }
    /// UNSUBSCRIBE and ENDED messages not answered yet.
    package var pendingFarewells: Int { farewells.count }

    package func descriptor(of stream: StreamName) -> [UInt8]? {
        guard let index = index(of: stream) else { return nil }
        return routes[index].isOrigin ? routes[index].descriptor : routes[index].parent?.advertisement.descriptor
    }

    package func snapshot(of stream: StreamName) -> RouteSnapshot? {
        guard let index = index(of: stream) else { return nil }
        let route = routes[index]
        let children = route.children.map {
            RouteSnapshot.Child(
                node: $0.contact.id, link: $0.link, alias: $0.alias, layers: $0.layers, isAttached: $0.isAttached)
        }
        return RouteSnapshot(
            stream: stream, role: route.role, worker: route.worker, parent: route.parent?.contact,
            parentLink: route.parent?.link, children: children, rank: route.position.map { Int($0.rank) },
            number: route.position?.number ?? route.number, epoch: route.epoch, path: route.pathToParent,
            layers: route.wantedLayers, hasLocalInterest: route.hasLocalInterest,
            obstacle: route.search?.reason,
            descriptor: descriptor(of: stream) ?? [])
    }

    // MARK: Shared helpers

    func index(of stream: StreamName) -> Int? {
        let place = insertionIndex(of: stream)
        return place < routes.count && routes[place].stream == stream ? place : nil
    }

    private func insertionIndex(of stream: StreamName) -> Int {
        var low = 0
        var high = routes.count
        while low < high {
            let middle = (low + high) / 2
            if routes[middle].stream < stream { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The route, made where there is none; nil where the table is full.
    private mutating func routeIndex(of stream: StreamName, worker: Int) -> Int? {
        if let index = index(of: stream) { return index }
        guard routes.count < RoutingLimits.streams else { return nil }
        let worker = min(max(worker, 0), configuration.workerPorts.count - 1)
        let place = insertionIndex(of: stream)
        routes.insert(Route(stream: stream, worker: worker), at: place)
        return place
    }

    mutating func allocateSubscription() -> UInt64 {
        nextSubscription &+= 1
        return nextSubscription
    }

    mutating func allocateAlias() -> UInt32 {
        nextAlias = nextAlias == .max ? 1 : nextAlias + 1
        return nextAlias
    }

    private func touches(_ route: Route, _ peer: NodeID) -> Bool {
        if route.parent?.contact.id == peer || route.nextParent?.contact.id == peer { return true }
        if route.children.contains(where: { $0.contact.id == peer }) { return true }
        guard let search = route.search else { return false }
        return search.asks.contains { $0.candidate.contact.id == peer }
            || search.waiting.contains { $0.candidate.contact.id == peer }
    }

    mutating func releaseLink(_ link: UInt32, events: inout EventBuffer<StreamRouteEvent>) {
        guard let plan = links.release(link) else { return }
        events.append(.closeLink(link: link, worker: plan.localWorker))
    }
}
