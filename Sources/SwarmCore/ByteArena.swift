/// A block of bytes on the heap with one owner. The base of the outboxes and packet stores.
///
/// Bytes never written are unspecified: filling a block would touch pages that may never be used. Whoever reads keeps
/// count of what was written, as `Outbox` and the packet store do.
@usableFromInline
@safe package struct ByteArena: ~Copyable, @unchecked Sendable {
    // Unchecked: the block has one owner (the type cannot be copied) and is reached only through it.
    @usableFromInline var base: UnsafeMutablePointer<UInt8>
    @usableFromInline package internal(set) var capacity: Int

    /// An arena of no bytes holds no memory.
    @inlinable
    package init(capacity: Int) {
        precondition(capacity >= 0, "arena of \(capacity) bytes")
        unsafe base = Self.block(capacity)
        self.capacity = capacity
    }

    @inlinable
    deinit { if capacity > 0 { unsafe base.deallocate() } }

    /// Changes the capacity; the first `kept` bytes stay, at another address.
    @inlinable
    package mutating func resize(to capacity: Int, keeping kept: Int) {
        precondition(kept >= 0 && kept <= min(capacity, self.capacity), "\(kept) bytes kept of \(self.capacity)")
        let block = unsafe Self.block(capacity)
        unsafe block.update(from: base, count: kept)
        if self.capacity > 0 { unsafe base.deallocate() }
        unsafe base = block
        self.capacity = capacity
    }

    /// The bytes in `range`; a range outside traps.
    @_lifetime(borrow self)
    @inlinable
    package func bytes(in range: Range<Int>) -> Span<UInt8> {
        precondition(range.lowerBound >= 0 && range.upperBound <= capacity, "arena range \(range) of \(capacity)")
        let span = unsafe Span(_unsafeStart: base + range.lowerBound, count: range.count)
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    /// The bytes in `range`, to be changed in place; a range outside traps.
    @_lifetime(&self)
    @inlinable
    package mutating func mutableBytes(in range: Range<Int>) -> MutableSpan<UInt8> {
        precondition(range.lowerBound >= 0 && range.upperBound <= capacity, "arena range \(range) of \(capacity)")
        let span = unsafe MutableSpan(_unsafeStart: base + range.lowerBound, count: range.count)
        return unsafe _overrideLifetime(span, mutating: &self)
    }

    /// For the socket shim, which hands addresses within the arena to the kernel. Valid until the arena ends or is
    /// resized.
    @inlinable
    package var unsafeBaseAddress: UnsafeMutablePointer<UInt8> { unsafe base }

    @inlinable
    static func block(_ capacity: Int) -> UnsafeMutablePointer<UInt8> {
        guard capacity == 0 else { return UnsafeMutablePointer<UInt8>.allocate(capacity: capacity) }
        // No bytes: an address that is neither followed nor freed, so that access needs no test for it.
        let none = unsafe UnsafeMutablePointer<UInt8>(bitPattern: MemoryLayout<UInt64>.alignment)
        return unsafe none ?? UnsafeMutablePointer<UInt8>.allocate(capacity: 1)
    }
}
