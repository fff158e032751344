import SwarmCore

/// Everything between this node and one other. What an idle link has stands here, in place; a handshake under way,
/// waiting messages, a probe and sessions being replaced stand in a box that exists only while one of them does.
struct LinkRelation: ~Copyable, Sendable {
    let id: NodeID
    let key: PublicKey
    /// Where the newest authenticated packet came from; unspecified before the first.
    private(set) var address = NetworkAddress.unspecified
    /// The peer's other addresses, best first; most peers have none.
    private var others = OptionalBox<AddressList>()
    /// The session established last.
    var newest = LinkSession.none
    private var rare = OptionalBox<RareLinkState>()
    /// When something was last sent or heard.
    var lastActivity: MonotonicInstant
    private var heardAt = MonotonicInstant.distantFuture
    /// When the first packet left that nothing was heard after.
    private var unansweredAt = MonotonicInstant.distantFuture
    private var roundTripNanoseconds: Int64 = -1
    /// Whether `established` was told.
    var isAnnounced = false
    /// The sessions are too old to be sent on: the peer may have forgotten them. Hearing something on one mends that.
    var isStale = false
    private let inPlace = InPlace()

    init(contact: Contact, at now: MonotonicInstant) {
        id = contact.id
        key = contact.key
        lastActivity = now
        learn(contact.addresses)
    }

    var lastHeard: MonotonicInstant? { heardAt == .distantFuture ? nil : heardAt }
    var unansweredSince: MonotonicInstant? { unansweredAt == .distantFuture ? nil : unansweredAt }
    var roundTrip: Interval? { roundTripNanoseconds < 0 ? nil : Interval(nanoseconds: roundTripNanoseconds) }

    /// A question whether the peer has a session, repeated until something is heard on it.
    struct Probe: Sendable {
        var connection: UInt32
        var attempt: Int
        var deadline: MonotonicInstant
    }

    // MARK: Addresses

    /// The newest address that worked first.
    var addresses: AddressList {
        var list = address.isUnspecified ? AddressList() : AddressList(address)
        if others.isPresent { for other in others.value { list.append(other) } }
        return list
    }

    var contact: Contact { Contact(id: id, key: key, addresses: addresses) }

    /// Takes other addresses than those known so far.
    mutating func learn(_ list: AddressList) {
        var rest = AddressList()
        for other in list where other != address { rest.append(other) }
        if rest.isEmpty { others.clear() } else { others.set(rest) }
    }

    // MARK: Sessions

    var hasSession: Bool { newest.isPresent }

    /// Sessions being replaced, oldest first.
    private var older: [LinkSession] { rare.isPresent ? rare.value.older : [] }

    /// Positions of sessions: the older ones by age, then the newest.
    var sessionCount: Int { (newest.isPresent ? 1 : 0) + (rare.isPresent ? rare.value.older.count : 0) }

    /// The session to send on: the newest, except that of simultaneous opens both sides choose the one begun by the
    /// node with the lower id, once it has been heard on beside the other: a peer that restarted between the two has only
    /// the newest. Nil where there is none to be trusted.
    func preferredSession(ownID: NodeID, simultaneousOpen: Interval) -> Int? {
        guard newest.isPresent, !isStale else { return nil }
        guard rare.isPresent, newest.isInitiator != (ownID < id) else { return sessionCount - 1 }
        let older = older
        for position in older.indices.reversed() {
            guard newest.establishedAt - older[position].establishedAt <= simultaneousOpen else { break }
            if older[position].isInitiator == (ownID < id), older[position].isHeard { return position }
        }
        return older.count
    }

    func session(connection: UInt32) -> Int? {
        if newest.localConnection == connection { return sessionCount - 1 }
        return rare.isPresent ? older.firstIndex { $0.localConnection == connection } : nil
    }

    /// The session at `position`, lent to be read.
    func readSession<Value>(_ position: Int, _ body: (borrowing LinkSession) -> Value) -> Value {
        guard rare.isPresent, position < rare.value.older.count else { return body(newest) }
        return body(rare.value.older[position])
    }

    /// The session at `position`, lent to be used.
    mutating func useSession<Value>(_ position: Int, _ body: (inout LinkSession) -> Value) -> Value {
        guard rare.isPresent, position < rare.value.older.count else { return body(&newest) }
        return body(&rare.value.older[position])
    }

    /// Makes `session` the newest. Of more than `limit` the oldest goes; its connection id is returned.
    mutating func add(_ session: LinkSession, limit: Int) -> UInt32? {
        isStale = false
        guard newest.isPresent else {
            newest = session
            return nil
        }
        var before = newest
        before.isSucceeded()
        newest.wipe()
        newest = session
        return changeRare { rare in
            for position in rare.older.indices { rare.older[position].isSucceeded() }
            rare.older.append(before)
            return rare.older.count >= limit ? rare.removeOldest() : nil
        }
    }

    /// Ends the oldest session if it was established before `instant`, and returns its connection id.
    mutating func endOldestSession(establishedBefore instant: MonotonicInstant) -> UInt32? {
        if let first = older.first {
            return first.establishedAt < instant ? changeRare { $0.removeOldest() } : nil
        }
        guard newest.isPresent, newest.establishedAt < instant else { return nil }
        let connection = newest.localConnection
        newest.wipe()
        newest = .none
        return connection
    }

    mutating func takeQueue() -> [[UInt8]] {
        guard queueCount > 0 else { return [] }
        return changeRare { rare in
            defer { rare.queue = [] }
            return rare.queue
        }
    }

    // MARK: What is rare

    /// Bytes of the heap the relation holds; of queued messages and packets only the arrays' own.
    var allocatedBytes: Int {
        let extra = others.isPresent ? MemoryLayout<AddressList>.size : 0
        guard rare.isPresent else { return extra }
        return extra + MemoryLayout<RareLinkState>.size + rare.value.older.capacity * MemoryLayout<LinkSession>.stride
    }

    /// Changes the rare state, making it first where there is none and freeing it where nothing of it is left.
    @discardableResult
    mutating func changeRare<Value>(_ body: (inout RareLinkState) -> Value) -> Value {
        if !rare.isPresent { rare.set(RareLinkState()) }
        let value = body(&rare.value)
        if rare.value.isEmpty { rare.clear() }
        return value
    }

    /// Whether nothing rare is going on: one session or none, and nothing begun or waiting.
    var isAtRest: Bool { !rare.isPresent }
    var hasHandshake: Bool { rare.isPresent && rare.value.handshake != nil }
    var handshake: OutgoingHandshake? { rare.isPresent ? rare.value.handshake : nil }
    var probe: Probe? { rare.isPresent ? rare.value.probe : nil }
    var queueCount: Int { rare.isPresent ? rare.value.queue.count : 0 }

    // MARK: Notes

    /// A smoothed round-trip time (RFC 6298 §2, without the variance).
    mutating func noteRoundTrip(_ sample: Interval) {
        guard sample >= .zero else { return }
        let smoothed = roundTripNanoseconds
        roundTripNanoseconds = smoothed < 0 ? sample.nanoseconds : (smoothed * 7 + sample.nanoseconds) / 8
    }

    mutating func noteSent(at now: MonotonicInstant) {
        lastActivity = now
        if unansweredAt == .distantFuture { unansweredAt = now }
    }

    /// An authenticated packet arrived.
    mutating func noteHeard(at now: MonotonicInstant) {
        lastActivity = now
        heardAt = now
        unansweredAt = .distantFuture
        isStale = false
    }

    /// The newest authenticated packet came from `source`.
    mutating func move(to source: NetworkAddress) {
        let before = addresses
        address = source
        learn(before)
    }

    /// When this relation wants to be looked at next.
    func deadline(_ limits: LinkLimits) -> MonotonicInstant {
        var deadline = lastActivity + limits.idleLifetime
        var oldest = newest.isPresent ? newest.establishedAt : nil
        if rare.isPresent {
            if let first = rare.value.older.first { oldest = first.establishedAt }
            if let due = rare.value.handshake?.deadline { deadline = min(deadline, due) }
            if let due = rare.value.probe?.deadline { deadline = min(deadline, due) }
        }
        if let oldest { deadline = min(deadline, oldest + limits.sessionLifetime) }
        return deadline
    }
}

/// The parts of a relation that an idle one has not.
struct RareLinkState: Sendable {
    /// Sessions being replaced, oldest first.
    var older: [LinkSession] = []
    var handshake: OutgoingHandshake?
    var queue: [[UInt8]] = []
    var probe: LinkRelation.Probe?

    var isEmpty: Bool { older.isEmpty && handshake == nil && queue.isEmpty && probe == nil }

    /// Removes the oldest session, whose keys are overwritten, and returns its connection id.
    mutating func removeOldest() -> UInt32 {
        older[0].wipe()
        return older.removeFirst().localConnection
    }
}

/// The initiator's side of a handshake: message 1 is repeated byte for byte (but for the macs: mac1 tries both
/// secrets), so that any answer to any copy completes it.
struct OutgoingHandshake: Sendable {
    let noise: NoiseHandshake
    /// Message 1 with room for the macs.
    var packet: [UInt8]
    let connection: UInt32
    let startedAt: MonotonicInstant
    /// The message inside message 1, in case another way to send it opens first.
    var earlyMessage: [UInt8]?
    /// Copies of message 1 that a cookie reply had us send.
    var cookiesUsed = 0
    /// Messages 2 that led to key agreements for nothing.
    var failedResponses = 0
    /// Copies of message 1 sent by the clock.
    var attempts = 0
    var deadline: MonotonicInstant
}

/// The responder's side: answered, not yet confirmed by a transport packet.
struct PendingResponse: ~Copyable, Sendable {
    let id: NodeID
    let key: PublicKey
    let address: NetworkAddress
    var session: LinkSession
    let expiresAt: MonotonicInstant
    /// Which secret message 1 was made with.
    let secretIndex: Int
    /// The whole ephemeral key of message 1, to know copies of it.
    let ephemeral: Bytes32
    /// Message 2 as sent; empty until then.
    var response: [UInt8] = []
    /// Further messages to the peer of the time when it was answered.
    var queue: [[UInt8]] = []
    private let inPlace = InPlace()
}
