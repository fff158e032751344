import Composition
import MediaRelay
import Routing
import SwarmCore
import SwarmCrypto

/// What a run is made with.
package struct SimulationOptions: Sendable {
    package var seed: UInt64
    /// Real cryptography instead of the counted stand-in.
    package var hasRealCryptography = false
    /// False where discovery alone is measured.
    package var hasMembership = true
    /// Nodes that one node may feed.
    package var maxChildren = 32
    package var workers = 1
    /// How long a command or report takes between a node's threads.
    package var hop = Interval.microseconds(100)

    package init(seed: UInt64) { self.seed = seed }
}

/// Sees what happens in a run. Called in the middle of it: observe, and change nothing.
package protocol SimulationObserver: AnyObject {
    /// A machine of `node` has been called: it received something or its time had come.
    func called(_ node: SimulatedNode, in simulation: Simulation)
    /// A datagram leaves `node`.
    func sent(
        _ datagram: Span<UInt8>, from node: SimulatedNode, to destination: NetworkAddress, in simulation: Simulation)
    /// A datagram is about to be given to `node`.
    func delivered(
        _ datagram: Span<UInt8>, from source: NetworkAddress, to node: SimulatedNode, in simulation: Simulation)
    func told(_ event: SwarmEvent, by node: SimulatedNode, in simulation: Simulation)
}

/// One run: nodes, the network between them, virtual time and everything that is to happen.
///
/// Everything random descends from one seed, split by node, link and purpose, so that adding a node or a fault shifts
/// nobody else's draws. The same seed and the same calls give the same digest in any process.
package final class Simulation {
    package let options: SimulationOptions
    package let suite: CryptoSuite
    package let secret: SwarmSecret
    /// Never drawn from; `child` of it names every part's own generator.
    package let root: SeededGenerator

    /// Nanoseconds since the start.
    package internal(set) var now: UInt64 = 0
    package internal(set) var nodes: [SimulatedNode] = []
    package var network: NetworkModel
    package internal(set) var digest = SimulationDigest()
    package internal(set) var traffic = SimulationTraffic()
    package internal(set) var defects: [SimulationDefect] = []
    package var observers: [any SimulationObserver] = []
    /// Gives a node that is about to boot its media; nil where nothing but discovery is simulated.
    package var equip: ((SimulatedNode, _ identityOf: UInt32?) -> any MediaPlane)?
    /// Hears every fault given to `begin`, and nil when all have ended.
    package var faultListener: ((NetworkFault?) -> Void)?

    var queue = EventQueue()
    var packets = PacketPool()
    var out = Outbox(byteCapacity: 4 << 20, datagramCapacity: 8192)
    var events = EventBuffer<SwarmEvent>()
    /// What the nodes share: nothing they could tell each other by.
    let scratch = SwarmScratch()
    let interner = MemberInterner()
    var media = MediaOutput()
    var actions = Parking<(Simulation) -> Void>()
    var hops = Parking<ThreadHop>()
    var nextRequest: UInt64 = 1
    private var eventsAtThisInstant = 0
    package private(set) var hasLivelock = false
    /// Whether the datagram being delivered was injected rather than sent (`inject`).
    package internal(set) var isInjecting = false

    package init(_ options: SimulationOptions, network: NetworkModel) {
        self.options = options
        self.network = network
        root = SeededGenerator(seed: options.seed)
        suite = options.hasRealCryptography ? .real : .counted()
        var generator = root.child(Purpose.secret)
        secret = SwarmSecret(
            current: Bytes32(generator.next(), generator.next(), generator.next(), generator.next()))
    }

    /// Labels of the root generator's children. Nodes follow from `nodes` on.
    package enum Purpose {
        package static var secret: UInt64 { 1 }
        package static var workload: UInt64 { 2 }
        package static var faults: UInt64 { 3 }
        package static var scenario: UInt64 { 4 }
        package static var nodes: UInt64 { 1 << 32 }
    }

    /// The generator of node `index`; each life of it has one of its own.
    package func generator(of index: Int, life: UInt32) -> SeededGenerator {
        root.child(Purpose.nodes + UInt64(index)).child(UInt64(life))
    }

    // MARK: Running

    /// Runs what is due up to `time` (nanoseconds since the start) and stands there afterwards.
    package func run(until time: UInt64) {
        while !hasLivelock, let next = queue.peekTime(), next <= time, let event = queue.pop() {
            if event.time > now {
                now = event.time
                eventsAtThisInstant = 0
            }
            eventsAtThisInstant += 1
            if eventsAtThisInstant > SimulationLimits.eventsPerInstant { reportLivelock(event) }
            handle(event)
        }
        now = max(now, time)
    }

    package func run(for interval: Interval) { run(until: now + UInt64(max(0, interval.nanoseconds))) }

    /// Calls `action` at `time`, or at once where that has passed.
    package func schedule(at time: UInt64, _ action: @escaping (Simulation) -> Void) {
        queue.push(at: max(time, now), .action, actions.park(action))
    }

    package func schedule(after interval: Interval, _ action: @escaping (Simulation) -> Void) {
        schedule(at: now + UInt64(max(0, interval.nanoseconds)), action)
    }

    /// Time does not move any more: the run is over.
    private func reportLivelock(_ event: ScheduledEvent) {
        hasLivelock = true
        let node = event.kind == .timer ? Int(event.subject) : 0
        if node < nodes.count { report(.livelock, at: nodes[node]) }
    }

    /// Events still to come.
    package var pendingEvents: Int { queue.count }
    /// Datagrams on their way.
    package internal(set) var datagramsInFlight = 0

    private func handle(_ event: ScheduledEvent) {
        traffic.events += 1
        switch event.kind {
        case .datagram: deliver(event.subject)
        case .timer: fire(event)
        case .action: actions.take(event.subject)?(self)
        case .hop: land(event.subject)
        }
    }

    private func fire(_ event: ScheduledEvent) {
        let node = nodes[Int(event.subject)]
        guard node.timerAt == event.time, let host = node.host else { return }
        node.timerAt = .max
        guard node.pausedUntil <= now else { return arm(node, at: node.pausedUntil) }
        let local = node.clock.now(now)
        if let deadline = host.nextDeadline, deadline <= local.monotonic {
            traffic.machineCalls += 1
            host.advance(to: local, into: &out, events: &events)
            if let left = host.nextDeadline, left <= local.monotonic { report(.deadlineLeftBehind, at: node) }
            finish(node)
        }
        if let media = node.media, let deadline = media.nextDeadline, deadline <= local.monotonic {
            traffic.machineCalls += 1
            media.advance(to: local, into: &self.media)
            if let left = media.nextDeadline, left <= local.monotonic { report(.deadlineLeftBehind, at: node) }
            finishMedia(node)
        }
        arm(node)
    }

    // MARK: After each call

    /// Sends what the node's control plane wrote, hears what it told, and sets its timer.
    func finish(_ node: SimulatedNode) {
        if !out.isEmpty { flush(node) }
        while let event = events.popFirst() { hear(event, from: node) }
        if !observers.isEmpty { for observer in observers { observer.called(node, in: self) } }
        arm(node)
    }

    private func hear(_ event: SwarmEvent, from node: SimulatedNode) {
        for observer in observers { observer.told(event, by: node, in: self) }
        switch event {
        case .command(let worker, let command):
            guard node.media != nil else { return }
            hop(node, .command(worker: worker, command))
        case .reply(let id, let reply):
            node.replies.removeValue(forKey: id.raw)?(reply)
        case .openPlainPorts, .closePlainPorts, .notice:
            break
        }
    }

    func finishMedia(_ node: SimulatedNode) {
        if !media.datagrams.isEmpty { flushMedia(node) }
        for (worker, event) in media.events { hop(node, .report(worker: worker, event)) }
        media.removeAll()
        if !observers.isEmpty { for observer in observers { observer.called(node, in: self) } }
        // The control plane's deadline is where it was, and dear to ask for at every packet.
        guard let deadline = node.media?.nextDeadline, deadline != .distantFuture else { return }
        arm(node, at: max(node.clock.time(of: deadline), now))
    }

    /// Makes sure the node is called at its deadline. A deadline that moves back costs nothing: the timer fires early,
    /// finds nothing due and is set again.
    func arm(_ node: SimulatedNode) {
        let deadline = Deadline.earlier(node.host?.nextDeadline, node.media?.nextDeadline)
        guard let deadline, deadline != .distantFuture else { return }
        arm(node, at: max(node.clock.time(of: deadline), now))
    }

    private func arm(_ node: SimulatedNode, at time: UInt64) {
        guard time < node.timerAt else { return }
        node.timerAt = time
        queue.push(at: time, .timer, UInt32(node.index))
    }

    func report(_ defect: SimulationDefect.Kind, at node: SimulatedNode) {
        guard defects.count < SimulationLimits.defects else { return }
        defects.append(SimulationDefect(kind: defect, node: node.index, time: now))
    }
}

/// What crosses between a node's control thread and a media worker's.
struct ThreadHop {
    enum Content {
        case command(worker: Int, WorkerCommand)
        case report(worker: Int, WorkerEvent)
    }

    let node: Int
    let life: UInt32
    let content: Content
}

/// Values that wait for their event, by number; places are used again.
struct Parking<Value> {
    private var places: [Value?] = []
    private var free: [UInt32] = []

    mutating func park(_ value: Value) -> UInt32 {
        if let place = free.popLast() {
            places[Int(place)] = value
            return place
        }
        places.append(value)
        return UInt32(places.count - 1)
    }

    mutating func take(_ place: UInt32) -> Value? {
        defer {
            places[Int(place)] = nil
            free.append(place)
        }
        return places[Int(place)]
    }
}
