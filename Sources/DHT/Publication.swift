import SwarmCore

/// One record this node keeps alive at the nodes nearest to its key, round by round: locate the holders, sign, store,
/// wait, again; at the end one round of tombstones.
struct Publication: Sendable {
    enum Phase: Hashable, Sendable {
        case waiting(until: MonotonicInstant)
        /// Due; starts as soon as its holders are located and there is room.
        case queued
        case storing
    }

    /// The current round of PUTs.
    struct Round: Sendable {
        var outstanding = 0
        var stored = 0
        /// Valid proofs that another publisher holds the name: the longest lease seen and who has it.
        var rivals: [Incumbent] = []
    }

    let number: UInt64
    let stream: StreamName
    let kind: RecordKind
    let depth: UInt8
    let key: Bytes32
    var epoch: UInt64
    var sequence: UInt64 = 0
    var phase: Phase
    var round = Round()
    /// The nodes of the last round, nearest first, without this one.
    var holders: [Contact] = []
    /// Whether any record of it has left this node.
    var wasStored = false
    var isWithdrawn = false
    /// Whether `.published` was emitted for the present epoch.
    var isAnnounced = false
    /// When the first round was stored: the age of this node's lease.
    var heldSince: MonotonicInstant?
    /// The end of the last round, to keep news of the neighbourhood from starting the next too soon.
    var lastRound = MonotonicInstant.zero

    init(
        number: UInt64, stream: StreamName, kind: RecordKind, depth: UInt8 = 0, key: Bytes32, epoch: UInt64
    ) {
        self.number = number
        self.stream = stream
        self.kind = kind
        self.depth = depth
        self.key = key
        self.epoch = epoch
        phase = .queued
    }

    /// Nearer nodes than the last round's are worth a new round no sooner than this.
    static var shortestPause: Interval { .seconds(1) }

    /// Brings the next round forward to `instant`, if it is waiting for a later one.
    mutating func hasten(to instant: MonotonicInstant) {
        guard case .waiting(let until) = phase, until > instant else { return }
        phase = .waiting(until: instant)
    }

    /// When it next has something to do by itself.
    var nextDeadline: MonotonicInstant? {
        if case .waiting(let until) = phase { until } else { nil }
    }

    /// How the round stands for a name that others also claim.
    enum Verdict: Hashable, Sendable { case keep, lose }

    /// The older lease wins, as the holders have observed it; leases that began within two seconds are a tie, which the
    /// id nearer to the key wins. Who is stored nowhere has lost in any case.
    func verdict(own: NodeID, at now: MonotonicInstant) -> Verdict {
        guard let oldest = round.rivals.map(\.age).max() else { return .keep }
        guard round.stored > 0 else { return .lose }
        let ownAge = heldSince.map { now - $0 } ?? .zero
        let slack = Interval.seconds(2)
        if oldest > ownAge + slack { return .lose }
        if oldest + slack < ownAge { return .keep }
        let rivals = round.rivals.map { $0.record.publisher.id.distance(to: key) }
        guard let nearest = rivals.min() else { return .keep }
        return own.distance(to: key) < nearest ? .keep : .lose
    }
}

/// Where a lookup found the nodes nearest to a key.
struct LocatedKey: Sendable {
    /// Long enough for a queue of publications under one key, short beside the churn of neighbours.
    static var freshness: Interval { .seconds(5) }
    static var limit: Int { 64 }

    let key: Bytes32
    let nearest: [Contact]
    let at: MonotonicInstant
}
