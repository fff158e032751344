import SwarmCore
import SwarmCrypto

/// A number that ties an answer to its request: random, so that only who saw the request can answer it.
package struct RequestID: Hashable, Sendable {
    package let number: UInt64
    package init(_ number: UInt64) { self.number = number }
}

/// What a holder says to a PUT. The raw value is on the wire.
package enum PutResult: UInt8, CaseIterable, Sendable {
    /// Held now, or held already in the same version.
    case stored = 0
    /// Another publisher holds the name; its record follows as proof.
    case nameTaken = 1
    /// The sender's session is not confirmed yet: send again.
    case unconfirmed = 2
    /// A newer version is held.
    case superseded = 3
    /// No room for it here.
    case full = 4
    /// Nearer nodes exist.
    case notResponsible = 5
    /// Malformed, forged, foreign, signed too long ago or for too short a life.
    case refused = 6
}

/// A record in an answer, with what the holder knows of it.
package struct HeldRecord: Hashable, Sendable {
    package let record: Record
    /// What is left of its life at the holder.
    package let remaining: Interval
    /// For how long the holder has seen the publisher hold this place without a gap; zero for a cached copy.
    package let age: Interval
    /// The record came from a reader, not from its publisher: it proves itself, but its holder vouches for nothing.
    package let isCopy: Bool

    package init(record: Record, remaining: Interval, age: Interval = .zero, isCopy: Bool = false) {
        self.record = record
        self.remaining = remaining
        self.age = age
        self.isCopy = isCopy
    }
}

/// A node named in an answer, with its place in latency space where the answerer knows it: so the asker can predict the
/// round trip to a node it never met.
package struct NearContact: Hashable, Sendable {
    package let contact: Contact
    package let coordinate: Coordinate?

    package init(_ contact: Contact, coordinate: Coordinate? = nil) {
        self.contact = contact
        self.coordinate = coordinate
    }
}

/// A message between two nodes' DHTs (PROTOCOL.md, "DHT messages"). The first byte names the type; the request id and
/// the fields follow; bytes after the last known field are skipped.
package enum DHTMessage: Hashable, Sendable {
    /// Requests may say where the sender stands in latency space.
    case ping(RequestID, isClient: Bool, from: Coordinate?)
    /// The answer to PING: the answerer's own coordinate.
    case pong(RequestID, from: Coordinate)
    case findNode(RequestID, isClient: Bool, from: Coordinate?, target: Bytes32)
    /// The answer to FIND_NODE: the answerer's own coordinate and the nearest live nodes known, nearest first.
    case contacts(RequestID, from: Coordinate, [NearContact])
    case get(RequestID, isClient: Bool, from: Coordinate?, GetQuery)
    /// The answer to GET: the answerer's own coordinate, records of the kinds asked for, how many there are in all, and
    /// nearer nodes.
    case values(RequestID, from: Coordinate, total: Int, [HeldRecord], closer: [NearContact])
    /// The sender's own record.
    case put(RequestID, isClient: Bool, Record)
    /// A PUT of somebody else's record that a lookup has found: to be cached for what is left of its life at most. Only
    /// `record` and `remaining` travel.
    case offerCopy(RequestID, isClient: Bool, HeldRecord)
    /// `age` is for how long the answerer has seen the publisher of the record it holds (the sender's own for `.stored`,
    /// the incumbent's for `.nameTaken`) hold it without a gap; zero for other results.
    case putResult(RequestID, PutResult, age: Interval, incumbent: Record?)

    /// The type bytes, all in the DHT's range 0x10–0x2f.
    package enum Kind: UInt8, Sendable {
        case ping = 0x10
        case pong = 0x11
        case findNode = 0x12
        case contacts = 0x13
        case get = 0x14
        case values = 0x15
        case put = 0x16
        case putResult = 0x17
    }

    package var requestID: RequestID {
        switch self {
        case .ping(let id, _, _), .pong(let id, _), .findNode(let id, _, _, _), .contacts(let id, _, _),
            .get(let id, _, _, _),
            .values(let id, _, _, _, _), .put(let id, _, _), .offerCopy(let id, _, _), .putResult(let id, _, _, _):
            id
        }
    }
}

/// The proof of `nameTaken`: the living record, and for how long its holder has seen its publisher hold the name.
package struct Incumbent: Hashable, Sendable {
    package let record: Record
    package let age: Interval

    package init(record: Record, age: Interval) {
        self.record = record
        self.age = age
    }
}

/// What a GET asks for.
package struct GetQuery: Hashable, Sendable {
    package var key: Bytes32
    package var kinds: RecordKindMask
    /// At most this many records.
    package var limit: Int
    /// Skip this many of the holder's prefix entries, in its own stable order: paging.
    package var skip: Int
    /// The point whose neighbours shall be named, where it is not the key.
    package var near: Bytes32?

    package init(key: Bytes32, kinds: RecordKindMask, limit: Int = DHTLimits.recordsPerAnswer, skip: Int = 0) {
        self.key = key
        self.kinds = kinds
        self.limit = limit
        self.skip = skip
    }
}

/// What parsing gave: a message, and the reasons for whatever was left out of it.
package struct ParsedMessage: Sendable {
    package var message: DHTMessage
    /// Records in the message that could not be used, each with its reason.
    package var skipped: [DHTRefusal] = []
}

extension DHTMessage {
    /// Reads one message; `suite` computes the ids of the contacts in it. Fails with the reason; never traps.
    package static func parse(_ bytes: Span<UInt8>, suite: CryptoSuite) throws(DHTRefusal) -> ParsedMessage {
        var reader = ByteReader(bytes)
        guard let type = reader.readUInt8() else { throw .malformed }
        guard let kind = Kind(rawValue: type) else { throw .unknownType }
        guard let number = reader.readUInt64() else { throw .malformed }
        let id = RequestID(number)
        switch kind {
        case .ping:
            let (isClient, place) = try readSender(&reader)
            return ParsedMessage(message: .ping(id, isClient: isClient, from: place))
        case .pong:
            guard let coordinate = Coordinate(from: &reader) else { throw .malformed }
            return ParsedMessage(message: .pong(id, from: coordinate))
        case .findNode:
            let (isClient, place) = try readSender(&reader)
            guard let target = reader.readBytes32() else { throw .malformed }
            return ParsedMessage(message: .findNode(id, isClient: isClient, from: place, target: target))
        case .contacts:
            guard let coordinate = Coordinate(from: &reader) else { throw .malformed }
            return ParsedMessage(message: .contacts(id, from: coordinate, try readContacts(&reader, suite)))
        case .get:
            let (isClient, place) = try readSender(&reader)
            return ParsedMessage(message: .get(id, isClient: isClient, from: place, try readQuery(&reader)))
        case .values:
            return try readValues(id, &reader, suite)
        case .put:
            guard let flags = reader.readUInt8() else { throw .malformed }
            let isClient = flags & Flags.client != 0
            let record = try reader.readRecord(suite).get()
            guard flags & Flags.copy != 0 else {
                return ParsedMessage(message: .put(id, isClient: isClient, record))
            }
            guard let remaining = reader.readUInt32() else { throw .malformed }
            let copy = HeldRecord(record: record, remaining: .milliseconds(Int64(remaining)), isCopy: true)
            return ParsedMessage(message: .offerCopy(id, isClient: isClient, copy))
        case .putResult:
            return ParsedMessage(message: try readPutResult(id, &reader, suite))
        }
    }

    /// The flags of a PING, FIND_NODE or GET, and the sender's coordinate where they announce one.
    private static func readSender(_ reader: inout ByteReader) throws(DHTRefusal) -> (Bool, Coordinate?) {
        guard let flags = reader.readUInt8() else { throw .malformed }
        let isClient = flags & Flags.client != 0
        guard flags & Flags.sender != 0 else { return (isClient, nil) }
        guard let coordinate = Coordinate(from: &reader) else { throw .malformed }
        return (isClient, coordinate)
    }

    private static func readQuery(_ reader: inout ByteReader) throws(DHTRefusal) -> GetQuery {
        guard let key = reader.readBytes32(), let kinds = reader.readUInt8(), let limit = reader.readVarint(),
            let skip = reader.readVarint()
        else { throw .malformed }
        var query = GetQuery(
            key: key, kinds: RecordKindMask(rawValue: kinds),
            limit: Int(min(limit, UInt64(DHTLimits.recordsPerAnswer))),
            skip: Int(min(skip, UInt64(DHTLimits.recordsToSkip))))
        if reader.remaining >= Bytes32.byteCount { query.near = reader.readBytes32() }
        return query
    }

    private static func readContacts(
        _ reader: inout ByteReader, _ suite: CryptoSuite
    ) throws(DHTRefusal) -> [NearContact] {
        guard let count = reader.readVarint() else { throw .malformed }
        guard count <= UInt64(DHTLimits.contactsPerAnswer) else { throw .oversizedAnswer }
        var contacts: [NearContact] = []
        contacts.reserveCapacity(Int(count))
        for _ in 0..<count {
            guard let contact = reader.readContact(suite), let flags = reader.readUInt8() else { throw .malformed }
            var coordinate: Coordinate?
            if flags & Flags.coordinate != 0 {
                coordinate = Coordinate(from: &reader)
                guard coordinate != nil else { throw .malformed }
            }
            // Whatever a later version says about a node is stepped over.
            if flags & Flags.extension != 0 {
                guard reader.readLengthPrefixed(limit: Limits.messageBytes) != nil else { throw .malformed }
            }
            contacts.append(NearContact(contact, coordinate: coordinate))
        }
        return contacts
    }

    private static func readValues(
        _ id: RequestID, _ reader: inout ByteReader, _ suite: CryptoSuite
    ) throws(DHTRefusal) -> ParsedMessage {
        guard let coordinate = Coordinate(from: &reader), let total = reader.readVarint(),
            let count = reader.readVarint()
        else { throw .malformed }
        guard count <= UInt64(DHTLimits.recordsPerAnswer) else { throw .oversizedAnswer }
        var records: [HeldRecord] = []
        var skipped: [DHTRefusal] = []
        for _ in 0..<count {
            guard let flags = reader.readUInt8(), let remaining = reader.readUInt32(), let age = reader.readUInt32()
            else { throw .malformed }
            switch reader.readRecord(suite) {
            case .success(let record):
                records.append(
                    HeldRecord(
                        record: record, remaining: .milliseconds(Int64(remaining)), age: .milliseconds(Int64(age)),
                        isCopy: flags & Flags.heldCopy != 0))
            case .failure(.malformed): throw .malformed
            case .failure(let reason): skipped.append(reason)
            }
        }
        let closer = try readContacts(&reader, suite)
        let bounded = Int(min(total, UInt64(DHTLimits.recordsToSkip)))
        return ParsedMessage(
            message: .values(id, from: coordinate, total: bounded, records, closer: closer), skipped: skipped)
    }

    private static func readPutResult(
        _ id: RequestID, _ reader: inout ByteReader, _ suite: CryptoSuite
    ) throws(DHTRefusal) -> DHTMessage {
        guard let code = reader.readUInt8() else { throw .malformed }
        let result = PutResult(rawValue: code) ?? .refused
        guard let milliseconds = reader.readUInt32() else { throw .malformed }
        let age = Interval.milliseconds(Int64(milliseconds))
        guard result == .nameTaken else { return .putResult(id, result, age: age, incumbent: nil) }
        return .putResult(id, result, age: age, incumbent: try reader.readRecord(suite).get())
    }
}

/// The bits of the flag bytes. Bits not named here are sent as 0 and ignored.
enum Flags {
    /// Requests: the sender cannot be dialled.
    static var client: UInt8 { 1 }
    /// PING, FIND_NODE, GET: the sender's coordinate follows.
    static var sender: UInt8 { 4 }
    /// PUT: the record is somebody else's, for the cache; its remaining life follows.
    static var copy: UInt8 { 2 }
    /// A contact of an answer: its coordinate follows.
    static var coordinate: UInt8 { 1 }
    /// A contact of an answer: a length and that many bytes of a later version follow.
    static var `extension`: UInt8 { 2 }
    /// A record of an answer: it is a cached copy.
    static var heldCopy: UInt8 { 1 }
}
