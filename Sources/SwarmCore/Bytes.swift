/// Big-endian loads from borrowed bytes. Callers check the length first; an index outside traps.
extension Span<UInt8> {
    package func loadUInt16(at index: Int) -> UInt16 {
        UInt16(self[index]) << 8 | UInt16(self[index + 1])
    }
    package func loadUInt32(at index: Int) -> UInt32 {
        UInt32(loadUInt16(at: index)) << 16 | UInt32(loadUInt16(at: index + 2))
    }
    package func loadUInt64(at index: Int) -> UInt64 {
        UInt64(loadUInt32(at: index)) << 32 | UInt64(loadUInt32(at: index + 4))
    }
    /// Equal length and content. Not for secrets.
    package func elementsEqual(_ other: Span<UInt8>) -> Bool {
        guard count == other.count else { return false }
        for index in indices where self[index] != other[index] { return false }
        return true
    }
    /// A copy, for tables and tests; not for the packet path.
    package func copied() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        for index in indices { bytes.append(self[index]) }
        return bytes
    }
}

/// Big-endian stores into borrowed bytes; an index outside traps.
extension MutableSpan<UInt8> {
    @_lifetime(self: copy self)
    package mutating func store(_ value: UInt16, at index: Int) {
        self[index] = UInt8(truncatingIfNeeded: value >> 8)
        self[index + 1] = UInt8(truncatingIfNeeded: value)
    }
    @_lifetime(self: copy self)
    package mutating func store(_ value: UInt32, at index: Int) {
        store(UInt16(truncatingIfNeeded: value >> 16), at: index)
        store(UInt16(truncatingIfNeeded: value), at: index + 2)
    }
    @_lifetime(self: copy self)
    package mutating func store(_ value: UInt64, at index: Int) {
        store(UInt32(truncatingIfNeeded: value >> 32), at: index)
        store(UInt32(truncatingIfNeeded: value), at: index + 4)
    }
    @_lifetime(self: copy self)
    package mutating func store(_ value: Bytes32, at index: Int) {
        store(value.word0, at: index)
        store(value.word1, at: index + 8)
        store(value.word2, at: index + 16)
        store(value.word3, at: index + 24)
    }
    /// Copies `source` to `index`.
    @_lifetime(self: copy self)
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
