/// Something that happens at an instant: a datagram arrives, a node's timer fires, an action of the scenario is due.
package struct ScheduledEvent: Sendable {
    package enum Kind: UInt8, Sendable {
        /// `subject` is a place in the packet pool.
        case datagram
        /// `subject` is a node.
        case timer
        /// `subject` is a place in the table of actions.
        case action
        /// `subject` is a place in the table of hops between a node's threads.
        case hop
    }

    /// Nanoseconds since the start of the run.
    package let time: UInt64
    /// In which order equal times happen: that of scheduling.
    package let order: UInt64
    package let subject: UInt32
    package let kind: Kind

    fileprivate static func isEarlier(_ a: ScheduledEvent, _ b: ScheduledEvent) -> Bool {
        a.time == b.time ? a.order < b.order : a.time < b.time
    }
}

/// The events to come, earliest first, ties in the order of scheduling.
///
/// A calendar queue (Brown 1988) of fixed width: the next second lies in 4,096 slots of 250 µs, each unsorted until it
/// is reached; what lies beyond waits in a 4-ary heap. With thousands of nodes a slot holds tens of events, so an event
/// costs about one link and its share of a short sort. The events of all slots stand in one table, whose places are used
/// again at once: there are few thousand at a time, which stay in the processor's cache where an array a slot would not.
package struct EventQueue: ~Copyable {
    private static var slotCount: Int { 4096 }
    private static var slotNanoseconds: UInt64 { 250_000 }

    /// An event of a slot, and the place of the one that came before it.
    private struct Link {
        var event: ScheduledEvent
        var next: UInt32
    }

    private static var nowhere: UInt32 { .max }

    private var links: [Link] = []
    private var firstFree = EventQueue.nowhere
    /// Where the events of each slot begin.
    private var slots = [UInt32](repeating: EventQueue.nowhere, count: EventQueue.slotCount)
    /// One bit a slot: whether it holds anything.
    private var occupied = [UInt64](repeating: 0, count: EventQueue.slotCount / 64)
    /// The events of the slot that has been reached, latest first.
    private var current: [ScheduledEvent] = []
    /// The number of that slot since the start.
    private var currentSlot: UInt64 = 0
    private var beyond = EventHeap()
    private var nextOrder: UInt64 = 0
    package private(set) var count = 0

    package init() {}

    /// Schedules an event. A time in the past counts as the present: it comes next, after what is due already.
    package mutating func push(at time: UInt64, _ kind: ScheduledEvent.Kind, _ subject: UInt32) {
        let event = ScheduledEvent(time: time, order: nextOrder, subject: subject, kind: kind)
        nextOrder += 1
        count += 1
        let slot = time / Self.slotNanoseconds
        if slot <= currentSlot {
            insertIntoCurrent(event)
        } else if slot - currentSlot < UInt64(Self.slotCount) {
            append(event, slot)
        } else {
            beyond.push(event)
        }
    }

    /// The earliest event's time, or nil when there is none.
    package mutating func peekTime() -> UInt64? {
        if current.isEmpty { reachNextSlot() }
        return current.last?.time
    }

    package mutating func pop() -> ScheduledEvent? {
        if current.isEmpty { reachNextSlot() }
        guard let event = current.popLast() else { return nil }
        count -= 1
        return event
    }

    // MARK: Inside

    private mutating func append(_ event: ScheduledEvent, _ slot: UInt64) {
        let place = Int(slot % UInt64(Self.slotCount))
        let link = Link(event: event, next: slots[place])
        if firstFree == Self.nowhere {
            slots[place] = UInt32(links.count)
            links.append(link)
        } else {
            slots[place] = firstFree
            firstFree = links[Int(firstFree)].next
            links[Int(slots[place])] = link
        }
        occupied[place / 64] |= 1 << UInt64(place % 64)
    }

    private mutating func insertIntoCurrent(_ event: ScheduledEvent) {
        var low = 0
        var high = current.count
        while low < high {
            let middle = (low + high) / 2
            if ScheduledEvent.isEarlier(event, current[middle]) { low = middle + 1 } else { high = middle }
        }
        current.insert(event, at: low)
    }

    /// Moves to the next slot that holds anything, taking from the heap what has come within reach.
    private mutating func reachNextSlot() {
        guard count > 0 else { return }
        let within = nextOccupiedSlot()
        let far = beyond.first.map { $0.time / Self.slotNanoseconds }
        guard let next = [within, far].compactMap({ $0 }).min() else { return }
        currentSlot = next
        while let event = beyond.first, event.time / Self.slotNanoseconds - next < UInt64(Self.slotCount) {
            beyond.removeFirst()
            append(event, event.time / Self.slotNanoseconds)
        }
        let place = Int(next % UInt64(Self.slotCount))
        while slots[place] != Self.nowhere {
            let link = Int(slots[place])
            current.append(links[link].event)
            slots[place] = links[link].next
            links[link].next = firstFree
            firstFree = UInt32(link)
        }
        occupied[place / 64] &= ~(1 << UInt64(place % 64))
        if current.count > 1 { current.sort { ScheduledEvent.isEarlier($1, $0) } }
    }

    /// The first slot after the current one, at most a turn ahead, that holds anything.
    private func nextOccupiedSlot() -> UInt64? {
        let start = Int((currentSlot + 1) % UInt64(Self.slotCount))
        let words = occupied.count
        for step in 0...words {
            let word = (start / 64 + step) % words
            var bits = occupied[word]
            if step == 0 { bits &= UInt64.max << UInt64(start % 64) }
            if step == words { bits &= ~(UInt64.max << UInt64(start % 64)) }
            guard bits != 0 else { continue }
            let place = word * 64 + bits.trailingZeroBitCount
            let ahead = (place - start + Self.slotCount) % Self.slotCount
            return currentSlot + 1 + UInt64(ahead)
        }
        return nil
    }
}

/// A 4-ary heap: shallower than a binary one, and four children share a cache line or two.
private struct EventHeap {
    private var events: [ScheduledEvent] = []

    var first: ScheduledEvent? { events.first }

    mutating func push(_ event: ScheduledEvent) {
        events.append(event)
        var child = events.count - 1
        while child > 0 {
            let parent = (child - 1) / 4
            guard ScheduledEvent.isEarlier(event, events[parent]) else { break }
            events[child] = events[parent]
            child = parent
        }
        events[child] = event
    }

    mutating func removeFirst() {
        guard let last = events.popLast(), !events.isEmpty else { return }
        var parent = 0
        while true {
            let firstChild = 4 * parent + 1
            guard firstChild < events.count else { break }
            var least = firstChild
            for child in firstChild..<min(firstChild + 4, events.count)
            where child > firstChild && ScheduledEvent.isEarlier(events[child], events[least]) { least = child }
            guard ScheduledEvent.isEarlier(events[least], last) else { break }
            events[parent] = events[least]
            parent = least
        }
        events[parent] = last
    }
}
