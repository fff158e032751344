import DHT
import SwarmCore
import SwarmCrypto

/// Values made from a seed, for tables and property tests.
struct Samples {
    var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    mutating func bytes32() -> Bytes32 {
        Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
    }

    /// A contact of a random id, which no key backs: enough for tables and lookups.
    mutating func contact(host: UInt32? = nil) -> Contact {
        let address = NetworkAddress(
            ipv4: host ?? (0x0a00_0000 | UInt32(generator.integer(below: 1 << 24))), port: 7788)
        return Contact(id: NodeID(bytes32()), key: PublicKey(bytes32()), addresses: AddressList(address))
    }

    /// Somewhere in latency space.
    mutating func coordinate() -> Coordinate {
        var coordinate = Coordinate.origin
        for _ in 0..<4 {
            coordinate.update(
                roundTripMilliseconds: 10 + generator.unitInterval() * 200, to: .origin, using: &generator)
        }
        return coordinate
    }

    mutating func identity(_ suite: CryptoSuite = .counted()) -> Identity { Identity(seed: bytes32(), suite: suite) }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next() >> 32) }
    }
}

extension Identity {
    /// A record of this identity's own.
    func record(
        _ kind: RecordKind, _ name: String, sequence: UInt64, lifetime: Interval = .seconds(45), depth: UInt8 = 0,
        epoch: UInt64 = 1, isTombstone: Bool = false, delegation: Delegation? = nil
    ) -> Record {
        var statement = RecordStatement(
            kind: kind, publisher: contact(at: AddressList(NetworkAddress(ipv4: 0x0a00_0001, port: 7788))),
            sequence: sequence, lifetime: lifetime)
        statement.name = name
        statement.depth = depth
        statement.epoch = epoch
        statement.isTombstone = isTombstone
        statement.delegation = delegation
        return Record(statement, by: self)
    }
}

/// A clock for stores: milliseconds after a start, wall and monotonic in step.
func clock(_ milliseconds: Int64) -> Now {
    Now(monotonic: MonotonicInstant(nanoseconds: 5_000_000_000), wallMilliseconds: 1_800_000_000_000)
        + .milliseconds(milliseconds)
}

extension VirtualSwarm {
    /// Delivers a message from a node that is no part of the swarm, over a confirmed session.
    func deliver(
        _ message: DHTMessage, by identity: Identity, at address: NetworkAddress = .loopback(port: 9),
        to node: VirtualNode
    ) {
        let bytes = encode(message)
        call(node) { node, now in
            let peer = Peer(
                contact: identity.contact(at: AddressList(address)), address: address, isConfirmed: true)
            node.dht.receive(bytes.span, from: peer, at: now, into: &node.out, events: &node.events)
        }
    }
}
