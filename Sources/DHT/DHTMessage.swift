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

/// A record in an answer, with what is left of its life at the holder.
package struct HeldRecord: Hashable, Sendable {
    package let record: Record
    package let remaining: Interval

    package init(record: Record, remaining: Interval) {
        self.record = record
        self.remaining = remaining
    }
}

/// A message between two nodes' DHTs (PROTOCOL.md, "DHT messages"). The first byte names the type; the request id and
/// the fields follow; bytes after the last known field are skipped.
package enum DHTMessage: Hashable, Sendable {
    case ping(RequestID, isClient: Bool)
    case pong(RequestID)
    case findNode(RequestID, isClient: Bool, target: Bytes32)
    /// The answer to FIND_NODE: the nearest live nodes known, nearest first.
    case contacts(RequestID, [Contact])
    case get(RequestID, isClient: Bool, GetQuery)
    /// The answer to GET: records of the kinds asked for, how many there are in all, and nearer nodes.
    case values(RequestID, total: Int, [HeldRecord], closer: [Contact])
    case put(RequestID, isClient: Bool, Record)
    case putResult(RequestID, PutResult, incumbent: Incumbent?)

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
        case .ping(let id, _), .pong(let id), .findNode(let id, _, _), .contacts(let id, _), .get(let id, _, _),
            .values(let id, _, _, _), .put(let id, _, _), .putResult(let id, _, _):
            id
        }
    }
}

/// The proof of `nameTaken`: the living record, and for how long this holder has seen its publisher hold the name.
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
            return ParsedMessage(message: .ping(id, isClient: try readFlags(&reader)))
        case .pong:
            return ParsedMessage(message: .pong(id))
        case .findNode:
            let isClient = try readFlags(&reader)
            guard let target = reader.readBytes32() else { throw .malformed }
            return ParsedMessage(message: .findNode(id, isClient: isClient, target: target))
        case .contacts:
            return ParsedMessage(message: .contacts(id, try readContacts(&reader, suite)))
        case .get:
            return ParsedMessage(message: .get(id, isClient: try readFlags(&reader), try readQuery(&reader)))
        case .values:
            return try readValues(id, &reader, suite)
        case .put:
            let isClient = try readFlags(&reader)
            let record = try reader.readRecord(suite).get()
            return ParsedMessage(message: .put(id, isClient: isClient, record))
        case .putResult:
            return ParsedMessage(message: try readPutResult(id, &reader, suite))
        }
    }

    private static func readFlags(_ reader: inout ByteReader) throws(DHTRefusal) -> Bool {
        guard let flags = reader.readUInt8() else { throw .malformed }
        return flags & 1 != 0
    }

    private static func readQuery(_ reader: inout ByteReader) throws(DHTRefusal) -> GetQuery {
        guard let key = reader.readBytes32(), let kinds = reader.readUInt8(), let limit = reader.readVarint(),
            let skip = reader.readVarint()
        else { throw .malformed }
        return GetQuery(
            key: key, kinds: RecordKindMask(rawValue: kinds),
            limit: Int(min(limit, UInt64(DHTLimits.recordsPerAnswer))),
            skip: Int(min(skip, UInt64(DHTLimits.recordsToSkip))))
    }

    private static func readContacts(_ reader: inout ByteReader, _ suite: CryptoSuite) throws(DHTRefusal) -> [Contact] {
        guard let count = reader.readVarint() else { throw .malformed }
        guard count <= UInt64(DHTLimits.contactsPerAnswer) else { throw .oversizedAnswer }
        var contacts: [Contact] = []
        for _ in 0..<count {
            guard let contact = reader.readContact(suite) else { throw .malformed }
            contacts.append(contact)
        }
        return contacts
    }

    private static func readValues(
        _ id: RequestID, _ reader: inout ByteReader, _ suite: CryptoSuite
    ) throws(DHTRefusal) -> ParsedMessage {
        guard let total = reader.readVarint(), let count = reader.readVarint() else { throw .malformed }
        guard count <= UInt64(DHTLimits.recordsPerAnswer) else { throw .oversizedAnswer }
        var records: [HeldRecord] = []
        var skipped: [DHTRefusal] = []
        for _ in 0..<count {
            guard let remaining = reader.readUInt32() else { throw .malformed }
            switch reader.readRecord(suite) {
            case .success(let record):
                records.append(HeldRecord(record: record, remaining: .milliseconds(Int64(remaining))))
            case .failure(.malformed): throw .malformed
            case .failure(let reason): skipped.append(reason)
            }
        }
        let closer = try readContacts(&reader, suite)
        let bounded = Int(min(total, UInt64(DHTLimits.recordsToSkip)))
        return ParsedMessage(message: .values(id, total: bounded, records, closer: closer), skipped: skipped)
    }

    private static func readPutResult(
        _ id: RequestID, _ reader: inout ByteReader, _ suite: CryptoSuite
    ) throws(DHTRefusal) -> DHTMessage {
        guard let code = reader.readUInt8() else { throw .malformed }
        let result = PutResult(rawValue: code) ?? .refused
        guard result == .nameTaken else { return .putResult(id, result, incumbent: nil) }
        guard let age = reader.readUInt32() else { throw .malformed }
        let record = try reader.readRecord(suite).get()
        return .putResult(id, result, incumbent: Incumbent(record: record, age: .milliseconds(Int64(age))))
    }
}

/// The parser's body for a fuzzer: whatever the bytes, it returns.
package enum DHTFuzz {
    /// Parses, and where that succeeds writes the message again and parses what was written: it must be the same.
    package static func parse(_ bytes: Span<UInt8>) {
        guard let parsed = try? DHTMessage.parse(bytes, suite: .real) else { return }
        var storage = [UInt8](repeating: 0, count: Limits.receiveBytes)
        var room = storage.mutableSpan
        var writer = ByteWriter(room._mutatingExtracting(0..<room.count))
        parsed.message.write(to: &writer)
        let count = writer.count
        guard !writer.overflowed else { return }
        let again = try? DHTMessage.parse(storage.span.extracting(0..<count), suite: .real)
        precondition(again?.message == parsed.message, "a message changed by writing and reading it")
    }
}
