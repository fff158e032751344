import DHT
import SwarmCore
import SwarmCrypto
import Testing

/// What is refused when it comes from the network, each by its counted reason, at the holder and at the reader.
@Suite struct RecordRefusalTests {
    private let swarm = VirtualSwarm(seed: 15, suite: .real)
    private let holder: VirtualNode
    private let publisher = Identity(seed: Bytes32(6, 6, 6, 6))
    private let stranger = Identity(seed: Bytes32(7, 7, 7, 7))

    init() {
        holder = swarm.addNode()
        swarm.bootstrap(holder, [])
    }

    private var wall: UInt64 { swarm.now.wallMilliseconds }

    private func put(_ record: Record, by identity: Identity? = nil) {
        swarm.deliver(.put(RequestID(1), isClient: true, record), by: identity ?? publisher, to: holder)
    }

    private func origin(_ sequence: UInt64, lifetime: Interval = .seconds(45)) -> Record {
        publisher.record(.streamOrigin, "demo", sequence: sequence, lifetime: lifetime)
    }

    @Test func forgedRecordsAreRefused() throws {
        let good = origin(wall)
        // The publisher's own bytes with another signature, and changed bytes with the publisher's.
        let signature = stranger.sign(domain: Record.domain, good.body.span)
        put(try Record(body: good.body.span, signature: signature, suite: .real))
        #expect(holder.dht.refusals[.badSignature] == 1)
        var changed = good.body
        changed[changed.count - 2] ^= 1
        put(try Record(body: changed.span, signature: good.signature, suite: .real))
        #expect(holder.dht.refusals[.badSignature] == 2)
        // Somebody else's good record.
        put(good, by: stranger)
        #expect(holder.dht.refusals[.notPublisher] == 1)
        #expect(holder.dht.store.counts == RecordStore.Counts())
    }

    @Test func recordsSignedForAnotherPurposeAreRefused() throws {
        let good = origin(wall)
        let signature = publisher.sign(domain: Delegation.domain, good.body.span)
        put(try Record(body: good.body.span, signature: signature, suite: .real))
        #expect(holder.dht.refusals[.badSignature] == 1 && holder.dht.store.counts == RecordStore.Counts())
    }

    @Test func replayedRecordsRenewNothing() {
        let first = origin(wall)
        put(first)
        swarm.run(for: .seconds(20))
        let second = origin(wall)
        put(second)
        put(first)
        #expect(holder.dht.refusals[.superseded] == 1)
        swarm.run(for: .seconds(40))
        put(second)
        swarm.run(for: .milliseconds(5001))
        // The second one's life has ended when it was due, whatever was replayed.
        #expect(holder.dht.store.counts.living == 0)
        put(second)
        #expect(holder.dht.refusals[.superseded] == 2 && holder.dht.store.counts.living == 0)
        let gone = publisher.record(.streamOrigin, "demo", sequence: wall, isTombstone: true)
        put(gone)
        for _ in 0..<7 {
            swarm.run(for: .seconds(100))
            put(second)
            #expect(holder.dht.store.counts.living == 0)
        }
    }

    @Test func expiredAndUntimelyRecordsAreRefused() {
        put(origin(wall - 301_000))
        put(origin(wall + 301_000))
        #expect(holder.dht.refusals[.clockSkew] == 2)
        put(origin(wall, lifetime: .milliseconds(999)))
        #expect(holder.dht.refusals[.shortLifetime] == 1)
        #expect(holder.dht.store.counts == RecordStore.Counts())
    }

    @Test func oversizedRecordsAreRefused() {
        // A body of 833 bytes, and a delegation of 385 in one that fits.
        let id = [UInt8](repeating: 1, count: 8)
        let head: [UInt8] = [0x16] + id + [0]
        let body = [UInt8](repeating: 0, count: 833)
        receive(head + [0x43, 0x41] + body + [UInt8](repeating: 0, count: 64))
        #expect(holder.dht.refusals[.malformed] == 1)
        let grown = origin(wall).body + [0x41, 0x81] + [UInt8](repeating: 0, count: 385)
        let signature = publisher.sign(domain: Record.domain, grown.span)
        let length = UInt16(grown.count) | 0x4000
        let wire =
            head + [UInt8(length >> 8), UInt8(truncatingIfNeeded: length)] + grown + signature.bytes.array
        receive(wire)
        #expect(holder.dht.refusals[.malformed] == 2)
        let unreadable = origin(wall).body + [3, 1, 2, 3]
        let short = UInt16(unreadable.count) | 0x4000
        receive(
            head + [UInt8(short >> 8), UInt8(truncatingIfNeeded: short)] + unreadable
                + publisher.sign(domain: Record.domain, unreadable.span).bytes.array)
        #expect(holder.dht.refusals[.badDelegation] == 1)
        #expect(holder.dht.store.counts == RecordStore.Counts())
    }

    private func receive(_ bytes: [UInt8]) {
        swarm.call(holder) { node, now in
            let peer = Peer(
                contact: publisher.contact(at: AddressList(.loopback(port: 9))), address: .loopback(port: 9),
                isConfirmed: true)
            node.dht.receive(bytes.span, from: peer, at: now, into: &node.out, events: &node.events)
        }
    }

    @Test func forgedBoundNamesAreRefusedByHolders() throws {
        let owner = Identity(seed: Bytes32(8, 8, 8, 8))
        let name = BoundName.segment(of: owner.key, suite: .real) + "/live"
        let foreign = try #require(
            Delegation(to: stranger.id, sequence: wall, lifetime: .seconds(3600), by: owner))
        let forged = try #require(
            Delegation(to: publisher.id, sequence: wall, lifetime: .seconds(3600), by: stranger))
        let good = try #require(
            Delegation(to: publisher.id, sequence: wall, lifetime: .seconds(3600), by: owner))
        put(publisher.record(.streamOrigin, name, sequence: wall))
        #expect(holder.dht.refusals[.noDelegation] == 1)
        put(publisher.record(.streamOrigin, name, sequence: wall, delegation: foreign))
        put(publisher.record(.streamOrigin, name, sequence: wall, delegation: forged))
        #expect(holder.dht.refusals[.badDelegation] == 2 && holder.dht.store.counts == RecordStore.Counts())
        put(publisher.record(.streamOrigin, name, sequence: wall, delegation: good))
        #expect(holder.dht.store.counts.living == 1)
    }
}
