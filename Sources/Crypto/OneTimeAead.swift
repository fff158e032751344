import CSodium
import SwarmCore

/// ChaCha20-Poly1305 (RFC 8439) with the key given per call: the handshake and the control packets, which are few.
/// Media packets use `LinkCipher`, which keeps its key schedule.
extension CryptoSuite {
    /// Bytes a sealed text is longer than the text.
    package static var tagByteCount: Int { 16 }

    /// Encrypts all but the last 16 bytes of `text` in place and puts the tag there. The nonce is four zero bytes, then
    /// `counter` little-endian (Noise §12). `text` holds at least 16 bytes.
    func seal(key: Bytes32, counter: UInt64, additionalData: Span<UInt8>, inPlace text: inout MutableSpan<UInt8>) {
        charge(.sealing)
        let count = text.count - Self.tagByteCount
        precondition(count >= 0, "text of \(text.count) bytes has no room for a tag")
        guard !isCounted else {
            let tag = countedTag(key, counter, additionalData, text.span.extracting(0..<count))
            text.store(tag, at: count)
            text.store(UInt64(0), at: count + 8)
            return
        }
        let nonce = Nonce(counter)
        key.withSpan { key in
            unsafe additionalData.withUnsafeBufferPointer { data in
                unsafe key.withUnsafeBufferPointer { key in
                    unsafe text.withUnsafeMutableBufferPointer { text in
                        unsafe nonce.bytes.span.withUnsafeBufferPointer { nonce in
                            _ = unsafe swarm_chacha20poly1305_seal(
                                text.baseAddress, count, data.baseAddress, data.count, nonce.baseAddress,
                                key.baseAddress)
                        }
                    }
                }
            }
        }
    }

    /// Decrypts all but the last 16 bytes of `text` in place. False, and the content unspecified, where anything
    /// differs from what was sealed.
    func open(
        key: Bytes32, counter: UInt64, additionalData: Span<UInt8>, inPlace text: inout MutableSpan<UInt8>
    ) -> Bool {
        charge(.opening)
        let count = text.count - Self.tagByteCount
        guard count >= 0 else { return false }
        guard !isCounted else {
            let tag = countedTag(key, counter, additionalData, text.span.extracting(0..<count))
            return text.span.loadUInt64(at: count) == tag && text.span.loadUInt64(at: count + 8) == 0
        }
        let nonce = Nonce(counter)
        return key.withSpan { key in
            unsafe additionalData.withUnsafeBufferPointer { data in
                unsafe key.withUnsafeBufferPointer { key in
                    unsafe text.withUnsafeMutableBufferPointer { text in
                        unsafe nonce.bytes.span.withUnsafeBufferPointer { nonce in
                            unsafe swarm_chacha20poly1305_open(
                                text.baseAddress, count, data.baseAddress, data.count, nonce.baseAddress,
                                key.baseAddress) == 0
                        }
                    }
                }
            }
        }
    }

    /// `seal` for a packet that begins with its associated data: header, text, 16 bytes of room.
    func seal(key: borrowing Bytes32, counter: UInt64, headerByteCount: Int, packet: inout MutableSpan<UInt8>) {
        charge(.sealing)
        let end = packet.count - Self.tagByteCount
        precondition(headerByteCount >= 0 && end >= headerByteCount, "packet of \(packet.count) bytes has no room")
        guard !isCounted else {
            let tag = Self.countedTag(key, counter, headerByteCount, packet.span.extracting(0..<end))
            packet.store(tag, at: end)
            packet.store(UInt64(0), at: end + 8)
            return
        }
        let nonce = Nonce(counter)
        key.withSpan { key in
            unsafe key.withUnsafeBufferPointer { key in
                unsafe packet.withUnsafeMutableBufferPointer { packet in
                    unsafe nonce.bytes.span.withUnsafeBufferPointer { nonce in
                        _ = unsafe swarm_packet_seal(
                            packet.baseAddress, headerByteCount, end - headerByteCount, nonce.baseAddress,
                            key.baseAddress)
                    }
                }
            }
        }
    }

    /// `open` for a packet that begins with its associated data.
    func open(
        key: borrowing Bytes32, counter: UInt64, headerByteCount: Int, packet: inout MutableSpan<UInt8>
    ) -> Bool {
        charge(.opening)
        let end = packet.count - Self.tagByteCount
        guard headerByteCount >= 0, end >= headerByteCount else { return false }
        guard !isCounted else {
            let tag = Self.countedTag(key, counter, headerByteCount, packet.span.extracting(0..<end))
            return packet.span.loadUInt64(at: end) == tag && packet.span.loadUInt64(at: end + 8) == 0
        }
        let nonce = Nonce(counter)
        return key.withSpan { key in
            unsafe key.withUnsafeBufferPointer { key in
                unsafe packet.withUnsafeMutableBufferPointer { packet in
                    unsafe nonce.bytes.span.withUnsafeBufferPointer { nonce in
                        unsafe swarm_packet_open(
                            packet.baseAddress, headerByteCount, end - headerByteCount, nonce.baseAddress,
                            key.baseAddress) == 0
                    }
                }
            }
        }
    }

    private static func countedTag(
        _ key: borrowing Bytes32, _ counter: UInt64, _ headerByteCount: Int, _ packet: Span<UInt8>
    ) -> UInt64 {
        var hash = CountedHash(seed: counter)
        hash.update(key)
        hash.update(UInt64(headerByteCount))
        hash.update(packet)
        return hash.finish()
    }

    private func countedTag(
        _ key: Bytes32, _ counter: UInt64, _ additionalData: Span<UInt8>, _ text: Span<UInt8>
    ) -> UInt64 {
        var hash = CountedHash(seed: counter)
        hash.update(key)
        hash.update(additionalData)
        hash.update(text)
        return hash.finish()
    }
}

/// Noise's nonce for ChaCha20-Poly1305.
private struct Nonce {
    var bytes = InlineArray<12, UInt8>(repeating: 0)

    init(_ counter: UInt64) {
        for index in 0..<8 { bytes[4 + index] = UInt8(truncatingIfNeeded: counter >> UInt64(index * 8)) }
    }
}
