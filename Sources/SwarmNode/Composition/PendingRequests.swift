import DHT
import MediaRelay
import SwarmCore

/// Requests that wait for the swarm or the workers, each with its deadline.
struct PendingRequests {
    enum Kind {
        /// A publisher whose name is being checked in the DHT.
        case publish(StreamName, PublishSource, Delegation?)
        /// A viewer: the stream's entry holds the offer.
        case play(StreamName)
        case listing(prefix: String)
        case statistics(token: UInt64)
        case locate(StreamName)
        /// The route of a stream that does not come here.
        case trace(StreamName)
        /// A node that is asked at the address known here, until its neighbours in the DHT have been asked for another.
        case ping(NodeID, isLookedUp: Bool)
    }

    enum PublishSource {
        case offer(String)
        case plain(String)
    }

    private struct Entry {
        var kind: Kind
        let deadline: MonotonicInstant
    }

    private var entries: [RequestID: Entry] = [:]
    private var lookups: [LookupID: RequestID] = [:]
    /// The collection of workers' counters under way, for every request with its token.
    private var collection: (token: UInt64, rows: [WorkerStatistics])?
    private(set) var listingCount = 0

    var isFull: Bool { entries.count >= CompositionLimits.pendingRequests }
    var nextDeadline: MonotonicInstant? {
        guard !entries.isEmpty else { return nil }
        return entries.values.reduce(.distantFuture) { min($0, $1.deadline) }
    }

    subscript(id: RequestID) -> Kind? { entries[id]?.kind }

    mutating func add(_ id: RequestID, _ kind: Kind, deadline: MonotonicInstant) {
        if case .listing = kind { listingCount += 1 }
        if case .statistics(let token) = kind, collection?.token != token { collection = (token, []) }
        entries[id] = Entry(kind: kind, deadline: deadline)
    }

    /// Gives a request another kind; its deadline stays.
    mutating func change(_ id: RequestID, to kind: Kind) { entries[id]?.kind = kind }

    /// Makes `lookup`'s answer find the request.
    mutating func bind(_ lookup: LookupID, to id: RequestID) { lookups[lookup] = id }

    /// The request that waits for `lookup`, which is then unbound.
    mutating func take(lookup: LookupID) -> RequestID? { lookups.removeValue(forKey: lookup) }

    /// Undoes `bind`; the lookup that nobody waits for any more.
    mutating func unbind(_ id: RequestID) -> LookupID? {
        guard let lookup = lookups.first(where: { $0.value == id })?.key else { return nil }
        lookups[lookup] = nil
        return lookup
    }

    @discardableResult
    mutating func remove(_ id: RequestID) -> Kind? {
        guard let kind = entries.removeValue(forKey: id)?.kind else { return nil }
        switch kind {
        case .listing: listingCount -= 1
        case .statistics(let token):
            if collection?.token == token, waiting(forStatistics: token).isEmpty { collection = nil }
        case .publish, .play, .locate, .trace, .ping: break
        }
        return kind
    }

    /// The token of the collection under way, if there is one.
    var statisticsToken: UInt64? { collection?.token }

    /// What the workers have answered so far, by worker.
    func collected(_ token: UInt64) -> [WorkerStatistics] {
        collection?.token == token ? collection?.rows ?? [] : []
    }

    /// Adds one worker's counters. Returns the whole collection once `workers` have answered.
    mutating func collect(_ statistics: WorkerStatistics, workers: Int) -> [WorkerStatistics]? {
        guard collection?.token == statistics.token else { return nil }
        collection?.rows.append(statistics)
        guard let rows = collection?.rows, rows.count >= workers else { return nil }
        return rows.sorted { $0.worker < $1.worker }
    }

    func waiting(forStatistics token: UInt64) -> [RequestID] {
        entries.filter { if case .statistics(token) = $0.value.kind { true } else { false } }
            .map(\.key).sorted { $0.raw < $1.raw }
    }

    func due(at now: MonotonicInstant) -> [RequestID] {
        entries.filter { $0.value.deadline <= now }.map(\.key).sorted { $0.raw < $1.raw }
    }
}
