import CSodium
import SwarmCore

/// An Ed25519 signature (RFC 8032), 64 bytes.
package struct Signature: Hashable, Sendable {
    package var bytes: Bytes64
    package static var byteCount: Int { 64 }

    package init(_ bytes: Bytes64) { self.bytes = bytes }
}

/// What a signature is for. A signature made for one purpose proves nothing for another: the signed message is this
/// text in UTF-8, a zero byte, then the bytes as received.
package struct SignatureDomain: Sendable, Hashable, ExpressibleByStringLiteral {
    package let text: String

    /// `text` holds no zero byte.
    package init(_ text: String) { self.text = text }
    package init(stringLiteral text: String) { self.text = text }

    /// The message that is signed.
    func message(_ bytes: Span<UInt8>) -> [UInt8] {
        var message = Array(text.utf8)
        message.reserveCapacity(message.count + 1 + bytes.count)
        message.append(0)
        for index in bytes.indices { message.append(bytes[index]) }
        return message
    }
}

extension CryptoSuite {
    /// Whether `signature` over `bytes` as received, under `domain`, was made by the owner of `key`.
    package func verify(
        _ signature: Signature, domain: SignatureDomain, _ bytes: Span<UInt8>, by key: PublicKey
    ) -> Bool {
        charge(.verification)
        guard !isCounted else { return signature == Self.countedSignature(domain, bytes, key: key) }
        let message = domain.message(bytes)
        return Ed25519.verify(signature, message.span, key: key)
    }

    static func countedSignature(_ domain: SignatureDomain, _ bytes: Span<UInt8>, key: PublicKey) -> Signature {
        var hash = CountedHash(seed: 1)
        hash.update(key.bytes)
        hash.update(domain.text.utf8.span)
        hash.update(bytes)
        var bytes = Bytes64.zero
        bytes.first.word0 = hash.finish()
        return Signature(bytes)
    }
}

extension ByteReader {
    package mutating func readSignature() -> Signature? {
        guard let first = readBytes32(), let second = readBytes32() else { return nil }
        return Signature(Bytes64(first, second))
    }
}

extension ByteWriter {
    @_lifetime(self: copy self)
    package mutating func append(_ signature: Signature) {
        append(signature.bytes.first)
        append(signature.bytes.second)
    }
}

/// Ed25519 as RFC 8032 has it, over libsodium.
package enum Ed25519 {
    package static func verify(_ signature: Signature, _ message: Span<UInt8>, key: PublicKey) -> Bool {
        signature.bytes.withSpan { signature in
            key.bytes.withSpan { key in
                unsafe signature.withUnsafeBufferPointer { signature in
                    unsafe message.withUnsafeBufferPointer { message in
                        unsafe key.withUnsafeBufferPointer { key in
                            unsafe swarm_ed25519_verify(
                                signature.baseAddress, message.baseAddress, message.count, key.baseAddress) == 0
                        }
                    }
                }
            }
        }
    }

    package static func sign(_ message: Span<UInt8>, seed: Bytes32) -> Signature {
        sign(message, secretKey: Bytes64(seed, publicKey(seed: seed).bytes))
    }

    /// `secretKey` is libsodium's form: seed, then public key.
    static func sign(_ message: Span<UInt8>, secretKey: Bytes64) -> Signature {
        var storage = InlineArray<64, UInt8>(repeating: 0)
        var output = storage.mutableSpan
        secretKey.withSpan { secretKey in
            unsafe output.withUnsafeMutableBufferPointer { output in
                unsafe message.withUnsafeBufferPointer { message in
                    unsafe secretKey.withUnsafeBufferPointer { secretKey in
                        _ = unsafe swarm_ed25519_sign(
                            output.baseAddress, message.baseAddress, message.count, secretKey.baseAddress)
                    }
                }
            }
        }
        return Signature(Bytes64(storage.span) ?? .zero)
    }

    /// The public key of a seed.
    package static func publicKey(seed: Bytes32) -> PublicKey {
        Sodium.prepare()
        let key = Bytes32.filled { output in
            seed.withSpan { seed in
                unsafe seed.withUnsafeBufferPointer { seed in
                    unsafe output.withUnsafeMutableBufferPointer { output in
                        unsafe swarm_ed25519_public_key(output.baseAddress, seed.baseAddress) == 0
                    }
                }
            }
        }
        return PublicKey(key ?? .zero)
    }
}
