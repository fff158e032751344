import DHT
import SwarmCore
import Testing

/// What a node makes of the size of its swarm.
@Suite struct SwarmSizeTests {
    private let start = MonotonicInstant(nanoseconds: 1_000_000_000)

    private func table(_ own: NodeID, _ contacts: [Contact]) -> RoutingTable {
        var table = RoutingTable(own: own, configuration: DHTConfiguration())
        for contact in contacts { _ = table.observe(contact, roundTrip: nil, at: start) }
        return table
    }

    @Test(arguments: [100, 1000, 5000]) func theNeighbourhoodTellsTheSize(count: Int) {
        var ratios: [Double] = []
        for seed in 1...20 as ClosedRange<UInt64> {
            var samples = Samples(seed: seed)
            var size = SwarmSize()
            let own = NodeID(samples.bytes32())
            size.look(at: table(own, (0..<count).map { _ in samples.contact() }))
            ratios.append(size.estimate / Double(count))
        }
        ratios.sort()
        #expect((0.8...1.6).contains(ratios[10]), "\(ratios[10])")
        #expect(ratios[0] > 0.5 && ratios[19] < 4)
    }

    /// Of a swarm of 2,000 only the ten nearest are known all, and every tenth of the others: it seems sparse at 40.
    @Test func aNeighbourhoodKnownInPartSeemsNoSmaller() {
        var samples = Samples(seed: 3)
        let own = NodeID(samples.bytes32())
        let everybody = (0..<2000).map { _ in samples.contact() }.sorted {
            $0.id.distance(to: own.bytes) < $1.id.distance(to: own.bytes)
        }
        var size = SwarmSize()
        size.look(
            at: table(
                own,
                everybody.prefix(10)
                    + everybody.dropFirst(10).enumerated().filter { $0.offset % 10 == 0 }.map(\.element)))
        #expect((1000...5000).contains(size.estimate), "\(size.estimate)")
    }

    /// 45 ids ground next to a key change nothing for its neighbours, nor do lookups of that key.
    @Test func groundIdsDoNotMakeTheSwarmLarge() {
        for seed in 1...10 as ClosedRange<UInt64> {
            var samples = Samples(seed: seed)
            let own = NodeID(samples.bytes32())
            var key = own.bytes
            key.word0 ^= UInt64.max / 4000
            let ground = (0..<45).map { index -> Contact in
                var bytes = key
                bytes.word1 ^= UInt64(index + 1)
                return Contact(id: NodeID(bytes), key: PublicKey(.zero), addresses: samples.contact().addresses)
            }
            var size = SwarmSize()
            size.look(at: table(own, (0..<2000).map { _ in samples.contact() } + ground))
            size.note(around: key, rank: 20, distance: 0)
            #expect((800...8000).contains(size.estimate), "seed \(seed): \(size.estimate)")
        }
    }

    /// The median of the samples counts, the lower of two; one key counts once.
    @Test func samplesAreOutvoted() {
        var samples = Samples(seed: 5)
        var size = SwarmSize()
        func distance(_ count: Double) -> UInt64 { UInt64(19 / count * 0x1p64) }
        for _ in 0..<4 { size.note(around: .zero, rank: 20, distance: distance(1e12)) }
        #expect(size.estimate == 1)
        for _ in 0..<3 { size.note(around: samples.bytes32(), rank: 20, distance: distance(3000)) }
        #expect((2990...3010).contains(size.estimate), "\(size.estimate)")
    }
}
