import COpenSSL
import SwarmCore

/// The protection profiles of DTLS-SRTP we speak. Raw values: RFC 5764 §4.1.2 and RFC 7714 §14.2.
package enum SRTPProfile: UInt16, CaseIterable, Sendable, Hashable {
    case aes128CMSHA1With80BitTag = 0x0001
    case aes128GCM = 0x0007
    case aes256GCM = 0x0008

    package var keyByteCount: Int { self == .aes256GCM ? 32 : 16 }
    /// 14 for counter mode (RFC 3711 §8.2), 12 for GCM (RFC 7714 §12).
    package var saltByteCount: Int { self == .aes128CMSHA1With80BitTag ? 14 : 12 }
    package var tagByteCount: Int { self == .aes128CMSHA1With80BitTag ? 10 : 16 }
    package var isGCM: Bool { self != .aes128CMSHA1With80BitTag }
    /// What DTLS must export: two keys and two salts (RFC 5764 §4.2).
    package var exportedByteCount: Int { 2 * (keyByteCount + saltByteCount) }
}

/// The master keys and salts of both directions of one session.
package struct SRTPSessionKeys: Sendable {
    package var profile: SRTPProfile
    package var sendKey: [UInt8]
    package var sendSalt: [UInt8]
    package var receiveKey: [UInt8]
    package var receiveSalt: [UInt8]

    /// Cuts what DTLS exported: client key, server key, client salt, server salt (RFC 5764 §4.2). Nil unless `exported`
    /// has exactly the profile's length.
    package init?(profile: SRTPProfile, exported: Span<UInt8>, isServer: Bool) {
        guard exported.count == profile.exportedByteCount else { return nil }
        let key = profile.keyByteCount
        let salt = profile.saltByteCount
        let clientKey = exported.extracting(0..<key).copied()
        let serverKey = exported.extracting(key..<(2 * key)).copied()
        let clientSalt = exported.extracting((2 * key)..<(2 * key + salt)).copied()
        let serverSalt = exported.extracting((2 * key + salt)..<(2 * key + 2 * salt)).copied()
        self.profile = profile
        sendKey = isServer ? serverKey : clientKey
        sendSalt = isServer ? serverSalt : clientSalt
        receiveKey = isServer ? clientKey : serverKey
        receiveSalt = isServer ? clientSalt : serverSalt
    }

    /// Keys for benches, tests and the simulator, where no DTLS runs: the same seed gives both ends matching keys.
    package static func derived(profile: SRTPProfile, seed: UInt64, isServer: Bool) -> SRTPSessionKeys {
        var generator = SeededGenerator(seed: seed)
        var exported: [UInt8] = []
        for _ in 0..<profile.exportedByteCount { exported.append(UInt8(truncatingIfNeeded: generator.next() >> 32)) }
        guard let keys = SRTPSessionKeys(profile: profile, exported: exported.span, isServer: isServer) else {
            preconditionFailure("exported \(exported.count) bytes for \(profile)")
        }
        return keys
    }
}

/// The key derivation function of RFC 3711 §4.3, with a key derivation rate of 0.
package enum SRTPKeyDerivation {
    /// What a derived key is for (RFC 3711 §4.3.2).
    package enum Label: UInt8 {
        case rtpEncryption = 0
        case rtpAuthentication = 1
        case rtpSalt = 2
        case rtcpEncryption = 3
        case rtcpAuthentication = 4
        case rtcpSalt = 5
    }

    /// `count` bytes for `label`. `masterKey` has 16 or 32 bytes, `masterSalt` at most 14: a GCM salt of 12 is padded
    /// with zeros on the right (RFC 7714 §11).
    package static func derive(masterKey: [UInt8], masterSalt: [UInt8], label: Label, count: Int) -> [UInt8] {
        precondition(masterKey.count == 16 || masterKey.count == 32, "master key of \(masterKey.count) bytes")
        precondition(masterSalt.count <= 14, "master salt of \(masterSalt.count) bytes")
        var block = masterSalt + Array(repeating: 0, count: 16 - masterSalt.count)
        block[7] ^= label.rawValue
        var derived: [UInt8] = []
        var output: [UInt8] = Array(repeating: 0, count: 16)
        for counter in 0..<UInt16((count + 15) / 16) {
            block[14] = UInt8(truncatingIfNeeded: counter >> 8)
            block[15] = UInt8(truncatingIfNeeded: counter)
            let done = unsafe edge_aes_block(masterKey, Int32(masterKey.count), block, &output)
            precondition(done == 1, "AES is missing from the crypto library")
            derived += output
        }
        return Array(derived.prefix(count))
    }
}
