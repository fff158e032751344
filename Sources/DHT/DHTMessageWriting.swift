import SwarmCore
import SwarmCrypto

extension DHTMessage {
    /// Writes the message in its one canonical form. Contacts and records that would run past the writer's room are
    /// left out, last first, so that an answer is never lost for being too long.
    package func write(to writer: inout ByteWriter) {
        writer.append(kind.rawValue)
        writer.append(requestID.number)
        switch self {
        case .ping(_, let isClient):
            writer.append(Self.flags(isClient))
        case .pong:
            break
        case .findNode(_, let isClient, let target):
            writer.append(Self.flags(isClient))
            writer.append(target)
        case .contacts(_, let contacts):
            Self.write(contacts, to: &writer)
        case .get(_, let isClient, let query):
            writer.append(Self.flags(isClient))
            writer.append(query.key)
            writer.append(query.kinds.rawValue)
            writer.appendVarint(UInt64(clamping: query.limit))
            writer.appendVarint(UInt64(clamping: query.skip))
        case .values(_, let total, let records, let closer):
            writer.appendVarint(UInt64(clamping: total))
            Self.write(records, keeping: Self.roomFor(closer, in: writer.remaining), to: &writer)
            Self.write(closer, to: &writer)
        case .put(_, let isClient, let record):
            writer.append(Self.flags(isClient))
            writer.append(record)
        case .putResult(_, let result, let incumbent):
            writer.append(result.rawValue)
            guard result == .nameTaken, let incumbent else { return }
            writer.append(UInt32(clamping: incumbent.age.milliseconds))
            writer.append(incumbent.record)
        }
    }

    package var kind: Kind {
        switch self {
        case .ping: .ping
        case .pong: .pong
        case .findNode: .findNode
        case .contacts: .contacts
        case .get: .get
        case .values: .values
        case .put: .put
        case .putResult: .putResult
        }
    }

    private static func flags(_ isClient: Bool) -> UInt8 { isClient ? 1 : 0 }

    private static func write(_ contacts: [Contact], to writer: inout ByteWriter) {
        var room = writer.remaining - 1
        var fitting = 0
        for contact in contacts.prefix(DHTLimits.contactsPerAnswer) {
            room -= contact.byteCount
            guard room >= 0 else { break }
            fitting += 1
        }
        writer.appendVarint(UInt64(fitting))
        for contact in contacts.prefix(fitting) { writer.append(contact) }
    }

    /// Room kept for the eight nearest contacts, but no more than half of the message: an answer full of records must
    /// not end a search that has not reached the holders yet.
    private static func roomFor(_ closer: [Contact], in remaining: Int) -> Int {
        min(closer.prefix(8).reduce(0) { $0 + $1.byteCount }, remaining / 2)
    }

    /// Besides `reserve`, one byte stays free for the count of contacts that follow.
    private static func write(_ records: [HeldRecord], keeping reserve: Int, to writer: inout ByteWriter) {
        var room = writer.remaining - 2 - reserve
        var fitting = 0
        for held in records.prefix(DHTLimits.recordsPerAnswer) {
            room -= 4 + held.record.byteCount
            guard room >= 0 else { break }
            fitting += 1
        }
        writer.appendVarint(UInt64(fitting))
        for held in records.prefix(fitting) {
            writer.append(UInt32(clamping: held.remaining.milliseconds))
            writer.append(held.record)
        }
    }
}

extension Contact {
    /// Bytes on the wire: key, count, and per address kind, address and port.
    package var byteCount: Int { addresses.reduce(33) { $0 + ($1.isIPv4 ? 7 : 19) } }
}
