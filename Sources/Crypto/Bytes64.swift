import CSodium
import SwarmCore

/// Sixty-four bytes as a value: BLAKE2b-512 outputs and signatures.
package struct Bytes64: Hashable, Sendable {
    package var first: Bytes32
    package var second: Bytes32

    package static var byteCount: Int { 64 }
    package static var zero: Bytes64 { Bytes64(.zero, .zero) }

    package init(_ first: Bytes32, _ second: Bytes32) {
        self.first = first
        self.second = second
    }

    /// Nil unless `bytes` holds exactly 64 bytes.
    package init?(_ bytes: Span<UInt8>) {
        guard bytes.count == 64, let first = Bytes32(bytes.extracting(0..<32)),
            let second = Bytes32(bytes.extracting(32..<64))
        else { return nil }
        self.init(first, second)
    }

    /// A copy as an array, for tests.
    package var array: [UInt8] { first.array + second.array }
}

extension Bytes32 {
    /// Overwrites the bytes where they lie, also where the optimiser sees that nobody reads them again.
    mutating func wipe() { unsafe withUnsafeMutableBytes(of: &self) { unsafe swarm_wipe($0.baseAddress, $0.count) } }

    /// Lends the 32 bytes in wire order from the stack.
    package func withSpan<Result: ~Copyable>(_ body: (Span<UInt8>) -> Result) -> Result {
        var storage = InlineArray<32, UInt8>(repeating: 0)
        var bytes = storage.mutableSpan
        bytes.store(self, at: 0)
        return body(storage.span)
    }

    /// Fills 32 bytes in wire order and takes them; nil where `body` says it failed.
    static func filled(_ body: (inout MutableSpan<UInt8>) -> Bool) -> Bytes32? {
        var storage = InlineArray<32, UInt8>(repeating: 0)
        var bytes = storage.mutableSpan
        guard body(&bytes) else { return nil }
        return Bytes32(storage.span)
    }
}

extension Bytes64 {
    /// Lends the 64 bytes in wire order from the stack.
    package func withSpan<Result: ~Copyable>(_ body: (Span<UInt8>) -> Result) -> Result {
        var storage = InlineArray<64, UInt8>(repeating: 0)
        var bytes = storage.mutableSpan
        bytes.store(first, at: 0)
        bytes.store(second, at: 32)
        return body(storage.span)
    }
}
