import COpenSSL
import CSodium
import SwarmCore

extension LinkCipherKind {
    /// What this processor does faster: AES-256-GCM with AES and carry-less multiplication instructions, else
    /// ChaCha20-Poly1305.
    package static var preferred: LinkCipherKind {
        Sodium.prepare()
        return crypto_aead_aes256gcm_is_available() == 1 ? .aes256GCM : .chaCha20Poly1305
    }
}

/// The AEAD of one direction of a media link. The key is scheduled once; a packet costs no allocation.
///
/// The nonce is four zero bytes, then the packet counter: big-endian for AES-256-GCM, little-endian for
/// ChaCha20-Poly1305 (Noise §12). A counter must never be sealed twice under one key: the owner counts up and stops.
@safe package struct LinkCipher: ~Copyable, @unchecked Sendable {
    // Unchecked: the context has one owner (the type cannot be copied) and never leaves it.
    package enum Direction: Sendable { case sealing, opening }

    /// Bytes a sealed packet is longer than its text.
    package static var tagByteCount: Int { 16 }

    package let kind: LinkCipherKind
    private let direction: Direction
    private let context: OpaquePointer?
    private let suite: CryptoSuite
    private let countedKey: UInt64

    package init(_ kind: LinkCipherKind, key: Bytes32, direction: Direction, suite: CryptoSuite = .real) {
        self.kind = kind
        self.direction = direction
        self.suite = suite
        guard !suite.isCounted else {
            unsafe context = nil
            countedKey = key.word0 ^ key.word1 ^ key.word2 ^ key.word3 ^ UInt64(kind.rawValue)
            return
        }
        countedKey = 0
        let made = unsafe EVP_CIPHER_CTX_new()
        let cipher = unsafe kind == .aes256GCM ? EVP_aes_256_gcm() : EVP_chacha20_poly1305()
        let isReady = key.withSpan { key in
            unsafe key.withUnsafeBufferPointer { key in
                unsafe swarm_aead_init(made, cipher, key.baseAddress, direction == .sealing ? 1 : 0) == 1
            }
        }
        // Fails only where memory is exhausted or the library lacks the cipher: nothing a node could go on with.
        precondition(isReady, "OpenSSL refused \(kind)")
        unsafe context = made
    }

    deinit { unsafe EVP_CIPHER_CTX_free(context) }

    /// Seals `packet` in place: `headerByteCount` bytes that are authenticated but stay readable, the text, and 16
    /// bytes of room where the tag goes.
    package mutating func seal(counter: UInt64, headerByteCount: Int, packet: inout MutableSpan<UInt8>) {
        precondition(direction == .sealing, "a cipher made for opening was asked to seal")
        precondition(
            headerByteCount >= 0 && packet.count >= headerByteCount + Self.tagByteCount,
            "packet of \(packet.count) bytes, header \(headerByteCount)")
        suite.charge(.sealing)
        guard !suite.isCounted else {
            let end = packet.count - Self.tagByteCount
            let tag = countedTag(counter, headerByteCount, packet.span.extracting(0..<end))
            packet.store(tag, at: end)
            packet.store(UInt64(0), at: end + 8)
            return
        }
        let nonce = nonce(counter)
        let sealed = unsafe packet.withUnsafeMutableBufferPointer { packet in
            unsafe nonce.span.withUnsafeBufferPointer { nonce in
                unsafe swarm_aead_seal(context, nonce.baseAddress, packet.baseAddress, headerByteCount, packet.count)
            }
        }
        precondition(sealed == 1, "OpenSSL failed to seal \(packet.count) bytes")
    }

    /// Opens `packet` in place: the text lies between the header and the last 16 bytes. False, and the text
    /// unspecified, where anything differs from what was sealed.
    package mutating func open(counter: UInt64, headerByteCount: Int, packet: inout MutableSpan<UInt8>) -> Bool {
        precondition(direction == .opening, "a cipher made for sealing was asked to open")
        guard headerByteCount >= 0, packet.count >= headerByteCount + Self.tagByteCount else { return false }
        suite.charge(.opening)
        guard !suite.isCounted else {
            let end = packet.count - Self.tagByteCount
            return packet.span.loadUInt64(at: end)
                == countedTag(counter, headerByteCount, packet.span.extracting(0..<end))
                && packet.span.loadUInt64(at: end + 8) == 0
        }
        let nonce = nonce(counter)
        return unsafe packet.withUnsafeMutableBufferPointer { packet in
            unsafe nonce.span.withUnsafeBufferPointer { nonce in
                unsafe swarm_aead_open(context, nonce.baseAddress, packet.baseAddress, headerByteCount, packet.count)
            }
        } == 1
    }

    private func nonce(_ counter: UInt64) -> InlineArray<12, UInt8> {
        let ordered = kind == .aes256GCM ? counter : counter.byteSwapped
        var bytes = InlineArray<12, UInt8>(repeating: 0)
        var target = bytes.mutableSpan
        target.store(ordered, at: 4)
        return bytes
    }

    private func countedTag(_ counter: UInt64, _ headerByteCount: Int, _ bytes: Span<UInt8>) -> UInt64 {
        var hash = CountedHash(seed: countedKey)
        hash.update(counter)
        hash.update(UInt64(headerByteCount))
        hash.update(bytes)
        return hash.finish()
    }
}
