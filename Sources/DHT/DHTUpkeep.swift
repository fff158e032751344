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
    var isJoined: Bool { state == .joined }

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

/// How the table is kept true, at a pace that follows how long nodes live here.
///
/// Lifetimes are estimated from what own requests meet: hours of company over deaths met, both forgotten slowly. One small
/// request at a time: a ping to whoever has been silent for longest, a question for nodes of an empty bucket, or one to a
/// sibling for its view of this neighbourhood. At most one every two seconds, so that churn costs a bounded rate.
struct Upkeep: Sendable {
    /// Between two requests of the upkeep.
    static var shortestPause: Interval { .seconds(2) }
    /// What a table of strangers would be asked for in vain again and again: after this long at most.
    static var longestFillPause: Interval { .seconds(600) }

    private var companySeconds = 1800.0
    private var deaths = 0.25
    private(set) var nextTick: MonotonicInstant?
    /// When siblings are next asked for their view: soon again where that brought somebody new, else after twice the time.
    var nextExchange = MonotonicInstant.zero
    var exchangeDelay = Upkeep.shortestExchangePause
    static var shortestExchangePause: Interval { .seconds(4) }
    /// When an empty bucket is next asked for.
    var nextFill = MonotonicInstant.zero
    var fillPause = Upkeep.shortestPause
    var fillTurn = 0
    /// When nodes near a random point are next called on.
    var nextExploration = MonotonicInstant.zero
    var explorationPause = Upkeep.firstExplorationPause
    static var firstExplorationPause: Interval { .seconds(20) }

    /// A peer silent for that long was alive after all.
    mutating func noteLife(afterSilence silence: Interval) { note(Double(silence.nanoseconds) / 1e9, 0) }

    /// A peer was found dead. It died somewhere in its silence.
    mutating func noteDeath(afterSilence silence: Interval) { note(Double(silence.nanoseconds) / 2e9, 1) }

    private mutating func note(_ seconds: Double, _ died: Double) {
        companySeconds += min(seconds, 3600)
        deaths += died
        // The last few hours of company among a hundred peers: minutes when they are asked often.
        guard companySeconds > 20_000 || deaths > 64 else { return }
        companySeconds /= 2
        deaths /= 2
    }

    /// The mean time for which nodes live here, as far as can be seen: from 20 s up.
    var lifetime: Interval {
        Interval(nanoseconds: Int64(min(max(companySeconds / max(deaths, 0.01), 20), 1e6) * 1e9))
    }

    /// How long somebody silent is still named to others: one lifetime, after which one in three is left.
    var trust: Interval { min(max(lifetime, .seconds(60)), DHTConfiguration.longestTrust) }

    /// The silence after which a peer is asked: a fifth of a lifetime, when one in six is gone.
    func checkAge(atMost longest: Interval) -> Interval { min(max(lifetime / 5, .seconds(30)), longest) }

    /// How often siblings are asked for their view.
    func exchangePause(atMost longest: Interval) -> Interval { min(max(lifetime / 4, .seconds(20)), longest) }

    mutating func schedule(_ instant: MonotonicInstant?) { nextTick = instant }

    mutating func hasten(to instant: MonotonicInstant) {
        if nextTick.map({ instant < $0 }) ?? true { nextTick = instant }
    }
}

/// Upkeep: joining, joining again, and keeping the table true.
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
        upkeep.exchangeDelay = Upkeep.shortestExchangePause
        upkeep.nextExchange = now.monotonic + generator.jittered(upkeep.exchangeDelay, by: 0.3)
        upkeep.explorationPause = Upkeep.firstExplorationPause
        upkeep.nextExploration = now.monotonic + generator.jittered(upkeep.explorationPause, by: 0.5)
        // Not now: a join that ends within `advance` would leave a deadline behind it.
        upkeep.hasten(to: now.monotonic + .milliseconds(10))
    }

    /// Tries again when its time has come, or when everybody has been lost.
    mutating func continueJoining(_ now: Now, _ events: inout EventBuffer<DHTEvent>) {
        if let due = joining.nextDeadline, due <= now.monotonic {
            startJoining(now, &events)
        } else {
            noteLoss(now)
        }
    }

    /// Called wherever the table may have become empty: the seeds are asked again in a second, so that no deadline of the
    /// past is left behind.
    mutating func noteLoss(_ now: Now) {
        if joining.hasLostEverybody(table) { joining.retry(now.monotonic, using: &generator) }
    }

    /// Does one thing of the upkeep, where its time has come, and sets the time of the next.
    mutating func tendTable(_ now: Now, _ out: inout MessageOutbox) {
        guard let tick = upkeep.nextTick, tick <= now.monotonic else { return }
        guard joining.isJoined, !table.isEmpty else { return upkeep.schedule(nil) }
        size.look(at: table)
        let longest = configuration.refreshInterval
        let age = upkeep.checkAge(atMost: longest)
        let empty = table.emptyBucket(from: upkeep.fillTurn, wanted: 2)
        if upkeep.nextExchange <= now.monotonic {
            askForSiblings(now, &out)
        } else if let empty, upkeep.nextFill <= now.monotonic {
            askForPeers(ofBucket: empty, now, &out)
        } else if upkeep.nextExploration <= now.monotonic {
            explore(now)
        } else if let (id, due) = table.mostOverdue(at: now.monotonic, age: age, siblingAge: age / 2),
            due <= now.monotonic, let peer = table.peer(of: id)
        {
            probe(peer, now, &out)
        }
        var next = min(upkeep.nextExchange, upkeep.nextExploration)
        if let overdue = table.mostOverdue(at: now.monotonic, age: age, siblingAge: age / 2) {
            next = min(next, overdue.due)
        }
        if empty != nil { next = min(next, upkeep.nextFill) }
        upkeep.schedule(max(next, now.monotonic + generator.jittered(Upkeep.shortestPause, by: 0.25)))
    }

    /// Calls on nodes near a random point, whose guest this node becomes; ever more rarely.
    private mutating func explore(_ now: Now) {
        upkeep.nextExploration = now.monotonic + generator.jittered(upkeep.explorationPause, by: 0.5)
        upkeep.explorationPause = min(upkeep.explorationPause * 2, configuration.longestExplorationPause)
        let point = Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
        _ = startUpkeep(.explore, point, now)
    }

    /// One question to one of the nodes nearest to a random point of the bucket.
    private mutating func askForPeers(ofBucket bucket: Int, _ now: Now, _ out: inout MessageOutbox) {
        upkeep.fillTurn = bucket + 1
        // Success, somebody new in the bucket, shortens the pause again.
        upkeep.nextFill = now.monotonic + generator.jittered(upkeep.fillPause, by: 0.25)
        upkeep.fillPause = min(upkeep.fillPause * 3 / 2, Upkeep.longestFillPause)
        let key = table.randomKey(inBucket: bucket, using: &generator)
        ask(one: table.nearest(to: key, limit: 8, .anybody), about: key, bucket, now, &out)
    }

    /// About this node itself, or about a point as far away as siblings are: one answer does not hold them all.
    private mutating func askForSiblings(_ now: Now, _ out: inout MessageOutbox) {
        let pause = min(upkeep.exchangeDelay, upkeep.exchangePause(atMost: configuration.refreshInterval))
        upkeep.nextExchange = now.monotonic + generator.jittered(pause, by: 0.3)
        upkeep.exchangeDelay = min(upkeep.exchangeDelay * 2, configuration.refreshInterval)
        var point = identity.id.bytes
        if generator.integer(below: 2) == 1 { point.word0 ^= generator.next() % max(table.siblingRadius, 1) }
        guard generator.integer(below: 2) == 1 else {
            // Half of the time anybody of the table: were all siblings liars, they would only name each other.
            let anywhere = Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
            return ask(one: table.nearest(to: anywhere, limit: 1, .anybody), about: point, 256, now, &out)
        }
        ask(one: table.nearest(to: point, limit: configuration.bucketSize, .anybody), about: point, 256, now, &out)
    }

    private mutating func ask(
        one peers: NearestPeers, about key: Bytes32, _ bucket: Int, _ now: Now, _ out: inout MessageOutbox
    ) {
        guard peers.count > 0 else { return }
        let peer = table.contact(of: table.peer(peers[generator.integer(below: peers.count)]))
        let isClient = configuration.isClientOnly
        let place = ownPlace
        ask(peer, .fill(bucket: bucket), at: now, into: &out) {
            .findNode($0, isClient: isClient, from: place, target: key)
        }
    }

    /// Of the nodes named for a bucket up to three are asked whether they are there: two that seem near in time and one at
    /// random. From one source no more, so that a liar cannot fill a bucket with its friends. Of siblings, which are to be
    /// known all, up to eight, the nearest.
    mutating func take(_ named: [NearContact], forBucket bucket: Int, _ now: Now, _ out: inout MessageOutbox) {
        var wanted = named.filter { near in
            let id = near.contact.id
            guard id != identity.id, !near.contact.addresses.isEmpty, table.peer(of: id) == nil else { return false }
            return bucket < 256 ? table.bucketIndex(of: id) == bucket : table.isSibling(id)
        }
        guard !wanted.isEmpty else { return }
        if bucket < 256 {
            upkeep.fillPause = Upkeep.shortestPause
        } else {
            upkeep.exchangeDelay = Upkeep.shortestExchangePause
            upkeep.nextExchange = min(upkeep.nextExchange, now.monotonic + Upkeep.shortestExchangePause)
            upkeep.hasten(to: upkeep.nextExchange)
        }
        func time(_ near: NearContact) -> Interval { predictedRoundTrip(to: near.coordinate) ?? .seconds(1) }
        var chosen: [NearContact]
        if bucket < 256 {
            // Sorting is stable: equally near ones stay in the order in which they were named.
            wanted.sort { time($0) < time($1) }
            chosen = Array(wanted.prefix(2))
            if wanted.count > 2 { chosen.append(wanted[2 + generator.integer(below: wanted.count - 2)]) }
        } else {
            chosen = Array(wanted.prefix(8))
        }
        let isClient = configuration.isClientOnly
        let place = ownPlace
        for near in chosen {
            let expected = predictedRoundTrip(to: near.coordinate)
            ask(near.contact, .probe, expected: expected, at: now, into: &out) {
                .ping($0, isClient: isClient, from: place)
            }
        }
    }
}
