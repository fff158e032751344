import Routing
import SwarmCore
import SwarmCrypto
import Testing

@Suite struct RoutingMessageTests {
    static let position = TreePosition(epoch: 0x0102_0304, number: 5, rank: 3)
    static let subscribe = SubscribeMessage(
        subscription: 0x1122_3344_5566_7788, stream: name("live/alice"), leastEpoch: 9, layers: 0xff, worker: 1,
        port: 7790, connectionID: 0xdead_beef, instance: 42, alias: 7, cipher: .aes256GCM,
        feasibility: Feasibility(position), knownLinks: [1, 2])
    static let accept = AcceptMessage(
        subscription: 1, serial: 2, worker: 0, port: 7789, parentConnectionID: 3, childConnectionID: 4, instance: 5,
        mediaEpoch: 6, cipher: .chaCha20Poly1305,
        advertisement: Advertisement(
            position: position, path: Array(1...16), descriptor: [UInt8](repeating: 7, count: 900)))
    static let keep = KeepMessage(subscription: 1, serial: 2, layers: 3, updateSerial: 4, freeChildSlots: 5)
    static let description = MemberDescription(
        contact: testContact(5), version: 77, instance: 88, load: 500, freeChildSlots: 4, roles: [.relays, .drains],
        workerPorts: [7789, 7790], publicURL: "https://relay.example:8443", region: "eu-west")

    @Test func subscribeHasItsBytes() {
        let expected: [UInt8] = [
            0x40, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 10, 0x6c, 0x69, 0x76, 0x65, 0x2f, 0x61, 0x6c, 0x69,
            0x63, 0x65, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0xff, 1, 0x1e, 0x6e, 0xde, 0xad, 0xbe, 0xef, 0, 0,
            0, 0, 0, 0, 0, 42, 0, 0, 0, 7, 1, 1, 0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 5, 3, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0,
            0, 0, 0, 0, 0, 0, 2,
        ]
        #expect(encode(Self.subscribe.write) == expected)
    }

    @Test func keepHasItsBytes() {
        let expected: [UInt8] = [
            0x45, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 4, 0, 5,
        ]
        #expect(encode(Self.keep.write) == expected)
    }

    @Test func messagesComeBackAsTheyWentAndUnknownFieldsAreSkipped() {
        for tail in [[], [1, 2, 3]] as [[UInt8]] {
            let subscribe = encode(Self.subscribe.write) + tail
            var reader = ByteReader(subscribe.span)
            #expect(reader.readUInt8() == RouteMessageType.subscribe)
            #expect(SubscribeMessage(from: &reader) == Self.subscribe)
            let accept = encode(Self.accept.write) + tail
            #expect(accept.count <= Limits.messageBytes)
            reader = ByteReader(accept.span)
            #expect(reader.readUInt8() == RouteMessageType.accept)
            #expect(AcceptMessage(from: &reader) == Self.accept)
            let keep = encode(Self.keep.write) + tail
            reader = ByteReader(keep.span)
            #expect(reader.readUInt8() == RouteMessageType.keep)
            #expect(KeepMessage(from: &reader) == Self.keep)
        }
    }

    @Test func newsComesBackAsItWentAndUnknownFieldsAreKept() {
        var later = Self.description
        later.unknownFields = [9, 8, 7]
        let entries: [NewsEntry] = [
            .alive(Self.description), .alive(later),
            .status(.failed, Self.description.contact.id, version: 78, accuser: 0xabcd),
        ]
        for entry in entries {
            let bytes = entry.encoded()
            #expect(bytes.count <= entry.byteBound)
            #expect(NewsEntry.parse(bytes.span, .real).entry == entry)
        }
        // A tag of a later version is no error.
        let (unknown, isKnown) = NewsEntry.parse([200, 1, 2].span, .real)
        #expect(unknown == nil)
        #expect(!isKnown)
    }

    @Test func hashesOfASyncHaveTheirValue() {
        let word: UInt64 = 0x1111_1111_1111_1111
        let hash = Rendezvous.mix(word ^ Rendezvous.mix(word ^ Rendezvous.mix(5 << 2 | 0)))
        #expect(hash == 0x4df7_61e0_4508_dd04)
    }

    @Test func theLargestDescriptionFits() {
        var largest = Self.description
        var addresses = AddressList()
        for index in 0..<4 {
            addresses.append(NetworkAddress(high: 0x2001_0db8 << 32, low: UInt64(index) + 1, port: 1))
        }
        largest.contact = CryptoSuite.real.contact(largest.contact.key, addresses)
        largest.workerPorts = Array(repeating: 1, count: RoutingLimits.workersPerMember)
        largest.publicURL = String(repeating: "u", count: RoutingLimits.urlBytes)
        largest.region = String(repeating: "r", count: RoutingLimits.regionBytes)
        largest.unknownFields = [UInt8](repeating: 1, count: RoutingLimits.unknownDescriptionBytes)
        let bytes = NewsEntry.alive(largest).encoded()
        #expect(!bytes.isEmpty && bytes.count <= RoutingLimits.descriptionBytes)
        #expect(NewsEntry.parse(bytes.span, .real).entry == .alive(largest))
        var news = newsMessage([.alive(largest)])[1...]
        var refusals = Counters<RoutingRefusal>()
        let list = Array(news)
        var reader = ByteReader(list.span)
        #expect(NewsList.read(from: &reader, .real, refusals: &refusals)?.count == 1)
        news.removeAll()
    }

    @Test func badValuesAreRefused() {
        var bad: [MemberDescription] = []
        var description = Self.description
        description.load = 1001
        bad.append(description)
        description = Self.description
        description.version = RoutingLimits.version + 1
        bad.append(description)
        description = Self.description
        description.contact = CryptoSuite.real.contact(description.contact.key, AddressList())
        bad.append(description)
        for description in bad {
            #expect(NewsEntry.parse(NewsEntry.alive(description).encoded().span, .real).entry == nil)
        }

        var request = Self.subscribe
        request.connectionID = 0
        var bytes = Array(encode(request.write).dropFirst())
        var reader = ByteReader(bytes.span)
        #expect(SubscribeMessage(from: &reader) == nil)
        request = Self.subscribe
        request.port = 0
        bytes = Array(encode(request.write).dropFirst())
        reader = ByteReader(bytes.span)
        #expect(SubscribeMessage(from: &reader) == nil)
    }

    /// 10^5 mutated messages into machines that are in the middle of things: nothing traps, no table outgrows its limit.
    @Test func mutatedMessagesAreHarmless() {
        var generator = SeededGenerator(seed: 4711)
        var corpus: [[UInt8]] = [
            encode(Self.subscribe.write), encode(Self.accept.write), encode(Self.keep.write),
            newsMessage([.alive(Self.description)]),
            newsMessage([.status(.suspected, Self.description.contact.id, version: 77, accuser: 1)]),
        ]
        corpus += (0x30...0x39).map { [UInt8($0)] + [UInt8](repeating: 1, count: 180) }
        corpus += (0x40...0x4a).map { [UInt8($0)] + [UInt8](repeating: 0, count: 7) + [1, 5, 0, 0, 0, 9] }
        let now = Now(monotonic: MonotonicInstant(nanoseconds: 1_000_000_000), wallMilliseconds: 1_700_000_000_000)
        let member = MembershipNode(seed: 31, now: now)
        let router = RouteNode(seed: 32, maxChildren: 3, now: now)
        var out = MessageOutbox()
        router.perform { machine, events in
            machine.publish(
                name("live/alice"), epoch: 10, descriptor: [1], worker: 0, at: now, into: &out, events: &events)
            machine.subscribe(name("other"), layers: 1, worker: 0, candidates: [], at: now, into: &out, events: &events)
        }
        let peers = (0..<8).map {
            Peer(contact: testContact(900 + $0), address: .loopback(port: 9), isConfirmed: $0 != 0)
        }
        var moment = now
        for round in 0..<100_000 {
            var bytes = corpus[generator.integer(below: corpus.count)]
            for _ in 0...generator.integer(below: 4) {
                switch generator.integer(below: 4) {
                case 0: bytes[generator.integer(below: bytes.count)] = UInt8(truncatingIfNeeded: generator.next())
                case 1 where bytes.count > 2: bytes.removeLast(generator.integer(below: bytes.count - 1))
                case 2 where bytes.count < 1100: bytes.append(UInt8(truncatingIfNeeded: generator.next()))
                default: bytes[generator.integer(below: bytes.count)] ^= 1 << UInt8(generator.integer(below: 8))
                }
            }
            if round % 4 == 0 { RoutingFuzz.parse(bytes.span) }
            let peer = peers[generator.integer(below: peers.count)]
            moment = moment + .milliseconds(Int64(generator.integer(below: 20)))
            if bytes[0] < 0x40 {
                member.receive(bytes, from: peer, at: moment, into: &out)
            } else {
                router.receive(bytes, from: peer, at: moment, into: &out)
            }
            if round % 16 == 0 {
                member.advance(to: moment, into: &out)
                router.advance(to: moment, into: &out)
                out.removeAll()
                member.events = []
                router.log = []
                router.fresh = []
            }
        }
        #expect(member.machine.members.count <= Limits.members)
        #expect(router.machine.mediaLinks.count <= RoutingLimits.mediaLinks)
        #expect(member.machine.refusals[.malformed] > 1000)
        #expect(router.machine.refusals[.malformed] > 1000)
        // Left alone, the router forgets what strangers left in it.
        for _ in 0..<40 {
            moment = moment + .seconds(1)
            router.advance(to: moment, into: &out)
            out.removeAll()
        }
        #expect(router.machine.mediaLinks.isEmpty)
        #expect(router.machine.snapshot(of: name("live/alice"))?.children.isEmpty == true)
    }

    @Test func homeWorkersAreStable() {
        // FNV-1a's published vectors.
        #expect(HomeWorker.hash([]) == 0xcbf2_9ce4_8422_2325)
        #expect(HomeWorker.hash("a".utf8) == 0xaf63_dc4c_8601_ec8c)
        #expect(HomeWorker.hash("foobar".utf8) == 0x8594_4171_f739_67e8)
        #expect(HomeWorker.index(of: name("demo"), workers: 1) == 0)
        #expect(HomeWorker.index(of: name("demo"), workers: 0) == 0)
        var counts = [Int](repeating: 0, count: 4)
        for index in 0..<4000 { counts[HomeWorker.index(of: name("s/\(index)"), workers: 4)] += 1 }
        #expect(counts.allSatisfy { (800...1200).contains($0) })
    }
}

@Suite struct FeasibilityTests {
    @Test func onlyStrictlyBetterOrNewerParentsAreFeasible() {
        let told = Feasibility(TreePosition(epoch: 5, number: 3, rank: 2))
        let cases: [(TreePosition, Bool)] = [
            (TreePosition(epoch: 5, number: 3, rank: 1), true), (TreePosition(epoch: 5, number: 3, rank: 2), false),
            (TreePosition(epoch: 5, number: 3, rank: 9), false), (TreePosition(epoch: 5, number: 4, rank: 9), true),
            (TreePosition(epoch: 5, number: 2, rank: 0), false), (TreePosition(epoch: 6, number: 1, rank: 9), true),
            (TreePosition(epoch: 4, number: 9, rank: 0), false),
        ]
        for (position, expected) in cases { #expect(told.allows(parentAt: position) == expected, "\(position)") }
    }

    @Test func theBestUnderTheNewestNumberIsRemembered() {
        var told = Feasibility(TreePosition(epoch: 5, number: 3, rank: 4))
        told.told(TreePosition(epoch: 5, number: 3, rank: 2))
        told.told(TreePosition(epoch: 5, number: 3, rank: 6))
        #expect(told.best.rank == 2)
        told.told(TreePosition(epoch: 5, number: 4, rank: 7))
        #expect(told.best == TreePosition(epoch: 5, number: 4, rank: 7))
        told.told(TreePosition(epoch: 5, number: 3, rank: 0))
        #expect(told.best.rank == 7)
    }
}
