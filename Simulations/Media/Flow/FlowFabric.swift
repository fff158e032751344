import MediaRelay
import SwarmCore
import SwarmCrypto

/// The media plane of a whole simulation at flow fidelity: it takes the commands that `MediaWorker`s take and emits the
/// events they emit, but carries rates instead of packets, so that thousands of nodes cost nothing while nothing changes.
///
/// It is one party on the engine's heap: `nextDeadline` and `advance(to:)` in the simulation's time, whatever the nodes'
/// own clocks show. The engine says which nodes live (`startNode`, `stopNode`, `pauseNode`, `resumeNode`) and when paths
/// have changed (`pathsChanged`); between nodes the fabric asks `paths` for the one-way delay, nil where nothing gets
/// through. Before it calls a node's `FlowMedia` the engine sets `clock`.
///
/// What is modelled as in the worker: opening by the child's repeated OPEN and the parent's answer; silence of a second
/// from the last keep-alive or packet; RESUME repeated until the parent has attached the child; the linger of an earlier
/// parent; media arriving one way later at each hop; a client's ICE and DTLS round trips. What is not: loss (a path works
/// or does not), queues, congestion (load is reported, not enforced), key frames (a fed node can start a viewer at once).
package final class FlowFabric {
    package let configuration: FlowConfiguration
    /// One way from a node to another now; nil where nothing gets through.
    private let paths: (Int, Int) -> Interval?
    private let seed: UInt64
    /// The simulation's time, set by the engine and by `advance`.
    package var clock = MonotonicInstant.zero

    var nodes: [FlowNode] = []
    private var indexOfID: [NodeID: Int] = [:]
    var links = FlowTable<FlowLinkEnd>()
    var streams = FlowTable<FlowStream>()
    var linkOfHandle: [NodeKey: FlowLinkReference] = [:]
    var streamOfHandle: [NodeKey: FlowStreamReference] = [:]
    var sessions: [SessionKey: FlowSession] = [:]
    var queue = FlowQueue<FlowEvent>()

    var offers: FlowOffers
    /// When each client made its offer, by client number.
    var offered: [MonotonicInstant] = []
    var viewerRows: [FlowViewer] = []
    /// Sum of all viewers' time with media, and without it after their first.
    package internal(set) var viewerServed = Interval.zero
    /// Every gap that a viewer has met, in order of their ends.
    package internal(set) var gaps: [Interval] = []

    /// A handle or a connection id of one node.
    struct NodeKey: Hashable {
        let node: Int
        let raw: UInt32
    }

    struct SessionKey: Hashable {
        let node: Int
        let session: SessionID
    }

    enum FlowSession {
        case publisher(FlowStreamReference)
        case viewer(Int)
    }

    /// `paths(from, to)` answers for the present.
    package init(
        configuration: FlowConfiguration = FlowConfiguration(), seed: UInt64,
        paths: @escaping (Int, Int) -> Interval?
    ) {
        self.configuration = configuration
        self.seed = seed
        self.paths = paths
        offers = FlowOffers(seed: seed)
    }

    // MARK: Nodes

    /// Node `node` lives from now on, with nothing open; a node that is up is stopped first.
    package func startNode(_ node: Int, id: NodeID) {
        while nodes.count <= node { nodes.append(FlowNode()) }
        if nodes[node].isUp { stopNode(node) }
        indexOfID[id] = node
        nodes[node].isUp = true
        nodes[node].isPaused = false
        nodes[node].life &+= 1
    }

    /// Crash or exit: everything the node had open is gone, and nobody is told.
    package func stopNode(_ node: Int) {
        guard node < nodes.count, nodes[node].isUp else { return }
        nodes[node].isUp = false
        reviewPaths(of: node)
        for link in nodes[node].links.reversed() { closeLink(link) }
        for stream in nodes[node].streams { abandon(stream) }
        nodes[node].isPaused = false
        nodes[node].streams = []
        nodes[node].held = []
    }

    /// The process stands still; what is sent to it waits.
    package func pauseNode(_ node: Int) {
        guard nodes[node].isUp, !nodes[node].isPaused else { return }
        nodes[node].isPaused = true
        reviewPaths(of: node)
    }

    /// It goes on: what waited in its sockets is read before its timers are looked at.
    package func resumeNode(_ node: Int) {
        guard nodes[node].isUp, nodes[node].isPaused else { return }
        nodes[node].isPaused = false
        reviewPaths(of: node)
        let held = nodes[node].held
        nodes[node].held = []
        for event in held { queue.push(event, at: clock) }
    }

    /// Partitions, delays or clogs have changed: every link is looked at again.
    package func pathsChanged() {
        for node in nodes.indices where nodes[node].isUp { reviewPaths(of: node) }
    }

    private func reviewPaths(of node: Int) {
        for link in nodes[node].links {
            reviewPath(of: link)
            if let other = links[link].other { reviewPath(of: other) }
        }
    }

    /// Egress that the node may use; nil for no bound. Only reported against, never enforced.
    package func setCapacity(_ bitsPerSecond: Double?, of node: Int) {
        nodes[node].capacityBitsPerSecond = bitsPerSecond
    }

    func index(of id: NodeID) -> Int? { indexOfID[id] }

    /// One way to `to`, nil where nothing sent now would arrive.
    func oneWay(from: Int, to: Int) -> Interval? {
        guard nodes[from].isUp, !nodes[from].isPaused, nodes[to].isUp else { return nil }
        return from == to ? .microseconds(20) : paths(from, to)
    }

    func clientDelay(of client: MediaClientID) -> Interval {
        configuration.timing.clientDelay(of: client, seed: seed)
    }

    // MARK: Time

    package var nextDeadline: MonotonicInstant? { queue.nextDue }

    /// Runs everything that is due by `now`; what the workers say goes to `reports`, in order.
    package func advance(to now: MonotonicInstant, into reports: inout EventBuffer<FlowReport>) {
        while let (due, event) = queue.popDue(at: now) {
            clock = max(clock, due)
            if let node = owner(of: event), nodes[node].isPaused {
                nodes[node].held.append(event)
            } else if case .report(let node, let life, let worker, let report) = event {
                guard nodes[node].isUp, nodes[node].life == life else { continue }
                reports.append(FlowReport(node: node, worker: worker, event: report))
            } else {
                run(event)
            }
        }
        clock = max(clock, now)
    }

    /// The node whose worker an event concerns; nil where it is gone.
    private func owner(of event: FlowEvent) -> Int? {
        switch event {
        case .command(let node, _, _, _), .report(let node, _, _, _), .connect(let node, _, _),
            .consentLost(let node, _, _):
            node
        case .hear(let link, _), .silence(let link, _), .openTimeout(let link), .start(let link, _, _),
            .feed(let link, _, _, _), .expire(let link, _), .ended(let link, _):
            links.contains(link) ? links[link].node : nil
        }
    }

    private func run(_ event: FlowEvent) {
        switch event {
        case .command(let node, let life, let worker, let command):
            guard nodes[node].isUp, nodes[node].life == life else { return }
            run(command, node: node, worker: worker)
        case .report: break
        case .hear(let link, let serial):
            if links.contains(link) { heard(link, serial: serial) }
        case .silence(let link, let serial):
            if links.contains(link) { fellSilent(link, serial: serial) }
        case .openTimeout(let link):
            if links.contains(link), !links[link].isEstablished { lose(link) }
        case .start(let link, let alias, let serial):
            if links.contains(link) { start(link, alias: alias, serial: serial) }
        case .feed(let link, let alias, let serial, let hops):
            if links.contains(link) { feedArrived(link, alias: alias, serial: serial, hops: hops) }
        case .expire(let link, let alias):
            if links.contains(link) { expire(link, alias: alias) }
        case .ended(let link, let alias):
            if links.contains(link) { parentEnded(link, alias: alias) }
        case .connect(let node, let life, let session):
            guard nodes[node].isUp, nodes[node].life == life else { return }
            connected(SessionKey(node: node, session: session))
        case .consentLost(let node, let life, let session):
            guard nodes[node].isUp, nodes[node].life == life else { return }
            close(SessionKey(node: node, session: session), reason: .timedOut)
        }
    }

    // MARK: Commands and reports

    /// Puts a command on its way to worker `worker` of `node`.
    func submit(_ command: WorkerCommand, node: Int, worker: Int) {
        queue.push(
            .command(node: node, life: nodes[node].life, worker: worker, command),
            at: clock + configuration.timing.hop)
    }

    func report(_ event: WorkerEvent, node: Int, worker: Int) {
        queue.push(
            .report(node: node, life: nodes[node].life, worker: worker, event), at: clock + configuration.timing.hop)
    }

    private func run(_ command: WorkerCommand, node: Int, worker: Int) {
        switch command {
        case .openStream(let handle, let descriptor): openStream(handle, descriptor, node: node, worker: worker)
        case .closeStream(let handle, let reason):
            if let stream = stream(handle, of: node) { closeStream(stream, reason: reason) }
        case .addPublisher(let configuration): addPublisher(configuration, node: node, worker: worker)
        case .addViewer(let configuration): addViewer(configuration, node: node, worker: worker)
        case .removeSession(let session, let reason):
            close(SessionKey(node: node, session: session), reason: reason)
        case .restartICE: break
        case .openLink(let configuration): openLink(configuration, node: node, worker: worker)
        case .closeLink(let handle):
            if let link = link(handle, of: node) { closeLink(link) }
        case .attachParent(let handle, let linkHandle, let alias, _):
            guard let stream = stream(handle, of: node), let link = link(linkHandle, of: node) else { return }
            attachParent(stream, link: link, alias: alias)
        case .detachParent(let handle):
            if let stream = stream(handle, of: node) { detachParent(stream) }
        case .attachChild(let handle, let linkHandle, let alias, _):
            guard let stream = stream(handle, of: node), let link = link(linkHandle, of: node) else { return }
            attachChild(stream, link: link, alias: alias)
        case .detachChild(let handle, let linkHandle):
            guard let stream = stream(handle, of: node), let link = link(linkHandle, of: node) else { return }
            detachChild(stream, link: link)
        case .collectStatistics(let token):
            report(.statistics(statistics(token: token, node: node, worker: worker)), node: node, worker: worker)
        }
    }

    private func stream(_ handle: StreamHandle, of node: Int) -> FlowStreamReference? {
        streamOfHandle[NodeKey(node: node, raw: handle.raw)]
    }

    private func link(_ handle: LinkHandle, of node: Int) -> FlowLinkReference? {
        linkOfHandle[NodeKey(node: node, raw: handle.raw)]
    }
}
