import SwarmCore

/// Finds the slots of a table by hash: chains through arrays beside the slots, twelve to sixteen bytes a slot where a
/// `Dictionary` from key to slot would hold the key a second time.
struct HashChains: Sendable {
    private var heads: [Int32] = []
    private var next: [Int32] = []
    private var hashes: [UInt32] = []
    private var count = 0

    /// The first slot of this hash; whoever asks compares the keys.
    func first(_ hash: UInt32) -> Int? {
        guard !heads.isEmpty else { return nil }
        return matching(heads[Int(hash) & (heads.count - 1)], hash)
    }

    /// The next slot of the same hash.
    func following(_ slot: Int) -> Int? { matching(next[slot], hashes[slot]) }

    mutating func insert(_ slot: Int, hash: UInt32) {
        if count >= heads.count { grow() }
        while next.count <= slot {
            next.appendFrugally(-1)
            hashes.appendFrugally(0)
        }
        hashes[slot] = hash
        link(slot)
        count += 1
    }

    mutating func remove(_ slot: Int) {
        let bucket = Int(hashes[slot]) & (heads.count - 1)
        if heads[bucket] == Int32(slot) {
            heads[bucket] = next[slot]
        } else {
            var index = Int(heads[bucket])
            while next[index] != Int32(slot) { index = Int(next[index]) }
            next[index] = next[slot]
        }
        next[slot] = -1
        count -= 1
    }

    var memoryBytes: Int { (heads.capacity + next.capacity + hashes.capacity) * 4 }

    private func matching(_ start: Int32, _ hash: UInt32) -> Int? {
        var index = Int(start)
        while index >= 0 {
            if hashes[index] == hash { return index }
            index = Int(next[index])
        }
        return nil
    }

    private mutating func link(_ slot: Int) {
        let bucket = Int(hashes[slot]) & (heads.count - 1)
        next[slot] = heads[bucket]
        heads[bucket] = Int32(slot)
    }

    private mutating func grow() {
        var present: [Int] = []
        for head in heads {
            var index = Int(head)
            while index >= 0 {
                present.append(index)
                index = Int(next[index])
            }
        }
        heads = [Int32](repeating: -1, count: max(16, heads.count * 2))
        for slot in present { link(slot) }
    }
}

/// The deadlines of a table's slots: a binary heap in which every slot knows its place, so that setting, moving and
/// removing one costs log n and reading the earliest costs nothing. Equal instants come in the order of their slots.
struct DeadlineHeap: Sendable {
    private struct Item: Sendable {
        var instant: MonotonicInstant
        var slot: Int32

        static func < (a: Item, b: Item) -> Bool { a.instant == b.instant ? a.slot < b.slot : a.instant < b.instant }
    }

    private var items: [Item] = []
    /// Of each slot, where it is in `items`; -1 where it has no deadline.
    private var positions: [Int32] = []

    var earliest: MonotonicInstant? { items.first?.instant }
    /// All slots with a deadline, in no useful order.
    var slots: [Int] { items.map { Int($0.slot) } }
    var earliestSlot: Int? { items.first.map { Int($0.slot) } }

    func instant(of slot: Int) -> MonotonicInstant? {
        guard slot < positions.count, positions[slot] >= 0 else { return nil }
        return items[Int(positions[slot])].instant
    }

    mutating func set(_ slot: Int, _ instant: MonotonicInstant) {
        while positions.count <= slot { positions.appendFrugally(-1) }
        let position = Int(positions[slot])
        guard position >= 0 else {
            positions[slot] = Int32(items.count)
            items.appendFrugally(Item(instant: instant, slot: Int32(slot)))
            siftUp(items.count - 1)
            return
        }
        let isEarlier = instant < items[position].instant
        items[position].instant = instant
        if isEarlier { siftUp(position) } else { siftDown(position) }
    }

    mutating func remove(_ slot: Int) {
        guard slot < positions.count, positions[slot] >= 0 else { return }
        let position = Int(positions[slot])
        positions[slot] = -1
        let last = items.removeLast()
        guard position < items.count else { return }
        items[position] = last
        positions[Int(last.slot)] = Int32(position)
        siftUp(position)
        siftDown(Int(positions[Int(last.slot)]))
    }

    /// Takes out the earliest slot that is due.
    mutating func popDue(_ now: MonotonicInstant) -> Int? {
        guard let first = items.first, first.instant <= now else { return nil }
        remove(Int(first.slot))
        return Int(first.slot)
    }

    var memoryBytes: Int { items.capacity * MemoryLayout<Item>.stride + positions.capacity * 4 }

    private mutating func exchange(_ a: Int, _ b: Int) {
        items.swapAt(a, b)
        positions[Int(items[a].slot)] = Int32(a)
        positions[Int(items[b].slot)] = Int32(b)
    }

    private mutating func siftUp(_ start: Int) {
        var index = start
        while index > 0, items[index] < items[(index - 1) / 2] {
            exchange(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private mutating func siftDown(_ start: Int) {
        var index = start
        while true {
            var smallest = index
            for child in [2 * index + 1, 2 * index + 2] where child < items.count && items[child] < items[smallest] {
                smallest = child
            }
            guard smallest != index else { return }
            exchange(index, smallest)
            index = smallest
        }
    }
}

/// Slots with a list of the free ones.
struct SlotTable<Value: Sendable>: Sendable {
    private var values: [Value] = []
    private var free: [Int32] = []

    var count: Int { values.count - free.count }

    subscript(slot: Int) -> Value {
        get { values[slot] }
        _modify { yield &values[slot] }
    }

    mutating func insert(_ value: Value) -> Int {
        if let slot = free.popLast() {
            values[Int(slot)] = value
            return Int(slot)
        }
        values.appendFrugally(value)
        return values.count - 1
    }

    /// Gives the slot back; `blank` frees what the value owned.
    mutating func remove(_ slot: Int, leaving blank: Value) {
        values[slot] = blank
        free.append(Int32(slot))
    }

    var memoryBytes: Int { values.capacity * MemoryLayout<Value>.stride + free.capacity * 4 }
}

extension Array {
    /// Appends, growing by an eighth rather than to the double: tables of tens of thousands of small values, of which
    /// half would stand empty.
    mutating func appendFrugally(_ element: Element) {
        if count == capacity { reserveCapacity(count + Swift.max(8, count / 8)) }
        append(element)
    }
}

extension Bytes32 {
    /// For `HashChains`. Seeded by the process, so that nobody outside can choose values that collide.
    var chainHash: UInt32 {
        var hasher = Hasher()
        hasher.combine(word0)
        hasher.combine(word1)
        hasher.combine(word2)
        hasher.combine(word3)
        return UInt32(truncatingIfNeeded: hasher.finalize())
    }
}
