import SwarmCore
import SwarmCrypto

/// One record this node keeps alive in the swarm: stored at the nodes nearest to its key, signed anew at each round. A
/// stream is published as several of them: its origin, and an entry under each of its prefixes. It ends in a last round
/// of tombstones.
struct Publication: Sendable {
    enum Phase: Hashable, Sendable {
        case waiting(until: MonotonicInstant)
        /// Due; starts as soon as its holders are located and there is room.
        case queued
        case storing
    }

    /// The current round of PUTs.
    struct Round: Sendable {
        /// Requests it began with, and those not yet answered.
        var asked = 0
        var outstanding = 0
        var stored = 0
        /// What the holders say of the age of this node's lease.
        var ages: [Interval] = []
        /// Valid proofs that another publisher holds the name, one a holder.
        var rivals: [Incumbent] = []

        /// Enough to tell the owner that the stream can be found: three quarters have answered, and nobody objects.
        var isWellStored: Bool { stored > 0 && rivals.isEmpty && outstanding * 4 <= asked }
    }

    let number: UInt64
    let stream: StreamName
    let kind: RecordKind
    let depth: UInt8
    let key: Bytes32
    var epoch: UInt64
    /// Of a bound name.
    var delegation: Delegation?
    var sequence: UInt64 = 0
    var phase: Phase
    var round = Round()
    /// Rounds in a row in which a rival of about the same strength was met.
    private(set) var contestedRounds = 0
    /// The nodes of the last round, without this one, and those supplied since.
    private(set) var holders: [Contact] = []
    /// Nodes of earlier rounds that may still hold the record: its end must reach them too. At most 2k.
    private var formerHolders: [(contact: Contact, until: MonotonicInstant)] = []
    /// Since when the record has been stored somewhere without a gap.
    private var heldSince: MonotonicInstant?
    /// Whether any record of it has left this node.
    var wasStored = false
    var isWithdrawn = false
    /// Whether `.published` was emitted for the present epoch.
    var isAnnounced = false
    /// The end of the last round, to keep news of the neighbourhood from starting the next too soon.
    var lastRound = MonotonicInstant.zero

    init(
        number: UInt64, stream: StreamName, kind: RecordKind, depth: UInt8 = 0, key: Bytes32, epoch: UInt64,
        delegation: Delegation? = nil
    ) {
        self.number = number
        self.stream = stream
        self.kind = kind
        self.depth = depth
        self.key = key
        self.epoch = epoch
        self.delegation = delegation
        phase = .queued
    }

    /// A claim to the name that a new holder knows of is worth a new round no sooner than this.
    static var shortestPause: Interval { .seconds(1) }
    /// After a round that stored nothing, or met a rival that is expected to give way.
    static var contestedPause: Interval { .seconds(2) }

    /// A round begins at `nearest`.
    mutating func begin(at nearest: [Contact], lifetime: Interval, atMost limit: Int, now: MonotonicInstant) {
        round = Round()
        phase = .storing
        let present = Set(nearest.map(\.id))
        formerHolders.removeAll { $0.until <= now || present.contains($0.contact.id) }
        for contact in holders where !present.contains(contact.id) {
            formerHolders.removeAll { $0.contact.id == contact.id }
            formerHolders.append((contact, now + lifetime))
        }
        formerHolders.removeFirst(max(0, formerHolders.count - limit))
        holders = nearest
    }

    /// Everybody who may hold the record: the last round's nodes and those before them.
    func possibleHolders(_ now: MonotonicInstant) -> [Contact] {
        holders + formerHolders.filter { $0.until > now }.map(\.contact)
    }

    /// One more holder of what was stored; false where there are `limit` already, or the record is to end.
    mutating func addHolder(_ contact: Contact, atMost limit: Int) -> Bool {
        guard wasStored, !isWithdrawn, holders.count < limit, !holders.contains(where: { $0.id == contact.id }) else {
            return false
        }
        holders.append(contact)
        return true
    }

    /// The requests that may carry its record.
    var puts: Set<PendingRequest.Purpose> { [.store(publication: number), .supply(publication: number)] }

    /// Brings the next round forward to `instant`, if it is waiting for a later one.
    mutating func hasten(to instant: MonotonicInstant) {
        guard case .waiting(let until) = phase, until > instant else { return }
        phase = .waiting(until: instant)
    }

    /// When it next has something to do by itself.
    var nextDeadline: MonotonicInstant? {
        if case .waiting(let until) = phase { until } else { nil }
    }

    // MARK: Judging a round

    enum Verdict: Hashable, Sendable {
        /// Nobody else claims the name, or too few say so to be believed.
        case keep
        /// A rival of some strength was met and is expected to give way.
        case contested
        case lose
    }

    /// How a finished round stands for a name that others also claim.
    ///
    /// A bound name is its owner's: a rival with a newer delegation wins, an older one is no rival. A plain name goes to
    /// the older lease (`NameClaim`), once both sides have holders worth the name: who is stored nowhere, or at less than
    /// a quarter of those that answered, has lost; a rival that less than a quarter speak for is not believed, so that a
    /// few liars cannot talk a publisher out of its name.
    ///
    /// The age of its own lease a publisher knows better than its holders, who may be young themselves; a rival's is what
    /// holders state. So of two publishers that meet different holders each sees the other at most as old as it is, and
    /// never do both give way to the other's age. And who has two thirds of its holders waits whether the other gives way
    /// for having too few.
    mutating func judge(own: NodeID, at now: MonotonicInstant) -> Verdict {
        if round.stored == 0 { heldSince = nil }
        guard !round.rivals.isEmpty else {
            if round.stored > 0 { heldSince = heldSince ?? now }
            contestedRounds = 0
            return .keep
        }
        if let delegation { return judgeBound(delegation) }
        let (stored, against) = (round.stored, round.rivals.count)
        guard stored > 0 else { return .lose }
        let ownAge = max(now - (heldSince ?? now), NameClaim.observedAge(round.ages))
        heldSince = heldSince ?? now
        if against * 4 < stored + against { return .keep }
        if stored * 4 < stored + against { return .lose }
        contestedRounds += 1
        for rival in Set(round.rivals.map(\.record.publisher.id)).sorted() {
            let age = NameClaim.observedAge(round.rivals.filter { $0.record.publisher.id == rival }.map(\.age))
            let givesWay = NameClaim.givesWay(
                own: (own, ownAge), to: (rival, age), key: key, round: contestedRounds)
            if givesWay, stored < 2 * against || contestedRounds >= NameClaim.roundsToDecide { return .lose }
            // Neither side would ever give way where each meets too few holders of the other's that are old enough.
            guard contestedRounds >= NameClaim.roundsToCount else { continue }
            let isFarther = own.distance(to: key) > rival.distance(to: key)
            if isFarther ? stored <= against : stored * 2 < against { return .lose }
        }
        return .contested
    }

    private func judgeBound(_ delegation: Delegation) -> Verdict {
        let isBeaten = round.rivals.contains { $0.record.delegation?.outranks(delegation, at: key) ?? false }
        return isBeaten ? .lose : round.stored > 0 ? .keep : .contested
    }

    /// How long until the next round.
    func pause(after verdict: Verdict, regular: Interval) -> Interval {
        verdict == .contested || round.stored == 0 ? Self.contestedPause : regular
    }
}

/// Where a lookup found the nodes nearest to a key.
///
/// The first search is wide, as dear as an honest answer is worth against liars. From then on those that were found are
/// asked for newcomers: they know their neighbours, and one honest holder among them is enough. Now and then all are
/// looked for anew.
struct LocatedKey: Sendable {
    /// Four rounds: the PUTs themselves tell who is gone, and newcomers near the key are found at the latest after this.
    static var freshness: Interval { .seconds(60) }
    /// All are looked for anew after this.
    static var longestMemory: Interval { .seconds(300) }
    /// As many keys as 64 streams of two segments have, three each, and some.
    static var limit: Int { 256 }

    let key: Bytes32
    /// Those that have not failed since, nearest first.
    var nearest: [Contact]
    /// How many there were when they were last asked for.
    private var found: Int
    let at: MonotonicInstant
    private var renewedAt: MonotonicInstant

    init(key: Bytes32, nearest: [Contact], at: MonotonicInstant) {
        self.key = key
        self.nearest = nearest
        self.at = at
        renewedAt = at
        found = nearest.count
    }

    /// Newcomers were asked for.
    mutating func renew(_ nearest: [Contact], at now: MonotonicInstant) {
        self.nearest = nearest
        found = nearest.count
        renewedAt = now
    }

    /// A newcomer that was heard near the key: one more holder, as long as there are fewer than 2k.
    /// False where it is none.
    mutating func welcome(_ contact: Contact, k: Int) -> Bool {
        guard nearest.count < 2 * k, !nearest.contains(where: { $0.id == contact.id }) else { return false }
        let distance = contact.id.distance(to: key)
        let index = nearest.firstIndex { distance < $0.id.distance(to: key) } ?? nearest.count
        guard index < nearest.count || nearest.count < k else { return false }
        nearest.insert(contact, at: index)
        return true
    }

    /// Three quarters are left of those who were found a short while ago.
    func isFresh(_ now: MonotonicInstant) -> Bool {
        now - renewedAt <= Self.freshness && nearest.count * 4 >= found * 3
    }

    func isOld(_ now: MonotonicInstant) -> Bool { now - at > Self.longestMemory }

    /// Half are gone: the others may not know who has come.
    var isLost: Bool { nearest.count * 2 < found }
}
