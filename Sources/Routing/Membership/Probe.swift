import SwarmCore

/// The watch over one member, and what it has shown.
struct Probe: Sendable {
    enum Phase: Sendable {
        /// Until the next round begins.
        case waiting
        /// A PING is out.
        case direct
        /// The PING was not answered in time; helpers try, and so do we once more.
        case indirect
        /// The last PING is out. A false suspicion costs everybody a message, a PING costs one: at 1 % loss each
        /// way 0.02 ^ 3 of the rounds fail by chance, where it was 0.02 ^ 2 with two.
        case last
    }

    // First what is looked at on every call: it shares a cache line.
    let id: NodeID
    /// End of the phase.
    var deadline: MonotonicInstant
    var lastHeard: MonotonicInstant?
    var phase = Phase.waiting
    var isSuspected: Bool
    /// Of the description known.
    private(set) var version: UInt64
    private(set) var contact: Contact
    var roundBegan: MonotonicInstant
    /// Timestamps of the PINGs of this round.
    var timestamps = InlineArray<3, UInt64>(repeating: 0)
    var helpersAsked = 0
    var helpersAnswered = 0

    var quality = LinkQuality()
    /// What its last answer said, until a new description comes.
    var load: UInt16?
    var coordinate: Coordinate?

    init(
        _ record: MemberRecord, isSuspected: Bool, lastHeard: MonotonicInstant?, firstRound: MonotonicInstant,
        at instant: MonotonicInstant
    ) {
        id = record.id
        contact = record.contact
        version = record.version
        self.isSuspected = isSuspected
        self.lastHeard = lastHeard
        deadline = firstRound
        roundBegan = instant
    }

    /// Whether a PING of this round was sent at `timestamp`.
    func hasAsked(at timestamp: UInt64) -> Bool {
        phase != .waiting
            && (timestamp == timestamps[0] || timestamp == timestamps[1] || timestamp == timestamps[2])
    }

    /// Whether helpers were asked at `timestamp` and are still waited for.
    func isHelped(at timestamp: UInt64) -> Bool {
        (phase == .indirect || phase == .last) && timestamps[1] == timestamp
    }

    /// The member has told a new description.
    mutating func renew(_ record: MemberRecord, isRestart: Bool) {
        contact = record.contact
        version = record.version
        load = nil
        coordinate = nil
        if isRestart { quality = LinkQuality() }
    }
}

/// A PING sent on somebody else's behalf.
struct RelayedProbe: Sendable {
    let requester: Contact
    let requesterTimestamp: UInt64
    let target: NodeID
    let timestamp: UInt64
    let expires: MonotonicInstant
}

/// Members that are alive and have lately spoken to us, above all our own monitors: finding them here spares a walk
/// through the member list for each probe.
///
/// Known by the first eight bytes of their ids. Two ids that share them cost 2^64 keys to find, and would only have one
/// living member taken for another.
struct Callers: Sendable {
    private struct Caller: Sendable {
        let prefix: UInt64
        var heard: MonotonicInstant
    }

    private var callers: [Caller] = []

    var prefixes: some Sequence<UInt64> { callers.lazy.map(\.prefix) }

    /// Five monitors, their helpers, and partners of syncs.
    private static var limit: Int { 16 }

    /// False where `id` is not listed.
    mutating func heard(_ id: NodeID, at instant: MonotonicInstant) -> Bool {
        let prefix = id.bytes.word0
        for index in callers.indices where callers[index].prefix == prefix {
            callers[index].heard = instant
            return true
        }
        return false
    }

    func lastHeard(_ id: NodeID) -> MonotonicInstant? {
        callers.first { $0.prefix == id.bytes.word0 }?.heard
    }

    /// Lists `id`, and returns who had to go for it: the one that has been silent for longest.
    mutating func add(_ id: NodeID, at instant: MonotonicInstant) -> (prefix: UInt64, heard: MonotonicInstant)? {
        let caller = Caller(prefix: id.bytes.word0, heard: instant)
        guard callers.count >= Self.limit else {
            callers.append(caller)
            return nil
        }
        var oldest = 0
        for index in callers.indices where callers[index].heard < callers[oldest].heard { oldest = index }
        let gone = callers[oldest]
        callers[oldest] = caller
        return (gone.prefix, gone.heard)
    }

    /// No longer alive, or no longer a member.
    mutating func remove(_ id: NodeID) { callers.removeAll { $0.prefix == id.bytes.word0 } }
}
