import SwarmCore

/// What the next machine needs to join: `mfs1:`, then base64url without padding of the format's version, the swarm
/// secret and one to eight peers. Whoever holds it is a member.
package struct JoinString: Sendable, Hashable {
    package static var prefix: String { "mfs1:" }
    package static var peerLimit: Int { 8 }
    private static var version: UInt8 { 1 }
    /// Version, secret, and per peer a key with an IPv6 address: 1 + 32 + 8 × (32 + 1 + 16 + 2).
    private static var byteLimit: Int { 33 + peerLimit * 51 }

    /// One way to reach one node.
    package struct Peer: Sendable, Hashable {
        package var key: PublicKey
        package var address: NetworkAddress

        package init(key: PublicKey, address: NetworkAddress) {
            self.key = key
            self.address = address
        }
    }

    package let secret: Bytes32
    package let peers: [Peer]

    /// Takes the first eight of `peers`, without repetitions; nil where none is left.
    package init?(secret: Bytes32, peers: [Peer]) {
        var kept: [Peer] = []
        for peer in peers where !kept.contains(peer) && kept.count < Self.peerLimit { kept.append(peer) }
        guard !kept.isEmpty else { return nil }
        self.secret = secret
        self.peers = kept
    }

    /// The peers as contacts, in their order, the addresses of one key together.
    package var contacts: [Contact] {
        var contacts: [Contact] = []
        for peer in peers {
            if let index = contacts.firstIndex(where: { $0.key == peer.key }) {
                contacts[index].addresses.append(peer.address)
            } else {
                contacts.append(CryptoSuite.real.contact(peer.key, AddressList(peer.address)))
            }
        }
        return contacts
    }

    package var text: String {
        var bytes = [UInt8](repeating: 0, count: Self.byteLimit)
        var writer = ByteWriter(bytes.mutableSpan)
        writer.append(Self.version)
        writer.append(secret)
        for peer in peers {
            writer.append(peer.key.bytes)
            writer.append(peer.address)
        }
        let count = writer.count
        return Self.prefix + Base64URL.encode(Array(bytes[..<count]))
    }

    /// Parses `text`; surrounding spaces and line ends are forgiven, nothing else is.
    package init(parsing text: String) throws(JoinStringError) {
        let trimmed = String(text.drop(while: Self.isBlank).reversed().drop(while: Self.isBlank).reversed())
        guard !trimmed.isEmpty else { throw .empty }
        guard trimmed.hasPrefix(Self.prefix) else { throw .missingPrefix }
        let encoded = trimmed.dropFirst(Self.prefix.count)
        // Four characters carry three bytes.
        guard encoded.utf8.count <= Self.byteLimit * 4 / 3 + 1 else { throw .tooLong }
        guard let bytes = Base64URL.decode(String(encoded)) else { throw .notBase64URL }
        var reader = ByteReader(bytes.span)
        guard let version = reader.readUInt8() else { throw .truncated }
        guard version == Self.version else { throw .unknownVersion(version) }
        guard let secret = reader.readBytes32() else { throw .truncated }
        var peers: [Peer] = []
        while reader.remaining > 0 {
            guard peers.count < Self.peerLimit else { throw .tooManyPeers }
            guard let key = reader.readBytes32(), reader.remaining > 0 else { throw .truncated }
            guard let address = reader.readAddress() else { throw reader.failed ? .truncated : .malformedAddress }
            guard !address.isUnspecified, address.port != 0 else { throw .malformedAddress }
            let peer = Peer(key: PublicKey(key), address: address)
            guard !peers.contains(peer) else { throw .duplicatePeer }
            peers.append(peer)
        }
        guard !peers.isEmpty else { throw .noPeers }
        self.secret = secret
        self.peers = peers
    }

    private static func isBlank(_ character: Character) -> Bool { character.isWhitespace }
}

/// Why a join string was refused; one line each, for people. None repeats the string: it is a secret.
package enum JoinStringError: Error, Hashable, Sendable, CustomStringConvertible {
    case empty, missingPrefix, notBase64URL, tooLong, truncated, noPeers, tooManyPeers, duplicatePeer, malformedAddress
    case unknownVersion(UInt8)

    package var description: String {
        switch self {
        case .empty: "the join string is empty"
        case .missingPrefix: "a join string starts with \"mfs1:\""
        case .notBase64URL: "the join string holds a character that is not base64url, or was cut short"
        case .tooLong: "the join string is longer than eight peers need"
        case .truncated: "the join string ends too early, or has bytes left over"
        case .noPeers: "the join string names no peer"
        case .tooManyPeers: "the join string names more than eight peers"
        case .duplicatePeer: "the join string names a peer twice"
        case .malformedAddress: "the join string holds an address that is not one"
        case .unknownVersion(let version): "the join string has format version \(version); this program knows version 1"
        }
    }
}
