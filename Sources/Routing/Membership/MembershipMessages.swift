import SwarmCore
import SwarmCrypto

/// First bytes of membership messages (0x30–0x3f).
package enum MembershipMessageType {
    /// timestamp u64 · news · depth u8.
    package static var ping: UInt8 { 0x30 }
    /// timestamp echoed u64 · version u64 · load u16 · coordinate · news · depth u8.
    package static var acknowledgement: UInt8 { 0x31 }
    /// timestamp u64 · target contact · news: "probe the target for me".
    package static var indirectPing: UInt8 { 0x32 }
    /// timestamp echoed u64 · reached u8: a helper's answer to 0x32.
    package static var indirectResult: UInt8 { 0x33 }
    /// news: pushed at once, or a leave.
    package static var news: UInt8 { 0x34 }
    /// depth u8 · 16 × bucket hash u64 · news (the sender itself): "where do our lists differ?".
    package static var syncRequest: UInt8 { 0x35 }
    /// last of this answer u8 · next cursor 32 (zero: the end) · news · depth u8.
    package static var syncPage: UInt8 { 0x36 }
    /// depth u8 · buckets that differ u16: the answer to 0x35 within a cell.
    package static var syncDifference: UInt8 { 0x37 }
    /// depth u8 · after 32 · until 32 · buckets u16 · count u8 · digest u32 each · news (the sender itself): "send what
    /// is not among these".
    package static var pull: UInt8 { 0x38 }
}

/// One piece of news about a member.
package enum NewsEntry: Sendable, Hashable {
    /// Tag 0: description.
    case alive(MemberDescription)
    /// Tags 1–3: id 32 · version u64 · accuser u64. For members the receiver already knows.
    case status(MemberStatus, NodeID, version: UInt64, accuser: UInt64)

    package var subject: NodeID {
        switch self {
        case .alive(let description): description.contact.id
        case .status(_, let id, _, _): id
        }
    }

    /// An upper bound of the bytes `write` needs, its length prefix included.
    package var byteBound: Int {
        switch self {
        case .alive(let description):
            2 + 1 + 34 + description.contact.addresses.count * 19 + 51 + description.workerPorts.count * 2
                + description.publicURL.utf8.count + description.region.utf8.count + description.unknownFields.count
        case .status: 50
        }
    }
}

extension MemberDescription {
    /// Fields in order: contact · version u64 · instance u64 · load u16 · free slots u16 · roles u8 · worker ports
    /// (count varint, u16 each) · URL · region · coordinate · what a later version appends.
    package func write(to writer: inout ByteWriter) {
        writer.append(contact)
        writer.append(version)
        writer.append(instance)
        writer.append(load)
        writer.append(freeChildSlots)
        writer.append(roles.rawValue)
        writer.appendVarint(UInt64(workerPorts.count))
        for port in workerPorts { writer.append(port) }
        writer.appendString(publicURL)
        writer.appendString(region)
        coordinate.write(to: &writer)
        writer.append(unknownFields.span)
    }

    /// Reads to the end of `reader`. Nil where a field is malformed or beyond its limit.
    package init?(from reader: inout ByteReader, _ suite: CryptoSuite) {
        self.init(from: &reader) { suite.nodeID(of: $0) }
    }

    /// The same, with the id that `naming` knows or computes.
    init?(from reader: inout ByteReader, naming: (PublicKey) -> NodeID) {
        guard let key = reader.readBytes32(), let addresses = reader.readAddressList(),
            let version = reader.readUInt64(),
            let instance = reader.readUInt64(), let load = reader.readUInt16(), let slots = reader.readUInt16(),
            let roles = reader.readUInt8(),
            let workers = reader.readVarint(limit: UInt64(RoutingLimits.workersPerMember))
        else { return nil }
        var ports: [UInt16] = []
        for _ in 0..<workers {
            guard let port = reader.readUInt16() else { return nil }
            ports.append(port)
        }
        guard let url = reader.readString(limit: RoutingLimits.urlBytes),
            let region = reader.readString(limit: RoutingLimits.regionBytes),
            let coordinate = Coordinate(from: &reader),
            version <= RoutingLimits.version, load <= 1000, !addresses.isEmpty,
            reader.remaining <= RoutingLimits.unknownDescriptionBytes
        else { return nil }
        let contact = Contact(id: naming(PublicKey(key)), key: PublicKey(key), addresses: addresses)
        self.init(
            contact: contact, version: version, instance: instance, load: load, freeChildSlots: slots,
            roles: MemberRoles(rawValue: roles), workerPorts: ports, publicURL: url, region: region,
            coordinate: coordinate, unknownFields: reader.readRest().copied())
    }
}

extension NewsEntry {
    /// Tag and fields, without the length prefix.
    private func writeBody(to writer: inout ByteWriter) {
        switch self {
        case .alive(let description):
            writer.append(UInt8(0))
            description.write(to: &writer)
        case .status(let status, let id, let version, let accuser):
            writer.append(status.rawValue)
            writer.append(id.bytes)
            writer.append(version)
            writer.append(accuser)
        }
    }

    /// The entry's bytes, tag first.
    package func encoded() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: byteBound)
        var mutable = bytes.mutableSpan
        var writer = ByteWriter(mutable._mutatingExtracting(0..<mutable.count))
        writeBody(to: &writer)
        let count = writer.overflowed ? 0 : writer.count
        bytes.removeLast(bytes.count - count)
        return bytes
    }

    /// Nil for a malformed entry and for a tag of a later version; `isKnown` tells them apart.
    package static func parse(_ bytes: Span<UInt8>, _ suite: CryptoSuite) -> (entry: NewsEntry?, isKnown: Bool) {
        var reader = ByteReader(bytes)
        guard let tag = reader.readUInt8() else { return (nil, true) }
        guard let status = MemberStatus(rawValue: tag) else { return (nil, false) }
        if status == .alive {
            return (MemberDescription(from: &reader, suite).map { .alive($0) }, true)
        }
        guard let id = reader.readBytes32(), let version = reader.readUInt64(), let accuser = reader.readUInt64(),
            version < RoutingLimits.version
        else { return (nil, true) }
        return (.status(status, NodeID(id), version: version, accuser: accuser), true)
    }
}

/// A list of news as it ends most messages: count u8, then each entry with its length before it.
package enum NewsList {
    package static func write(_ entries: [[UInt8]], to writer: inout ByteWriter) {
        writer.append(UInt8(truncatingIfNeeded: entries.count))
        for entry in entries { writer.appendLengthPrefixed(entry.span) }
    }

    /// The well-formed entries; nil where the list itself is malformed. Bad entries are counted in `refusals`.
    package static func read(
        from reader: inout ByteReader, _ suite: CryptoSuite, refusals: inout Counters<RoutingRefusal>
    ) -> [NewsEntry]? {
        guard let count = reader.readUInt8(), Int(count) <= RoutingLimits.newsEntriesPerMessage else { return nil }
        var entries: [NewsEntry] = []
        for _ in 0..<count {
            guard let bytes = reader.readLengthPrefixed(limit: RoutingLimits.descriptionBytes) else { return nil }
            let (entry, isKnown) = NewsEntry.parse(bytes, suite)
            if let entry {
                entries.append(entry)
            } else if isKnown {
                refusals.add(.implausible)
            }
        }
        return entries
    }
}
