/// An Ed25519 public key (RFC 8032), 32 bytes: what a node is known by to those who dial it.
@usableFromInline
package struct PublicKey: Hashable, Comparable, Sendable {
    @usableFromInline package var bytes: Bytes32
    @inlinable
    package init(_ bytes: Bytes32) { self.bytes = bytes }
    @inlinable
    package static func < (a: PublicKey, b: PublicKey) -> Bool { a.bytes < b.bytes }
}

/// A node's place in the 256-bit key space: BLAKE2b-256 of its Ed25519 public key. Never sent beside the key; always
/// computed from it (`SwarmCrypto.nodeID(of:)`), so that nobody can claim a place that is not theirs.
@usableFromInline
package struct NodeID: Hashable, Comparable, Sendable, CustomStringConvertible {
    @usableFromInline package var bytes: Bytes32
    @inlinable
    package init(_ bytes: Bytes32) { self.bytes = bytes }
    @inlinable
    package static func < (a: NodeID, b: NodeID) -> Bool { a.bytes < b.bytes }

    /// The XOR metric of Kademlia (Maymounkov and Mazières 2002, §2.1).
    @inlinable
    package func distance(to key: Bytes32) -> Bytes32 { bytes ^ key }

    /// 52 characters of lower-case base32 (RFC 4648 §6 alphabet, no padding).
    @usableFromInline package var description: String { Base32.encode(bytes) }

    /// The text form of `description`, or nil.
    package init?(text: String) {
        guard let bytes = Base32.decode32(text) else { return nil }
        self.init(bytes)
    }

    /// First four and last two characters: for people, never for comparing.
    package var short: String {
        let text = description
        return "\(text.prefix(4))…\(text.suffix(2))"
    }
}

/// How to reach a node: its key and up to four addresses, best first.
///
/// `id` is derived: whoever makes a contact computes it from the key (`SwarmCrypto.contact(…)`), nobody reads it from
/// the wire.
@usableFromInline
package struct Contact: Hashable, Sendable {
    @usableFromInline package let id: NodeID
    @usableFromInline package let key: PublicKey
    @usableFromInline package var addresses: AddressList

    @inlinable
    package init(id: NodeID, key: PublicKey, addresses: AddressList) {
        self.id = id
        self.key = key
        self.addresses = addresses
    }
}

/// Zero to four network addresses held in place.
@usableFromInline
package struct AddressList: Hashable, Sendable, Sequence {
    @inlinable
    package static var capacity: Int { 4 }
    @usableFromInline package internal(set) var count: Int = 0
    @usableFromInline var slot0 = NetworkAddress.unspecified
    @usableFromInline var slot1 = NetworkAddress.unspecified
    @usableFromInline var slot2 = NetworkAddress.unspecified
    @usableFromInline var slot3 = NetworkAddress.unspecified

    @inlinable
    package init() {}
    @inlinable
    package init(_ address: NetworkAddress) { append(address) }
    @inlinable
    package init(_ addresses: some Sequence<NetworkAddress>) {
        for address in addresses { append(address) }
    }

    @inlinable
    package var isEmpty: Bool { count == 0 }
    @inlinable
    package var first: NetworkAddress? { count > 0 ? slot0 : nil }

    @inlinable
    package subscript(index: Int) -> NetworkAddress {
        get {
            precondition(index >= 0 && index < count, "address \(index) of \(count)")
            switch index {
            case 0: return slot0
            case 1: return slot1
            case 2: return slot2
            default: return slot3
            }
        }
        set {
            precondition(index >= 0 && index < count, "address \(index) of \(count)")
            store(newValue, at: index)
        }
    }

    /// Appends unless the list is full or already holds `address`.
    @inlinable
    package mutating func append(_ address: NetworkAddress) {
        guard count < Self.capacity, !contains(address) else { return }
        store(address, at: count)
        count += 1
    }

    /// Puts `address` first, dropping the last if the list was full.
    @inlinable
    package mutating func promote(_ address: NetworkAddress) {
        var list = AddressList(address)
        for other in self { list.append(other) }
        self = list
    }

    @inlinable
    package func makeIterator() -> Iterator { Iterator(list: self) }

    @usableFromInline
    package struct Iterator: IteratorProtocol {
        @usableFromInline let list: AddressList
        @usableFromInline var index = 0

        @inlinable
        init(list: AddressList) { self.list = list }

        @inlinable
        package mutating func next() -> NetworkAddress? {
            guard index < list.count else { return nil }
            defer { index += 1 }
            return list[index]
        }
    }

    @inlinable
    mutating func store(_ address: NetworkAddress, at index: Int) {
        switch index {
        case 0: slot0 = address
        case 1: slot1 = address
        case 2: slot2 = address
        default: slot3 = address
        }
    }
}
