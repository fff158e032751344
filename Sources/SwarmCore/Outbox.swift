/// Datagrams waiting for the driver's socket: one bounded arena, owned by the driver, passed down through every machine.
/// Its memory grows with the largest burst it has held, up to the bound, and is kept for the next.
///
/// A full outbox drops the datagram and counts it in `dropped`; a datagram whose writer overflowed its reserve is
/// dropped and counted in `oversized`. Neither is an error to the caller: the network loses datagrams too.
/// Consecutive datagrams to one destination with equal sizes (the last may be shorter) leave as one segment train,
/// so a sender that wants trains appends one destination's packets one after the other.
@usableFromInline
package struct Outbox: ~Copyable, Sendable {
    @usableFromInline
    package struct Entry: Sendable {
        @usableFromInline package let destination: NetworkAddress
        @usableFromInline package let offset: Int
        @usableFromInline package let count: Int

        @inlinable
        package init(destination: NetworkAddress, offset: Int, count: Int) {
            self.destination = destination
            self.offset = offset
            self.count = count
        }

        @inlinable
        package var range: Range<Int> { offset..<(offset + count) }
    }

    @usableFromInline var arena: ByteArena
    @usableFromInline var entries: [Entry] = []
    @usableFromInline let byteCapacity: Int
    @usableFromInline let entryCapacity: Int
    @usableFromInline var used = 0
    /// Datagrams that did not fit since the outbox was made.
    @usableFromInline package internal(set) var dropped: UInt64 = 0
    /// Datagrams that outgrew the room their writer had reserved.
    @usableFromInline package internal(set) var oversized: UInt64 = 0

    @inlinable
    package init(byteCapacity: Int, datagramCapacity: Int) {
        precondition(byteCapacity > 0 && datagramCapacity > 0, "outbox of \(byteCapacity) bytes")
        arena = ByteArena(capacity: 0)
        self.byteCapacity = byteCapacity
        entryCapacity = datagramCapacity
    }

    @inlinable
    package var count: Int { entries.count }
    @inlinable
    package var isEmpty: Bool { entries.isEmpty }
    @inlinable
    package var freeDatagrams: Int { entryCapacity - entries.count }
    @inlinable
    package var freeBytes: Int { byteCapacity - used }

    /// Appends one datagram of at most `capacity` bytes, written by `body`. Returns whether it was kept.
    @discardableResult
    @inlinable
    package mutating func append(
        to destination: NetworkAddress, capacity: Int, _ body: (inout ByteWriter) -> Void
    ) -> Bool {
        guard hasRoom(for: capacity) else { return false }
        let start = used
        var writer = ByteWriter(arena.mutableBytes(in: start..<(start + capacity)))
        body(&writer)
        let written = writer.count
        let overflowed = writer.overflowed
        return commit(destination, count: written, overflowed: overflowed)
    }

    /// Appends a copy of `datagram`. Returns whether it was kept.
    @discardableResult
    @inlinable
    package mutating func append(to destination: NetworkAddress, copying datagram: Span<UInt8>) -> Bool {
        guard hasRoom(for: datagram.count) else { return false }
        var target = arena.mutableBytes(in: used..<(used + datagram.count))
        target.copy(datagram, to: 0)
        return commit(destination, count: datagram.count, overflowed: false)
    }

    @inlinable
    package func entry(_ index: Int) -> Entry { entries[index] }

    /// The datagram at `index`.
    @_lifetime(borrow self)
    @inlinable
    package func bytes(of index: Int) -> Span<UInt8> { arena.bytes(in: entries[index].range) }

    @inlinable
    package func destination(of index: Int) -> NetworkAddress { entries[index].destination }

    /// Forgets every datagram; the arena is kept.
    @inlinable
    package mutating func removeAll() {
        entries.removeAll(keepingCapacity: true)
        used = 0
    }

    /// For the socket shim; valid while the outbox lives and is not appended to.
    @inlinable
    package var unsafeBaseAddress: UnsafeMutablePointer<UInt8> { unsafe arena.unsafeBaseAddress }

    @inlinable
    mutating func hasRoom(for capacity: Int) -> Bool {
        guard entries.count < entryCapacity, capacity <= byteCapacity - used else {
            dropped += 1
            return false
        }
        if capacity > arena.capacity - used { grow(for: capacity) }
        return true
    }

    /// Doubles the memory, so that a burst is copied a constant number of times.
    @usableFromInline
    mutating func grow(for capacity: Int) {
        let wanted = max(used + capacity, 2 * arena.capacity, Self.initialBytes)
        arena.resize(to: min(wanted, byteCapacity), keeping: used)
    }

    /// Two of the largest datagrams.
    private static var initialBytes: Int { 2 * Limits.datagramBytes }

    @inlinable
    mutating func commit(_ destination: NetworkAddress, count: Int, overflowed: Bool) -> Bool {
        guard !overflowed else {
            oversized += 1
            return false
        }
        guard count > 0 else { return false }
        entries.append(Entry(destination: destination, offset: used, count: count))
        used += count
        return true
    }
}
