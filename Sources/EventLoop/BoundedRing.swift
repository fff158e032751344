import Synchronization

/// A bounded queue from one thread to one other, without locks. Full means the producer gets its element back (or
/// false), and the refusal is counted; nobody ever waits.
///
/// At any time at most one thread may push and at most one may pop.
@safe package final class BoundedRing<Element: ~Copyable & Sendable>: @unchecked Sendable {
    // Unchecked: a slot belongs to the producer until `tail` has passed it (released by the producer, acquired by the
    // consumer) and then to the consumer until `head` has passed it (the other way round).
    private let slots: UnsafeMutablePointer<Element>
    private let mask: Int
    /// A power of two.
    package let capacity: Int
    /// Elements popped since the start; written by the consumer.
    private let head = CacheLinePadded()
    /// Elements pushed since the start; written by the producer.
    private let tail = CacheLinePadded()
    private let refused = CacheLinePadded()

    /// Holds at least `minimumCapacity` elements.
    package init(minimumCapacity: Int) {
        precondition(minimumCapacity > 0 && minimumCapacity <= 1 << 24, "ring of \(minimumCapacity)")
        var size = 1
        while size < minimumCapacity { size *= 2 }
        capacity = size
        mask = size - 1
        unsafe slots = UnsafeMutablePointer<Element>.allocate(capacity: size)
    }

    deinit {
        let end = tail.value.load(ordering: .acquiring)
        var index = head.value.load(ordering: .acquiring)
        while index != end {
            unsafe (slots + (index & mask)).deinitialize(count: 1)
            index &+= 1
        }
        unsafe slots.deallocate()
    }

    /// Producer only. Returns nil when the element was taken, or the element itself when the ring is full.
    package func offer(_ element: consuming Element) -> Element? {
        let end = tail.value.load(ordering: .relaxed)
        guard end &- head.value.load(ordering: .acquiring) < capacity else {
            refused.value.wrappingAdd(1, ordering: .relaxed)
            return element
        }
        unsafe (slots + (end & mask)).initialize(to: element)
        tail.value.store(end &+ 1, ordering: .releasing)
        return nil
    }

    /// Producer only. False when the ring is full and the element was dropped.
    @discardableResult
    package func push(_ element: consuming Element) -> Bool {
        let refusal = offer(element)
        switch consume refusal {
        case .none: return true
        case .some: return false
        }
    }

    /// Consumer only. The oldest element, or nil.
    package func pop() -> Element? {
        let index = head.value.load(ordering: .relaxed)
        guard index != tail.value.load(ordering: .acquiring) else { return nil }
        let element = unsafe (slots + (index & mask)).move()
        head.value.store(index &+ 1, ordering: .releasing)
        return element
    }

    /// Elements waiting; exact only when asked by the producer or consumer while the other rests.
    package var count: Int {
        let start = head.value.load(ordering: .acquiring)
        return tail.value.load(ordering: .acquiring) &- start
    }
    package var isEmpty: Bool { count == 0 }
    /// Producer only: how many pushes are certain to succeed.
    package var freeCount: Int { capacity - count }
    /// Elements refused because the ring was full.
    package var refusedCount: Int { refused.value.load(ordering: .relaxed) }
}

/// A counter on a cache line of its own, so that producer and consumer do not slow each other down.
final class CacheLinePadded: Sendable {
    private let before: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0)
    let value = Atomic<Int>(0)
    private let after: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0)
}
