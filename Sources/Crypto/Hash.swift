import SwarmCore

/// BLAKE2b in the shapes the protocols use. Always the real function, in every suite: hashes name things.
package enum Hash {
    package static func blake2b256(_ bytes: Span<UInt8>) -> Bytes32 {
        var hash = Blake2b(outputByteCount: 32)
        hash.update(bytes)
        return hash.finish32()
    }

    /// Keyed, by at most 64 bytes.
    package static func blake2b256(key: Span<UInt8>, _ bytes: Span<UInt8>) -> Bytes32 {
        var hash = Blake2b(outputByteCount: 32, key: key)
        hash.update(bytes)
        return hash.finish32()
    }

    /// The hash of whatever `parts` feeds it: for inputs that do not lie in one piece.
    package static func blake2b256(_ parts: (inout Blake2b) -> Void) -> Bytes32 {
        var hash = Blake2b(outputByteCount: 32)
        parts(&hash)
        return hash.finish32()
    }

    /// Keyed by `key`, over whatever `parts` feeds it.
    package static func blake2b256(key: Bytes32, _ parts: (inout Blake2b) -> Void) -> Bytes32 {
        key.withSpan { key in
            var hash = Blake2b(outputByteCount: 32, key: key)
            parts(&hash)
            return hash.finish32()
        }
    }

    /// A key for one purpose: BLAKE2b-256, keyed by `secret`, of `label`, a zero byte and `context`. `label` names the
    /// purpose and holds no zero byte; `context` says which of its keys.
    package static func deriveKey(_ secret: Bytes32, label: String, context: Span<UInt8>) -> Bytes32 {
        blake2b256(key: secret) { hash in
            hash.update(label)
            hash.update(UInt8(0))
            hash.update(context)
        }
    }

    /// `deriveKey` without context.
    package static func deriveKey(_ secret: Bytes32, label: String) -> Bytes32 {
        blake2b256(key: secret) { hash in
            hash.update(label)
            hash.update(UInt8(0))
        }
    }
}

extension CryptoSuite {
    /// `Hash.deriveKey` for keys that only a link's two ends compute; under `.counted` a quick stand-in.
    func deriveKey(_ secret: Bytes32, label: String, context: Span<UInt8>) -> Bytes32 {
        guard isCounted else { return Hash.deriveKey(secret, label: label, context: context) }
        var hash = CountedHash(seed: 12)
        hash.update(secret)
        hash.update(label.utf8.span)
        hash.update(context)
        return hash.finish32()
    }

    func deriveKey(_ secret: Bytes32, label: String) -> Bytes32 {
        let none = InlineArray<1, UInt8>(repeating: 0)
        return deriveKey(secret, label: label, context: none.span.extracting(0..<0))
    }

    /// A node's id: BLAKE2b-256 of its Ed25519 public key; under `.counted` another hash of it, as evenly spread.
    package func nodeID(of key: PublicKey) -> NodeID {
        guard isCounted else { return NodeID(key.bytes.withSpan { Hash.blake2b256($0) }) }
        var hash = CountedHash(seed: 11)
        hash.update(key.bytes)
        return NodeID(hash.finish32())
    }

    /// A contact with its id computed from its key.
    package func contact(_ key: PublicKey, _ addresses: AddressList) -> Contact {
        Contact(id: nodeID(of: key), key: key, addresses: addresses)
    }
}

/// Keys of the DHT's 256-bit space.
package enum RecordKeys {
    /// The key of `text` among the records of `kind`: BLAKE2b-256 of the domain tag `mafalda-swarm dht key v1`, a zero
    /// byte, the kind and the UTF-8 bytes of `text`.
    package static func key(kind: UInt8, text: String) -> Bytes32 {
        Hash.blake2b256 { hash in
            hash.update("mafalda-swarm dht key v1")
            hash.update(UInt8(0))
            hash.update(kind)
            hash.update(text)
        }
    }

    /// The same for names that are bytes, such as a node's id.
    package static func key(kind: UInt8, bytes: Bytes32) -> Bytes32 {
        Hash.blake2b256 { hash in
            hash.update("mafalda-swarm dht key v1")
            hash.update(UInt8(0))
            hash.update(kind)
            hash.update(bytes)
        }
    }
}
