import DHT
import SwarmCore
import SwarmCrypto
import Testing

/// Names bound to a key: who may publish them, and what everybody else is told.
@Suite struct DelegationTests {
    private let owner = Identity(seed: Bytes32(1, 1, 1, 1))
    private let node = Identity(seed: Bytes32(2, 2, 2, 2))
    private let wall = clock(0).wallMilliseconds

    private func name(_ rest: String, of owner: Identity) -> String {
        let segment = BoundName.segment(of: owner.key, suite: .real)
        return rest.isEmpty ? segment : "\(segment)/\(rest)"
    }

    private func delegation(
        to node: Identity? = nil, scope: String = "", sequence: UInt64? = nil, lifetime: Interval = .seconds(3600),
        by owner: Identity? = nil
    ) throws -> Delegation {
        try #require(
            Delegation(
                to: (node ?? self.node).id, scope: scope, sequence: sequence ?? wall, lifetime: lifetime,
                by: owner ?? self.owner))
    }

    private func read(_ bytes: [UInt8]) -> Delegation? { Delegation(bytes.span) }

    @Test func survivesItsForms() throws {
        let made = try delegation(scope: "live/a")
        #expect(read(made.bytes) == made && Delegation(text: made.text) == made)
        #expect(made.text.hasPrefix("mfd1:") && made.isAuthentic(.real))
        #expect(made.bytes.count == 77 + 7 + 64)
        for index in made.bytes.indices {
            var bytes = made.bytes
            bytes[index] ^= 1
            #expect(read(bytes)?.isAuthentic(.real) != true)
        }
        for count in 0..<made.bytes.count {
            #expect(read(Array(made.bytes[..<count]))?.isAuthentic(.real) != true)
        }
        for text in ["", "mfd1:", "mfd2:" + made.text.dropFirst(5), made.text + "=", made.text.dropLast() + "!"] {
            #expect(Delegation(text: String(text)) == nil)
        }
        #expect(Delegation(to: node.id, scope: "a//b", sequence: 1, lifetime: .seconds(1), by: owner) == nil)
        // Another purpose's signature proves nothing.
        let body = made.bytes.dropLast(64)
        let foreign = owner.sign(domain: Record.domain, Array(body).span)
        #expect(read(body + foreign.bytes.array)?.isAuthentic(.real) == false)
    }

    /// (scope, name below the fingerprint, covered)
    @Test(
        arguments: [
            ("", "", true), ("", "live", true), ("", "live/a/b", true), ("live", "live", true),
            ("live", "live/a", true), ("live", "liveliness", false), ("live", "", false), ("live/a", "live", false),
            ("live/a", "live/a/b", true), ("live/a", "live/ab", false),
        ])
    func scopesAreWholeSegments(scope: String, rest: String, isCovered: Bool) throws {
        let made = try delegation(scope: scope)
        #expect(made.covers(name(rest, of: owner), at: node.id, suite: .real) == isCovered)
        #expect(!made.covers(name(rest, of: node), at: node.id, suite: .real))
        #expect(!made.covers(name(rest, of: owner), at: owner.id, suite: .real))
        #expect(!made.covers(rest, at: node.id, suite: .real))
    }

    /// (seconds after signing, current)
    @Test(
        arguments: [(0, true), (3600, true), (3899, true), (3901, false), (-299, true), (-301, false)]
            as [(Int64, Bool)])
    func timeIsRelativeWithTolerance(seconds: Int64, isCurrent: Bool) throws {
        let made = try delegation()
        #expect(made.isCurrent((clock(0) + .seconds(seconds)).wallMilliseconds) == isCurrent)
    }

    @Test func noTimeOverflows() throws {
        for sequence in [0, 1, .max, .max - 1, 1 << 63] as [UInt64] {
            let made = try delegation(sequence: sequence, lifetime: .seconds(1 << 32))
            for time in [0, 1_800_000_000_000, .max] as [UInt64] { _ = made.isCurrent(time) }
        }
        // However long it says, a month is all it gets.
        let long = try delegation(lifetime: .seconds(86_400 * 365))
        #expect(long.isCurrent((clock(0) + .seconds(30 * 86_400)).wallMilliseconds))
        #expect(!long.isCurrent((clock(0) + .seconds(31 * 86_400)).wallMilliseconds))
    }

    /// (first segment, bound, imitation)
    @Test(
        arguments: [
            ("~farso4iyyipkusut7jkrpc34hgj2kin32fy5dhwwvj2b6kkwfgia", true, false),
            ("~FARSO4IYYIPKUSUT7JKRPC34HGJ2KIN32FY5DHWWVJ2B6KKWFGIA", false, true),
            ("~farso4iyyipkusut7jkrpc34hgj2kin32fy5dhwwvj2b6kkwfgib", false, true),
            ("~farso4iyyipkusut7jkrpc34hgj2kin32fy5dhwwvj2b6kkwfgi1", false, false),
            ("~farso4iyyipkusut7jkrpc34hgj2kin32fy5dhwwvj2b6kkwfgi", false, false), ("~alice", false, false),
            ("farso4iyyipkusut7jkrpc34hgj2kin32fy5dhwwvj2b6kkwfgia", false, false),
        ])
    func boundNamesAreCanonical(segment: String, isBound: Bool, isImitation: Bool) {
        for name in [segment, segment + "/x", segment + "/x/y"] {
            #expect((BoundName.fingerprint(of: name) != nil) == isBound)
            #expect(BoundName.isImitation(name) == isImitation)
            let record = node.record(.streamOrigin, name, sequence: 1)
            let parsed = try? Record(body: record.body.span, signature: record.signature, suite: .real)
            #expect((parsed == nil) == isImitation)
        }
    }

    /// Every way a record of a bound name can be wrong, with the reason a holder counts and a reader too.
    @Test func holdersAndReadersRefuseByReason() throws {
        let thief = Identity(seed: Bytes32(3, 3, 3, 3))
        let stale = try delegation(sequence: wall - 7_200_000, lifetime: .seconds(60))
        let cases: [(Delegation?, DHTRefusal)] = [
            (nil, .noDelegation),
            (try delegation(to: thief), .badDelegation),
            (try delegation(scope: "other"), .badDelegation),
            (try delegation(by: thief), .badDelegation),
            (stale, .delegationExpired),
            (try delegation(sequence: wall + 400_000), .delegationExpired),
        ]
        for kind in [RecordKind.streamOrigin, .prefixEntry] {
            for (delegation, reason) in cases {
                let record = node.record(kind, name("live", of: owner), sequence: wall, delegation: delegation)
                #expect(record.delegationFault(wallMilliseconds: wall, suite: .real) == reason)
            }
            let good = node.record(kind, name("live", of: owner), sequence: wall, delegation: try delegation())
            #expect(good.delegationFault(wallMilliseconds: wall, suite: .real) == nil)
            let parsed = try Record(body: good.body.span, signature: good.signature, suite: .real)
            #expect(parsed == good && parsed.delegation == good.delegation)
        }
        // To carry is nobody's privilege, and taking back is always possible.
        let carrier = node.record(.streamCarrier, name("live", of: owner), sequence: wall)
        #expect(carrier.delegationFault(wallMilliseconds: wall, suite: .real) == nil)
        let grave = node.record(
            .streamOrigin, name("live", of: owner), sequence: wall, isTombstone: true, delegation: stale)
        #expect(grave.delegationFault(wallMilliseconds: wall, suite: .real) == nil)
    }

    @Test func theNewestDelegationHoldsTheName() throws {
        let other = Identity(seed: Bytes32(4, 4, 4, 4))
        let name = name("live", of: owner)
        let old = node.record(
            .streamOrigin, name, sequence: wall, delegation: try delegation(sequence: wall - 10))
        let new = other.record(
            .streamOrigin, name, sequence: wall, delegation: try delegation(to: other, sequence: wall - 5))
        var store = RecordStore(own: NodeID(.zero))
        #expect(store.put(old, key: old.key, at: clock(0)).isStored)
        #expect(store.put(new, key: new.key, at: clock(1000)).isStored)
        let query = GetQuery(key: new.key, kinds: .location)
        #expect(
            store.records(for: query, key: query.key, turn: 0, at: clock(1001).monotonic).records.map(\.record) == [new]
        )
        let renewal = node.record(
            .streamOrigin, name, sequence: wall + 2000, delegation: try delegation(sequence: wall - 10))
        let proof = Incumbent(record: new, age: .seconds(1))
        #expect(store.put(renewal, key: renewal.key, at: clock(2000)) == .nameTaken(proof))
        // The newer one takes it back, and its owner may return by a yet newer word.
        let gone = other.record(
            .streamOrigin, name, sequence: wall + 1, isTombstone: true,
            delegation: try delegation(to: other, sequence: wall - 5))
        #expect(store.put(gone, key: gone.key, at: clock(2500)).isStored)
        #expect(store.put(renewal, key: renewal.key, at: clock(3000)).isStored)
    }

    /// In a swarm: only the delegated node can publish, the name moves with its owner's word, and readers follow.
    @Test func aBoundNameInASwarm() throws {
        let swarm = VirtualSwarm(seed: 77)
        var configuration = DHTConfiguration()
        configuration.bucketSize = 4
        for index in 0..<10 {
            let node = swarm.addNode(configuration)
            swarm.bootstrap(node, index > 0 ? [swarm.nodes[0].contact] : [])
            swarm.run(for: .milliseconds(500))
        }
        let owner = Identity(seed: Bytes32(9, 9, 9, 9), suite: swarm.suite)
        let name = BoundName.segment(of: owner.key, suite: swarm.suite) + "/show"
        let stream = try #require(StreamName(name))
        func publish(at node: VirtualNode, _ delegation: Delegation?) -> Bool {
            var isAccepted = false
            swarm.call(node) { node, now in
                isAccepted = node.dht.publish(
                    stream, epoch: 1, delegation: delegation, at: now, into: &node.out, events: &node.events)
            }
            return isAccepted
        }
        func word(to node: VirtualNode) throws -> Delegation {
            let made = Delegation(
                to: node.contact.id, scope: "show", sequence: swarm.now.wallMilliseconds, lifetime: .seconds(3600),
                by: owner)
            return try #require(made)
        }
        let (first, second) = (swarm.nodes[3], swarm.nodes[7])
        #expect(!publish(at: second, nil) && second.dht.refusals[.noDelegation] == 1)
        #expect(publish(at: first, try word(to: first)))
        #expect(!publish(at: second, try word(to: first)) && second.dht.refusals[.badDelegation] == 1)
        swarm.run(for: .seconds(30))
        for node in swarm.nodes { #expect(swarm.find(name, from: node)?.origin == first.contact.id) }
        #expect(swarm.list("", from: swarm.nodes[5])?.map(\.stream) == [stream])
        // The publisher moves.
        #expect(publish(at: second, try word(to: second)))
        swarm.run(for: .seconds(20))
        #expect(first.log.contains(.nameTaken(stream)) && !second.log.contains(.nameTaken(stream)))
        for node in swarm.nodes { #expect(swarm.find(name, from: node)?.origin == second.contact.id) }
        #expect(swarm.list("", from: swarm.nodes[5])?.map(\.origin.id) == [second.contact.id])
    }
}
