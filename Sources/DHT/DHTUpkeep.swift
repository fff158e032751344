import SwarmCore

/// How this node entered the swarm, and whether it has to try again.
struct Joining: Sendable {
    private enum State: Hashable, Sendable {
        /// `bootstrap` was not called yet.
        case idle
        case looking
        case waiting(until: MonotonicInstant)
        case joined
    }

    private(set) var seeds: [Contact] = []
    private var state = State.idle
    private var attempts = 0

    mutating func add(_ contacts: [Contact]) {
        for contact in contacts where seeds.count < DHTLimits.seeds {
            guard !seeds.contains(where: { $0.id == contact.id }) else { continue }
            seeds.append(contact)
        }
    }

    var isLooking: Bool { state == .looking }

    /// Nobody is left in the table of a node that had joined: time to ask the seeds again.
    func hasLostEverybody(_ table: RoutingTable) -> Bool { state == .joined && table.isEmpty && !seeds.isEmpty }

    mutating func look() { state = .looking }

    mutating func join() {
        state = .joined
        attempts = 0
    }

    /// Tries again after 1, 2, 4, … 30 seconds, for ever.
    mutating func retry(_ now: MonotonicInstant, using generator: inout SeededGenerator) {
        let seconds = Int64(min(30, 1 << min(attempts, 5)))
        attempts += 1
        state = .waiting(until: now + generator.jittered(.seconds(seconds), by: 0.2))
    }

    var nextDeadline: MonotonicInstant? {
        if case .waiting(let until) = state { until } else { nil }
    }
}

/// Upkeep: joining, joining again, refreshing buckets nobody looks into.
extension DHT {
    mutating func startJoining(_ now: Now, _ events: inout EventBuffer<DHTEvent>) {
        guard !joining.isLooking else { return }
        guard !joining.seeds.isEmpty || !table.isEmpty else {
            joining.join()
            return events.append(.bootstrapped)
        }
        if startUpkeep(.join, identity.id.bytes, now) {
            joining.look()
        } else {
            joining.retry(now.monotonic, using: &generator)
        }
    }

    mutating func endJoining(hasMetSomebody: Bool, _ now: Now, _ events: inout EventBuffer<DHTEvent>) {
        guard hasMetSomebody else { return joining.retry(now.monotonic, using: &generator) }
        joining.join()
        events.append(.bootstrapped)
        for key in table.refreshKeys(using: &generator).suffix(DHTLimits.upkeepLookups / 2) {
            _ = startUpkeep(.refresh, key, now)
        }
    }

    /// Tries again when its time has come, or when everybody has been lost.
    mutating func continueJoining(_ now: Now, _ events: inout EventBuffer<DHTEvent>) {
        if let due = joining.nextDeadline, due <= now.monotonic {
            startJoining(now, &events)
        } else if joining.hasLostEverybody(table) {
            joining.retry(now.monotonic, using: &generator)
        }
    }

    mutating func refreshBuckets(_ now: Now) {
        let age = configuration.refreshInterval
        while let key = table.staleBucketKey(at: now.monotonic, age: age, using: &generator) {
            // Noted even where there is no room for the lookup, so that the deadline moves on.
            table.noteLookup(for: key, at: now.monotonic)
            guard startUpkeep(.refresh, key, now) else { continue }
        }
    }
}
