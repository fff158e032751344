import COpenSSL
import SwarmCore

package enum DTLSCertificateError: Error {
    /// The crypto library could not make a P-256 key or sign with it.
    case keyGeneration
    /// The crypto library refused a cipher, group or profile we ask for.
    case context
}

/// The certificate of a node, made at start, and with it the choice of handshake: a self-signed ECDSA P-256 certificate
/// for OpenSSL, or a simulated one. One per node, shared by all workers and never changed.
package struct DTLSCertificate: Sendable {
    enum Kind: Sendable {
        case openSSL(DTLSContext)
        case simulated(SimulatedCertificate)
    }

    let kind: Kind
    /// SHA-256 of the certificate's DER form: what `a=fingerprint` carries.
    package let fingerprint: Bytes32

    /// Valid from a day before `now` (clocks differ) for ten years; peers check the fingerprint, not the dates.
    package init(at now: Now) throws(DTLSCertificateError) {
        let context = try DTLSContext(at: now)
        kind = .openSSL(context)
        fingerprint = context.fingerprint
    }

    private init(_ certificate: SimulatedCertificate) {
        kind = .simulated(certificate)
        fingerprint = certificate.fingerprint
    }

    /// A certificate whose sessions shake hands without OpenSSL: everything about them follows from `seed`, the
    /// sessions' generators and the owner's time. For the simulator; it protects nothing.
    package static func simulated(seed: UInt64) -> DTLSCertificate { DTLSCertificate(SimulatedCertificate(seed: seed)) }

    /// The fingerprint as SDP writes it (RFC 8122 §5): upper-case hexadecimal pairs with colons.
    package var fingerprintText: String { DTLSFingerprint.text(fingerprint) }
}

/// A self-signed ECDSA P-256 certificate and the DTLS settings that go with it.
///
/// After `init` nothing changes, and OpenSSL's contexts may be used by several threads at once to make sessions (they are
/// reference-counted with atomics).
@safe final class DTLSContext: @unchecked Sendable {
    // Unchecked: the context is immutable after init and OpenSSL guards its reference count.
    private let context: OpaquePointer
    let fingerprint: Bytes32

    /// Our order of preference for SRTP: GCM costs less than half of counter mode with HMAC (ARCHITECTURE.md).
    private static let profiles = "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM"
    /// RFC 8827 §6.5 requires the first; all are forward secret.
    private static let ciphers =
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305"
        + ":ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
    private static let groups = "X25519:P-256:P-384"

    init(at now: Now) throws(DTLSCertificateError) {
        guard let key = unsafe edge_new_p256_key() else { throw .keyGeneration }
        defer { unsafe EVP_PKEY_free(key) }
        guard let certificate = unsafe X509_new() else { throw .keyGeneration }
        defer { unsafe X509_free(certificate) }
        let seconds = Int(clamping: now.wallMilliseconds / 1000)
        unsafe Self.describe(certificate, key: key, issuedAt: seconds)
        guard unsafe X509_sign(certificate, key, EVP_sha256()) > 0 else { throw .keyGeneration }
        var digest: [UInt8] = Array(repeating: 0, count: 32)
        var count: UInt32 = 0
        guard unsafe X509_digest(certificate, EVP_sha256(), &digest, &count) == 1, let fingerprint = Bytes32(digest)
        else { throw .keyGeneration }
        self.fingerprint = fingerprint
        guard
            let context = unsafe edge_dtls_context(certificate, key, Self.ciphers, Self.groups, Self.profiles)
        else { throw .context }
        unsafe self.context = context
    }

    deinit { unsafe SSL_CTX_free(context) }

    /// For `OpenSSLHandshake` alone; valid while the certificate lives.
    var unsafeContext: OpaquePointer { unsafe context }

    /// A random serial number and the one name both issuer and subject carry.
    private static func describe(_ certificate: OpaquePointer, key: OpaquePointer, issuedAt seconds: Int) {
        unsafe X509_set_version(certificate, 2)
        var serial: UInt64 = 0
        unsafe withUnsafeMutableBytes(of: &serial) { bytes in
            _ = unsafe RAND_bytes(bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), 8)
        }
        unsafe ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1 | 1)
        unsafe ASN1_TIME_set(X509_getm_notBefore(certificate), seconds - 86_400)
        unsafe ASN1_TIME_set(X509_getm_notAfter(certificate), seconds + 10 * 365 * 86_400)
        let name = unsafe X509_get_subject_name(certificate)
        unsafe X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_FLAG | 1, "mafalda", -1, -1, 0)
        unsafe X509_set_issuer_name(certificate, name)
        unsafe X509_set_pubkey(certificate, key)
    }
}

/// The text form of certificate fingerprints.
package enum DTLSFingerprint {
    /// `AB:CD:…`, 95 characters.
    package static func text(_ fingerprint: Bytes32) -> String {
        let digits = Array("0123456789ABCDEF")
        var text = ""
        for index in 0..<32 {
            if index > 0 { text.append(":") }
            text.append(digits[Int(fingerprint[index] >> 4)])
            text.append(digits[Int(fingerprint[index] & 15)])
        }
        return text
    }
}
