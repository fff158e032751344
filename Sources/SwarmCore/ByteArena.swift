/// A fixed block of bytes on the heap, allocated once and freed once. The base of the outboxes and packet stores.
@safe package struct ByteArena: ~Copyable, @unchecked Sendable {
    // Unchecked: the block has one owner (the type cannot be copied) and is reached only through it.
    private let base: UnsafeMutablePointer<UInt8>
    package let capacity: Int

    /// Zero-filled.
    package init(capacity: Int) {
        precondition(capacity > 0, "arena of \(capacity) bytes")
        unsafe base = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        unsafe base.initialize(repeating: 0, count: capacity)
        self.capacity = capacity
    }

    deinit { unsafe base.deallocate() }

    /// The bytes in `range`; a range outside traps.
    @_lifetime(borrow self)
    package func bytes(in range: Range<Int>) -> Span<UInt8> {
        precondition(range.lowerBound >= 0 && range.upperBound <= capacity, "arena range \(range) of \(capacity)")
        let span = unsafe Span(_unsafeStart: base + range.lowerBound, count: range.count)
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    /// The bytes in `range`, to be changed in place; a range outside traps.
    @_lifetime(&self)
    package mutating func mutableBytes(in range: Range<Int>) -> MutableSpan<UInt8> {
        precondition(range.lowerBound >= 0 && range.upperBound <= capacity, "arena range \(range) of \(capacity)")
        let span = unsafe MutableSpan(_unsafeStart: base + range.lowerBound, count: range.count)
        return unsafe _overrideLifetime(span, mutating: &self)
    }

    /// For the socket shim, which hands addresses within the arena to the kernel. Valid while the arena lives.
    package var unsafeBaseAddress: UnsafeMutablePointer<UInt8> { unsafe base }
}
