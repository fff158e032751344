import SwarmCore
import SwarmCrypto

/// The clocks of stream routes.
enum RouteTiming {
    /// First retransmission of SUBSCRIBE, UPDATE and farewells; doubled each time. A handshake fits in.
    static var retransmit: Interval { .milliseconds(300) }
    static var subscribeSends: Int { 3 }
    static var updateSends: Int { 4 }
    static var farewellSends: Int { 3 }
    /// A second candidate is asked beside one that is silent for this long.
    static var hedge: Interval { .milliseconds(500) }
    /// A candidate that was busy is asked again.
    static var busyRetry: Interval { .milliseconds(300) }
    static var keep: Interval { .milliseconds(2500) }
    static var keepRetry: Interval { .milliseconds(700) }
    /// Without an answer to KEEP for this long the parent is lost.
    static var keepLost: Interval { .seconds(7) }
    /// A child that has not refreshed for this long is dropped: three refreshes.
    static var childLost: Interval { .seconds(8) }
    static var reservation: Interval { .milliseconds(2500) }
    /// From ACCEPT to the first authentic packet of the media link.
    static var attach: Interval { .seconds(3) }
    static var askForCandidatesMinimum: Interval { .milliseconds(500) }
    static var askForCandidatesMaximum: Interval { .seconds(4) }
    /// A route without a parent for this long has failed.
    static var giveUp: Interval { .seconds(12) }
    /// The origin raises its number, and others forward the wish, at most this often.
    static var raise: Interval { .milliseconds(300) }
}

/// The edge to a parent that has accepted us.
struct ParentEdge: Sendable {
    let contact: Contact
    let subscription: UInt64
    let link: UInt32
    let alias: UInt32
    var advertisement: Advertisement
    var updateSerial: UInt32
    /// Whether its media link has been seen to work.
    var isEstablished = false
    var attachBy: MonotonicInstant
    var keepSerial: UInt32 = 0
    var nextKeep: MonotonicInstant
    var lastKept: MonotonicInstant
}

/// The edge to a child.
struct ChildEdge: Sendable {
    let contact: Contact
    let subscription: UInt64
    let link: UInt32
    let alias: UInt32
    var layers: UInt64
    /// The sender was confirmed: by its session, by KEEP, or by a media link that only it can open.
    var isConfirmed: Bool
    /// Whether the media link was opened for this subscription alone.
    let hasOwnLink: Bool
    /// The composition has been told to send.
    var isAttached = false
    /// Dropped then unless refreshed: a reservation first, a refresh period later.
    var expires: MonotonicInstant
    var freeChildSlots: UInt16 = 0
    /// Joiners lately sent there, and until when that counts.
    var promises: Int = 0
    var promisesExpire: MonotonicInstant = .zero
    /// The last UPDATE it has confirmed, and the next retransmission.
    var updateSerial: UInt32
    var updateSends = 0
    var nextUpdate: MonotonicInstant?
}

/// A SUBSCRIBE on its way.
struct Ask: Sendable {
    let candidate: RouteCandidate
    let subscription: UInt64
    let alias: UInt32
    let connectionID: UInt32
    let instance: UInt64
    let began: MonotonicInstant
    var sends = 0
    var next: MonotonicInstant
}

/// The search for a parent.
struct Search: Sendable {
    struct Waiting: Sendable {
        var candidate: RouteCandidate
        var notBefore: MonotonicInstant
        /// Named by a full parent: asked first, three at once.
        var isDelegated: Bool
    }

    var waiting: [Waiting] = []
    var asks: [Ask] = []
    var asksSent = 0
    /// How often each node was asked in this search.
    var asked: [NodeID: Int] = [:]
    var isParallel = false
    /// When the composition is asked for candidates next, while there are none.
    var nextNeed: MonotonicInstant
    var needInterval = RouteTiming.askForCandidatesMinimum
    var reason: RouteFailure = .notFound

    init(now: MonotonicInstant) { nextNeed = now }
}

/// One stream as this node has it. Exactly one of: origin; attached (`parent`); seeking (`search`, no parent). A search
/// beside a parent is make-before-break.
struct Route: Sendable {
    let stream: StreamName
    var worker: Int
    var isOrigin = false
    var hasLocalInterest = false
    var localLayers: UInt64 = 0
    /// The newest tree seen.
    var epoch: UInt64 = 0
    /// The origin's own number; elsewhere the parent's counts.
    var number: UInt32 = 1
    var lastRaise: MonotonicInstant?
    var descriptor: [UInt8] = []
    /// Raised with every change told to children.
    var updateSerial: UInt32 = 1
    var feasibility: Feasibility?
    var parent: ParentEdge?
    /// The next parent, whose media link is not up yet, while `parent` still serves.
    var nextParent: ParentEdge?
    var search: Search?
    /// Since when there is no working parent.
    var seekingSince: MonotonicInstant?
    var children: [ChildEdge] = []
    var isCarrying = false

    init(stream: StreamName, worker: Int) {
        self.stream = stream
        self.worker = worker
    }

    var role: RouteRole {
        if isOrigin { return .origin }
        guard let parent else { return .seeking }
        return parent.isEstablished ? .attached : .attaching
    }

    /// Nil while there is no parent.
    var position: TreePosition? {
        if isOrigin { return TreePosition(epoch: epoch, number: number, rank: 0) }
        guard var position = parent?.advertisement.position else { return nil }
        position.rank = position.rank == .max ? .max : position.rank + 1
        return position
    }

    var pathToParent: [UInt64] { parent?.advertisement.path ?? [] }

    /// Of local viewers and of those children that are no replay.
    var wantedLayers: UInt64 {
        children.reduce(hasLocalInterest ? localLayers : 0) { $1.isConfirmed ? $0 | $1.layers : $0 }
    }

    func childIndex(_ peer: NodeID, _ subscription: UInt64) -> Int? {
        children.firstIndex { $0.subscription == subscription && $0.contact.id == peer }
    }

    var deadline: MonotonicInstant? {
        var deadline: MonotonicInstant?
        for child in children {
            deadline = Deadline.earlier(Deadline.earlier(deadline, child.expires), child.nextUpdate)
        }
        for edge in [parent, nextParent] {
            guard let edge else { continue }
            deadline = Deadline.earlier(deadline, min(edge.nextKeep, edge.lastKept + RouteTiming.keepLost))
            if !edge.isEstablished { deadline = Deadline.earlier(deadline, edge.attachBy) }
        }
        if let seekingSince { deadline = Deadline.earlier(deadline, seekingSince + RouteTiming.giveUp) }
        return Deadline.earlier(deadline, search?.deadline)
    }
}

extension Search {
    /// How many may be asked at once: one, three after a delegation, one more beside a silent one.
    func askLimit(at now: MonotonicInstant) -> Int {
        guard !isParallel else { return RoutingLimits.asksAtOnce }
        let silent = asks.filter { $0.began + RouteTiming.hedge <= now }.count
        return min(RoutingLimits.asksAtOnce, 1 + silent)
    }

    var deadline: MonotonicInstant? {
        var deadline: MonotonicInstant?
        for ask in asks { deadline = Deadline.earlier(deadline, ask.next) }
        guard !waiting.isEmpty else { return asks.isEmpty ? nextNeed : deadline }
        var ready = waiting[0].notBefore
        for entry in waiting { ready = min(ready, entry.notBefore) }
        if isParallel ? asks.count < RoutingLimits.asksAtOnce : asks.isEmpty {
            return Deadline.earlier(deadline, ready)
        }
        // The next hedge, if one is left.
        if !isParallel, asks.count < RoutingLimits.asksAtOnce {
            let begun = asks.map(\.began).sorted()
            let hedged = begun[asks.count - 1] + RouteTiming.hedge
            return Deadline.earlier(deadline, max(ready, hedged))
        }
        return deadline
    }
}
