/// Datagrams waiting for the driver's socket: one bounded arena, owned by the driver, passed down through every machine.
///
/// A full outbox drops the datagram and counts it in `dropped`; a datagram whose writer overflowed its reserve is
/// dropped and counted in `oversized`. Neither is an error to the caller: the network loses datagrams too.
/// Consecutive datagrams to one destination with equal sizes (the last may be shorter) leave as one segment train,
/// so a sender that wants trains appends one destination's packets one after the other.
package struct Outbox: ~Copyable, Sendable {
    package struct Entry: Sendable {
        package let destination: NetworkAddress
        package let offset: Int
        package let count: Int

        package init(destination: NetworkAddress, offset: Int, count: Int) {
            self.destination = destination
            self.offset = offset
            self.count = count
        }

        package var range: Range<Int> { offset..<(offset + count) }
    }

    private var arena: ByteArena
    private var entries: [Entry] = []
    private let entryCapacity: Int
    private var used = 0
    /// Datagrams that did not fit since the outbox was made.
    package private(set) var dropped: UInt64 = 0
    /// Datagrams that outgrew the room their writer had reserved.
    package private(set) var oversized: UInt64 = 0

    package init(byteCapacity: Int, datagramCapacity: Int) {
        arena = ByteArena(capacity: byteCapacity)
        entryCapacity = datagramCapacity
        entries.reserveCapacity(datagramCapacity)
    }

    package var count: Int { entries.count }
    package var isEmpty: Bool { entries.isEmpty }
    package var freeDatagrams: Int { entryCapacity - entries.count }
    package var freeBytes: Int { arena.capacity - used }

    /// Appends one datagram of at most `capacity` bytes, written by `body`. Returns whether it was kept.
    @discardableResult
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
    package mutating func append(to destination: NetworkAddress, copying datagram: Span<UInt8>) -> Bool {
        guard hasRoom(for: datagram.count) else { return false }
        var target = arena.mutableBytes(in: used..<(used + datagram.count))
        target.copy(datagram, to: 0)
        return commit(destination, count: datagram.count, overflowed: false)
    }

    package func entry(_ index: Int) -> Entry { entries[index] }

    /// The datagram at `index`.
    @_lifetime(borrow self)
    package func bytes(of index: Int) -> Span<UInt8> { arena.bytes(in: entries[index].range) }

    package func destination(of index: Int) -> NetworkAddress { entries[index].destination }

    /// Forgets every datagram; the arena is kept.
    package mutating func removeAll() {
        entries.removeAll(keepingCapacity: true)
        used = 0
    }

    /// For the socket shim; valid while the outbox lives and is not appended to.
    package var unsafeBaseAddress: UnsafeMutablePointer<UInt8> { unsafe arena.unsafeBaseAddress }

    private mutating func hasRoom(for capacity: Int) -> Bool {
        guard entries.count < entryCapacity, capacity <= arena.capacity - used else {
            dropped += 1
            return false
        }
        return true
    }

    private mutating func commit(_ destination: NetworkAddress, count: Int, overflowed: Bool) -> Bool {
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
