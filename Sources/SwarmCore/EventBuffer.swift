/// What a machine tells its owner, in order. The owner drains it after every call, so it stays short; a machine states
/// the most events one call can emit, and events are never dropped.
package struct EventBuffer<Event>: ~Copyable {
    private var events: [Event] = []
    private var head = 0

    package init(capacity: Int = 64) { events.reserveCapacity(capacity) }

    package var isEmpty: Bool { head == events.count }
    package var count: Int { events.count - head }

    package mutating func append(_ event: Event) { events.append(event) }

    /// The oldest event, or nil when all are taken.
    package mutating func popFirst() -> Event? {
        guard head < events.count else { return nil }
        let event = events[head]
        head += 1
        if head == events.count {
            events.removeAll(keepingCapacity: true)
            head = 0
        }
        return event
    }
}

extension EventBuffer: Sendable where Event: Sendable {}
