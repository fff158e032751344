import MediaRelay
import SwarmCore
import SwarmCrypto

/// The media plane of a whole simulation at flow fidelity: it takes the commands that `MediaWorker`s take and emits the
/// events they emit, but carries rates instead of packets, so that thousands of nodes cost nothing while nothing changes.
///
/// It lives in the simulation's time, whatever the nodes' own clocks show: what happens at one node concerns others, so it
/// has one queue for all of them, and the engine calls `wake` when the fabric has asked for it. The engine says which nodes
/// live (`startNode`, and `FlowMedia.stop` and `pause`) and what befalls the network (`note`).
///
/// What is modelled as in the worker: opening by the child's repeated OPEN and the parent's answer; silence of a second
/// from the last keep-alive or packet; RESUME repeated until the parent has attached the child; the linger of an earlier
/// parent; media arriving one way later at each hop; a client's ICE and DTLS round trips. What is not: loss (a path works
/// or does not), queues, congestion (load is reported, not enforced), key frames (a fed node can start a viewer at once).
package final class FlowFabric {
    package let configuration: FlowConfiguration
    private let surroundings: FlowSurroundings
    private let clientPaths: ClientPaths
    /// The simulation's time at the call under way.
    private(set) var clock = MonotonicInstant.zero
    /// When the engine will call `wake`.
    private var wakeAt: MonotonicInstant?
    /// Those that have not ended.
    private var faults: [NetworkFault] = []

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
    /// Every gap that a viewer has met, in order of their ends; the first `FlowTimes.gaps` of them.
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

    package init(
        configuration: FlowConfiguration = FlowConfiguration(), clients: ClientPaths, seed: UInt64,
        surroundings: FlowSurroundings
    ) {
        self.configuration = configuration
        self.surroundings = surroundings
        clientPaths = clients
        offers = FlowOffers(seed: seed)
    }

    // MARK: Nodes

    /// Node `node` lives from now on, with nothing open; a node that is up is stopped first.
    package func startNode(_ node: Int, id: NodeID) {
        begin()
        while nodes.count <= node { nodes.append(FlowNode()) }
        if nodes[node].isUp { stopNode(node) }
        indexOfID[id] = node
        nodes[node].isUp = true
        nodes[node].pausedUntil = nil
        nodes[node].life &+= 1
    }

    /// Crash or exit: everything the node had open is gone, and nobody is told.
    package func stopNode(_ node: Int) {
        begin()
        guard node < nodes.count, nodes[node].isUp else { return }
        nodes[node].isUp = false
        reviewPaths(of: node)
        for link in nodes[node].links.reversed() { closeLink(link) }
        for stream in nodes[node].streams { abandon(stream) }
        nodes[node].pausedUntil = nil
        nodes[node].streams = []
        nodes[node].held = []
        askForWake()
    }

    /// The process stands still until `end`; what is sent to it waits.
    package func pauseNode(_ node: Int, until end: MonotonicInstant) {
        begin()
        guard nodes[node].isUp, end > clock else { return }
        nodes[node].pausedUntil = max(nodes[node].pausedUntil ?? end, end)
        queue.push(.resume(node: node), at: end)
        reviewPaths(of: node)
        askForWake()
    }

    /// What waited in its sockets is read before its timers are looked at.
    private func resume(_ node: Int) {
        guard let end = nodes[node].pausedUntil, end <= clock else { return }
        nodes[node].pausedUntil = nil
        reviewPaths(of: node)
        let held = nodes[node].held
        nodes[node].held = []
        for event in held { queue.push(event, at: clock) }
    }

    /// A fault of the network has been planned or begun; nil: all have ended. Partitions and clogs close paths, delays
    /// lengthen them; loss and capacity are not modelled.
    package func note(_ fault: NetworkFault?) {
        begin()
        if let fault {
            faults.append(fault)
            queue.push(.paths, at: max(MonotonicInstant(nanoseconds: fault.begin), clock))
            if fault.end != .max { queue.push(.paths, at: MonotonicInstant(nanoseconds: fault.end)) }
        } else {
            faults = []
            queue.push(.paths, at: clock)
        }
        askForWake()
    }

    /// Every link is looked at again.
    private func pathsChanged() {
        faults.removeAll { $0.end <= clock.nanoseconds }
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
        guard nodes[from].isUp, nodes[from].pausedUntil == nil, nodes[to].isUp else { return nil }
        guard from != to else { return .microseconds(20) }
        return surroundings.oneWay(from, to).flatMap { FlowFaults.delay($0, from: from, to: to, faults, at: clock) }
    }

    func clientDelay(of client: MediaClientID) -> Interval { clientPaths.delay(of: client) }

    // MARK: Time

    /// The engine has been asked for this.
    package func wake() {
        begin()
        if let due = wakeAt, due <= clock { wakeAt = nil }
        let now = clock
        while let (due, event) = queue.popDue(at: now) {
            clock = due
            if let node = owner(of: event), nodes[node].pausedUntil != nil {
                nodes[node].held.append(event)
            } else {
                run(event)
            }
        }
        clock = now
        askForWake()
    }

    func begin() { clock = max(clock, surroundings.time()) }

    func askForWake() {
        guard let due = queue.nextDue, due < wakeAt ?? .distantFuture else { return }
        wakeAt = due
        surroundings.wake(due)
    }

    /// The node whose worker an event concerns; nil where it is gone.
    private func owner(of event: FlowEvent) -> Int? {
        switch event {
        case .connect(let node, _, _), .consentLost(let node, _, _): node
        case .resume, .paths: nil
        case .hear(let link, _), .silence(let link, _), .openTimeout(let link), .start(let link, _, _),
            .feed(let link, _, _, _), .expire(let link, _), .ended(let link, _):
            links.contains(link) ? links[link].node : nil
        }
    }

    private func run(_ event: FlowEvent) {
        switch event {
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
        case .resume(let node): resume(node)
        case .paths: pathsChanged()
        }
    }

    // MARK: Commands and reports

    /// Applies a command at worker `worker` of `node`, which is up.
    func apply(_ command: WorkerCommand, node: Int, worker: Int) {
        begin()
        run(command, node: node, worker: worker)
        askForWake()
    }

    /// A client asks for its offer.
    func makeOffer(_ purpose: MediaClientPurpose) -> MediaClientOffer {
        begin()
        let client = MediaClientID(UInt32(truncatingIfNeeded: offered.count))
        offered.append(clock)
        return MediaClientOffer(client: client, sdp: offers.text(purpose, client: client))
    }

    func report(_ event: WorkerEvent, node: Int, worker: Int) { surroundings.report(node, worker, event) }

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
