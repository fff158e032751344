import CSodium
import SwarmCore

/// An X25519 key pair (RFC 7748).
package struct AgreementKeyPair: Sendable, Hashable {
    package let secretKey: Bytes32
    package let publicKey: Bytes32
}

extension CryptoSuite {
    /// The pair of `secretKey`.
    package func agreementKeyPair(secretKey: Bytes32) -> AgreementKeyPair {
        charge(.agreement)
        guard !isCounted else {
            var hash = CountedHash(seed: 2)
            hash.update(secretKey)
            return AgreementKeyPair(secretKey: secretKey, publicKey: hash.finish32())
        }
        Sodium.prepare()
        let key = Bytes32.filled { output in
            secretKey.withSpan { secret in
                unsafe output.withUnsafeMutableBufferPointer { output in
                    unsafe secret.withUnsafeBufferPointer { secret in
                        unsafe swarm_x25519_public_key(output.baseAddress, secret.baseAddress) == 0
                    }
                }
            }
        }
        return AgreementKeyPair(secretKey: secretKey, publicKey: key ?? .zero)
    }

    /// The shared secret of our pair and their public key, or nil for a key of small order.
    func agree(_ ours: AgreementKeyPair, with theirs: Bytes32) -> Bytes32? {
        charge(.agreement)
        guard !isCounted else {
            // Symmetric in the two public keys; that anybody could compute it is the point of `.counted`.
            var hash = CountedHash(seed: 3)
            hash.update(min(ours.publicKey, theirs))
            hash.update(max(ours.publicKey, theirs))
            return hash.finish32()
        }
        return Bytes32.filled { output in
            ours.secretKey.withSpan { secret in
                theirs.withSpan { theirs in
                    unsafe output.withUnsafeMutableBufferPointer { output in
                        unsafe secret.withUnsafeBufferPointer { secret in
                            unsafe theirs.withUnsafeBufferPointer { theirs in
                                unsafe swarm_x25519(
                                    output.baseAddress, secret.baseAddress, theirs.baseAddress) == 0
                            }
                        }
                    }
                }
            }
        }
    }

    /// The X25519 image of an Ed25519 public key, or nil where the key is no point of the prime-order group.
    package func agreementKey(of key: PublicKey) -> Bytes32? {
        guard !isCounted else {
            var hash = CountedHash(seed: 4)
            hash.update(key.bytes)
            return hash.finish32()
        }
        return Bytes32.filled { output in
            key.bytes.withSpan { key in
                unsafe output.withUnsafeMutableBufferPointer { output in
                    unsafe key.withUnsafeBufferPointer { key in
                        unsafe swarm_x25519_of_ed25519_public(output.baseAddress, key.baseAddress) == 0
                    }
                }
            }
        }
    }

    /// The X25519 image of an identity's secret key, with its public key.
    func agreementKeyPair(seed: Bytes32, key: PublicKey) -> AgreementKeyPair {
        guard !isCounted else {
            return AgreementKeyPair(secretKey: seed, publicKey: agreementKey(of: key) ?? .zero)
        }
        let secret = Bytes32.filled { output in
            Bytes64(seed, key.bytes).withSpan { secretKey in
                unsafe output.withUnsafeMutableBufferPointer { output in
                    unsafe secretKey.withUnsafeBufferPointer { secretKey in
                        unsafe swarm_x25519_of_ed25519_secret(output.baseAddress, secretKey.baseAddress) == 0
                    }
                }
            }
        }
        return agreementKeyPair(secretKey: secret ?? .zero)
    }
}
