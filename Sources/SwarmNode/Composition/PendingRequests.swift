import DHT
import MediaRelay
import SwarmCore

/// Requests that wait for the swarm or the workers, each with its deadline.
struct PendingRequests {
    enum Kind {
        /// A publisher whose name is being checked in the DHT.
        case publish(StreamName, PublishSource)
        /// A viewer: the stream's entry holds the offer.
        case play(StreamName)
        case listing(prefix: String)
        case statistics(token: UInt64, collected: [WorkerStatistics])
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

    var isFull: Bool { entries.count >= CompositionLimits.pendingRequests }
    var nextDeadline: MonotonicInstant? { entries.values.map(\.deadline).min() }

    subscript(id: RequestID) -> Kind? { entries[id]?.kind }

    mutating func add(_ id: RequestID, _ kind: Kind, deadline: MonotonicInstant) {
        entries[id] = Entry(kind: kind, deadline: deadline)
    }

    /// Makes `lookup`'s answer find the request.
    mutating func bind(_ lookup: LookupID, to id: RequestID) { lookups[lookup] = id }

    /// The request that waits for `lookup`, which is then unbound.
    mutating func take(lookup: LookupID) -> RequestID? { lookups.removeValue(forKey: lookup) }

    @discardableResult
    mutating func remove(_ id: RequestID) -> Kind? {
        for (lookup, bound) in lookups where bound == id { lookups[lookup] = nil }
        return entries.removeValue(forKey: id)?.kind
    }

    /// Adds one worker's counters. Returns the whole collection once `workers` have answered.
    mutating func collect(_ statistics: WorkerStatistics, workers: Int) -> (RequestID, [WorkerStatistics])? {
        for (id, entry) in entries {
            guard case .statistics(let token, var collected) = entry.kind, token == statistics.token else { continue }
            collected.append(statistics)
            if collected.count >= workers {
                entries[id] = nil
                return (id, collected.sorted { $0.worker < $1.worker })
            }
            entries[id]?.kind = .statistics(token: token, collected: collected)
            return nil
        }
        return nil
    }

    func due(at now: MonotonicInstant) -> [RequestID] {
        entries.filter { $0.value.deadline <= now }.map(\.key).sorted { $0.raw < $1.raw }
    }
}
