import SwarmCore
import SwarmCrypto

/// A member's account of itself in one version, as it came: immutable, so that every table, queue and (in the
/// simulator) every node can share one.
///
/// Kept as the bytes of its news entry, which are what is told on; the fields that decide something stand beside them.
/// About 240 bytes for a host with two addresses.
package final class MemberRecord: Identified {
    package let id: NodeID
    package let version: UInt64
    package let instance: UInt64
    package let load: UInt16
    package let freeChildSlots: UInt16
    package let roles: MemberRoles
    private let coordinateOffset: UInt16
    /// Tag 0 and the description.
    let entry: [UInt8]

    /// Nil where the entry is not a well-formed description.
    init?(entry: Span<UInt8>, _ suite: CryptoSuite) {
        var reader = ByteReader(entry)
        guard reader.readUInt8() == MemberStatus.alive.rawValue,
            let description = MemberDescription(from: &reader, suite)
        else { return nil }
        id = description.contact.id
        version = description.version
        instance = description.instance
        load = description.load
        freeChildSlots = description.freeChildSlots
        roles = description.roles
        coordinateOffset = UInt16(entry.count - description.unknownFields.count - Coordinate.byteCount)
        self.entry = entry.copied()
    }

    /// `description` must be within the limits of the wire.
    package init(_ description: MemberDescription) {
        id = description.contact.id
        version = description.version
        instance = description.instance
        load = description.load
        freeChildSlots = description.freeChildSlots
        roles = description.roles
        entry = NewsEntry.alive(description).encoded()
        precondition(!entry.isEmpty, "a description beyond its limits")
        coordinateOffset = UInt16(entry.count - description.unknownFields.count - Coordinate.byteCount)
    }

    func isMade(of other: Span<UInt8>) -> Bool {
        let entry = entry
        return entry.span.elementsEqual(other)
    }

    package var description: MemberDescription {
        let entry = entry
        var reader = ByteReader(entry.span)
        _ = reader.readUInt8()
        guard let description = MemberDescription(from: &reader, naming: { _ in id }) else {
            preconditionFailure("a record's bytes were checked when it was made")
        }
        return description
    }

    package var contact: Contact {
        let entry = entry
        var reader = ByteReader(entry.span)
        _ = reader.readUInt8()
        guard let key = reader.readBytes32(), let addresses = reader.readAddressList() else {
            preconditionFailure("a record's bytes were checked when it was made")
        }
        return Contact(id: id, key: PublicKey(key), addresses: addresses)
    }

    package var coordinate: Coordinate {
        let entry = entry
        var reader = ByteReader(entry.span.extracting(Int(coordinateOffset)..<entry.count))
        return Coordinate(from: &reader) ?? .origin
    }
}

/// One record for equal entries, shared by all nodes of a simulation: at a thousand nodes the descriptions would
/// otherwise be kept a million times. Changes nothing a node does. The product runs without.
///
/// Belongs to one thread: every machine that was handed it is driven by that thread.
package final class MemberInterner: @unchecked Sendable {
    // Unchecked: see above. A lock would be taken for each piece of news of each simulated node.
    private var records: [UInt64: MemberRecord] = [:]
    private var nextSweep = 4096

    package init() {}

    package var count: Int { records.count }

    /// The record of `entry`, made if there is none; nil where the entry is malformed.
    func record(of entry: Span<UInt8>, _ suite: CryptoSuite) -> MemberRecord? {
        let key = Self.hash(entry)
        // Two entries with one hash are both right; the second is not shared.
        if let known = records[key], known.isMade(of: entry) { return known }
        guard let made = MemberRecord(entry: entry, suite) else { return nil }
        if records.count >= nextSweep { sweep() }
        records[key] = made
        return made
    }

    /// Drops what nobody else holds. The order of the walk shows in nothing but memory.
    private func sweep() {
        var unused: [UInt64] = []
        var index = records.values.startIndex
        while index != records.values.endIndex {
            if isKnownUniquelyReferenced(&records.values[index]) { unused.append(records.keys[index]) }
            index = records.values.index(after: index)
        }
        for key in unused { records.removeValue(forKey: key) }
        nextSweep = max(4096, records.count * 2)
    }

    private static func hash(_ entry: Span<UInt8>) -> UInt64 {
        var hash = UInt64(entry.count)
        var index = 0
        while index + 8 <= entry.count {
            hash = Rendezvous.mix(hash ^ entry.loadUInt64(at: index))
            index += 8
        }
        while index < entry.count {
            hash = Rendezvous.mix(hash ^ UInt64(entry[index]))
            index += 1
        }
        return hash
    }
}
