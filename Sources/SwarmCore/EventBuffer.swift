/// What a machine tells its owner, in order. The owner drains it after every call, so it stays short; a machine states
/// the most events one call can emit, and events are never dropped.
///
/// It holds memory for what it holds, and when drained keeps no more than `retainedBytes` for the next call.
@usableFromInline
package struct EventBuffer<Event>: ~Copyable {
    @usableFromInline var events: [Event] = []
    @usableFromInline var head = 0

    @inlinable
    package init() {}

    @inlinable
    package var isEmpty: Bool { head == events.count }
    @inlinable
    package var count: Int { events.count - head }

    @inlinable
    package mutating func append(_ event: Event) { events.append(event) }

    /// The oldest event, or nil when all are taken.
    @inlinable
    package mutating func popFirst() -> Event? {
        guard head < events.count else { return nil }
        let event = events[head]
        head += 1
        if head == events.count {
            let retained = events.capacity * MemoryLayout<Event>.stride <= Self.retainedBytes
            events.removeAll(keepingCapacity: retained)
            head = 0
        }
        return event
    }

    /// What all but the busiest calls emit.
    @inlinable
    static var retainedBytes: Int { 16 << 10 }
}

extension EventBuffer: Sendable where Event: Sendable {}
