import SwarmCore
import SwarmCrypto

/// What a record says. The raw value is on the wire and is a bit number in a GET's mask of kinds.
package enum RecordKind: UInt8, CaseIterable, Sendable {
    /// The publisher of the record is the origin of the stream `name`.
    case streamOrigin = 1
    /// The publisher of the record carries the stream `name` and has it to give.
    case streamCarrier = 2
    /// The publisher of the record is the origin of `name`, listed under the prefix of its first `depth` segments.
    case prefixEntry = 3
    /// The addresses of the publisher itself.
    case nodeAddresses = 4

    /// The longest a holder grants, whatever the record says. Streams come and go, and their records with them; a node's
    /// addresses last, so that keeping them known costs next to nothing.
    package var longestLifetime: Interval {
        self == .nodeAddresses ? DHTConfiguration.longestAddressLifetime : DHTConfiguration.longestLifetime
    }

    /// Whether it claims a name for its publisher: such a record of a bound name needs a delegation.
    var claimsName: Bool { self == .streamOrigin || self == .prefixEntry }

    package var mask: RecordKindMask { RecordKindMask(rawValue: 1 << rawValue) }
}

/// A set of kinds, as a GET asks for them. Bits of unknown kinds are carried along and match nothing.
package struct RecordKindMask: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Only the kinds that say where a stream is are cached by readers.
    static let cacheable: RecordKindMask = .location
    package static let location: RecordKindMask = [RecordKind.streamOrigin.mask, RecordKind.streamCarrier.mask]
    package static let listing: RecordKindMask = [RecordKind.streamOrigin.mask, RecordKind.prefixEntry.mask]
}

/// Where records lie in the key space. A name and the prefix of the same text share one place, so that one lookup
/// finds origin, carriers and whatever lies below. A node's addresses lie at its own id, among neighbours it knows
/// anyway: publishing them needs no search.
package enum RecordPlace {
    private static let pathSpace: UInt8 = 1

    /// The place of a stream's name, or of a prefix (the empty one included).
    package static func path(_ text: some StringProtocol) -> Bytes32 {
        RecordKeys.key(kind: pathSpace, text: String(text))
    }

    package static func node(_ id: NodeID) -> Bytes32 { id.bytes }
}

/// A statement signed by the node that makes it: canonical, sequenced, short-lived (PROTOCOL.md, "Records").
///
/// `body` holds the bytes as received, fields of later versions included; the signature covers them under the domain
/// `mafalda-swarm dht record v1`. The other properties are read from it once.
package struct Record: Hashable, Sendable {
    package static let domain: SignatureDomain = "mafalda-swarm dht record v1"

    package let kind: RecordKind
    /// The publisher takes the statement back. Kept longer than any record lives.
    package let isTombstone: Bool
    package let publisher: Contact
    /// The publisher's wall clock in Unix milliseconds at signing, or one more than its last where that is later.
    package let sequence: UInt64
    package let lifetime: Interval
    package let epoch: UInt64
    /// Empty for `nodeAddresses`, else a stream's name.
    package let name: String
    /// Segments of `name` in the prefix; 0 where the kind has none.
    package let depth: UInt8
    package let body: [UInt8]
    package let signature: Signature
    /// Empty or one: most records have none, and its hundred bytes would travel in every copy of the value.
    private let delegations: [Delegation]

    /// What lets the publisher use a bound name.
    package var delegation: Delegation? { delegations.first }

    /// Where the record belongs, computed from what it says.
    package var key: Bytes32 {
        switch kind {
        case .streamOrigin, .streamCarrier: RecordPlace.path(name)
        case .prefixEntry: RecordPlace.path(StreamPrefix.of(name, depth: Int(depth)))
        case .nodeAddresses: RecordPlace.node(publisher.id)
        }
    }

    /// Signs a new record. An epoch beyond a varint and a lifetime beyond 32 bits of milliseconds are cut to those.
    package init(_ statement: RecordStatement, by identity: Identity) {
        let body = statement.encoded()
        kind = statement.kind
        isTombstone = statement.isTombstone
        publisher = statement.publisher
        sequence = statement.sequence
        lifetime = .milliseconds(Int64(UInt32(clamping: statement.lifetime.milliseconds)))
        epoch = min(statement.epoch, VarInt.max)
        name = statement.name
        depth = statement.depth
        self.body = body
        delegations = statement.delegation.map { [$0] } ?? []
        signature = identity.sign(domain: Self.domain, body.span)
    }

    /// Reads a body; the signature is not yet verified. Fails with the reason.
    package init(body: Span<UInt8>, signature: Signature, suite: CryptoSuite) throws(DHTRefusal) {
        try self.init(body: body, signature: signature) { key, addresses in suite.contact(key, addresses) }
    }

    /// Reads a record that was read before, so that its publisher's id need not be computed again.
    init(body: Span<UInt8>, signature: Signature, publisher: NodeID) throws(DHTRefusal) {
        try self.init(body: body, signature: signature) { key, addresses in
            Contact(id: publisher, key: key, addresses: addresses)
        }
    }

    private init(
        body: Span<UInt8>, signature: Signature, contact: (PublicKey, AddressList) -> Contact
    ) throws(DHTRefusal) {
        var reader = ByteReader(body)
        guard let kindByte = reader.readUInt8(), let flags = reader.readUInt8() else { throw .malformed }
        guard let kind = RecordKind(rawValue: kindByte) else { throw .unknownKind }
        guard let publisherKey = reader.readBytes32(), let addresses = reader.readAddressList(),
            let sequence = reader.readUInt64(), let lifetimeMilliseconds = reader.readUInt32(),
            let epoch = reader.readVarint(),
            let name = reader.readString(limit: 255), let depth = reader.readUInt8()
        else { throw .malformed }
        guard Self.isWellNamed(kind, name: name, depth: depth) else { throw .badName }
        delegations = try Self.readDelegation(&reader)
        self.kind = kind
        isTombstone = flags & 1 != 0
        publisher = contact(PublicKey(publisherKey), addresses)
        self.sequence = sequence
        lifetime = .milliseconds(Int64(lifetimeMilliseconds))
        self.epoch = epoch
        self.name = name
        self.depth = depth
        self.body = body.copied()
        self.signature = signature
    }

    /// Whether the publisher's key signed exactly these bytes.
    package func isAuthentic(_ suite: CryptoSuite) -> Bool {
        suite.verify(signature, domain: Self.domain, body.span, by: publisher.key)
    }

    /// Whether the time of signing lies within `tolerance` of this node's wall clock.
    package func isSigned(near wallMilliseconds: UInt64, tolerance: Interval) -> Bool {
        let gap = sequence > wallMilliseconds ? sequence - wallMilliseconds : wallMilliseconds - sequence
        return gap <= UInt64(clamping: tolerance.milliseconds)
    }

    /// What makes two records statements about the same thing: a newer one replaces an older one.
    package func concernsSame(as other: Record) -> Bool {
        kind == other.kind && publisher.id == other.publisher.id && name == other.name && depth == other.depth
    }

    /// Why the publisher may not use the name: what a holder and a reader of a bound name's record check. A tombstone
    /// outlives the delegation's time, since taking back must always be possible.
    package func delegationFault(wallMilliseconds: UInt64, suite: CryptoSuite) -> DHTRefusal? {
        guard kind.claimsName, BoundName.fingerprint(of: name) != nil else { return nil }
        guard let delegation else { return .noDelegation }
        let fault = delegation.fault(
            publishing: name, at: publisher.id, wallMilliseconds: wallMilliseconds, suite: suite)
        return fault == .delegationExpired && isTombstone && delegation.isAuthentic(suite) ? nil : fault
    }

    /// The field after the last of version 0.1's first edition: absent, empty or one delegation.
    private static func readDelegation(_ reader: inout ByteReader) throws(DHTRefusal) -> [Delegation] {
        guard reader.remaining > 0 else { return [] }
        guard let bytes = reader.readLengthPrefixed(limit: DHTLimits.delegationBytes) else { throw .malformed }
        guard !bytes.isEmpty else { return [] }
        guard let delegation = Delegation(bytes) else { throw .badDelegation }
        return [delegation]
    }

    private static func isWellNamed(_ kind: RecordKind, name: String, depth: UInt8) -> Bool {
        guard !BoundName.isImitation(name) else { return false }
        return switch kind {
        case .nodeAddresses: name.isEmpty && depth == 0
        case .streamOrigin, .streamCarrier: depth == 0 && StreamName(name) != nil
        case .prefixEntry: StreamName(name) != nil && Int(depth) < StreamPrefix.segmentCount(of: name)
        }
    }
}

/// What is to be signed.
package struct RecordStatement: Sendable {
    package var kind: RecordKind
    package var isTombstone = false
    package var publisher: Contact
    package var sequence: UInt64
    package var lifetime: Interval
    package var epoch: UInt64 = 0
    package var name = ""
    package var depth: UInt8 = 0
    /// Of a bound name.
    package var delegation: Delegation?

    package init(kind: RecordKind, publisher: Contact, sequence: UInt64, lifetime: Interval) {
        self.kind = kind
        self.publisher = publisher
        self.sequence = sequence
        self.lifetime = lifetime
    }

    fileprivate func encoded() -> [UInt8] {
        var storage = [UInt8](repeating: 0, count: DHTLimits.recordBodyBytes)
        var bytes = storage.mutableSpan
        var writer = ByteWriter(bytes._mutatingExtracting(0..<bytes.count))
        writer.append(kind.rawValue)
        writer.append(UInt8(isTombstone ? 1 : 0))
        writer.append(publisher)
        writer.append(sequence)
        writer.append(UInt32(clamping: lifetime.milliseconds))
        writer.appendVarint(min(epoch, VarInt.max))
        writer.appendString(name)
        writer.append(depth)
        if let delegation { writer.appendLengthPrefixed(delegation.bytes.span) }
        let count = writer.count
        precondition(!writer.overflowed, "a record's fields fit \(DHTLimits.recordBodyBytes) bytes")
        return Array(storage[..<count])
    }
}

/// The ancestors of a name.
package enum StreamPrefix {
    package static func segmentCount(of name: String) -> Int { name.utf8.count { $0 == UInt8(ascii: "/") } + 1 }

    /// The first `depth` segments of `name`; empty for 0.
    package static func of(_ name: String, depth: Int) -> Substring {
        guard depth > 0 else { return "" }
        var seen = 0
        for index in name.utf8.indices where name.utf8[index] == UInt8(ascii: "/") {
            seen += 1
            if seen == depth { return name[..<index] }
        }
        return name[...]
    }

    /// The prefix as records spell it: without a slash at the end. Nil where no name can lie below it.
    package static func normalised(_ prefix: String) -> String? {
        let trimmed = prefix.utf8.last == UInt8(ascii: "/") ? String(prefix.dropLast()) : prefix
        return trimmed.isEmpty || StreamName(trimmed) != nil ? trimmed : nil
    }
}

// MARK: On the wire: length of the body, body, signature

extension ByteReader {
    /// A record whose bytes are well formed; nothing is verified yet. A record of an unknown kind, one whose name breaks the
    /// rules or whose delegation cannot be read is stepped over and reported by its reason.
    package mutating func readRecord(_ suite: CryptoSuite) -> Result<Record, DHTRefusal> {
        guard let count = readVarint(limit: UInt64(DHTLimits.recordBodyBytes)), let body = read(Int(count)),
            let signature = readSignature()
        else { return .failure(.malformed) }
        do throws(DHTRefusal) {
            return .success(try Record(body: body, signature: signature, suite: suite))
        } catch {
            return .failure(error)
        }
    }
}

extension ByteWriter {
    @_lifetime(self: copy self)
    package mutating func append(_ record: Record) {
        appendLengthPrefixed(record.body.span)
        append(record.signature)
    }
}

extension Record {
    /// Bytes on the wire.
    package var byteCount: Int { VarInt.byteCount(of: UInt64(body.count)) + body.count + Signature.byteCount }
}

extension DHTRefusal: Error {}
