import SwarmCore

/// Everything between this node and one other: sessions, a handshake under way, messages that wait for it.
struct LinkRelation: Sendable {
    /// The peer's addresses, the newest one that worked first.
    var contact: Contact
    /// Where the newest authenticated packet came from.
    var address: NetworkAddress?
    /// Oldest first.
    var sessions: [LinkSession] = []
    var handshake: OutgoingHandshake?
    var queue: [[UInt8]] = []
    var probe: Probe?
    /// When something was last sent or heard.
    var lastActivity: MonotonicInstant
    var lastHeard: MonotonicInstant?
    /// When the first packet left that nothing was heard after.
    var unansweredSince: MonotonicInstant?
    var roundTrip: Interval?
    /// Whether `established` was told.
    var isAnnounced = false
    /// The earliest entry of the timer heap.
    var scheduled: MonotonicInstant?

    init(contact: Contact, at now: MonotonicInstant) {
        self.contact = contact
        lastActivity = now
    }

    /// A question whether the peer has a session, repeated until something is heard on it.
    struct Probe: Sendable {
        var connection: UInt32
        var attempt: Int
        var deadline: MonotonicInstant
    }

    /// The session to send on: the newest, except that of simultaneous opens both sides choose the one begun by the
    /// node with the lower id.
    func preferredSession(ownIDIsLower: Bool, simultaneousOpen: Interval) -> Int? {
        guard let last = sessions.indices.last else { return nil }
        guard sessions[last].isInitiator != ownIDIsLower else { return last }
        for index in sessions.indices.reversed().dropFirst() {
            guard sessions[last].establishedAt - sessions[index].establishedAt <= simultaneousOpen else { break }
            if sessions[index].isInitiator == ownIDIsLower { return index }
        }
        return last
    }

    func session(connection: UInt32) -> Int? { sessions.firstIndex { $0.localConnection == connection } }

    /// A smoothed round-trip time (RFC 6298 §2, without the variance).
    mutating func noteRoundTrip(_ sample: Interval) {
        guard sample >= .zero else { return }
        guard let smoothed = roundTrip else {
            roundTrip = sample
            return
        }
        roundTrip = (smoothed * 7 + sample) / 8
    }

    mutating func noteSent(at now: MonotonicInstant) {
        lastActivity = now
        if unansweredSince == nil { unansweredSince = now }
    }

    /// An authenticated packet arrived; `address` follows it where it is newer than all before.
    mutating func noteHeard(from source: NetworkAddress, movesAddress: Bool, at now: MonotonicInstant) {
        lastActivity = now
        lastHeard = now
        unansweredSince = nil
        guard movesAddress, address != source else { return }
        address = source
        contact.addresses.promote(source)
    }

    /// When this relation wants to be looked at next.
    func deadline(_ limits: LinkLimits) -> MonotonicInstant {
        var deadline = lastActivity + limits.idleLifetime
        if let handshake { deadline = min(deadline, handshake.deadline) }
        if let probe { deadline = min(deadline, probe.deadline) }
        if let oldest = sessions.first { deadline = min(deadline, oldest.establishedAt + limits.sessionLifetime) }
        return deadline
    }
}

/// The initiator's side of a handshake: message 1 is repeated byte for byte (but for mac1, which tries both secrets),
/// so that any answer to any copy completes it.
struct OutgoingHandshake: Sendable {
    let noise: NoiseHandshake
    /// Message 1 without mac1 and mac2.
    let packet: [UInt8]
    let connection: UInt32
    let startedAt: MonotonicInstant
    /// The message inside message 1, in case another way to send it opens first.
    var earlyMessage: [UInt8]?
    /// Copies of message 1 sent.
    var attempts = 0
    var deadline: MonotonicInstant
}

/// The responder's side: answered, not yet confirmed by a transport packet.
struct PendingResponse: Sendable {
    let contact: Contact
    let address: NetworkAddress
    let session: LinkSession
    let expiresAt: MonotonicInstant
    /// Which secret message 1 was made with.
    let secretIndex: Int
    var noise: NoiseHandshake
    /// Message 2 as sent; empty until then.
    var response: [UInt8] = []
    /// Further messages to the peer of the time when it was answered.
    var queue: [[UInt8]] = []
}

/// Deadlines of relations, earliest first: a binary heap whose entries may be outdated. A relation's entry counts only
/// if it is the one the relation remembers.
struct LinkTimers: Sendable {
    struct Entry: Sendable {
        var deadline: MonotonicInstant
        var relation: SlotID
    }

    private var entries: [Entry] = []

    var first: Entry? { entries.first }

    mutating func insert(_ entry: Entry) {
        entries.append(entry)
        var child = entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[child].deadline < entries[parent].deadline else { return }
            entries.swapAt(child, parent)
            child = parent
        }
    }

    mutating func removeFirst() {
        guard let last = entries.popLast(), !entries.isEmpty else { return }
        entries[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < entries.count {
                if entries[child].deadline < entries[least].deadline { least = child }
            }
            guard least != parent else { return }
            entries.swapAt(least, parent)
            parent = least
        }
    }
}
