import SwarmCore
import SwarmCrypto

extension DHTMessage {
    /// Writes the message in its one canonical form. Contacts and records that would run past the writer's room are
    /// left out, last first, so that an answer is never lost for being too long.
    package func write(to writer: inout ByteWriter) {
        writer.append(kind.rawValue)
        writer.append(requestID.number)
        switch self {
        case .ping(_, let isClient, let place):
            Self.write(isClient, place, to: &writer)
        case .pong(_, let coordinate):
            coordinate.write(to: &writer)
        case .findNode(_, let isClient, let place, let target):
            Self.write(isClient, place, to: &writer)
            writer.append(target)
        case .contacts(_, let coordinate, let contacts):
            coordinate.write(to: &writer)
            Self.write(contacts, to: &writer)
        case .get(_, let isClient, let place, let query):
            Self.write(isClient, place, to: &writer)
            writer.append(query.key)
            writer.append(query.kinds.rawValue)
            writer.appendVarint(UInt64(clamping: query.limit))
            writer.appendVarint(UInt64(clamping: query.skip))
            if let near = query.near { writer.append(near) }
        case .values(_, let coordinate, let total, let records, let closer):
            coordinate.write(to: &writer)
            writer.appendVarint(UInt64(clamping: total))
            Self.write(records, keeping: Self.roomFor(closer, in: writer.remaining), to: &writer)
            Self.write(closer, to: &writer)
        case .put(_, let isClient, let record):
            writer.append(Self.flags(isClient))
            writer.append(record)
        case .offerCopy(_, let isClient, let copy):
            writer.append(Self.flags(isClient) | Flags.copy)
            writer.append(copy.record)
            writer.append(UInt32(clamping: copy.remaining.milliseconds))
        case .putResult(_, let result, let age, let incumbent):
            writer.append(result.rawValue)
            writer.append(UInt32(clamping: age.milliseconds))
            if result == .nameTaken, let incumbent { writer.append(incumbent) }
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
        case .put, .offerCopy: .put
        case .putResult: .putResult
        }
    }

    private static func write(_ isClient: Bool, _ place: Coordinate?, to writer: inout ByteWriter) {
        writer.append(flags(isClient) | (place == nil ? 0 : Flags.sender))
        place?.write(to: &writer)
    }

    private static func flags(_ isClient: Bool) -> UInt8 { isClient ? Flags.client : 0 }

    private static func write(_ contacts: [NearContact], to writer: inout ByteWriter) {
        var room = writer.remaining - 1
        var fitting = 0
        for contact in contacts.prefix(DHTLimits.contactsPerAnswer) {
            room -= contact.byteCount
            guard room >= 0 else { break }
            fitting += 1
        }
        writer.appendVarint(UInt64(fitting))
        for near in contacts.prefix(fitting) {
            writer.append(near.contact)
            writer.append(near.coordinate == nil ? 0 : Flags.coordinate)
            near.coordinate?.write(to: &writer)
        }
    }

    /// Room kept for the eight nearest contacts, but no more than half of the message: an answer full of records must
    /// not end a search that has not reached the holders yet.
    private static func roomFor(_ closer: [NearContact], in remaining: Int) -> Int {
        min(closer.prefix(8).reduce(0) { $0 + $1.byteCount }, remaining / 2)
    }

    /// Besides `reserve`, one byte stays free for the count of contacts that follow.
    private static func write(_ records: [HeldRecord], keeping reserve: Int, to writer: inout ByteWriter) {
        var room = writer.remaining - 2 - reserve
        var fitting = 0
        for held in records.prefix(DHTLimits.recordsPerAnswer) {
            room -= 9 + held.record.byteCount
            guard room >= 0 else { break }
            fitting += 1
        }
        writer.appendVarint(UInt64(fitting))
        for held in records.prefix(fitting) {
            writer.append(held.isCopy ? Flags.heldCopy : 0)
            writer.append(UInt32(clamping: held.remaining.milliseconds))
            writer.append(UInt32(clamping: held.age.milliseconds))
            writer.append(held.record)
        }
    }
}

extension NearContact {
    /// Bytes on the wire: the contact, a flag byte and the coordinate.
    package var byteCount: Int { contact.byteCount + 1 + (coordinate == nil ? 0 : Coordinate.byteCount) }
}

extension Contact {
    /// Bytes on the wire: key, count, and per address kind, address and port.
    package var byteCount: Int { addresses.reduce(33) { $0 + ($1.isIPv4 ? 7 : 19) } }
}
