import SwarmCore

/// A lookup in progress: the search, what it is for, and what it has gathered.
struct ActiveLookup: Sendable {
    enum Purpose: Hashable, Sendable {
        case resolve(StreamName)
        case list(String)
        /// What a node has published of its addresses.
        case reach(NodeID)
        /// The holders of a key, for publications.
        case locate
        /// The same for a key whose holders are known: who came lately, by asking some of them.
        case relocate
        /// Nodes near any point, so that they come to know this one.
        case explore
        /// This node's own place, to enter the swarm.
        case join

        /// Started by the owner, who waits for the answer.
        var isForOwner: Bool {
            switch self {
            case .resolve, .list, .reach: true
            case .locate, .relocate, .explore, .join: false
            }
        }

        /// Ended by the first valid record.
        var endsWithAnAnswer: Bool {
            switch self {
            case .resolve, .reach: true
            case .list, .locate, .relocate, .explore, .join: false
            }
        }

        var isForHolders: Bool { self == .locate || self == .relocate }
    }

    /// No lookup lasts longer, whatever the other side invents.
    static var longest: Interval { .seconds(10) }

    let id: LookupID
    let purpose: Purpose
    var search: ClosestLookup
    let region: HolderRegion
    /// What is asked at each step; nil for nodes only.
    let query: GetQuery?
    var gathered = GatheredRecords()
    var pages = PageReader()
    /// Of those who answered without a living origin the first few, whom others are likely to ask as well, and (last) the
    /// nearest to the target of the rest: where a copy of it would help.
    private(set) var emptyHanded: [Contact] = []
    let startedAt: MonotonicInstant
    /// Something happened since the search was last driven.
    var isDirty = false

    init(
        id: LookupID, purpose: Purpose, search: ClosestLookup, region: HolderRegion, query: GetQuery?,
        startedAt: MonotonicInstant
    ) {
        self.id = id
        self.purpose = purpose
        self.search = search
        self.region = region
        self.query = query
        self.startedAt = startedAt
    }

    var endsAt: MonotonicInstant { startedAt + Self.longest }

    mutating func noteEmptyHanded(_ peer: Contact) {
        guard emptyHanded.count == DHTLimits.copiesOffered else { return emptyHanded.append(peer) }
        let (target, last) = (search.target, emptyHanded.count - 1)
        if peer.id.distance(to: target) < emptyHanded[last].id.distance(to: target) { emptyHanded[last] = peer }
    }
}

/// How far the lists of a few holders have been read.
struct PageReader: Sendable {
    private struct Reading: Sendable {
        let holder: NodeID
        var received: Int
        var pages: Int
    }

    private var readings: [Reading] = []
    /// Pages asked for and not answered.
    private(set) var outstanding = 0

    /// `count` entries of `total` came from `holder`: where its next page starts, or nil when there is none to read.
    mutating func nextSkip(of holder: NodeID, received count: Int, of total: Int) -> Int? {
        guard count > 0 else { return nil }
        if !readings.contains(where: { $0.holder == holder }) {
            guard readings.count < DHTLimits.pagedHolders, count < total else { return nil }
            readings.append(Reading(holder: holder, received: 0, pages: 0))
        }
        guard let index = readings.firstIndex(where: { $0.holder == holder }) else { return nil }
        readings[index].received += count
        readings[index].pages += 1
        let received = readings[index].received
        guard received < min(total, DHTLimits.recordsToSkip), readings[index].pages < DHTLimits.pagesPerHolder else {
            return nil
        }
        outstanding += 1
        return received
    }

    mutating func pageEnded() { outstanding -= 1 }
}
