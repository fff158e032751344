import DHT
import SwarmCore
import SwarmCrypto
import Testing

/// Cached copies, seen from outside: what a node takes, for how long it answers with it, and what ends it.
@Suite struct CopyCacheTests {
    private let name = "hot"
    private let publisher: Identity
    private let swarm = VirtualSwarm(seed: 3)
    private let cache: VirtualNode
    private let reader: VirtualNode

    init() {
        cache = swarm.addNode()
        reader = swarm.addNode()
        swarm.bootstrap(cache, [])
        publisher = Identity(seed: Bytes32(5, 6, 7, 8), suite: swarm.suite)
    }

    private func record(
        _ age: Int64 = 0, kind: RecordKind = .streamOrigin, by identity: Identity? = nil, isTombstone: Bool = false
    ) -> Record {
        let wall = swarm.now.wallMilliseconds - UInt64(age)
        return (identity ?? publisher).record(kind, name, sequence: wall, isTombstone: isTombstone)
    }

    /// Offers a copy; the answer is among what the cache sends.
    @discardableResult
    private func offer(_ record: Record, remaining: Interval = .seconds(40), isConfirmed: Bool = true) -> PutResult? {
        var result: PutResult?
        swarm.tap = { bytes in
            if case .putResult(_, let told, _, _)? = try? DHTMessage.parse(bytes.span, suite: .counted()).message {
                result = told
            }
        }
        let copy = HeldRecord(record: record, remaining: remaining, isCopy: true)
        swarm.deliver(
            .offerCopy(RequestID(1), isClient: false, copy), from: reader, to: cache, isConfirmed: isConfirmed)
        swarm.tap = nil
        return result
    }

    private var told: [HeldRecord] {
        let query = GetQuery(key: RecordPlace.path(name), kinds: .location)
        return cache.dht.store.records(for: query, key: query.key, turn: 0, at: swarm.now.monotonic).records
    }

    @Test func aCopyAnswersForFiveSecondsAndNoOfferExtendsIt() {
        let original = record()
        #expect(offer(original) == .stored)
        #expect(told.map(\.record) == [original] && told.allSatisfy { $0.isCopy && $0.remaining <= .seconds(5) })
        #expect(cache.dht.store.counts == RecordStore.Counts(copies: 1))
        swarm.run(for: .seconds(3))
        #expect(offer(original) == .stored)
        swarm.run(for: .milliseconds(2001))
        #expect(told.isEmpty && cache.dht.store.counts.copies == 0)
    }

    @Test func allStaysOfOneVersionEndWithItsFirstRemainder() {
        let original = record()
        #expect(offer(original, remaining: .seconds(12)) == .stored)
        swarm.run(for: .milliseconds(5500))
        #expect(offer(original, remaining: .seconds(60)) == .stored)
        swarm.run(for: .milliseconds(5500))
        // Eleven seconds have passed: one is left, whatever the offer says.
        #expect(offer(original, remaining: .seconds(60)) == .stored)
        #expect(told.allSatisfy { $0.remaining <= .seconds(1) } && told.count == 1)
        swarm.run(for: .milliseconds(1100))
        #expect(told.isEmpty)
        #expect(offer(original, remaining: .seconds(60)) == .refused || told.count <= 1)
    }

    @Test func shortRemaindersArePassedOn() {
        #expect(offer(record(), remaining: .milliseconds(2000)) == .stored)
        #expect(told.allSatisfy { $0.remaining <= .seconds(2) })
        swarm.run(for: .milliseconds(2001))
        #expect(told.isEmpty)
        #expect(offer(record(kind: .streamCarrier), remaining: .milliseconds(100)) == .refused)
        #expect(cache.dht.refusals[.shortLifetime] == 1)
    }

    @Test func thePublisherItselfEndsCopies() {
        let old = record(1000)
        #expect(offer(old) == .stored)
        // A newer version from another reader, then an older one again.
        let newer = record()
        #expect(offer(newer) == .stored && told.map(\.record) == [newer])
        #expect(offer(old) == .superseded && told.map(\.record) == [newer])
        // A tombstone from the publisher reaches this node as a holder.
        let identity = Identity(seed: Bytes32(5, 5, 5, 5), suite: swarm.suite)
        let born = record(10, by: identity)
        let gone = record(by: identity, isTombstone: true)
        let fresh = swarm.addNode()
        swarm.deliver(
            .offerCopy(RequestID(2), isClient: false, HeldRecord(record: born, remaining: .seconds(40), isCopy: true)),
            from: reader, to: fresh)
        #expect(fresh.dht.store.counts.copies == 1)
        swarm.deliver(.put(RequestID(3), isClient: true, gone), by: identity, to: fresh)
        #expect(fresh.dht.store.counts == RecordStore.Counts(remembered: 1, keys: 1))
        swarm.deliver(
            .offerCopy(RequestID(4), isClient: false, HeldRecord(record: born, remaining: .seconds(40), isCopy: true)),
            from: reader, to: fresh)
        #expect(fresh.dht.store.counts.copies == 0 && fresh.dht.refusals[.superseded] == 1)
    }

    @Test func whatIsNoCopyIsRefusedByReason() throws {
        let original = record()
        #expect(offer(original, isConfirmed: false) == .unconfirmed)
        let forged = try Record(body: original.body.span, signature: Signature(.zero), suite: swarm.suite)
        #expect(offer(forged) == .refused && cache.dht.refusals[.badSignature] == 1)
        #expect(offer(record(isTombstone: true)) == .refused)
        #expect(offer(record(kind: .prefixEntry)) == .refused && offer(nodeRecord) == .refused)
        #expect(cache.dht.refusals[.notCacheable] == 3)
        let ancient = publisher.record(.streamOrigin, name, sequence: swarm.now.wallMilliseconds - 400_000)
        #expect(offer(ancient) == .refused && cache.dht.refusals[.clockSkew] == 1)
        #expect(told.isEmpty)
    }

    private var nodeRecord: Record {
        publisher.record(.nodeAddresses, "", sequence: swarm.now.wallMilliseconds)
    }

    @Test func copiesAreNoHoldersAndNoObstacle() {
        #expect(offer(record()) == .stored)
        // Somebody else publishes the name: the cached origin does not stand in its way.
        let identity = Identity(seed: Bytes32(5, 5, 5, 5), suite: swarm.suite)
        let claim = record(by: identity)
        swarm.deliver(.put(RequestID(5), isClient: true, claim), by: identity, to: cache)
        #expect(cache.dht.refusals[.nameTaken] == 0)
        #expect(told.map(\.record) == [claim] && told.allSatisfy { !$0.isCopy })
        // And beside a living origin no copy of another is taken.
        #expect(offer(record(by: Identity(seed: Bytes32(1, 2, 3, 9), suite: swarm.suite))) == .refused)
        #expect(cache.dht.refusals[.nameTaken] == 1)
    }

    @Test func tablesAreBounded() {
        // One offerer: at most its share. Many names, so that no key is full.
        for index in 0..<100 {
            let record = publisher.record(.streamOrigin, "s/\(index)", sequence: swarm.now.wallMilliseconds)
            let copy = HeldRecord(record: record, remaining: .seconds(40), isCopy: true)
            swarm.deliver(.offerCopy(RequestID(6), isClient: false, copy), from: reader, to: cache)
        }
        #expect(cache.dht.store.counts.copies == DHTLimits.copiesPerSource)
        #expect(cache.dht.refusals[.publisherFull] == UInt64(100 - DHTLimits.copiesPerSource))
        // Many publishers of one name, offered by many.
        var samples = Samples(seed: 8)
        for _ in 0..<20 {
            let offerer = swarm.addNode()
            for _ in 0..<10 {
                let copy = HeldRecord(
                    record: record(by: samples.identity(swarm.suite)), remaining: .seconds(40), isCopy: true)
                swarm.deliver(.offerCopy(RequestID(7), isClient: false, copy), from: offerer, to: cache)
            }
        }
        #expect(told.count == DHTLimits.originCopiesPerKey)
        // Offerers without number: the total holds, and the first to go are those whose time is nearest.
        for index in 0..<(DHTLimits.copies / DHTLimits.copiesPerSource + 20) {
            let offerer = swarm.addNode()
            for number in 0..<DHTLimits.copiesPerSource {
                let record = publisher.record(
                    .streamOrigin, "t/\(index)/\(number)", sequence: swarm.now.wallMilliseconds)
                let copy = HeldRecord(record: record, remaining: .seconds(40), isCopy: true)
                swarm.deliver(.offerCopy(RequestID(8), isClient: false, copy), from: offerer, to: cache)
            }
        }
        #expect(cache.dht.store.counts.copies == DHTLimits.copies)
        swarm.run(for: .seconds(70))
        #expect(cache.dht.store.counts.copies == 0)
    }

    /// Everybody asks for a stream again and again, and passes on what copies it meets: after its end it is found for one
    /// stay, and not a moment longer.
    @Test func aCopyOfACopyEndsWithIt() throws {
        let swarm = VirtualSwarm(seed: 12)
        var configuration = DHTConfiguration()
        configuration.bucketSize = 4
        for _ in 0..<100 { swarm.addNode(configuration) }
        for (index, node) in swarm.nodes.enumerated() {
            swarm.bootstrap(node, index > 0 ? [swarm.nodes[0].contact] : [])
            swarm.run(for: .milliseconds(100))
        }
        swarm.run(for: .seconds(30))
        let stream = try #require(StreamName("hot"))
        swarm.publish("hot", at: swarm.nodes[7])
        swarm.run(for: .seconds(3))
        func isFound(by index: Int) -> Bool {
            if case .found = swarm.find("hot", from: swarm.nodes[index]) { true } else { false }
        }
        for index in 20..<80 { #expect(isFound(by: index)) }
        swarm.unpublish("hot", at: swarm.nodes[7])
        swarm.run(for: .seconds(1))
        // Holders know of the end by now.
        let end = swarm.now.monotonic
        var foundByCopies = 0
        var index = 10
        while swarm.now.monotonic < end + .seconds(15) {
            index = 10 + (index + 7) % 90
            let isLate = swarm.now.monotonic > end + CopyStay.longest
            _ = swarm.startLookup(stream, from: swarm.nodes[(index * 3) % 100])
            guard isFound(by: index) else { continue }
            foundByCopies += 1
            #expect(!isLate, "found \((swarm.now.monotonic - end).milliseconds) ms after the end")
        }
        #expect(foundByCopies > 10, "copies of copies were there to be found")
        #expect(swarm.nodes.contains { $0.dht.traffic[.copiesServed] > 0 })
    }
}
