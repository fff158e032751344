import SwarmCore

/// A lookup in progress: the search, what it is for, and what it has gathered.
struct ActiveLookup: Sendable {
    enum Purpose: Hashable, Sendable {
        case resolve(StreamName)
        case list(String)
        /// The holders of a key, for publications.
        case locate
        /// A bucket that nobody looked into.
        case refresh
        /// This node's own place, to enter the swarm.
        case join

        /// Started by the owner, who waits for the answer.
        var isForOwner: Bool {
            switch self {
            case .resolve, .list: true
            case .locate, .refresh, .join: false
            }
        }
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
    /// The nearest to the target of those who answered without a living origin: where a copy of it would help others.
    private(set) var emptyHanded: Contact?
    let endsAt: MonotonicInstant
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
        endsAt = startedAt + Self.longest
    }

    mutating func noteEmptyHanded(_ peer: Contact) {
        let target = search.target
        if let known = emptyHanded, known.id.distance(to: target) <= peer.id.distance(to: target) { return }
        emptyHanded = peer
    }
}

/// Verified records of one lookup: of each publisher and statement the newest.
struct GatheredRecords: Sendable {
    private(set) var origins: [Record] = []
    private(set) var carriers: [Contact] = []
    private(set) var entries: [StreamName: Record] = [:]
    private(set) var entryCount = 0

    /// Whether `record` would add nothing: the check that saves verifying a signature twice.
    func isKnown(_ record: Record) -> Bool {
        switch record.kind {
        case .streamOrigin:
            origins.contains { $0.concernsSame(as: record) && $0.sequence >= record.sequence }
        case .streamCarrier:
            carriers.contains { $0.id == record.publisher.id }
        case .prefixEntry:
            StreamName(record.name).flatMap { entries[$0] }.map { known in
                known.publisher.id == record.publisher.id && known.sequence >= record.sequence
            } ?? false
        case .nodeAddresses:
            true
        }
    }

    mutating func add(_ record: Record) {
        switch record.kind {
        case .streamOrigin:
            origins.removeAll { $0.concernsSame(as: record) && $0.sequence < record.sequence }
            if origins.count < DHTLimits.originsPerKey { origins.append(record) }
        case .streamCarrier:
            guard !record.isTombstone, carriers.count < DHTLimits.carriersPerLocation else { return }
            carriers.append(record.publisher)
        case .prefixEntry:
            guard !record.isTombstone, let name = StreamName(record.name) else { return }
            guard entries[name] != nil || entries.count < DHTLimits.listedStreams else { return }
            entries[name] = entries[name].map { Self.preferred($0, record) } ?? record
        case .nodeAddresses:
            break
        }
    }

    /// The living origin; of two, as after a partition, the one whose id is smaller, so that all readers agree.
    var origin: Record? { origins.filter { !$0.isTombstone }.min { $0.publisher.id < $1.publisher.id } }

    func location(of stream: StreamName, own: NodeID) -> StreamLocation? {
        guard let origin else { return nil }
        let others = carriers.filter { $0.id != origin.publisher.id && $0.id != own }
        return StreamLocation(stream: stream, origin: origin.publisher, epoch: origin.epoch, carriers: others)
    }

    var listing: [ListedStream] {
        var records = entries
        if let origin, let name = StreamName(origin.name), records[name] == nil { records[name] = origin }
        return records.keys.sorted().compactMap { name in
            records[name].map { ListedStream(stream: name, origin: $0.publisher, epoch: $0.epoch) }
        }
    }

    private static func preferred(_ a: Record, _ b: Record) -> Record {
        if a.publisher.id == b.publisher.id { return a.sequence >= b.sequence ? a : b }
        return a.publisher.id < b.publisher.id ? a : b
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
