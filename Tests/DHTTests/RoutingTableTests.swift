import DHT
import SwarmCore
import Testing

@Suite struct RoutingTableTests {
    private let start = MonotonicInstant(nanoseconds: 1_000_000_000)

    private func configuration(k: Int, siblingFactor: Int = 2) -> DHTConfiguration {
        var configuration = DHTConfiguration()
        configuration.bucketSize = k
        configuration.siblingFactor = siblingFactor
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
            let nearest = ids.sorted { $0.distance(to: own.bytes) < $1.distance(to: own.bytes) }
            #expect(table.siblings.map(\.id) == Array(nearest.prefix(2 * k)))
            var strangers: [Int: Int] = [:]
            for id in nearest.dropFirst(2 * k) {
                strangers[id.distance(to: own.bytes).leadingZeroBitCount, default: 0] += 1
            }
            #expect(strangers.values.allSatisfy { $0 <= k })
            let target = step % 100 == 0 ? samples.bytes32() : contact.id.bytes
            let limit = 1 + samples.generator.integer(below: 30)
            let expected = ids.sorted { $0.distance(to: target) < $1.distance(to: target) }.prefix(limit)
            #expect(table.closest(to: target, limit: limit).map(\.contact.id) == Array(expected))
        }
    }

    /// Whoever comes and goes, the 2k nearest that are there are known, even where their bucket is full of others.
    @Test func theNeighbourhoodIsComplete() {
        var samples = Samples(seed: 9)
        let own = NodeID(samples.bytes32())
        var table = RoutingTable(own: own, configuration: configuration(k: 8))
        let world = (0..<2000).map { _ in samples.contact() }
        for contact in world { _ = table.observe(contact, roundTrip: nil, at: start) }
        let nearest = world.map(\.id).sorted { $0.distance(to: own.bytes) < $1.distance(to: own.bytes) }
        #expect(table.siblings.map(\.id) == Array(nearest.prefix(16)))
        #expect(table.count < 16 + 8 * 9)
    }

    private func far(_ samples: inout Samples) -> Contact {
        var contact = samples.contact()
        while contact.id.bytes.leadingZeroBitCount != 0 { contact = samples.contact() }
        return contact
    }

    @Test func oldLivePeersStayAndTheDeadAreReplaced() {
        var samples = Samples(seed: 1)
        var table = RoutingTable(own: NodeID(.zero), configuration: configuration(k: 2, siblingFactor: 0))
        let (first, second, third) = (far(&samples), far(&samples), far(&samples))
        #expect(table.observe(first, roundTrip: nil, at: start) == .added)
        #expect(table.observe(second, roundTrip: nil, at: start + .seconds(1)) == .added)
        #expect(table.observe(first, roundTrip: nil, at: start + .seconds(2)) == .updated)
        #expect(table.observe(third, roundTrip: nil, at: start + .seconds(3)) == .waiting(oldest: second.id))
        #expect(table.recordFailure(of: second.id) == false)
        #expect(table.entry(of: second.id)?.failures == 1)
        #expect(table.recordFailure(of: second.id) == true)
        #expect(table.entry(of: second.id) == nil)
        #expect(table.entry(of: third.id) != nil)
        // Without anybody waiting, patience is longer.
        for expected in [2, 2, 1] {
            table.recordFailure(of: first.id)
            #expect(table.count == expected)
        }
    }

    /// Nodes near in time take over a quarter of a bucket, one every ten seconds, and not a place more.
    @Test func anAttackerNearByCannotFlushABucket() {
        var samples = Samples(seed: 11)
        var table = RoutingTable(own: NodeID(.zero), configuration: configuration(k: 8, siblingFactor: 0))
        let old = (0..<8).map { _ in far(&samples) }
        for contact in old { _ = table.observe(contact, roundTrip: .milliseconds(120), at: start) }
        var entered = 0
        for step in 0..<600 {
            let now = start + .seconds(Int64(step))
            for contact in old { _ = table.observe(contact, roundTrip: nil, at: now) }
            if table.observe(far(&samples), roundTrip: .milliseconds(2), at: now) == .added { entered += 1 }
            #expect(entered <= step / 10 + 1)
        }
        #expect(entered == 2)
        #expect(old.count { table.entry(of: $0.id) != nil } == 6)
        // What is not clearly nearer displaces nobody.
        #expect(table.observe(far(&samples), roundTrip: .milliseconds(115), at: start + .seconds(700)) != .added)
    }

    /// Nodes that come by themselves take over three fifths of a bucket, one a second; from then on each takes
    /// another guest's place. Those chosen for nearness and a few of the first stay.
    @Test func guestsTakeTheirShareAndNoMore() {
        var samples = Samples(seed: 12)
        var table = RoutingTable(own: NodeID(.zero), configuration: configuration(k: 10, siblingFactor: 0))
        let old = (0..<10).map { _ in far(&samples) }
        for contact in old { _ = table.observe(contact, roundTrip: .milliseconds(120), at: start) }
        let near = (0..<2).map { _ in far(&samples) }
        for (index, contact) in near.enumerated() {
            let now = start + .seconds(Int64(100 + 10 * index))
            #expect(table.observe(contact, roundTrip: .milliseconds(2), at: now) == .added)
        }
        var guests: [Contact] = []
        for step in 0..<300 {
            let now = start + .seconds(200) + .milliseconds(100 * Int64(step))
            for contact in old + near where table.entry(of: contact.id) != nil {
                _ = table.observe(contact, roundTrip: nil, at: now)
            }
            let guest = far(&samples)
            if table.observe(guest, roundTrip: nil, isGuest: true, at: now) == .added { guests.append(guest) }
            #expect(guests.count == step / 10 + 1)
            #expect(table.count == 10)
        }
        #expect(near.allSatisfy { table.entry(of: $0.id) != nil })
        #expect(old.count { table.entry(of: $0.id) != nil } == 2)
        #expect(guests.count { table.entry(of: $0.id) != nil } == 6)
        // Whoever was asked, and came late, displaces no guest.
        let late = start + .seconds(600)
        #expect(table.observe(far(&samples), roundTrip: nil, at: late) != .added)
    }

    /// A guest takes the place of whoever others name most: first among the settled, then among the guests.
    @Test func whoeverIsNamedMostGivesWayToGuests() {
        var samples = Samples(seed: 13)
        var table = RoutingTable(own: NodeID(.zero), configuration: configuration(k: 10, siblingFactor: 0))
        let old = (0..<10).map { _ in far(&samples) }
        for contact in old { _ = table.observe(contact, roundTrip: .milliseconds(120), at: start) }
        // More often than a count reaches: what counts is the proportion.
        for count in 0..<40 {
            table.noteMention(of: old[6].id)
            if count % 2 == 0 { table.noteMention(of: old[3].id) }
        }
        table.noteMention(of: far(&samples).id)
        var gone: [NodeID] = []
        var guests: [Contact] = []
        for step in 1...8 {
            let before = Set(table.contacts.map(\.id))
            guests.append(far(&samples))
            let now = start + .seconds(Int64(step * 10))
            #expect(table.observe(guests[step - 1], roundTrip: nil, isGuest: true, at: now) == .added)
            gone += before.subtracting(table.contacts.map(\.id))
            if step == 6 { for _ in 0..<3 { table.noteMention(of: guests[4].id) } }
        }
        #expect(gone[0] == old[6].id && gone[1] == old[3].id)
        #expect(gone[2..<6].elementsEqual([old[0], old[1], old[2], old[4]].map(\.id)))
        #expect(gone[6] == guests[4].id && gone[7] == guests[0].id)
        // Failures and mentions share a byte, and do not touch each other.
        for _ in 0..<2 { table.recordFailure(of: old[5].id) }
        for _ in 0..<9 { table.noteMention(of: old[5].id) }
        #expect(table.entry(of: old[5].id)?.failures == 2)
    }

    @Test func theSilentGiveWayOnceNobodyTrustsThem() {
        var samples = Samples(seed: 12)
        var table = RoutingTable(own: NodeID(.zero), configuration: configuration(k: 1, siblingFactor: 0))
        let (old, new, later) = (far(&samples), far(&samples), far(&samples))
        #expect(table.observe(old, roundTrip: nil, at: start) == .added)
        table.trust = .seconds(120)
        #expect(table.observe(new, roundTrip: nil, at: start + .seconds(100)) == .waiting(oldest: old.id))
        #expect(table.observe(later, roundTrip: nil, at: start + .seconds(130)) == .added)
        #expect(table.contacts.map(\.id) == [later.id])
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

    /// Every list of addresses comes back as it went in, in place or beside the buckets.
    @Test func addressesComeBack() {
        var samples = Samples(seed: 13)
        let four = (0..<4).map { NetworkAddress(ipv4: 0x0a00_0001 + $0, port: 1000) }
        let six = NetworkAddress(high: 0xfd00_0000_0000_0001, low: 7, port: 65535)
        var lists = (1...4).map { AddressList(four.prefix($0)) }
        lists += [AddressList(six), AddressList([six, four[0]]), AddressList([four[0], six, four[1]])]
        var table = RoutingTable(own: NodeID(.zero), configuration: configuration(k: 20))
        var contacts: [Contact] = []
        for list in lists + lists.reversed() {
            var contact = samples.contact()
            contact.addresses = list
            contacts.append(contact)
            _ = table.observe(contact, roundTrip: nil, at: start)
        }
        for contact in contacts { #expect(table.entry(of: contact.id)?.contact == contact) }
        for index in contacts.indices {
            contacts[index].addresses = lists[(index + 3) % lists.count]
            #expect(table.observe(contacts[index], roundTrip: nil, at: start) == .updated)
        }
        for contact in contacts { #expect(table.entry(of: contact.id)?.contact == contact) }
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

    /// The bound: the whole table of a node among 10,000, waiting peers included, takes at most 32 KiB.
    @Test func memoryAmongTenThousand() {
        var samples = Samples(seed: 4)
        let own = NodeID(samples.bytes32())
        var table = RoutingTable(own: own, configuration: configuration(k: 20))
        for index in 0..<10_000 as Range<UInt32> {
            _ = table.observe(samples.contact(host: 0x0800_0000 + index * 256), roundTrip: nil, at: start)
        }
        let memory = table.memory
        print("routing table among 10,000: \(table.count) peers, \(memory.peers) with those that wait,")
        print("  \(memory.bytesPerPeer) bytes each, \(memory.bytes) bytes in all")
        #expect(table.count > 180)
        #expect(memory.bytesPerPeer == 112)
        #expect(memory.bytes <= 32 * 1024)
    }
}
