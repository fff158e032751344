/// The AEAD of a link, chosen from what both ends' processors do well.
package enum LinkCipherKind: UInt8, Sendable, Hashable {
    case aes256GCM = 1
    case chaCha20Poly1305 = 2
}
