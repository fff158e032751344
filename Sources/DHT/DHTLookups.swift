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

    mutating func startReaching(
        _ node: NodeID, _ id: LookupID, _ now: Now, _ events: inout EventBuffer<DHTEvent>
    ) {
        guard lookups.count < DHTLimits.lookups else { return overload(id, &events) }
        let query = GetQuery(key: RecordPlace.node(node), kinds: RecordKind.nodeAddresses.mask)
        start(id, .reach(node), query.key, query: query, now, gathered: GatheredRecords())
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
        size.look(at: table)
        let region = HolderRegion(key: key, swarmSize: size.estimate, holders: configuration.bucketSize)
        var parameters = parameters(of: purpose, region)
        var seeds: [ClosestLookup.Hint] = []
        var known: Set<NodeID> = []
        if purpose == .relocate {
            for holder in knownHolders(of: key) where known.insert(holder.id).inserted {
                seeds.append(ClosestLookup.Hint(holder, roundTrip: table.peer(of: holder.id)?.roundTrip))
            }
        }
        addSeeds(for: region, looksAround: parameters.looksAround, &known, &seeds)
        if purpose == .join || seeds.isEmpty { seeds += joining.seeds.map { ClosestLookup.Hint($0) } }
        if purpose.endsWithAnAnswer { parameters.opening = opening(seeds, region) }
        let search = ClosestLookup(target: key, own: identity.id, seeds: seeds, parameters: parameters)
        var lookup = ActiveLookup(
            id: id, purpose: purpose, search: search, region: region, query: query, startedAt: now.monotonic)
        lookup.gathered = gathered
        lookups.append(lookup)
        markDirty(lookups.count - 1)
        traffic.add(.lookupsStarted)
    }

    /// How many nodes of the region to begin with: a few, where more than one is known that has not failed of late.
    private func opening(_ seeds: [ClosestLookup.Hint], _ region: HolderRegion) -> Int {
        let known = seeds.count {
            region.contains($0.contact.id) && table.peer(of: $0.contact.id).map { $0.failures == 0 } ?? false
        }
        return known < configuration.fewestToOpen ? 0 : configuration.openedAtOnce
    }

    private func parameters(of purpose: ActiveLookup.Purpose, _ region: HolderRegion) -> ClosestLookup.Parameters {
        var parameters = ClosestLookup.Parameters()
        parameters.width = configuration.bucketSize
        parameters.region = region
        if let typical = table.typicalRoundTrip() { parameters.typicalRoundTrip = typical }
        // Many lookups at a time share the room there is.
        let room = (DHTLimits.requests - requests.count) / 32
        switch purpose {
        case .resolve, .list, .reach, .locate:
            parameters.parallelism = configuration.hurriedParallelism
            parameters.wideParallelism = min(configuration.wideParallelism, room)
            parameters.seedsFollowed = configuration.seedsFollowed
            parameters.namesFollowed = configuration.namesFollowed
            parameters.awaitsAll = purpose == .locate
            parameters.sparesSurroundings = purpose != .locate
            let isFar = parameters.typicalRoundTrip >= configuration.farRoundTrip
            parameters.isWideFromStart = purpose == .locate || isFar
        case .relocate:
            parameters.parallelism = configuration.hurriedParallelism
            parameters.wideParallelism = configuration.hurriedParallelism
            parameters.seedsFollowed = configuration.holdersAsked
            parameters.namesFollowed = configuration.namesFollowed
        case .explore:
            parameters.width = configuration.exploredWidth
            parameters.parallelism = configuration.parallelism
            parameters.wideParallelism = configuration.parallelism
            parameters.namesFollowed = 0
            parameters.looksAround = false
        case .join:
            parameters.parallelism = configuration.parallelism
            parameters.wideParallelism = configuration.hurriedParallelism
            parameters.seedsFollowed = configuration.seedsFollowed / 2
            parameters.namesFollowed = configuration.namesFollowedAtJoin
            parameters.looksAround = false
        }
        return parameters
    }

    /// Own peers to begin with: the k nearest to the key; a few of the nearest to each other point of the region, since
    /// a neighbour of ids that were ground knows nobody nearer to the key than these; then more by nearness to the key.
    private func addSeeds(
        for region: HolderRegion, looksAround: Bool, _ known: inout Set<NodeID>, _ seeds: inout [ClosestLookup.Hint]
    ) {
        let nearest = table.nearest(to: region.key, limit: DHTLimits.seedsPerLookup, .anybody)
        // Everybody knows the nodes that everybody joined through: they are spared where others are known.
        let sparesSeeds = nearest.count > configuration.bucketSize
        if sparesSeeds { known.formUnion(joining.seeds.map(\.id)) }
        func take(_ peers: NearestPeers, atMost limit: Int) {
            var taken = 0
            for index in 0..<peers.count where taken < limit {
                let peer = table.peer(peers[index])
                guard known.insert(peer.id).inserted else { continue }
                let time = peer.roundTrip ?? predictedRoundTrip(to: peer.coordinate)
                seeds.append(ClosestLookup.Hint(table.contact(of: peer), roundTrip: time))
                taken += 1
            }
        }
        take(nearest, atMost: configuration.bucketSize)
        if looksAround, nearest.count == DHTLimits.seedsPerLookup {
            for point in region.points.dropFirst() {
                take(table.nearest(to: point, limit: configuration.bucketSize, .anybody), atMost: 3)
            }
        }
        take(nearest, atMost: DHTLimits.seedsPerLookup - seeds.count)
    }

    /// The round trip to a node at `place`, where both places are known well enough.
    func predictedRoundTrip(to place: Coordinate?) -> Interval? {
        guard let place, place.isSettled, coordinate.isSettled else { return nil }
        return Interval(nanoseconds: Int64(coordinate.distance(to: place) * 1_000_000))
    }

    private mutating func overload(_ id: LookupID, _ events: inout EventBuffer<DHTEvent>) {
        refusals.add(.tooManyLookups)
        events.append(.overloaded(id))
    }

    /// Where the lookup stands in the list, which is in the order of ids.
    func index(of id: LookupID) -> Int? {
        var low = 0
        var high = lookups.count
        while low < high {
            let middle = (low + high) / 2
            if lookups[middle].id < id { low = middle + 1 } else { high = middle }
        }
        return low < lookups.count && lookups[low].id == id ? low : nil
    }

    private mutating func markDirty(_ index: Int) {
        guard !lookups[index].isDirty else { return }
        lookups[index].isDirty = true
        dirtyLookups.append(lookups[index].id)
    }

    // MARK: Driving

    /// Asks whom there is to ask and ends what is finished. True where a lookup ended.
    mutating func driveLookups(
        _ now: Now, _ out: inout MessageOutbox, _ events: inout EventBuffer<DHTEvent>
    ) -> Bool {
        var hasEnded = false
        while let id = dirtyLookups.popLast() {
            guard let index = index(of: id) else { continue }
            lookups[index].isDirty = false
            askNext(index, now, &out)
            guard lookups[index].search.isFinished, lookups[index].pages.outstanding == 0 else { continue }
            end(lookups.remove(at: index), now, &out, &events)
            hasEnded = true
        }
        return hasEnded
    }

    /// Ends lookups that last too long. They all may last equally long, so the first was started first.
    mutating func expireLookups(_ now: MonotonicInstant) {
        for index in lookups.indices {
            guard lookups[index].endsAt <= now else { break }
            lookups[index].search.cancel()
            let id = lookups[index].id
            requests.removeAll(for: [.page(id)])
            lookups[index].pages = PageReader()
            markDirty(index)
        }
    }

    private mutating func askNext(_ index: Int, _ now: Now, _ out: inout MessageOutbox) {
        let id = lookups[index].id
        let query = lookups[index].query
        let isClient = configuration.isClientOnly
        let place = ownPlace
        while case .ask(let peer, let point) = lookups[index].search.next() {
            let expected = lookups[index].search.expectedRoundTrip(of: peer.id)
            let hedge = lookups[index].search.longestHedge
            let isSent = ask(peer, .lookup(id), expected: expected, hedge: hedge, at: now, into: &out) { request in
                guard var query else { return .findNode(request, isClient: isClient, from: place, target: point) }
                if point != query.key { query.near = point }
                return .get(request, isClient: isClient, from: place, query)
            }
            if !isSent { lookups[index].search.onNoRoom(peer.id) }
            if lookups[index].purpose.isForOwner { traffic.add(.lookupRequestsSent) }
        }
    }

    private mutating func end(
        _ lookup: ActiveLookup, _ now: Now, _ out: inout MessageOutbox, _ events: inout EventBuffer<DHTEvent>
    ) {
        traffic.add(.lookupsFinished)
        switch lookup.purpose {
        case .resolve(let stream):
            if let location = lookup.gathered.location(of: stream, own: identity.id) {
                events.append(.found(lookup.id, location))
                spreadCopies(of: lookup, at: now, into: &out)
            } else {
                noteSize(lookup)
                events.append(lookup.search.isConclusive ? .notFound(lookup.id) : .overloaded(lookup.id))
            }
        case .list:
            events.append(.listing(lookup.id, lookup.gathered.listing))
        case .reach:
            events.append(.reached(lookup.id, lookup.gathered.addresses?.publisher))
        case .locate:
            noteSize(lookup)
            noteLocated(lookup.search.target, holders(lookup, knownAlready: []), at: now.monotonic)
        case .relocate:
            let target = lookup.search.target
            let known = located.last { $0.key == target }?.nearest ?? []
            let found = lookup.search.isConclusive ? holders(lookup, knownAlready: known) : nil
            noteRelocated(target, found, at: now.monotonic)
        case .explore:
            break
        case .join:
            endJoining(hasMetSomebody: !lookup.search.closest.isEmpty, now, &events)
        }
    }

    /// Where a publication is to be stored: everybody in the region, but at least k and at most 2k, of those that answered
    /// and those `knownAlready`.
    private mutating func holders(_ lookup: ActiveLookup, knownAlready: [Contact]) -> [Contact] {
        let k = configuration.bucketSize
        let target = lookup.search.target
        var found = lookup.search.answered(limit: DHTLimits.asksPerLookup)
        let answered = Set(found.map(\.id))
        let silent = knownAlready.filter { !answered.contains($0.id) }
        if !silent.isEmpty {
            found = (found + silent).sorted { $0.id.distance(to: target) < $1.id.distance(to: target) }
        }
        return lookup.region.holders(among: found, fewest: k, most: 2 * k, using: &generator)
    }

    private mutating func noteSize(_ lookup: ActiveLookup) {
        guard let reach = lookup.search.reach else { return }
        size.note(around: lookup.search.target, rank: configuration.bucketSize, distance: reach)
    }

    // MARK: Answers

    mutating func lookupAnswered(
        _ id: LookupID, by peer: Contact, closer: [NearContact], records: [HeldRecord], total: Int, _ now: Now,
        _ out: inout MessageOutbox, _ events: inout EventBuffer<DHTEvent>
    ) {
        // The lookup may have ended meanwhile; the answer has still told that the peer lives.
        guard let index = index(of: id) else { return }
        var hints: [ClosestLookup.Hint] = []
        hints.reserveCapacity(closer.count)
        for near in closer {
            table.noteMention(of: near.contact.id)
            hints.append(ClosestLookup.Hint(near.contact, roundTrip: predictedRoundTrip(to: near.coordinate)))
        }
        lookups[index].search.onSuccess(peer.id, closer: hints)
        markDirty(index)
        if let query = lookups[index].query {
            take(records, from: peer.id, key: query.key, into: index, now)
        }
        switch lookups[index].purpose {
        case .resolve:
            if !records.contains(where: { $0.record.kind == .streamOrigin }) { lookups[index].noteEmptyHanded(peer) }
            if lookups[index].gathered.origin != nil { lookups[index].search.cancel() }
        case .list:
            readOn(index, at: peer, records: records, total: total, now, &out)
        case .reach:
            if lookups[index].gathered.addresses != nil { lookups[index].search.cancel() }
        case .locate, .relocate, .explore, .join:
            break
        }
    }

    mutating func lookupFailed(_ id: LookupID, at peer: NodeID) {
        guard let index = index(of: id) else { return }
        lookups[index].search.onFailure(peer)
        markDirty(index)
    }

    mutating func lookupLate(_ id: LookupID, at peer: NodeID) {
        guard let index = index(of: id) else { return }
        lookups[index].search.onLate(peer)
        markDirty(index)
    }

    mutating func pageAnswered(
        _ id: LookupID, by peer: Contact, records: [HeldRecord], total: Int, _ now: Now, _ out: inout MessageOutbox
    ) {
        guard let index = index(of: id), let query = lookups[index].query else { return }
        lookups[index].pages.pageEnded()
        markDirty(index)
        take(records, from: peer.id, key: query.key, into: index, now)
        readOn(index, at: peer, records: records, total: total, now, &out)
    }

    mutating func pageFailed(_ id: LookupID) {
        guard let index = index(of: id) else { return }
        lookups[index].pages.pageEnded()
        markDirty(index)
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
        let place = ownPlace
        let page = query
        let isSent = ask(peer, .page(lookups[index].id), at: now, into: &out) {
            .get($0, isClient: isClient, from: place, page)
        }
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
