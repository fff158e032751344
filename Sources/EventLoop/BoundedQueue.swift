import Synchronization

/// A bounded queue from many threads to one: requests of the HTTP threads on their way to the control thread.
///
/// Dmitry Vyukov's bounded queue: each cell carries the number of the turn it is ready for, so producers contend only
/// for the tail and a full queue is seen without waiting. A lock would do for the rate; but a producer that is
/// descheduled while it holds one would stall the control thread, which failure detection depends on.
@safe package final class BoundedQueue<Element: ~Copyable & Sendable>: @unchecked Sendable {
    // Unchecked: a cell's element is touched only by the thread that the cell's turn admits, and the turn is handed on
    // with release and taken with acquire.
    private let cells: UnsafeMutablePointer<Element>
    private let turns: UnsafeMutablePointer<Atomic<Int>>
    private let mask: Int
    /// A power of two.
    package let capacity: Int
    private let tail = CacheLinePadded()
    private let head = CacheLinePadded()
    private let refused = CacheLinePadded()

    /// Holds at least `minimumCapacity` elements.
    package init(minimumCapacity: Int) {
        precondition(minimumCapacity > 0 && minimumCapacity <= 1 << 24, "queue of \(minimumCapacity)")
        var size = 2
        while size < minimumCapacity { size *= 2 }
        capacity = size
        mask = size - 1
        unsafe cells = UnsafeMutablePointer<Element>.allocate(capacity: size)
        unsafe turns = UnsafeMutablePointer<Atomic<Int>>.allocate(capacity: size)
        for index in 0..<size { unsafe (turns + index).initialize(to: Atomic(index)) }
    }

    deinit {
        while let element = pop() { _ = consume element }
        unsafe turns.deinitialize(count: capacity)
        unsafe turns.deallocate()
        unsafe cells.deallocate()
    }

    /// Any thread. Returns nil when the element was taken, or the element itself when the queue is full.
    package func offer(_ element: consuming Element) -> Element? {
        var position = tail.value.load(ordering: .relaxed)
        while true {
            let turn = unsafe turns[position & mask].load(ordering: .acquiring)
            let lead = turn &- position
            if lead == 0 {
                let (exchanged, original) = tail.value.weakCompareExchange(
                    expected: position, desired: position &+ 1, ordering: .relaxed)
                if exchanged { break }
                position = original
            } else if lead < 0 {
                refused.value.wrappingAdd(1, ordering: .relaxed)
                return element
            } else {
                position = tail.value.load(ordering: .relaxed)
            }
        }
        unsafe (cells + (position & mask)).initialize(to: element)
        unsafe turns[position & mask].store(position &+ 1, ordering: .releasing)
        return nil
    }

    /// Any thread. False when the queue is full and the element was dropped.
    @discardableResult
    package func push(_ element: consuming Element) -> Bool {
        let refusal = offer(element)
        switch consume refusal {
        case .none: return true
        case .some: return false
        }
    }

    /// Consumer only. The oldest element, or nil when none is complete.
    package func pop() -> Element? {
        let position = head.value.load(ordering: .relaxed)
        guard unsafe turns[position & mask].load(ordering: .acquiring) == position &+ 1 else { return nil }
        let element = unsafe (cells + (position & mask)).move()
        unsafe turns[position & mask].store(position &+ capacity, ordering: .releasing)
        head.value.store(position &+ 1, ordering: .relaxed)
        return element
    }

    /// Elements refused because the queue was full.
    package var refusedCount: Int { refused.value.load(ordering: .relaxed) }
}
