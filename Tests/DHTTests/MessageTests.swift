import DHT
import SwarmCore
import SwarmCrypto
import Testing

@Suite struct MessageTests {
    private let identity = Identity(seed: Bytes32(1, 2, 3, 4))

    private func samplesOfAll(_ samples: inout Samples) -> [DHTMessage] {
        let id = RequestID(samples.generator.next())
        var contacts: [NearContact] = []
        for index in 0..<9 as Range<UInt32> {
            var addresses = AddressList(NetworkAddress(ipv4: 0x0102_0300 + index, port: UInt16(7000 + index)))
            if index % 3 == 0 { addresses.append(NetworkAddress(high: 0x2001_0db8_0000_0000, low: 5, port: 9)) }
            let contact = CryptoSuite.real.contact(PublicKey(samples.bytes32()), addresses)
            contacts.append(NearContact(contact, coordinate: index % 2 == 0 ? samples.coordinate() : nil))
        }
        let origin = identity.record(.streamOrigin, "live/alice", sequence: 1_800_000_000_000, epoch: 77)
        let entry = identity.record(.prefixEntry, "live/alice", sequence: 1_800_000_000_000, depth: 1)
        let grave = identity.record(.streamOrigin, "x", sequence: 3, isTombstone: true)
        let held = [origin, entry, grave].map {
            HeldRecord(record: $0, remaining: .milliseconds(1234), age: .seconds(77), isCopy: $0.kind == .prefixEntry)
        }
        let copy = HeldRecord(record: origin, remaining: .milliseconds(4321), isCopy: true)
        let place = samples.coordinate()
        let node = identity.record(.nodeAddresses, "", sequence: 9)
        return [
            .ping(id, isClient: false, from: nil), .ping(id, isClient: true, from: place), .pong(id, from: place),
            .findNode(id, isClient: false, from: place, target: samples.bytes32()),
            .contacts(id, from: place, []), .contacts(id, from: .origin, contacts),
            .get(id, isClient: true, from: place, GetQuery(key: origin.key, kinds: .location, limit: 5, skip: 300)),
            .values(id, from: .origin, total: 0, [], closer: []),
            .values(id, from: place, total: 900, held, closer: contacts),
            .put(id, isClient: false, origin), .put(id, isClient: false, node),
            .offerCopy(id, isClient: false, copy), .offerCopy(id, isClient: true, copy),
            .putResult(id, .stored, age: .seconds(12), incumbent: nil),
            .putResult(id, .nameTaken, age: .seconds(9), incumbent: origin),
            .putResult(id, .refused, age: .zero, incumbent: nil),
        ]
    }

    @Test func everyMessageSurvivesTheWire() throws {
        var samples = Samples(seed: 1)
        for message in samplesOfAll(&samples) {
            let bytes = encode(message)
            #expect((0x10...0x2f).contains(bytes[0]) && bytes.count <= Limits.messageBytes)
            let parsed = try DHTMessage.parse(bytes.span, suite: .real)
            #expect(parsed.message == message && parsed.skipped.isEmpty)
            // Fields of later versions are stepped over.
            let longer = try DHTMessage.parse((bytes + [1, 2, 3]).span, suite: .real)
            #expect(longer.message == message)
            // Every cut is malformed and never a trap.
            for count in 0..<bytes.count {
                #expect(throws: DHTRefusal.malformed) {
                    try DHTMessage.parse(bytes.span.extracting(0..<count), suite: .real)
                }
            }
        }
    }

    @Test func recordsAreSignedAsReceived() throws {
        let record = identity.record(.streamOrigin, "live/alice", sequence: 5, epoch: 3)
        #expect(record.isAuthentic(.real))
        // A field of a later version, after an empty delegation, is kept, signed and stepped over.
        let body = record.body + [0, 0xaa, 0xbb]
        let later = try Record(
            body: body.span, signature: identity.sign(domain: Record.domain, body.span), suite: .real)
        #expect(later.isAuthentic(.real) && later.name == "live/alice" && later.body == body)
        for index in record.body.indices {
            var forged = record.body
            forged[index] ^= 0x20
            guard let changed = try? Record(body: forged.span, signature: record.signature, suite: .real) else {
                continue
            }
            #expect(!changed.isAuthentic(.real))
        }
        let foreign = identity.sign(domain: "something else", record.body.span)
        #expect(try !Record(body: record.body.span, signature: foreign, suite: .real).isAuthentic(.real))
    }

    /// (kind, name, depth, accepted)
    @Test(
        arguments: [
            (.streamOrigin, "demo", 0, true), (.streamOrigin, "", 0, false), (.streamOrigin, "a//b", 0, false),
            (.streamOrigin, "demo", 1, false), (.prefixEntry, "a/b/c", 2, true), (.prefixEntry, "a/b/c", 3, false),
            (.prefixEntry, "../x", 0, false), (.nodeAddresses, "", 0, true), (.nodeAddresses, "x", 0, false),
        ] as [(RecordKind, String, UInt8, Bool)])
    func namesAreChecked(kind: RecordKind, name: String, depth: UInt8, isAccepted: Bool) {
        let record = identity.record(kind, name, sequence: 1, depth: depth)
        let parsed = try? Record(body: record.body.span, signature: record.signature, suite: .real)
        #expect((parsed != nil) == isAccepted)
    }

    /// (name, depth, prefix)
    @Test(arguments: [("a/b/c", 0, ""), ("a/b/c", 1, "a"), ("a/b/c", 2, "a/b"), ("a/b/c", 3, "a/b/c"), ("a", 0, "")])
    func prefixesAreWholeSegments(name: String, depth: Int, prefix: String) {
        #expect(StreamPrefix.of(name, depth: depth) == prefix)
    }

    @Test(
        arguments: [("", ""), ("a/", "a"), ("a/b", "a/b"), ("/", ""), ("a//", nil), ("a b", nil)] as [(String, String?)]
    )
    func prefixesAreNormalised(text: String, expected: String?) {
        #expect(StreamPrefix.normalised(text) == expected)
    }

    @Test func refusalsHaveTheirReason() {
        func reason(_ bytes: [UInt8]) -> DHTRefusal? {
            do throws(DHTRefusal) {
                _ = try DHTMessage.parse(bytes.span, suite: .real)
                return nil
            } catch {
                return error
            }
        }
        let id = [UInt8](repeating: 7, count: 8)
        #expect(reason([]) == .malformed)
        #expect(reason([0x2f] + id) == .unknownType)
        let place = [UInt8](repeating: 0, count: 16) + [0, 1, 0, 9]
        #expect(reason([0x13] + id + place + [21]) == .oversizedAnswer)
        #expect(reason([0x13] + id + place + [0x40, 1]) == .malformed)
        #expect(reason([0x15] + id + place + [0, 17]) == .oversizedAnswer)
        // No node stands at height zero.
        #expect(reason([0x13] + id + [UInt8](repeating: 0, count: 20) + [0]) == .malformed)
        #expect(reason([0x16] + id + [0] + [0x7f, 0xff]) == .malformed)
        var put = encode(.put(RequestID(1), isClient: false, identity.record(.streamOrigin, "demo", sequence: 1)))
        put[11] = 0x77
        #expect(reason(put) == .unknownKind)
    }

    /// What a later version says about a contact is stepped over; flags it does not know are ignored.
    @Test func contactsMayGrow() throws {
        var samples = Samples(seed: 9)
        let contact = CryptoSuite.real.contact(
            PublicKey(samples.bytes32()), AddressList(NetworkAddress(ipv4: 0x0102_0304, port: 5)))
        let plain = encode(.contacts(RequestID(1), from: .origin, [NearContact(contact)]))
        #expect(plain.last == 0)
        for flags in [0x02, 0xf2] as [UInt8] {
            let grown = plain.dropLast() + [flags, 3, 7, 7, 7]
            let parsed = try DHTMessage.parse(Array(grown).span, suite: .real)
            #expect(parsed.message == .contacts(RequestID(1), from: .origin, [NearContact(contact)]))
        }
    }

    @Test func theLongestMessagesFit() throws {
        var samples = Samples(seed: 3)
        var addresses = AddressList()
        for index in 0..<4 as Range<UInt64> {
            addresses.append(NetworkAddress(high: 0x2001_0db8_0000_0000, low: index, port: 1))
        }
        let name = Array(repeating: String(repeating: "n", count: 30), count: 8).joined(separator: "/") + "nnnnnnn"
        #expect(name.utf8.count == 254)
        var statement = RecordStatement(
            kind: .prefixEntry, publisher: identity.contact(at: addresses), sequence: .max, lifetime: .seconds(60))
        statement.name = name
        statement.depth = 7
        statement.epoch = .max
        let record = Record(statement, by: identity)
        let held = HeldRecord(record: record, remaining: .seconds(45))
        func contacts(_ addresses: AddressList) -> [NearContact] {
            (0..<20).map { _ in
                let contact = CryptoSuite.real.contact(PublicKey(samples.bytes32()), addresses)
                return NearContact(contact, coordinate: samples.coordinate())
            }
        }
        let long = contacts(addresses)
        let values = try DHTMessage.parse(
            encode(.values(RequestID(1), from: .origin, total: 9, Array(repeating: held, count: 16), closer: long))
                .span,
            suite: .real)
        guard case .values(_, .origin, 9, let records, let closer) = values.message else {
            Issue.record("wrong message")
            return
        }
        #expect(records == [held] && closer.count == 5)
        // Four IPv6 addresses each are rare; one IPv4 address each is the rule.
        let answer = try DHTMessage.parse(encode(.contacts(RequestID(1), from: .origin, long)).span, suite: .real)
        #expect(answer.message == .contacts(RequestID(1), from: .origin, Array(long.prefix(8))))
        let short = contacts(AddressList(NetworkAddress(ipv4: 0x0102_0304, port: 5)))
        let usual = try DHTMessage.parse(encode(.contacts(RequestID(1), from: .origin, short)).span, suite: .real)
        #expect(usual.message == .contacts(RequestID(1), from: .origin, Array(short.prefix(18))))
        let proof = DHTMessage.putResult(RequestID(1), .nameTaken, age: .seconds(1), incumbent: record)
        #expect(try DHTMessage.parse(encode(proof).span, suite: .real).message == proof)
    }

    @Test func randomAndMutatedInputsNeverTrap() {
        var samples = Samples(seed: 4)
        let originals = samplesOfAll(&samples).map(encode)
        for round in 0..<100_000 {
            var bytes: [UInt8]
            if round % 4 == 0 {
                bytes = samples.bytes(samples.generator.integer(below: 80))
                if !bytes.isEmpty { bytes[0] = 0x10 | bytes[0] & 0x0f }
            } else {
                bytes = originals[samples.generator.integer(below: originals.count)]
                for _ in 0...samples.generator.integer(below: 4) {
                    let index = samples.generator.integer(below: bytes.count)
                    bytes[index] = UInt8(truncatingIfNeeded: samples.generator.next() >> 32)
                }
                if round % 7 == 0 { bytes.removeLast(samples.generator.integer(below: bytes.count)) }
            }
            DHTFuzz.parse(bytes.span)
        }
    }
}
