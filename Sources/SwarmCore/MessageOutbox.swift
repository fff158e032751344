/// Messages of the control machines (DHT, routing) on their way to a peer's link: like `Outbox`, but addressed to nodes
/// rather than sockets. The composition drains it after every call and hands each message to the link layer.
///
/// It holds memory for what it holds; emptied, it keeps room for what most calls say.
package struct MessageOutbox: ~Copyable, Sendable {
    package struct Entry: Sendable {
        package let destination: Contact
        /// May ride in the first handshake message, where an attacker can replay it once: only for requests whose
        /// repetition changes nothing (PING, FIND, GET, SUBSCRIBE).
        package let isIdempotent: Bool
        fileprivate let range: Range<Int>
    }

    private var arena: ByteArena
    private var entries: [Entry] = []
    private let byteCapacity: Int
    private let entryCapacity: Int
    private var used = 0
    package private(set) var dropped: UInt64 = 0
    package private(set) var oversized: UInt64 = 0

    package init(byteCapacity: Int = 256 * 1024, messageCapacity: Int = 512) {
        precondition(byteCapacity > 0 && messageCapacity > 0, "outbox of \(byteCapacity) bytes")
        arena = ByteArena(capacity: 0)
        self.byteCapacity = byteCapacity
        entryCapacity = messageCapacity
    }

    package var count: Int { entries.count }
    package var isEmpty: Bool { entries.isEmpty }

    /// Appends one message of at most `capacity` bytes. Returns whether it was kept.
    @discardableResult
    package mutating func append(
        to destination: Contact, isIdempotent: Bool = false, capacity: Int = Limits.messageBytes,
        _ body: (inout ByteWriter) -> Void
    ) -> Bool {
        guard entries.count < entryCapacity, capacity <= byteCapacity - used else {
            dropped += 1
            return false
        }
        if capacity > arena.capacity - used {
            let wanted = max(used + capacity, 2 * arena.capacity, Self.retainedBytes)
            arena.resize(to: min(wanted, byteCapacity), keeping: used)
        }
        let start = used
        var writer = ByteWriter(arena.mutableBytes(in: start..<(start + capacity)))
        body(&writer)
        let written = writer.count
        guard !writer.overflowed else {
            oversized += 1
            return false
        }
        entries.append(Entry(destination: destination, isIdempotent: isIdempotent, range: start..<(start + written)))
        used += written
        return true
    }

    package func entry(_ index: Int) -> Entry { entries[index] }

    /// The message at `index`.
    @_lifetime(borrow self)
    package func bytes(of index: Int) -> Span<UInt8> { arena.bytes(in: entries[index].range) }

    package mutating func removeAll() {
        entries.removeAll(keepingCapacity: entries.capacity <= Self.retainedEntries)
        if arena.capacity > Self.retainedBytes { arena.resize(to: Self.retainedBytes, keeping: 0) }
        used = 0
    }

    private static var retainedBytes: Int { 32 * Limits.messageBytes }
    private static var retainedEntries: Int { 32 }
}
