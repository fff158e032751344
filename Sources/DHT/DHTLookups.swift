import SwarmCore

/// Lookups: starting them, feeding them answers, ending them.
extension DHT {
    // MARK: Starting

    mutating func startResolving(
        _ stream: StreamName, _ id: LookupID, _ now: Now, _ events: inout EventBuffer<DHTEvent>
    ) {
        let query = GetQuery(key: RecordPlace.path(stream.text), kinds: .location)
        var gathered = GatheredRecords()
        gather(store.records(for: query, key: query.key, turn: id.number, at: now.monotonic).records, into: &gathered)
        if let location = gathered.location(of: stream, own: identity.id) { return events.append(.found(id, location)) }
        guard lookups.count < DHTLimits.lookups else { return overload(id, &events) }
        start(id, .resolve(stream), query.key, query: query, now, gathered: gathered)
    }

    mutating func startListing(
        _ prefix: String, _ id: LookupID, _ now: Now, _ events: inout EventBuffer<DHTEvent>
    ) {
        guard let prefix = StreamPrefix.normalised(prefix) else { return events.append(.listing(id, [])) }
        guard lookups.count < DHTLimits.lookups else { return overload(id, &events) }
        let query = GetQuery(key: RecordPlace.path(prefix), kinds: .listing)
        var everything = query
        everything.limit = DHTLimits.prefixEntriesPerKey + DHTLimits.originsPerKey
        var gathered = GatheredRecords()
        let held = store.records(for: everything, key: query.key, turn: id.number, at: now.monotonic)
        gather(held.records, into: &gathered)
        start(id, .list(prefix), query.key, query: query, now, gathered: gathered)
    }

    /// A lookup of the DHT's own; false where there are too many.
    mutating func startUpkeep(_ purpose: ActiveLookup.Purpose, _ key: Bytes32, _ now: Now) -> Bool {
        let running = lookups.count { !$0.purpose.isForOwner }
        guard running < DHTLimits.upkeepLookups, lookups.count < DHTLimits.lookups else { return false }
        start(nextLookupID(), purpose, key, query: nil, now, gathered: GatheredRecords())
        return true
    }

    private mutating func start(
        _ id: LookupID, _ purpose: ActiveLookup.Purpose, _ key: Bytes32, query: GetQuery?, _ now: Now,
        gathered: GatheredRecords
    ) {
        var parameters = ClosestLookup.Parameters()
        parameters.width = configuration.bucketSize
        parameters.parallelism = configuration.parallelism
        parameters.waitsForLatePeers = purpose.isForOwner
        let nearest = table.closest(to: key, limit: configuration.bucketSize)
        var seeds = nearest.map { ClosestLookup.Hint($0.contact, roundTrip: $0.roundTrip) }
        if purpose == .join || seeds.isEmpty { seeds += joining.seeds.map { ClosestLookup.Hint($0) } }
        let search = ClosestLookup(target: key, own: identity.id, seeds: seeds, parameters: parameters)
        var lookup = ActiveLookup(
            id: id, purpose: purpose, search: search, query: query, startedAt: now.monotonic)
        lookup.gathered = gathered
        lookups.append(lookup)
        table.noteLookup(for: key, at: now.monotonic)
        traffic.add(.lookupsStarted)
    }

    private mutating func overload(_ id: LookupID, _ events: inout EventBuffer<DHTEvent>) {
        refusals.add(.tooManyLookups)
        events.append(.overloaded(id))
    }

    // MARK: Driving

    /// Asks whom there is to ask and ends what is finished. True where a lookup ended.
    mutating func driveLookups(
        _ now: Now, _ out: inout MessageOutbox, _ events: inout EventBuffer<DHTEvent>
    ) -> Bool {
        var hasEnded = false
        var index = 0
        while index < lookups.count {
            guard lookups[index].isDirty else {
                index += 1
                continue
            }
            lookups[index].isDirty = false
            askNext(index, now, &out)
            if lookups[index].search.isFinished, lookups[index].pages.outstanding == 0 {
                end(lookups.remove(at: index), now, &events)
                hasEnded = true
            } else {
                index += 1
            }
        }
        return hasEnded
    }

    /// Wakes lookups whose peers have become late, and ends those that last too long.
    mutating func expireLookups(_ now: MonotonicInstant) {
        for index in lookups.indices {
            if lookups[index].endsAt <= now {
                lookups[index].search.cancel()
                let id = lookups[index].id
                requests.removeAll(for: [.page(id)])
                lookups[index].pages = PageReader()
                lookups[index].isDirty = true
            } else if let deadline = lookups[index].search.nextDeadline, deadline <= now {
                lookups[index].isDirty = true
            }
        }
    }

    private mutating func askNext(_ index: Int, _ now: Now, _ out: inout MessageOutbox) {
        let id = lookups[index].id
        let query = lookups[index].query
        let target = lookups[index].search.target
        let isClient = configuration.isClientOnly
        while case .ask(let peer) = lookups[index].search.next(now.monotonic) {
            let isSent = ask(peer, .lookup(id), at: now, into: &out) { request in
                if let query { return .get(request, isClient: isClient, query) }
                return .findNode(request, isClient: isClient, target: target)
            }
            if !isSent { lookups[index].search.onFailure(peer.id) }
        }
    }

    private mutating func end(_ lookup: ActiveLookup, _ now: Now, _ events: inout EventBuffer<DHTEvent>) {
        traffic.add(.lookupsFinished)
        switch lookup.purpose {
        case .resolve(let stream):
            if let location = lookup.gathered.location(of: stream, own: identity.id) {
                events.append(.found(lookup.id, location))
            } else {
                events.append(.notFound(lookup.id))
            }
        case .list:
            events.append(.listing(lookup.id, lookup.gathered.listing))
        case .locate:
            noteLocated(lookup.search.target, lookup.search.closest, at: now.monotonic)
        case .refresh:
            break
        case .join:
            endJoining(hasMetSomebody: !lookup.search.closest.isEmpty, now, &events)
        }
    }

    // MARK: Answers

    mutating func lookupAnswered(
        _ id: LookupID, by peer: Contact, closer: [NearContact], records: [HeldRecord], total: Int, _ now: Now,
        _ out: inout MessageOutbox, _ events: inout EventBuffer<DHTEvent>
    ) {
        // The lookup may have ended meanwhile; the answer has still told that the peer lives.
        guard let index = lookups.firstIndex(where: { $0.id == id }) else { return }
        let hints = closer.map { ClosestLookup.Hint($0.contact, roundTrip: table.entry(of: $0.contact.id)?.roundTrip) }
        lookups[index].search.onSuccess(peer.id, closer: hints)
        lookups[index].isDirty = true
        if let query = lookups[index].query {
            take(records, from: peer.id, key: query.key, into: index, now)
        }
        switch lookups[index].purpose {
        case .resolve:
            if lookups[index].gathered.origin != nil { lookups[index].search.cancel() }
        case .list:
            readOn(index, at: peer, records: records, total: total, now, &out)
        case .locate, .refresh, .join:
            break
        }
    }

    mutating func lookupFailed(_ id: LookupID, at peer: NodeID) {
        guard let index = lookups.firstIndex(where: { $0.id == id }) else { return }
        lookups[index].search.onFailure(peer)
        lookups[index].isDirty = true
    }

    mutating func pageAnswered(
        _ id: LookupID, by peer: Contact, records: [HeldRecord], total: Int, _ now: Now, _ out: inout MessageOutbox
    ) {
        guard let index = lookups.firstIndex(where: { $0.id == id }), let query = lookups[index].query else { return }
        lookups[index].pages.pageEnded()
        lookups[index].isDirty = true
        take(records, from: peer.id, key: query.key, into: index, now)
        readOn(index, at: peer, records: records, total: total, now, &out)
    }

    mutating func pageFailed(_ id: LookupID) {
        guard let index = lookups.firstIndex(where: { $0.id == id }) else { return }
        lookups[index].pages.pageEnded()
        lookups[index].isDirty = true
    }

    private mutating func readOn(
        _ index: Int, at peer: Contact, records: [HeldRecord], total: Int, _ now: Now, _ out: inout MessageOutbox
    ) {
        let count = records.count { $0.record.kind == .prefixEntry }
        guard var query = lookups[index].query,
            let skip = lookups[index].pages.nextSkip(of: peer.id, received: count, of: total)
        else { return }
        query.skip = skip
        query.kinds = RecordKind.prefixEntry.mask
        let isClient = configuration.isClientOnly
        let page = query
        let isSent = ask(peer, .page(lookups[index].id), at: now, into: &out) { .get($0, isClient: isClient, page) }
        if !isSent { lookups[index].pages.pageEnded() }
    }

    /// Believes of an answer's records what proves itself: right key, signed lately, by its publisher.
    private mutating func take(
        _ records: [HeldRecord], from holder: NodeID, key: Bytes32, into index: Int, _ now: Now
    ) {
        for held in records {
            if lookups[index].gathered.isKnown(held.record) {
                lookups[index].gathered.note(held, from: holder)
            } else if let reason = doubt(held.record, under: key, now) {
                refusals.add(reason)
            } else {
                lookups[index].gathered.add(held, from: holder)
            }
        }
    }

    /// Records of this node's own store were verified when they came.
    private func gather(_ records: [HeldRecord], into gathered: inout GatheredRecords) {
        for held in records where !gathered.isKnown(held.record) { gathered.add(held, from: identity.id) }
    }
}
