/// Big-endian loads from borrowed bytes. Callers check the length first; an index outside traps.
extension Span<UInt8> {
    @inlinable
    package func loadUInt16(at index: Int) -> UInt16 {
        UInt16(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: index, as: UInt16.self))
    }
    @inlinable
    package func loadUInt32(at index: Int) -> UInt32 {
        UInt32(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: index, as: UInt32.self))
    }
    @inlinable
    package func loadUInt64(at index: Int) -> UInt64 {
        UInt64(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self))
    }
    /// Equal length and content. Not for secrets.
    @inlinable
    package func elementsEqual(_ other: Span<UInt8>) -> Bool {
        guard count == other.count else { return false }
        for index in indices where self[index] != other[index] { return false }
        return true
    }
    /// A copy, for tables and tests; not for the packet path.
    @inlinable
    package func copied() -> [UInt8] { unsafe withUnsafeBufferPointer { unsafe Array($0) } }
}

/// Big-endian stores into borrowed bytes; an index outside traps.
extension MutableSpan<UInt8> {
    @_lifetime(self: copy self)
    @inlinable
    package mutating func store(_ value: UInt16, at index: Int) {
        var raw = unsafe mutableBytes
        raw.storeBytes(of: value.bigEndian, toByteOffset: index, as: UInt16.self)
    }
    @_lifetime(self: copy self)
    @inlinable
    package mutating func store(_ value: UInt32, at index: Int) {
        var raw = unsafe mutableBytes
        raw.storeBytes(of: value.bigEndian, toByteOffset: index, as: UInt32.self)
    }
    @_lifetime(self: copy self)
    @inlinable
    package mutating func store(_ value: UInt64, at index: Int) {
        var raw = unsafe mutableBytes
        raw.storeBytes(of: value.bigEndian, toByteOffset: index, as: UInt64.self)
    }
    @_lifetime(self: copy self)
    @inlinable
    package mutating func store(_ value: Bytes32, at index: Int) {
        store(value.word0, at: index)
        store(value.word1, at: index + 8)
        store(value.word2, at: index + 16)
        store(value.word3, at: index + 24)
    }
    /// Copies `source` to `index`.
    @_lifetime(self: copy self)
    @inlinable
    package mutating func copy(_ source: Span<UInt8>, to index: Int) {
        precondition(index >= 0 && index + source.count <= count, "\(source.count) bytes at \(index) of \(count)")
        guard source.count > 0 else { return }
        unsafe withUnsafeMutableBufferPointer { target in
            unsafe source.withUnsafeBufferPointer { bytes in
                guard let from = bytes.baseAddress, let to = target.baseAddress else { return }
                unsafe (to + index).update(from: from, count: bytes.count)
            }
        }
    }
}
