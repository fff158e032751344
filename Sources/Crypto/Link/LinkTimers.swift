import SwarmCore

/// One deadline for each relation that has one: a binary heap that knows where each relation's entry stands, so that an
/// idle link costs one entry and nothing stale is left behind. Relations are named by their slot's index.
struct LinkTimers: Sendable {
    private struct Entry {
        var deadline: MonotonicInstant
        var index: UInt32
    }

    private static var absent: UInt32 { .max }
    private var heap: [Entry] = []
    /// Where in the heap each index stands.
    private var positions: [UInt32] = []

    /// The earliest deadline and whose it is.
    var first: (deadline: MonotonicInstant, index: Int)? {
        guard let entry = heap.first else { return nil }
        return (entry.deadline, Int(entry.index))
    }

    func isSet(_ index: Int) -> Bool { index < positions.count && positions[index] != Self.absent }

    /// Sees to it that `index` comes up no later than `deadline`. An earlier entry stays: when it comes up, its owner
    /// looks again, which is cheaper than to move it at every packet.
    mutating func set(_ index: Int, noLaterThan deadline: MonotonicInstant) {
        while positions.count <= index { positions.append(Self.absent) }
        if positions[index] == Self.absent {
            positions[index] = UInt32(heap.count)
            heap.append(Entry(deadline: deadline, index: UInt32(index)))
        } else {
            guard deadline < heap[Int(positions[index])].deadline else { return }
            heap[Int(positions[index])].deadline = deadline
        }
        siftUp(Int(positions[index]))
    }

    mutating func remove(_ index: Int) {
        guard isSet(index) else { return }
        let position = Int(positions[index])
        positions[index] = Self.absent
        let last = heap.removeLast()
        guard position < heap.count else { return }
        put(last, at: position)
        siftUp(position)
        siftDown(Int(positions[Int(last.index)]))
    }

    /// Bytes of the heap the timers hold.
    var allocatedBytes: Int {
        heap.capacity * MemoryLayout<Entry>.stride + positions.capacity * MemoryLayout<UInt32>.stride
    }

    private mutating func put(_ entry: Entry, at position: Int) {
        heap[position] = entry
        positions[Int(entry.index)] = UInt32(position)
    }

    private mutating func siftUp(_ start: Int) {
        var child = start
        let entry = heap[child]
        while child > 0 {
            let parent = (child - 1) / 2
            guard entry.deadline < heap[parent].deadline else { break }
            put(heap[parent], at: child)
            child = parent
        }
        put(entry, at: child)
    }

    private mutating func siftDown(_ start: Int) {
        var parent = start
        let entry = heap[parent]
        while true {
            var child = 2 * parent + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, heap[child + 1].deadline < heap[child].deadline { child += 1 }
            guard heap[child].deadline < entry.deadline else { break }
            put(heap[child], at: parent)
            parent = child
        }
        put(entry, at: parent)
    }
}
