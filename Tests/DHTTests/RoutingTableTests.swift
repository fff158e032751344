import DHT
import SwarmCore
import Testing

@Suite struct RoutingTableTests {
    private let start = MonotonicInstant(nanoseconds: 1_000_000_000)

    private func configuration(k: Int) -> DHTConfiguration {
        var configuration = DHTConfiguration()
        configuration.bucketSize = k
        return configuration
    }

    @Test(arguments: 1...12 as ClosedRange<UInt64>) func holdsItsInvariants(seed: UInt64) {
        var samples = Samples(seed: seed)
        let own = NodeID(samples.bytes32())
        let k = 1 + samples.generator.integer(below: 20)
        var table = RoutingTable(own: own, configuration: configuration(k: k))
        var known = (0..<400).map { _ in samples.contact() }
        // Some ids very near to this node, so that deep buckets exist.
        for depth in 0..<40 {
            var bytes = own.bytes
            bytes.word0 ^= 1 << UInt64(63 - depth)
            let address = AddressList(NetworkAddress(ipv4: 0x0a00_0001, port: 1))
            known.append(Contact(id: NodeID(bytes), key: PublicKey(.zero), addresses: address))
        }
        known.append(Contact(id: own, key: PublicKey(.zero), addresses: known[0].addresses))
        for step in 0..<3000 {
            let contact = known[samples.generator.integer(below: known.count)]
            let now = start + .milliseconds(Int64(step))
            switch samples.generator.integer(below: 6) {
            case 0: table.remove(contact.id)
            case 1: table.recordFailure(of: contact.id)
            default: _ = table.observe(contact, roundTrip: .milliseconds(Int64(step % 200)), at: now)
            }
            guard step % 50 == 0 else { continue }
            let ids = table.contacts.map(\.id)
            #expect(Set(ids).count == ids.count && ids.count == table.count)
            #expect(!ids.contains(own))
            var perBucket: [Int: Int] = [:]
            for id in ids { perBucket[id.distance(to: own.bytes).leadingZeroBitCount, default: 0] += 1 }
            #expect(perBucket.values.allSatisfy { $0 <= k })
            let target = step % 100 == 0 ? samples.bytes32() : contact.id.bytes
            let limit = 1 + samples.generator.integer(below: 30)
            let expected = ids.sorted { $0.distance(to: target) < $1.distance(to: target) }.prefix(limit)
            #expect(table.closest(to: target, limit: limit).map(\.contact.id) == Array(expected))
        }
    }

    @Test func oldLivePeersStayAndTheDeadAreReplaced() {
        var samples = Samples(seed: 1)
        let own = NodeID(.zero)
        var table = RoutingTable(own: own, configuration: configuration(k: 2))
        func far() -> Contact {
            var contact = samples.contact()
            while contact.id.bytes.leadingZeroBitCount != 0 { contact = samples.contact() }
            return contact
        }
        let (first, second, third) = (far(), far(), far())
        #expect(table.observe(first, roundTrip: nil, at: start) == .added)
        #expect(table.observe(second, roundTrip: nil, at: start + .seconds(1)) == .added)
        #expect(table.observe(first, roundTrip: nil, at: start + .seconds(2)) == .updated)
        #expect(table.observe(third, roundTrip: nil, at: start + .seconds(3)) == .waiting(oldest: second))
        table.recordFailure(of: second.id)
        #expect(table.entry(of: second.id)?.failures == 1)
        #expect(!table.closest(to: second.id.bytes, limit: 5, trusted: true).map(\.contact.id).contains(second.id))
        table.recordFailure(of: second.id)
        #expect(table.entry(of: second.id) == nil)
        #expect(table.entry(of: third.id) != nil)
        // Without anybody waiting, patience is longer.
        for expected in [2, 2, 1] {
            table.recordFailure(of: first.id)
            #expect(table.count == expected)
        }
    }

    @Test func roundTripsAreSmoothedAndAddressesRenewed() {
        var samples = Samples(seed: 2)
        var table = RoutingTable(own: NodeID(.zero), configuration: configuration(k: 8))
        var contact = samples.contact()
        _ = table.observe(contact, roundTrip: .milliseconds(80), at: start)
        contact.addresses.promote(.loopback(port: 9))
        _ = table.observe(contact, roundTrip: .milliseconds(160), at: start)
        #expect(table.entry(of: contact.id)?.roundTrip == .milliseconds(90))
        #expect(table.entry(of: contact.id)?.contact.addresses.first == .loopback(port: 9))
        var unreachable = samples.contact()
        unreachable.addresses = AddressList()
        #expect(table.observe(unreachable, roundTrip: nil, at: start) == .refused)
    }

    /// (first host, step between hosts, how many of 40 get in)
    @Test(arguments: [
        (0x0808_0800 as UInt32, 1 as UInt32, 24), (0x0808_0800, 256, 40), (0x7f00_0001, 0, 40), (0x0a00_0001, 1, 40),
    ])
    func subnetsAreBounded(first: UInt32, step: UInt32, expected: Int) {
        var table = RoutingTable(own: NodeID(.zero), configuration: configuration(k: 20))
        for index in 0..<40 as Range<UInt32> {
            // Two in each of twenty buckets, so that neither k nor the limit per bucket is what refuses.
            let id = NodeID(Bytes32(1 << UInt64(63 - index / 2), UInt64(index), 0, 0))
            let address = NetworkAddress(ipv4: first + index * step, port: UInt16(1000 + index))
            let contact = Contact(id: id, key: PublicKey(.zero), addresses: AddressList(address))
            _ = table.observe(contact, roundTrip: nil, at: start)
        }
        #expect(table.count == expected)
    }

    @Test func aSubnetCannotFillABucket() {
        var samples = Samples(seed: 3)
        var table = RoutingTable(own: NodeID(.zero), configuration: configuration(k: 20))
        for host in 0..<200 as Range<UInt32> {
            var contact = samples.contact(host: 0x0808_0800 + host)
            while contact.id.bytes.leadingZeroBitCount != 0 { contact = samples.contact(host: 0x0808_0800 + host) }
            _ = table.observe(contact, roundTrip: nil, at: start)
        }
        #expect(table.count == 4)
    }

    @Test func refreshVisitsEveryBucketInItsRange() {
        var samples = Samples(seed: 4)
        let own = NodeID(samples.bytes32())
        var table = RoutingTable(own: own, configuration: configuration(k: 20))
        for _ in 0..<500 { _ = table.observe(samples.contact(), roundTrip: nil, at: start) }
        let keys = table.refreshKeys(using: &samples.generator)
        #expect(keys.map { (own.bytes ^ $0).leadingZeroBitCount } == Array(0..<keys.count))
        let later = start + .seconds(601)
        var seen: Set<Int> = []
        while let key = table.staleBucketKey(at: later, age: .seconds(600), using: &samples.generator) {
            seen.insert((own.bytes ^ key).leadingZeroBitCount)
            table.noteLookup(for: key, at: later)
        }
        #expect(seen.count >= keys.count)
        #expect(table.nextRefresh(age: .seconds(600)) == later + .seconds(600))
    }
}
