import DHT
import SwarmCore
import SwarmCrypto
import Testing

extension RecordStore.Outcome {
    var isStored: Bool { if case .stored = self { true } else { false } }
    var isAlreadyHeld: Bool { if case .alreadyHeld = self { true } else { false } }
}

@Suite struct RecordStoreTests {
    private let wall = clock(0).wallMilliseconds

    private func living(_ store: RecordStore, _ name: String, at now: Now, kinds: RecordKindMask = .location)
        -> [Record]
    {
        let query = GetQuery(key: RecordPlace.path(name), kinds: kinds, limit: 2000)
        return store.records(for: query, key: query.key, turn: 0, at: now.monotonic).records.map(\.record)
            .filter { !$0.isTombstone }
    }

    private func put(_ record: Record, _ store: inout RecordStore, at now: Now) -> RecordStore.Outcome {
        store.put(record, key: record.key, at: now)
    }

    @Test func lifeIsCountedFromReceiptAndReplayDoesNotExtendIt() {
        var samples = Samples(seed: 1)
        let publisher = samples.identity()
        var store = RecordStore(own: NodeID(.zero))
        let first = publisher.record(.streamOrigin, "demo", sequence: wall)
        #expect(put(first, &store, at: clock(0)).isStored)
        #expect(put(first, &store, at: clock(40_000)).isAlreadyHeld)
        store.sweep(clock(44_999).monotonic)
        #expect(living(store, "demo", at: clock(44_999)).count == 1)
        #expect(living(store, "demo", at: clock(45_000)).isEmpty)
        store.sweep(clock(45_000).monotonic)
        #expect(store.expired == 1 && store.counts.living == 0 && store.counts.remembered == 1)
        // The dead record is remembered, so its copy is not taken for news.
        #expect(put(first, &store, at: clock(50_000)) == .refused(.superseded))
        #expect(living(store, "demo", at: clock(50_000)).isEmpty)
        let second = publisher.record(.streamOrigin, "demo", sequence: wall + 50_000)
        #expect(put(second, &store, at: clock(50_000)).isStored)
        #expect(put(first, &store, at: clock(50_001)) == .refused(.superseded))
        #expect(living(store, "demo", at: clock(94_999)) == [second])
        // By the time everything is forgotten, the clock check refuses what was.
        store.sweep(clock(800_000).monotonic)
        #expect(store.counts == RecordStore.Counts())
        #expect(store.nextDeadline == nil)
        #expect(put(second, &store, at: clock(800_000)) == .refused(.clockSkew))
    }

    @Test func lifetimesAreCapped() {
        var samples = Samples(seed: 2)
        var store = RecordStore(own: NodeID(.zero))
        let long = samples.identity().record(.streamOrigin, "long", sequence: wall, lifetime: .seconds(86_400))
        #expect(put(long, &store, at: clock(0)).isStored)
        #expect(living(store, "long", at: clock(59_999)).count == 1)
        #expect(living(store, "long", at: clock(60_000)).isEmpty)
        let short = samples.identity().record(.streamOrigin, "short", sequence: wall, lifetime: .milliseconds(10))
        #expect(put(short, &store, at: clock(0)) == .refused(.shortLifetime))
    }

    /// (signing time in ms relative to the holder's clock, accepted)
    @Test(
        arguments: [(0, true), (-299_000, true), (299_000, true), (-301_000, false), (301_000, false)]
            as [(Int64, Bool)])
    func clocksMayDifferByFiveMinutes(offset: Int64, isAccepted: Bool) {
        var samples = Samples(seed: 3)
        var store = RecordStore(own: NodeID(.zero))
        let record = samples.identity().record(
            .streamOrigin, "demo", sequence: (clock(0) + .milliseconds(offset)).wallMilliseconds)
        let outcome = put(record, &store, at: clock(0))
        #expect(isAccepted ? outcome.isStored : outcome == .refused(.clockSkew))
    }

    @Test func tombstonesEndAStreamAndOutliveItsCopies() {
        var samples = Samples(seed: 4)
        let publisher = samples.identity()
        var store = RecordStore(own: NodeID(.zero))
        let born = publisher.record(.streamOrigin, "demo", sequence: wall)
        let gone = publisher.record(.streamOrigin, "demo", sequence: wall + 1, isTombstone: true)
        #expect(put(born, &store, at: clock(0)).isStored)
        #expect(put(gone, &store, at: clock(1)).isStored)
        #expect(living(store, "demo", at: clock(2)).isEmpty)
        let query = GetQuery(key: born.key, kinds: .location)
        let told = store.records(for: query, key: query.key, turn: 0, at: clock(2).monotonic).records
        #expect(told.map(\.record) == [gone] && told.map(\.remaining) == [.zero])
        for time in [1000, 70_000, 300_000] as [Int64] {
            store.sweep(clock(time).monotonic)
            #expect(put(born, &store, at: clock(time)) == .refused(.superseded))
        }
        // Somebody else may have the name at once.
        let successor = samples.identity().record(.streamOrigin, "demo", sequence: wall + 2)
        #expect(put(successor, &store, at: clock(3)).isStored)
    }

    @Test func theIncumbentKeepsTheName() {
        var samples = Samples(seed: 5)
        let (first, second) = (samples.identity(), samples.identity())
        var store = RecordStore(own: NodeID(.zero))
        let lease = first.record(.streamOrigin, "demo", sequence: wall)
        _ = put(lease, &store, at: clock(0))
        let renewal = first.record(.streamOrigin, "demo", sequence: wall + 15_000)
        #expect(put(renewal, &store, at: clock(15_000)).isStored)
        let claim = second.record(.streamOrigin, "demo", sequence: wall + 20_000)
        let proof = Incumbent(record: renewal, age: .seconds(20))
        #expect(put(claim, &store, at: clock(20_000)) == .nameTaken(proof))
        #expect(
            put(claim, &store, at: clock(59_999)) == .nameTaken(Incumbent(record: renewal, age: .milliseconds(59_999))))
        #expect(put(claim, &store, at: clock(60_000)).isStored)
    }

    @Test func everyTableIsBounded() {
        var samples = Samples(seed: 6)
        var store = RecordStore(own: NodeID(.zero))
        let greedy = samples.identity()
        var outcomes: [RecordStore.Outcome] = []
        for index in 0..<(DHTLimits.recordsPerPublisher + 1) {
            outcomes.append(put(greedy.record(.streamOrigin, "s/\(index)", sequence: wall), &store, at: clock(0)))
        }
        #expect(outcomes.dropLast().allSatisfy { $0.isStored })
        #expect(outcomes.last == .refused(.publisherFull))
        // A stranger is not kept out by that.
        let stranger = samples.identity()
        #expect(put(stranger.record(.streamOrigin, "other", sequence: wall), &store, at: clock(0)).isStored)

        // Two publishers at the most the prefix takes.
        var full = RecordStore(own: NodeID(.zero))
        let crowd = [samples.identity(), samples.identity()]
        var refused = 0
        for index in 0..<(DHTLimits.prefixEntriesPerKey + 10) {
            let entry = crowd[index & 1].record(.prefixEntry, "s/\(index)", sequence: wall)
            if put(entry, &full, at: clock(0)) == .refused(.keyFull) { refused += 1 }
        }
        #expect(refused == 10)
        #expect(full.counts.living == DHTLimits.prefixEntriesPerKey)
    }

    /// Many keys from one address are one source.
    @Test func aSubnetHasItsShare() {
        var samples = Samples(seed: 61)
        var store = RecordStore(own: NodeID(.zero))
        let publishers = (0..<8).map { _ in samples.identity() }
        var refused = 0
        for index in 0..<(DHTLimits.recordsPerSubnet + 50) {
            let record = publishers[index % 8].record(.streamOrigin, "s/\(index)", sequence: wall)
            let source = NetworkAddress(ipv4: 0xcb00_7100 + UInt32(index % 200), port: 7788)
            let outcome = store.put(record, key: record.key, from: source, at: clock(0))
            if outcome == .refused(.subnetShareFull) { refused += 1 }
        }
        #expect(refused == 50 && store.counts.living == DHTLimits.recordsPerSubnet)
        // Neighbouring subnets are not kept out, and private addresses are a laboratory's.
        for (index, host) in [0xcb00_7201, 0x7f00_0001, 0x0a00_0001, 0xc0a8_0001].enumerated() {
            let record = samples.identity().record(.streamOrigin, "t/\(index)", sequence: wall)
            let source = NetworkAddress(ipv4: UInt32(host), port: 7788)
            #expect(store.put(record, key: record.key, from: source, at: clock(0)).isStored)
        }
        // What has died makes room again.
        store.sweep(clock(46_000).monotonic)
        let record = publishers[0].record(.streamOrigin, "again", sequence: wall + 46_000)
        let source = NetworkAddress(ipv4: 0xcb00_7101, port: 7788)
        #expect(store.put(record, key: record.key, from: source, at: clock(46_000)).isStored)
    }

    /// The figure: at most 512 bytes a stored record, tables and spare room included.
    @Test(arguments: [(20, 1), (64, 1), (20, 64)]) func aRecordTakesAtMost512Bytes(nameBytes: Int, perPublisher: Int) {
        var samples = Samples(seed: 62)
        var store = RecordStore(own: NodeID(.zero))
        let count = 6000
        var publisher = samples.identity()
        for index in 0..<count {
            if index % perPublisher == 0 { publisher = samples.identity() }
            let number = String(index)
            let name = String(repeating: "n", count: nameBytes - number.count) + number
            let record = publisher.record(.streamOrigin, name, sequence: wall)
            #expect(put(record, &store, at: clock(0)).isStored)
        }
        let each = store.memoryBytes / count
        print("\(nameBytes) bytes of name, \(perPublisher) records a publisher: \(each) bytes a record")
        #expect(each <= 512)
    }

    /// Bodies may be long, so their sum is bounded too.
    @Test func longRecordsCountByTheirBytes() throws {
        var samples = Samples(seed: 63)
        var store = RecordStore(own: NodeID(.zero))
        var stored = 0
        let long = Array(repeating: String(repeating: "n", count: 40), count: 6).joined(separator: "/")
        var publisher = samples.identity()
        for index in 0..<DHTLimits.records {
            if index % 1000 == 0 { publisher = samples.identity() }
            let record = publisher.record(.streamOrigin, "\(long)/\(index)", sequence: wall)
            let outcome = put(record, &store, at: clock(0))
            if outcome.isStored { stored += 1 } else { #expect(outcome == .refused(.storeFull)) }
        }
        #expect(stored > DHTLimits.storedBytes / 512 && stored < DHTLimits.records)
        #expect(store.memoryBytes <= 2 * DHTLimits.storedBytes)
    }

    @Test func aNodesAddressesLastTwoHours() {
        var samples = Samples(seed: 64)
        var store = RecordStore(own: NodeID(.zero))
        let node = samples.identity()
        let record = node.record(.nodeAddresses, "", sequence: wall, lifetime: .seconds(86_400))
        #expect(record.key == node.id.bytes && put(record, &store, at: clock(0)).isStored)
        let query = GetQuery(key: record.key, kinds: RecordKind.nodeAddresses.mask)
        func held(at time: Int64) -> [Record] {
            store.records(for: query, key: query.key, turn: 0, at: clock(time).monotonic).records.map(\.record)
        }
        #expect(held(at: 7_199_999) == [record] && held(at: 7_200_000).isEmpty)
        store.sweep(clock(7_200_000).monotonic)
        // No copy of it could pass the clock check by now: nothing is remembered.
        #expect(store.counts == RecordStore.Counts())
    }

    /// The order in which a prefix is read stays the same while entries come and go.
    @Test func pagesOfAPrefixAreStable() {
        var samples = Samples(seed: 65)
        var store = RecordStore(own: NodeID(.zero))
        let publishers = (0..<3).map { _ in samples.identity() }
        var model: [String] = []
        for step in 0..<3000 as Range<UInt64> {
            let index = samples.generator.integer(below: 300)
            let name = "p/\(index)"
            let isTombstone = samples.generator.integer(below: 3) == 0
            let entry = publishers[index % 3].record(
                .prefixEntry, name, sequence: wall + step, depth: 1, isTombstone: isTombstone)
            #expect(put(entry, &store, at: clock(Int64(step))).isStored)
            if isTombstone { model.removeAll { $0 == name } } else if !model.contains(name) { model.append(name) }
            guard step % 50 == 0 else { continue }
            var read: [String] = []
            for skip in stride(from: 0, to: model.count, by: 16) {
                let query = GetQuery(key: RecordPlace.path("p"), kinds: .listing, skip: skip)
                let page = store.records(for: query, key: query.key, turn: 0, at: clock(Int64(step)).monotonic)
                #expect(page.total == model.count)
                read += page.records.map(\.record.name)
            }
            #expect(read == model)
        }
    }

    @Test func theTotalIsBounded() {
        var samples = Samples(seed: 7)
        var store = RecordStore(own: NodeID(.zero))
        let publishers = (0..<20).map { _ in samples.identity() }
        var refused = 0
        for index in 0..<(DHTLimits.records + 100) {
            let record = publishers[index % 20].record(.streamOrigin, "s/\(index)", sequence: wall)
            if put(record, &store, at: clock(0)) == .refused(.storeFull) { refused += 1 }
        }
        #expect(refused == 100)
        store.sweep(clock(60_000).monotonic)
        #expect(store.counts.living == 0)
        #expect(store.counts.remembered == DHTLimits.rememberedRecords)
        store.sweep(clock(700_000).monotonic)
        #expect(store.counts == RecordStore.Counts())
    }

    @Test func carriersAreASpreadSample() {
        var samples = Samples(seed: 8)
        let publishers = (0..<100).map { _ in samples.identity() }
        let own = NodeID(samples.bytes32())
        var store = RecordStore(own: own)
        for publisher in publishers {
            _ = put(publisher.record(.streamCarrier, "demo", sequence: wall), &store, at: clock(0))
        }
        let kept = Set(living(store, "demo", at: clock(1)).map(\.publisher.id))
        let nearest = publishers.map(\.id).sorted { $0.distance(to: own.bytes) < $1.distance(to: own.bytes) }
        #expect(kept == Set(nearest.prefix(DHTLimits.carriersPerKey)))
        // Different askers get different ones first.
        let query = GetQuery(key: RecordPlace.path("demo"), kinds: .location, limit: 1)
        let told = (0..<16 as Range<UInt64>).map { turn in
            store.records(for: query, key: query.key, turn: turn, at: clock(1).monotonic).records.first?.record
                .publisher.id
        }
        #expect(Set(told).count == 16)
    }

    @Test func originsOfOneNameDoNotPileUp() {
        var samples = Samples(seed: 9)
        var store = RecordStore(own: NodeID(.zero))
        for index in 0..<50 as Range<UInt64> {
            let ghost = samples.identity().record(.streamOrigin, "demo", sequence: wall + index, isTombstone: true)
            #expect(put(ghost, &store, at: clock(Int64(index))).isStored)
        }
        #expect(store.counts.remembered == DHTLimits.originsPerKey)
        let living = samples.identity().record(.streamOrigin, "demo", sequence: wall)
        #expect(put(living, &store, at: clock(60)).isStored)
    }

    /// Random traffic against a plain model that never forgets.
    @Test(arguments: 1...6 as ClosedRange<UInt64>) func agreesWithAModel(seed: UInt64) {
        var samples = Samples(seed: seed)
        let publishers = (0..<5).map { _ in samples.identity() }
        var store = RecordStore(own: NodeID(.zero))
        struct Line { var sequence: UInt64; var endsAt: Int64; var isTombstone: Bool }
        var model: [String: Line] = [:]
        var time: Int64 = 0
        for _ in 0..<2000 {
            time += Int64(samples.generator.integer(below: 2000))
            let name = "s/\(samples.generator.integer(below: 6))"
            let who = samples.generator.integer(below: publishers.count)
            let isTombstone = samples.generator.integer(below: 5) == 0
            let lifetime = Int64(1000 + samples.generator.integer(below: 80_000))
            let sequence = wall + UInt64(max(0, time - Int64(samples.generator.integer(below: 3000))))
            let record = publishers[who].record(
                .streamCarrier, name, sequence: sequence, lifetime: .milliseconds(lifetime), isTombstone: isTombstone)
            let outcome = put(record, &store, at: clock(time))
            let line = "\(who) \(name)"
            let isNewer = model[line].map { sequence > $0.sequence } ?? true
            #expect(outcome.isStored == isNewer)
            if isNewer {
                model[line] = Line(
                    sequence: sequence, endsAt: time + min(lifetime, 60_000), isTombstone: isTombstone)
            }
            if samples.generator.integer(below: 3) == 0 { store.sweep(clock(time).monotonic) }
            let expected = model.filter {
                $0.key.hasSuffix(" " + name) && !$0.value.isTombstone && $0.value.endsAt > time
            }
            #expect(living(store, name, at: clock(time)).count == expected.count)
        }
    }
}
