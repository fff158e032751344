import SwarmCore

/// A node's own key: an Ed25519 seed and what follows from it.
package struct Identity: Sendable {
    /// Whatever runs this identity's signatures and handshakes.
    package let suite: CryptoSuite
    package let key: PublicKey
    package let id: NodeID
    /// The X25519 image of the key: the static key of the link handshake.
    package let agreement: AgreementKeyPair
    private let seed: Bytes32

    package init(seed: Bytes32, suite: CryptoSuite = .real) {
        self.seed = seed
        self.suite = suite
        key = Ed25519.publicKey(seed: seed)
        id = suite.nodeID(of: key)
        agreement = suite.agreementKeyPair(seed: seed, key: key)
    }

    /// A new identity.
    package init(from entropy: inout Entropy, suite: CryptoSuite = .real) {
        self.init(seed: entropy.bytes32(), suite: suite)
    }

    /// Signs `bytes` for the purpose `domain`.
    package func sign(domain: SignatureDomain, _ bytes: Span<UInt8>) -> Signature {
        suite.charge(.signature)
        guard !suite.isCounted else { return CryptoSuite.countedSignature(domain, bytes, key: key) }
        let message = domain.message(bytes)
        return Ed25519.sign(message.span, secretKey: Bytes64(seed, key.bytes))
    }

    /// How others reach this node.
    package func contact(at addresses: AddressList) -> Contact { Contact(id: id, key: key, addresses: addresses) }
}

/// Why a key file was refused; one line each, for people.
package enum KeyFileError: Error, Hashable, Sendable, CustomStringConvertible {
    case empty, unknownFormat, malformedKey

    package var description: String {
        switch self {
        case .empty: "the key file is empty"
        case .unknownFormat: "the key file does not start with \"\(Identity.keyFilePrefix)\""
        case .malformedKey: "the key file's key is not 43 characters of base64url"
        }
    }
}

extension Identity {
    fileprivate static var keyFilePrefix: String { "mafalda-ed25519-seed " }

    /// The contents of the key file: one line, its kind and the seed in base64url.
    package var keyFileText: String { Self.keyFilePrefix + Base64URL.encode(seed.array) + "\n" }

    /// Reads `keyFileText`, with or without the end of line.
    package init(keyFileText: String, suite: CryptoSuite = .real) throws(KeyFileError) {
        var line = keyFileText[...]
        while let last = line.last, last == "\n" || last == "\r\n" || last == " " { line = line.dropLast() }
        guard !line.isEmpty else { throw .empty }
        guard line.hasPrefix(Self.keyFilePrefix) else { throw .unknownFormat }
        guard let bytes = Base64URL.decode(String(line.dropFirst(Self.keyFilePrefix.count))),
            let seed = Bytes32(bytes)
        else { throw .malformedKey }
        self.init(seed: seed, suite: suite)
    }
}
