import COpenSSL
import SwarmCore

/// The session keys of one direction of RTP or of RTCP: an OpenSSL cipher context that keeps its key schedule, the
/// salt, and for counter mode the HMAC key. Nothing is allocated per packet.
@safe package struct SRTPCipher: ~Copyable, @unchecked Sendable {
    // Unchecked: the context has one owner (the type cannot be copied) and is touched only through it.
    private let context: OpaquePointer
    private let profile: SRTPProfile
    /// The salt's first eight bytes, and the rest left-aligned, as big-endian words.
    private let saltHigh: UInt64
    private let saltLow: UInt64
    private let authentication: HMACSHA1Key

    package enum Use {
        case rtp
        case rtcp
    }

    /// Derives the session keys for `use` from the master key and salt (RFC 3711 §4.3).
    init(profile: SRTPProfile, masterKey: [UInt8], masterSalt: [UInt8], use: Use, sealing: Bool) {
        func derived(_ label: SRTPKeyDerivation.Label, _ count: Int) -> [UInt8] {
            SRTPKeyDerivation.derive(masterKey: masterKey, masterSalt: masterSalt, label: label, count: count)
        }
        let isRTP = use == .rtp
        self.init(
            profile: profile, sessionKey: derived(isRTP ? .rtpEncryption : .rtcpEncryption, profile.keyByteCount),
            sessionSalt: derived(isRTP ? .rtpSalt : .rtcpSalt, profile.saltByteCount),
            authenticationKey: profile.isGCM ? [] : derived(isRTP ? .rtpAuthentication : .rtcpAuthentication, 20),
            sealing: sealing)
    }

    /// Takes session keys as they are: the published vectors of RFC 7714 start here.
    package init(
        profile: SRTPProfile, sessionKey: [UInt8], sessionSalt: [UInt8], authenticationKey: [UInt8], sealing: Bool
    ) {
        precondition(sessionKey.count == profile.keyByteCount, "session key of \(sessionKey.count) bytes")
        precondition(sessionSalt.count == profile.saltByteCount, "session salt of \(sessionSalt.count) bytes")
        let padded = sessionSalt + Array(repeating: 0, count: 16 - sessionSalt.count)
        saltHigh = padded.span.loadUInt64(at: 0)
        saltLow = padded.span.loadUInt64(at: 8)
        authentication = HMACSHA1Key(authenticationKey.span)
        self.profile = profile
        guard let context = unsafe EVP_CIPHER_CTX_new() else { preconditionFailure("out of memory") }
        unsafe self.context = context
        let cipher =
            switch profile {
            case .aes128CMSHA1With80BitTag: unsafe EVP_aes_128_ctr()
            case .aes128GCM: unsafe EVP_aes_128_gcm()
            case .aes256GCM: unsafe EVP_aes_256_gcm()
            }
        // Counter mode encrypts in both directions.
        let encrypts: Int32 = sealing || !profile.isGCM ? 1 : 0
        let ready = unsafe EVP_CipherInit_ex(context, cipher, nil, sessionKey, nil, encrypts)
        precondition(ready == 1, "\(profile) is missing from the crypto library")
    }

    deinit { unsafe EVP_CIPHER_CTX_free(context) }

    // MARK: AEAD (RFC 7714)

    /// Seals `packet[plaintext]` in place and writes the 16-byte tag behind it. `trailer` is associated data that
    /// follows the header's (the E flag and index of SRTCP).
    package func sealGCM(
        _ packet: inout MutableSpan<UInt8>, plaintext: Range<Int>, trailer: Span<UInt8>, ssrc: UInt32, index: UInt64
    ) -> Bool {
        precondition(plaintext.upperBound + 16 <= packet.count, "no room for a tag behind \(plaintext)")
        var nonce = gcmNonce(ssrc: ssrc, index: index)
        return unsafe packet.withUnsafeMutableBufferPointer { bytes in
            guard let base = bytes.baseAddress else { return false }
            return unsafe trailer.withUnsafeBufferPointer { more in
                unsafe withUnsafeBytes(of: &nonce) { iv in
                    unsafe edge_gcm_seal(
                        context, iv.baseAddress?.assumingMemoryBound(to: UInt8.self), base,
                        Int32(plaintext.lowerBound), more.baseAddress, Int32(more.count), base + plaintext.lowerBound,
                        Int32(plaintext.count), base + plaintext.upperBound) == 1
                }
            }
        }
    }

    /// Opens `packet[ciphertext]` in place; its tag follows it directly.
    package func openGCM(
        _ packet: inout MutableSpan<UInt8>, ciphertext: Range<Int>, trailer: Span<UInt8>, ssrc: UInt32, index: UInt64
    ) -> Bool {
        precondition(ciphertext.upperBound + 16 <= packet.count, "no tag behind \(ciphertext)")
        var nonce = gcmNonce(ssrc: ssrc, index: index)
        return unsafe packet.withUnsafeMutableBufferPointer { bytes in
            guard let base = bytes.baseAddress else { return false }
            return unsafe trailer.withUnsafeBufferPointer { more in
                unsafe withUnsafeBytes(of: &nonce) { iv in
                    unsafe edge_gcm_open(
                        context, iv.baseAddress?.assumingMemoryBound(to: UInt8.self), base,
                        Int32(ciphertext.lowerBound), more.baseAddress, Int32(more.count),
                        base + ciphertext.lowerBound, Int32(ciphertext.count), base + ciphertext.upperBound) == 1
                }
            }
        }
    }

    // MARK: Counter mode with HMAC (RFC 3711 §4.1.1, §4.2.1)

    /// Encrypts or decrypts `packet[range]` in place.
    package func applyCounterMode(_ packet: inout MutableSpan<UInt8>, range: Range<Int>, ssrc: UInt32, index: UInt64)
        -> Bool
    {
        precondition(range.upperBound <= packet.count, "\(range) of \(packet.count) bytes")
        var counter = counterBlock(ssrc: ssrc, index: index)
        return unsafe packet.withUnsafeMutableBufferPointer { bytes in
            guard let base = bytes.baseAddress else { return false }
            return unsafe withUnsafeBytes(of: &counter) { iv in
                unsafe edge_ctr_apply(
                    context, iv.baseAddress?.assumingMemoryBound(to: UInt8.self), base + range.lowerBound,
                    Int32(range.count)) == 1
            }
        }
    }

    /// The tag over `bytes` and, for RTP, the roll-over counter behind them.
    func tag(_ bytes: Span<UInt8>, rolloverCounter: UInt32?) -> HMACSHA1Tag {
        guard let rolloverCounter else { return authentication.tag(bytes) }
        let counter: InlineArray<4, UInt8> = [
            UInt8(truncatingIfNeeded: rolloverCounter >> 24), UInt8(truncatingIfNeeded: rolloverCounter >> 16),
            UInt8(truncatingIfNeeded: rolloverCounter >> 8), UInt8(truncatingIfNeeded: rolloverCounter),
        ]
        return authentication.tag(bytes, counter.span)
    }

    // MARK: Initialisation vectors

    /// RFC 7714 §8.1 and §9.1: two zero bytes, SSRC, 48-bit index, all under the salt. Twelve bytes are used.
    private func gcmNonce(ssrc: UInt32, index: UInt64) -> (UInt64, UInt64) {
        let high = saltHigh ^ UInt64(ssrc) << 16 ^ (index >> 32 & 0xffff)
        let low = saltLow ^ index << 32
        return (high.bigEndian, low.bigEndian)
    }

    /// RFC 3711 §4.1.1: the salt under SSRC and index, two counter bytes of zero.
    private func counterBlock(ssrc: UInt32, index: UInt64) -> (UInt64, UInt64) {
        let high = saltHigh ^ UInt64(ssrc)
        let low = saltLow ^ index << 16
        return (high.bigEndian, low.bigEndian)
    }
}
