import COpenSSL
import SwarmCore

/// HMAC-SHA1 (RFC 2104) with its key schedule kept by value: a tag costs no allocation. SHA-1 is what STUN's
/// MESSAGE-INTEGRITY and SRTP's default profile prescribe; nothing else here uses it.
@safe package struct HMACSHA1Key: Sendable {
    private var schedule = edge_hmac_sha1_key()

    package init(_ secret: Span<UInt8>) {
        unsafe secret.withUnsafeBufferPointer { bytes in
            unsafe edge_hmac_sha1_init(&schedule, bytes.baseAddress, bytes.count)
        }
    }

    package init(_ secret: String) {
        let utf8 = Array(secret.utf8)
        self.init(utf8.span)
    }

    /// The tag of `first` followed by `second`.
    package func tag(_ first: Span<UInt8>, _ second: Span<UInt8>) -> HMACSHA1Tag {
        var tag = HMACSHA1Tag()
        unsafe withUnsafePointer(to: schedule) { key in
            unsafe first.withUnsafeBufferPointer { head in
                unsafe second.withUnsafeBufferPointer { tail in
                    unsafe withUnsafeMutableBytes(of: &tag) { target in
                        guard let base = target.baseAddress else { return }
                        unsafe edge_hmac_sha1(
                            key, head.baseAddress, head.count, tail.baseAddress, tail.count,
                            base.assumingMemoryBound(to: UInt8.self))
                    }
                }
            }
        }
        return tag
    }

    package func tag(_ bytes: Span<UInt8>) -> HMACSHA1Tag { tag(bytes, bytes.extracting(first: 0)) }
}

/// Twenty bytes of tag as a value.
package struct HMACSHA1Tag: Sendable {
    package var bytes = InlineArray<20, UInt8>(repeating: 0)

    /// Whether `other` is a prefix of the tag (SRTP truncates to 10 bytes), without a data-dependent branch.
    package func matches(_ other: Span<UInt8>) -> Bool {
        guard other.count <= 20 else { return false }
        var difference: UInt8 = 0
        for index in 0..<other.count { difference |= other[index] ^ bytes[index] }
        return difference == 0 && other.count >= 10
    }
}
