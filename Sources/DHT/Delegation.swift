import SwarmCore
import SwarmCrypto

/// Names that belong to a key: `~` and the key's fingerprint are their first segment, so the name itself says who may
/// publish it. The fingerprint of a key is the id a node with that key would have: 52 characters of base32.
package enum BoundName {
    private static let marker = UInt8(ascii: "~")
    /// `~` and 52 characters.
    private static let segmentBytes = 53

    /// The first segment of every name bound to `key`.
    package static func segment(of key: PublicKey, suite: CryptoSuite) -> String { "~\(suite.nodeID(of: key))" }

    /// The fingerprint a name is bound to; nil for a plain name.
    package static func fingerprint(of name: String) -> Bytes32? {
        guard let segment = candidate(name) else { return nil }
        return Base32.decode32(String(segment.dropFirst()))
    }

    /// A first segment that only looks like a fingerprint: capital letters, or bits beyond the 256. A plain name of this
    /// shape would be taken for the bound one by people, so nobody may publish it.
    package static func isImitation(_ name: String) -> Bool {
        guard let segment = candidate(name) else { return false }
        let isBase32 = segment.utf8.dropFirst().allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "2")...UInt8(ascii: "7"):
                true
            default: false
            }
        }
        return isBase32 && fingerprint(of: name) == nil
    }

    /// What follows the first segment.
    static func rest(of name: String) -> Substring {
        guard let slash = name.utf8.firstIndex(of: UInt8(ascii: "/")) else { return "" }
        return name[name.utf8.index(after: slash)...]
    }

    private static func candidate(_ name: String) -> Substring? {
        guard name.utf8.first == marker, name.utf8.count >= segmentBytes else { return nil }
        let segment = StreamPrefix.of(name, depth: 1)
        return segment.utf8.count == segmentBytes ? segment : nil
    }
}

/// The word of a key's owner that one node may publish names bound to the key, for a time (PROTOCOL.md, "Bound names").
///
/// Of two nodes with valid delegations the one with the higher sequence has the name: its owner has moved there.
package struct Delegation: Hashable, Sendable {
    package static let domain: SignatureDomain = "mafalda-swarm name delegation v1"
    package static var textPrefix: String { "mfd1:" }
    /// What a lifetime counts for at most.
    package static var longestLifetime: Interval { .seconds(30 * 86_400) }
    private static var version: UInt8 { 1 }

    /// The key the names are bound to.
    package let publisher: PublicKey
    /// The node that may publish.
    package let node: NodeID
    /// The owner's Unix time in milliseconds at signing, or one more than its last where that is later.
    package let sequence: UInt64
    /// Whole seconds from the time of signing.
    package let lifetime: Interval
    /// Whole segments below the fingerprint that a name must equal or start with; empty for every name of the key.
    package let scope: String
    /// The signed body as received and its signature.
    package let bytes: [UInt8]

    /// Signs a delegation by `owner`, the identity the names are bound to. Nil where `scope` is no legal name.
    package init?(
        to node: NodeID, scope: String = "", sequence: UInt64, lifetime: Interval, by owner: Identity
    ) {
        guard scope.isEmpty || StreamName(scope) != nil, scope.utf8.count <= DHTLimits.delegationScopeBytes else {
            return nil
        }
        let seconds = UInt32(clamping: lifetime.milliseconds / 1000)
        var storage = [UInt8](repeating: 0, count: DHTLimits.delegationBytes)
        var room = storage.mutableSpan
        var writer = ByteWriter(room._mutatingExtracting(0..<room.count))
        writer.append(Self.version)
        writer.append(owner.key.bytes)
        writer.append(node.bytes)
        writer.append(sequence)
        writer.append(seconds)
        writer.appendString(scope)
        let count = writer.count
        let signature = owner.sign(domain: Self.domain, storage.span.extracting(0..<count))
        publisher = owner.key
        self.node = node
        self.sequence = sequence
        self.lifetime = .seconds(Int64(seconds))
        self.scope = scope
        bytes = Array(storage[..<count]) + signature.bytes.array
    }

    /// Reads a delegation; the signature is not yet verified. Nil where it is malformed or of another version.
    package init?(_ bytes: Span<UInt8>) {
        guard bytes.count >= Signature.byteCount, bytes.count <= DHTLimits.delegationBytes else { return nil }
        var reader = ByteReader(bytes.extracting(0..<(bytes.count - Signature.byteCount)))
        guard reader.readUInt8() == Self.version, let publisher = reader.readBytes32(),
            let node = reader.readBytes32(), let sequence = reader.readUInt64(), let seconds = reader.readUInt32(),
            let scope = reader.readString(limit: DHTLimits.delegationScopeBytes),
            scope.isEmpty || StreamName(scope) != nil
        else { return nil }
        self.publisher = PublicKey(publisher)
        self.node = NodeID(node)
        self.sequence = sequence
        lifetime = .seconds(Int64(seconds))
        self.scope = scope
        self.bytes = bytes.copied()
    }

    // MARK: Text

    /// `mfd1:` and base64url: how it travels in a token or a command line.
    package var text: String { Self.textPrefix + Base64URL.encode(bytes) }

    package init?(text: String) {
        guard text.hasPrefix(Self.textPrefix), text.utf8.count <= 5 + DHTLimits.delegationBytes * 4 / 3 + 2,
            let bytes = Base64URL.decode(String(text.dropFirst(Self.textPrefix.count)))
        else { return nil }
        self.init(bytes.span)
    }

    // MARK: Judging

    /// Whether the owner's key signed exactly these bytes.
    package func isAuthentic(_ suite: CryptoSuite) -> Bool {
        let body = bytes.count - Signature.byteCount
        var reader = ByteReader(bytes.span.extracting(body..<bytes.count))
        guard let signature = reader.readSignature() else { return false }
        return suite.verify(signature, domain: Self.domain, bytes.span.extracting(0..<body), by: publisher)
    }

    /// Whether it speaks of `name` at `node`, whoever signed it.
    package func covers(_ name: String, at node: NodeID, suite: CryptoSuite) -> Bool {
        guard node == self.node, BoundName.fingerprint(of: name) == suite.nodeID(of: publisher).bytes else {
            return false
        }
        let rest = BoundName.rest(of: name)
        return scope.isEmpty || rest == scope || (rest.hasPrefix(scope) && rest.dropFirst(scope.count).hasPrefix("/"))
    }

    /// Whether `wallMilliseconds` lies within its time, clocks being allowed their difference.
    package func isCurrent(_ wallMilliseconds: UInt64) -> Bool {
        let tolerance = UInt64(clamping: DHTConfiguration.clockTolerance.milliseconds)
        let life = UInt64(clamping: min(lifetime, Self.longestLifetime).milliseconds)
        let (end, isBeyond) = sequence.addingReportingOverflow(life + tolerance)
        return wallMilliseconds &+ tolerance >= sequence && (isBeyond || wallMilliseconds <= end)
    }

    /// Why it does not let `node` publish `name` now; nil where it does. The signature is verified last.
    package func fault(
        publishing name: String, at node: NodeID, wallMilliseconds: UInt64, suite: CryptoSuite
    ) -> DHTRefusal? {
        guard covers(name, at: node, suite: suite) else { return .badDelegation }
        guard isCurrent(wallMilliseconds) else { return .delegationExpired }
        return isAuthentic(suite) ? nil : .badDelegation
    }
}
