import CSodium
import SwarmCore

/// A BLAKE2b computation (RFC 7693) of 1 to 64 output bytes, with an optional key of at most 64 bytes. No heap.
package struct Blake2b: ~Copyable {
    private var state = swarm_blake2b()
    private let outputByteCount: Int

    package init(outputByteCount: Int) {
        precondition((1...64).contains(outputByteCount), "BLAKE2b output of \(outputByteCount) bytes")
        self.outputByteCount = outputByteCount
        _ = unsafe swarm_blake2b_init(&state, nil, 0, outputByteCount)
    }

    package init(outputByteCount: Int, key: Span<UInt8>) {
        precondition((1...64).contains(outputByteCount), "BLAKE2b output of \(outputByteCount) bytes")
        precondition(key.count <= 64, "BLAKE2b key of \(key.count) bytes")
        self.outputByteCount = outputByteCount
        unsafe key.withUnsafeBufferPointer { bytes in
            _ = unsafe swarm_blake2b_init(&state, bytes.baseAddress, bytes.count, outputByteCount)
        }
    }

    package mutating func update(_ bytes: Span<UInt8>) {
        unsafe bytes.withUnsafeBufferPointer { bytes in
            _ = unsafe swarm_blake2b_update(&state, bytes.baseAddress, bytes.count)
        }
    }

    package mutating func update(_ value: Bytes32) { value.withSpan { update($0) } }
    package mutating func update(_ value: Bytes64) { value.withSpan { update($0) } }
    package mutating func update(_ value: UInt8) { update(repeating: value, count: 1) }

    /// Big-endian, as on the wire.
    package mutating func update(_ value: UInt64) {
        var storage = InlineArray<8, UInt8>(repeating: 0)
        var bytes = storage.mutableSpan
        bytes.store(value, at: 0)
        update(storage.span)
    }

    /// The UTF-8 bytes of `text`, without length or terminator.
    package mutating func update(_ text: String) {
        var text = text
        text.makeContiguousUTF8()
        update(text.utf8.span)
    }

    mutating func update(repeating value: UInt8, count: Int) {
        var storage = InlineArray<128, UInt8>(repeating: value)
        let bytes = storage.mutableSpan
        update(bytes.span.extracting(0..<count))
    }

    /// Writes `outputByteCount` bytes to the front of `output`; ends the computation.
    package consuming func finish(into output: inout MutableSpan<UInt8>) {
        precondition(output.count >= outputByteCount, "room of \(output.count) for \(outputByteCount)")
        unsafe output.withUnsafeMutableBufferPointer { bytes in
            _ = unsafe swarm_blake2b_final(&state, bytes.baseAddress, outputByteCount)
        }
    }

    /// BLAKE2b-128 of `bytes`, keyed, as two big-endian words.
    static func hash128(key: Span<UInt8>, _ bytes: Span<UInt8>) -> (UInt64, UInt64) {
        var storage = InlineArray<16, UInt8>(repeating: 0)
        var output = storage.mutableSpan
        var hash = Blake2b(outputByteCount: 16, key: key)
        hash.update(bytes)
        hash.finish(into: &output)
        return (storage.span.loadUInt64(at: 0), storage.span.loadUInt64(at: 8))
    }

    /// For a computation of 32 output bytes.
    package consuming func finish32() -> Bytes32 {
        var storage = InlineArray<32, UInt8>(repeating: 0)
        var bytes = storage.mutableSpan
        finish(into: &bytes)
        return Bytes32(storage.span) ?? .zero
    }

    /// For a computation of 64 output bytes.
    consuming func finish64() -> Bytes64 {
        var storage = InlineArray<64, UInt8>(repeating: 0)
        var bytes = storage.mutableSpan
        finish(into: &bytes)
        return Bytes64(storage.span) ?? .zero
    }
}
