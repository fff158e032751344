import DHT
import SwarmCore
import SwarmCrypto
import Testing

/// What strangers and bad members send, and the reason each is refused by.
@Suite struct HostilityTests {
    private func pair(suite: CryptoSuite = .real) -> (VirtualSwarm, VirtualNode, VirtualNode) {
        let swarm = VirtualSwarm(seed: 5, suite: suite)
        let honest = swarm.addNode()
        let other = swarm.addNode()
        swarm.bootstrap(honest, [])
        return (swarm, honest, other)
    }

    /// The identity of the node that `addNode` made second in `pair`.
    private func identity(of node: VirtualNode) throws -> Identity {
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<10 {
            let seed = Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
            let identity = Identity(seed: seed)
            if identity.id == node.contact.id { return identity }
            _ = generator.unitInterval()
        }
        return try #require(nil)
    }

    private func put(
        _ record: Record, from peer: VirtualNode, to node: VirtualNode, _ swarm: VirtualSwarm, isConfirmed: Bool = true
    ) {
        swarm.deliver(
            .put(RequestID(9), isClient: false, record), from: peer, to: node, isConfirmed: isConfirmed)
    }

    @Test func recordsAreRefusedByReason() throws {
        let (swarm, node, peer) = pair()
        let publisher = try identity(of: peer)
        let wall = swarm.now.wallMilliseconds
        let good = publisher.record(.streamOrigin, "demo", sequence: wall)
        let foreign = Identity(seed: Bytes32(9, 9, 9, 9))

        put(good, from: peer, to: node, swarm, isConfirmed: false)
        #expect(node.dht.refusals[.unconfirmed] == 1 && node.dht.store.counts.living == 0)
        put(foreign.record(.streamOrigin, "demo", sequence: wall), from: peer, to: node, swarm)
        #expect(node.dht.refusals[.notPublisher] == 1)
        let forged = try Record(
            body: good.body.span, signature: foreign.sign(domain: Record.domain, good.body.span), suite: .real)
        put(forged, from: peer, to: node, swarm)
        #expect(node.dht.refusals[.badSignature] == 1)
        put(publisher.record(.streamOrigin, "demo", sequence: wall - 400_000), from: peer, to: node, swarm)
        #expect(node.dht.refusals[.clockSkew] == 1)
        put(publisher.record(.streamOrigin, "demo", sequence: wall, lifetime: .zero), from: peer, to: node, swarm)
        #expect(node.dht.refusals[.shortLifetime] == 1)
        put(publisher.record(.streamOrigin, "no such name", sequence: wall), from: peer, to: node, swarm)
        #expect(node.dht.refusals[.badName] == 1)
        #expect(node.dht.store.counts.living == 0)

        put(good, from: peer, to: node, swarm)
        #expect(node.dht.store.counts.living == 1)
        put(good, from: peer, to: node, swarm)
        #expect(node.dht.traffic[.recordsStored] == 1, "a replay is not stored again")
        put(publisher.record(.streamOrigin, "demo", sequence: wall - 1), from: peer, to: node, swarm)
        #expect(node.dht.refusals[.superseded] == 1)
        #expect(node.dht.refusals.total == 7)
    }

    @Test func oversizedAndUnknownMessagesAreCounted() {
        let (swarm, node, peer) = pair()
        swarm.deliver([UInt8](), from: peer, to: node)
        swarm.deliver([0x2e] + [UInt8](repeating: 0, count: 30), from: peer, to: node)
        swarm.deliver([0x16] + [UInt8](repeating: 0, count: 9) + [0x44, 0x00], from: peer, to: node)
        #expect(node.dht.refusals[.malformed] == 2 && node.dht.refusals[.unknownType] == 1)
        swarm.deliver(.pong(RequestID(1), from: .origin), from: peer, to: node)
        swarm.deliver(.contacts(RequestID(1), from: .origin, [NearContact(peer.contact)]), from: peer, to: node)
        #expect(node.dht.refusals[.unasked] == 2)
        swarm.deliver(.ping(RequestID(1), isClient: false, from: nil), from: node, to: node)
        #expect(node.dht.refusals[.fromSelf] == 1)
        #expect(node.dht.table.isEmpty, "nothing of that makes a peer")
    }

    @Test func onlyConfirmedServersEnterTheTable() {
        let (swarm, node, peer) = pair()
        let request = DHTMessage.findNode(RequestID(1), isClient: false, from: nil, target: .zero)
        swarm.deliver(request, from: peer, to: node, isConfirmed: false)
        #expect(node.dht.table.isEmpty && node.dht.traffic[.answersSent] == 1)
        swarm.deliver(.ping(RequestID(2), isClient: true, from: nil), from: peer, to: node)
        #expect(node.dht.table.isEmpty)
        swarm.deliver(request, from: peer, to: node)
        #expect(node.dht.table.contacts.map(\.id) == [peer.contact.id])
    }

    /// A first request may be a replay: who sent it is entered when its link is open, unless it cannot be dialled.
    @Test func aStrangerEntersWhenItsLinkIsOpen() {
        let (swarm, node, peer) = pair()
        func open(_ peer: VirtualNode) {
            let confirmed = Peer(
                contact: peer.contact, address: peer.contact.addresses.first ?? .unspecified, isConfirmed: true)
            swarm.call(node) { node, now in node.dht.confirm(confirmed, at: now, into: &node.out) }
        }
        open(peer)
        #expect(node.dht.table.isEmpty, "it has asked nothing")
        let place = Coordinate.origin
        swarm.deliver(
            .findNode(RequestID(1), isClient: true, from: place, target: .zero), from: peer, to: node,
            isConfirmed: false)
        open(peer)
        #expect(node.dht.table.isEmpty, "nobody can dial it")
        let request = DHTMessage.findNode(RequestID(2), isClient: false, from: place, target: .zero)
        swarm.deliver(request, from: peer, to: node, isConfirmed: false)
        #expect(node.dht.table.isEmpty)
        open(peer)
        #expect(node.dht.table.entry(of: peer.contact.id)?.coordinate == place)
        // A flood of first requests whose links never open only makes this node forget who else has called.
        swarm.call(node) { node, now in node.dht.remove(peer.contact.id, at: now) }
        swarm.deliver(request, from: peer, to: node, isConfirmed: false)
        for _ in 0..<100 { swarm.deliver(request, from: swarm.addNode(), to: node, isConfirmed: false) }
        open(peer)
        #expect(node.dht.table.isEmpty)
    }

    /// A node that answers every GET with what it likes.
    private func lie(_ answer: (RequestID, GetQuery) -> DHTMessage) throws -> (VirtualNode, DHTEvent?) {
        let (swarm, node, liar) = pair()
        // The liar's own machine never runs: its words are made here.
        liar.isAlive = false
        let stream = try #require(StreamName("demo"))
        var requests: [(RequestID, GetQuery)] = []
        swarm.call(node) { node, now in
            node.dht.observe(liar.contact, roundTrip: nil, at: now, into: &node.out)
            _ = node.dht.lookup(stream, at: now, into: &node.out, events: &node.events)
            for index in 0..<node.out.count {
                guard
                    case .get(let id, _, _, let query) = try? DHTMessage.parse(node.out.bytes(of: index), suite: .real)
                        .message
                else {
                    continue
                }
                requests.append((id, query))
            }
        }
        let (id, query) = try #require(requests.first)
        swarm.deliver(answer(id, query), from: liar, to: node)
        swarm.run(for: .seconds(3))
        return (node, node.log.last { $0.lookup != nil })
    }

    @Test func liarsProveNothing() throws {
        let publisher = Identity(seed: Bytes32(3, 3, 3, 3))
        let wall: UInt64 = 1_800_000_000_000
        func values(_ records: [Record]) -> (RequestID, GetQuery) -> DHTMessage {
            let held = records.map { HeldRecord(record: $0, remaining: .seconds(30)) }
            return { id, _ in .values(id, from: .origin, total: 0, held, closer: []) }
        }
        let good = publisher.record(.streamOrigin, "demo", sequence: wall)
        #expect(try lie(values([good])).1?.origin == publisher.id)

        let elsewhere = publisher.record(.streamOrigin, "other", sequence: wall)
        var (node, answer) = try lie(values([elsewhere]))
        #expect(answer?.isNotFound == true && node.dht.refusals[.wrongKey] == 1)
        let old = publisher.record(.streamOrigin, "demo", sequence: wall - 1_000_000)
        (node, answer) = try lie(values([old]))
        #expect(answer?.isNotFound == true && node.dht.refusals[.clockSkew] == 1)
        let forged = try Record(body: good.body.span, signature: Signature(.zero), suite: .real)
        (node, answer) = try lie(values([forged]))
        #expect(answer?.isNotFound == true && node.dht.refusals[.badSignature] == 1)
        // A newer tombstone beside the record ends it.
        let gone = publisher.record(.streamOrigin, "demo", sequence: wall + 5, isTombstone: true)
        (node, answer) = try lie(values([gone, good]))
        #expect(answer?.isNotFound == true)
        (node, answer) = try lie { id, _ in .putResult(id, .stored, age: .zero, incumbent: nil) }
        // The only one who could know has said nothing of use: no verdict.
        #expect(answer?.isNotFound == false && node.dht.refusals[.malformed] == 1)
    }

    @Test func aLiarCannotTalkAPublisherOutOfItsName() throws {
        let (swarm, node, liar) = pair()
        liar.isAlive = false
        let stream = try #require(StreamName("demo"))
        swarm.call(node) { node, now in node.dht.observe(liar.contact, roundTrip: nil, at: now, into: &node.out) }
        var answers: [DHTMessage] = []
        swarm.publish("demo", at: node)
        let other = Identity(seed: Bytes32(8, 8, 8, 8)).record(
            .streamOrigin, "demo", sequence: swarm.now.wallMilliseconds)
        let unproved = try Record(body: other.body.span, signature: Signature(.zero), suite: .real)
        // The liar answers the search, then the PUT.
        func answerRequests(_ bytes: Span<UInt8>) {
            switch try? DHTMessage.parse(bytes, suite: .real).message {
            case .findNode(let id, _, _, _): answers.append(.contacts(id, from: .origin, []))
            case .put(let id, _, _):
                answers.append(.putResult(id, .nameTaken, age: .seconds(900), incumbent: unproved))
            default: break
            }
        }
        swarm.tap = { bytes in answerRequests(bytes.span) }
        swarm.publish("demo2", at: node)
        for _ in 0..<40 {
            swarm.run(for: .milliseconds(100))
            for answer in answers { swarm.deliver(answer, from: liar, to: node) }
            answers.removeAll()
        }
        #expect(node.dht.refusals[.badSignature] + node.dht.refusals[.wrongKey] > 0)
        #expect(!node.log.contains(.nameTaken(stream)))
        #expect(node.dht.publishedStreams.contains(stream))
    }

    @Test func tooManyLookupsAreRefusedAndBounded() throws {
        let (swarm, node, silent) = pair(suite: .counted())
        silent.isAlive = false
        let stream = try #require(StreamName("demo"))
        swarm.call(node) { node, now in
            node.dht.observe(silent.contact, roundTrip: nil, at: now, into: &node.out)
            for _ in 0..<(DHTLimits.lookups + 10) {
                _ = node.dht.lookup(stream, at: now, into: &node.out, events: &node.events)
            }
        }
        #expect(node.dht.activeLookups == DHTLimits.lookups)
        let overloaded = node.log.filter { if case .overloaded = $0 { true } else { false } }
        #expect(overloaded.count == 10)
        swarm.run(for: .seconds(20))
        #expect(node.dht.activeLookups == 0)
        // Nobody answered, so nobody is said to be "not live".
        #expect(node.log.filter(\.isNotFound).isEmpty)
        let undecided = node.log.filter { if case .overloaded = $0 { true } else { false } }
        #expect(undecided.count == DHTLimits.lookups + 10)
        swarm.run(for: .seconds(2))
        #expect(node.dht.pendingRequests == 0)
    }

    @Test func cancelledLookupsSayNothing() throws {
        let (swarm, node, silent) = pair(suite: .counted())
        silent.isAlive = false
        let stream = try #require(StreamName("demo"))
        swarm.call(node) { node, now in
            node.dht.observe(silent.contact, roundTrip: nil, at: now, into: &node.out)
            let id = node.dht.lookup(stream, at: now, into: &node.out, events: &node.events)
            node.dht.cancel(id)
        }
        #expect(node.dht.activeLookups == 0 && node.dht.pendingRequests == 0)
        swarm.run(for: .seconds(5))
        #expect(!node.log.contains { $0.lookup != nil })
    }

    /// A machine fed with noise of every kind keeps its promises: no trap, no growth, no deadline left behind.
    @Test func noiseLeavesNothingBehind() {
        let swarm = VirtualSwarm(seed: 17)
        for index in 0..<6 {
            let node = swarm.addNode()
            swarm.bootstrap(node, index > 0 ? [swarm.nodes[0].contact] : [])
        }
        swarm.publish("demo", at: swarm.nodes[1])
        swarm.run(for: .seconds(3))
        var samples = Samples(seed: 18)
        for _ in 0..<5000 {
            let node = swarm.nodes[samples.generator.integer(below: 6)]
            let peer = swarm.nodes[samples.generator.integer(below: 6)]
            var bytes = samples.bytes(samples.generator.integer(below: 200))
            if !bytes.isEmpty { bytes[0] = 0x10 | bytes[0] & 0x07 }
            swarm.deliver(bytes, from: peer, to: node)
        }
        swarm.run(for: .seconds(20))
        for node in swarm.nodes {
            swarm.call(node) { node, now in
                node.dht.advance(to: now, into: &node.out, events: &node.events)
                if let deadline = node.dht.nextDeadline { #expect(deadline > now.monotonic) }
            }
            // Noise may say that its sender cannot be dialled: such a peer leaves the table.
            #expect(node.dht.activeLookups == 0 && (1...5).contains(node.dht.table.count))
            #expect(swarm.find("demo", from: node)?.origin == swarm.nodes[1].contact.id)
        }
    }
}
