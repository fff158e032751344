import Routing
import SwarmCore
import SwarmCrypto
import Testing

/// A node of the stream tests: the machine, and a worker that checks the order of what it is told.
final class RouteNode: WireNode {
    var machine: StreamRoutes
    var log: [StreamRouteEvent] = []
    /// Not yet handled by the harness.
    var fresh: [StreamRouteEvent] = []

    struct Attachment: Hashable {
        let stream: StreamName
        let link: UInt32
    }
    var openLinks: [UInt32: MediaLinkPlan] = [:]
    var parents: [StreamName: UInt32] = [:]
    var children: Set<Attachment> = []
    var carried: Set<StreamName> = []

    init(seed: Int, maxChildren: Int, workers: Int = 1, now: Now) {
        let contact = testContact(seed)
        let configuration = StreamRoutesConfiguration(
            own: contact, workerPorts: (0..<workers).map { UInt16(7789 + $0) }, maxChildren: maxChildren,
            preferredCipher: .aes256GCM)
        machine = StreamRoutes(configuration: configuration, generator: SeededGenerator(seed: UInt64(seed)), now: now)
        super.init(contact: contact)
    }

    override func receive(_ bytes: [UInt8], from peer: Peer, at now: Now, into out: inout MessageOutbox) {
        perform { machine, events in
            machine.receive(bytes.span, from: peer, mediaEpoch: 7, at: now, into: &out, events: &events)
        }
    }
    override func advance(to now: Now, into out: inout MessageOutbox) {
        perform { machine, events in machine.advance(to: now, into: &out, events: &events) }
    }
    override var nextDeadline: MonotonicInstant? { machine.nextDeadline }

    /// Calls the machine and applies its events to the worker.
    func perform(_ body: (inout StreamRoutes, inout EventBuffer<StreamRouteEvent>) -> Void) {
        var buffer = EventBuffer<StreamRouteEvent>()
        body(&machine, &buffer)
        while let event = buffer.popFirst() {
            log.append(event)
            fresh.append(event)
            apply(event)
        }
    }

    private func apply(_ event: StreamRouteEvent) {
        switch event {
        case .openLink(let plan):
            #expect(plan.localConnectionID != 0 && openLinks[plan.localConnectionID] == nil)
            openLinks[plan.localConnectionID] = plan
        case .closeLink(let link, let worker):
            #expect(openLinks.removeValue(forKey: link)?.localWorker == worker)
            #expect(!parents.values.contains(link), "a link with a parent was closed")
            #expect(!children.contains { $0.link == link }, "a link with a child was closed")
        case .parentAttached(let stream, let link, _, _, _, _):
            #expect(openLinks[link] != nil)
            parents[stream] = link
        case .parentDetached(let stream): #expect(parents.removeValue(forKey: stream) != nil)
        case .childAttached(let stream, let link, _, _, _):
            #expect(openLinks[link] != nil)
            children.insert(Attachment(stream: stream, link: link))
        case .childDetached(let stream, let link, _):
            #expect(children.remove(Attachment(stream: stream, link: link)) != nil)
        case .carrying(let stream, let isCarrying):
            if isCarrying { #expect(carried.insert(stream).inserted) } else { #expect(carried.remove(stream) != nil) }
        case .descriptorChanged, .ended, .needsCandidates, .failed: break
        }
    }

    func parent(of stream: StreamName) -> NodeID? { machine.snapshot(of: stream)?.parent?.id }
    func role(_ stream: StreamName) -> RouteRole? { machine.snapshot(of: stream)?.role }
    func count(_ match: (StreamRouteEvent) -> Bool) -> Int { log.filter(match).count }

    var isClean: Bool {
        machine.streams.isEmpty && machine.mediaLinks.isEmpty && openLinks.isEmpty && parents.isEmpty
            && children.isEmpty && carried.isEmpty && machine.pendingFarewells == 0
            && machine.freeChildSlots == machine.maxChildren && machine.nextDeadline == nil
    }
}

/// A swarm of route machines with what the composition, the DHT and the workers would do around them.
final class RouteSwarm {
    let wire: VirtualWire<RouteNode>
    /// What a look-up finds; the dead stay for a while, as in a DHT.
    var origins: [StreamName: Int] = [:]
    var answersLookups = true
    var checksLoops = true
    private var seed: Int

    init(seed: UInt64, maxChildren: [Int], workers: Int = 1, lossPerMille: Int = 0) {
        let delays = planeDelays(seed: seed, count: maxChildren.count, side: 40)
        wire = VirtualWire(seed: seed, lossPerMille: lossPerMille, delayMilliseconds: delays)
        self.seed = Int(seed) * 1000
        for (index, limit) in maxChildren.enumerated() {
            wire.add(RouteNode(seed: self.seed + index, maxChildren: limit, workers: workers, now: wire.now))
        }
        wire.afterStep = { [unowned self] in handleEvents() }
    }

    subscript(index: Int) -> RouteNode { wire.nodes[index] }
    func id(_ index: Int) -> NodeID { wire.nodes[index].contact.id }

    func act(
        _ index: Int,
        _ body: (inout StreamRoutes, Now, inout MessageOutbox, inout EventBuffer<StreamRouteEvent>) -> Void
    ) {
        wire.call(index) { node, now, out in
            node.perform { machine, events in body(&machine, now, &out, &events) }
        }
        handleEvents()
    }

    func publish(_ stream: StreamName, at index: Int, epoch: UInt64 = 1, descriptor: [UInt8] = [1, 2, 3]) {
        origins[stream] = index
        let worker = HomeWorker.index(of: stream, workers: 4)
        act(index) { machine, now, out, events in
            #expect(
                machine.publish(
                    stream, epoch: epoch, descriptor: descriptor, worker: worker, at: now, into: &out, events: &events))
        }
    }

    func subscribe(_ stream: StreamName, at index: Int, layers: UInt64 = 1) {
        let worker = HomeWorker.index(of: stream, workers: 4)
        let candidates = candidates(for: stream, at: index)
        act(index) { machine, now, out, events in
            machine.subscribe(
                stream, layers: layers, worker: worker, candidates: candidates, at: now, into: &out, events: &events)
        }
    }

    func release(_ stream: StreamName, at index: Int) {
        act(index) { machine, now, out, events in machine.release(stream, at: now, into: &out, events: &events) }
    }

    func unpublish(_ stream: StreamName) {
        guard let index = origins.removeValue(forKey: stream) else { return }
        act(index) { machine, now, out, events in machine.unpublish(stream, at: now, into: &out, events: &events) }
    }

    /// The process is gone at once; links notice after 200 ms, gossip after seven seconds.
    func kill(_ index: Int) {
        wire.nodes[index].isUp = false
        let id = id(index)
        wire.schedule(after: .milliseconds(200)) { [unowned self] in
            for other in wire.nodes.indices where wire.nodes[other].isUp {
                for plan in wire.nodes[other].machine.mediaLinks where plan.peer.id == id {
                    act(other) { machine, now, out, events in
                        machine.mediaLinkLost(plan.localConnectionID, at: now, into: &out, events: &events)
                    }
                }
            }
        }
        wire.schedule(after: .seconds(7)) { [unowned self] in
            for other in wire.nodes.indices where wire.nodes[other].isUp {
                act(other) { machine, now, out, events in
                    machine.peerFailed(id, at: now, into: &out, events: &events)
                }
            }
        }
    }

    func revive(_ index: Int, maxChildren: Int) {
        // A new process of the same node.
        let contact = wire.nodes[index].contact
        let place = wire.index(of: contact.id) ?? index
        wire.replace(place, with: RouteNode(seed: seed + place, maxChildren: maxChildren, now: wire.now))
    }

    func candidates(for stream: StreamName, at index: Int) -> [RouteCandidate] {
        guard answersLookups else { return [] }
        var found: [RouteCandidate] = []
        for other in wire.nodes.indices where other != index {
            let isOrigin = origins[stream] == other
            guard isOrigin || wire.nodes[other].carried.contains(stream) else { continue }
            found.append(
                RouteCandidate(
                    contact: wire.nodes[other].contact, isOrigin: isOrigin,
                    predictedDelayMilliseconds: wire.delayMilliseconds(index, other), load: 0))
        }
        return found
    }

    private func handleEvents() {
        var changed = false
        for index in wire.nodes.indices {
            let node = wire.nodes[index]
            guard !node.fresh.isEmpty else { continue }
            let events = node.fresh
            node.fresh = []
            changed = true
            guard node.isUp else { continue }
            for event in events {
                switch event {
                case .openLink(let plan) where plan.isInitiator: openLink(plan, at: index, tries: 40)
                case .needsCandidates(let stream):
                    wire.schedule(after: .milliseconds(60)) { [unowned self] in
                        guard wire.nodes[index] === node, node.isUp else { return }
                        let found = candidates(for: stream, at: index)
                        act(index) { machine, now, out, events in
                            machine.offer(stream, candidates: found, at: now, into: &out, events: &events)
                        }
                    }
                default: break
                }
            }
        }
        if changed, checksLoops { checkLoops() }
    }

    /// The child knocks until the parent's worker knows the link, then both hear of it.
    private func openLink(_ plan: MediaLinkPlan, at index: Int, tries: Int) {
        let node = wire.nodes[index]
        guard tries > 0, node.isUp, node.openLinks[plan.localConnectionID] == plan,
            let peer = wire.index(of: plan.peer.id)
        else { return }
        let delay = Interval.microseconds(Int64(wire.delayMilliseconds(index, peer) * 1000))
        wire.schedule(after: delay) { [unowned self] in
            let parent = wire.nodes[peer]
            let theirs = parent.openLinks[plan.remoteConnectionID]
            let matches =
                theirs?.remoteConnectionID == plan.localConnectionID && theirs?.instance == plan.instance
                && theirs?.mediaEpoch == plan.mediaEpoch && theirs?.cipher == plan.cipher
                && theirs?.localWorker == plan.remoteWorker && theirs?.remoteWorker == plan.localWorker
            guard parent.isUp, matches, !wire.isBlocked(index, peer) else {
                wire.schedule(after: .milliseconds(50)) { [unowned self] in
                    openLink(plan, at: index, tries: tries - 1)
                }
                return
            }
            act(peer) { machine, now, out, events in
                machine.mediaLinkEstablished(plan.remoteConnectionID, at: now, into: &out, events: &events)
            }
            wire.schedule(after: delay) { [unowned self] in
                guard wire.nodes[index] === node, node.isUp else { return }
                act(index) { machine, now, out, events in
                    machine.mediaLinkEstablished(plan.localConnectionID, at: now, into: &out, events: &events)
                }
            }
        }
    }

    /// Follows the edges that both ends believe in.
    private func checkLoops() {
        for stream in origins.keys.sorted() {
            for start in wire.nodes.indices where wire.nodes[start].isUp {
                var current = start
                var steps = 0
                while let next = parentIndex(of: current, stream) {
                    current = next
                    steps += 1
                    if steps > wire.nodes.count {
                        Issue.record("a loop through node \(start)")
                        return
                    }
                }
            }
        }
    }

    private func parentIndex(of index: Int, _ stream: StreamName) -> Int? {
        guard let id = wire.nodes[index].parent(of: stream), let parent = wire.index(of: id),
            wire.nodes[parent].isUp, let snapshot = wire.nodes[parent].machine.snapshot(of: stream)
        else { return nil }
        return snapshot.children.contains { $0.node == wire.nodes[index].contact.id } ? parent : nil
    }

    /// Attached, with an unbroken chain of attached edges up to the origin.
    func isServed(_ index: Int, _ stream: StreamName) -> Bool {
        var current = index
        for _ in wire.nodes.indices {
            if origins[stream] == current { return true }
            guard wire.nodes[current].role(stream) == .attached, let parent = parentIndex(of: current, stream) else {
                return false
            }
            let edges = wire.nodes[parent].machine.snapshot(of: stream)?.children ?? []
            guard edges.contains(where: { $0.node == wire.nodes[current].contact.id && $0.isAttached }) else {
                return false
            }
            current = parent
        }
        return false
    }
}

func name(_ text: String) -> StreamName {
    guard let name = StreamName(text) else { preconditionFailure("bad name \(text)") }
    return name
}
