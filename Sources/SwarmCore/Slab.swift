/// The handle of a slab's element: a slot and the generation it was filled in. A stale handle finds nothing.
package struct SlotID: Hashable, Sendable {
    package let index: UInt32
    package let generation: UInt32

    package init(index: UInt32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }
}

/// What a slab knows of one slot. Not nested: a type within a generic one asks for its metadata at each access.
private struct SlabSlot {
    var generation: UInt32
    var nextFree: UInt32
    var isOccupied: Bool
}

/// A bounded table of noncopyable values with generation-checked handles and a free list. Elements never move while
/// they live; removing one ends its life exactly once.
@safe package struct Slab<Element: ~Copyable>: ~Copyable {
    private let elements: UnsafeMutablePointer<Element>
    private var slots: [SlabSlot] = []
    private var firstFree = UInt32.max
    /// The most elements the slab can hold.
    package let capacity: Int
    package private(set) var count = 0

    /// Reserves address space for `capacity` elements; pages are touched as slots fill.
    package init(capacity: Int) {
        precondition(capacity > 0 && capacity < Int(UInt32.max), "slab of \(capacity)")
        unsafe elements = UnsafeMutablePointer<Element>.allocate(capacity: capacity)
        self.capacity = capacity
    }

    deinit {
        for index in slots.indices where slots[index].isOccupied { unsafe (elements + index).deinitialize(count: 1) }
        unsafe elements.deallocate()
    }

    package var isFull: Bool { count == capacity }
    /// Slots ever used are 0..<slotCount: the range to walk, in a stable order, with `id(at:)`.
    package var slotCount: Int { slots.count }

    /// Moves `element` in, or drops it and returns nil when the slab is full.
    package mutating func insert(_ element: consuming Element) -> SlotID? {
        guard count < capacity else { return nil }
        let index: UInt32
        if firstFree != .max {
            index = firstFree
            firstFree = slots[Int(index)].nextFree
        } else {
            index = UInt32(slots.count)
            slots.append(SlabSlot(generation: 0, nextFree: .max, isOccupied: false))
        }
        slots[Int(index)].generation &+= 1
        slots[Int(index)].isOccupied = true
        unsafe (elements + Int(index)).initialize(to: element)
        count += 1
        return SlotID(index: index, generation: slots[Int(index)].generation)
    }

    package func contains(_ id: SlotID) -> Bool {
        Int(id.index) < slots.count && slots[Int(id.index)].isOccupied
            && slots[Int(id.index)].generation == id.generation
    }

    /// The handle of the element in slot `index`, or nil where the slot is free.
    package func id(at index: Int) -> SlotID? {
        guard index < slots.count, slots[index].isOccupied else { return nil }
        return SlotID(index: UInt32(index), generation: slots[index].generation)
    }

    /// The element of a handle that `contains` accepts; a stale one traps.
    package subscript(id: SlotID) -> Element {
        // Addressors rather than coroutines: those allocate a frame per access where they are not inlined.
        unsafeAddress {
            precondition(contains(id), "stale slab handle \(id.index).\(id.generation)")
            return unsafe UnsafePointer(elements + Int(id.index))
        }
        unsafeMutableAddress {
            precondition(contains(id), "stale slab handle \(id.index).\(id.generation)")
            return unsafe elements + Int(id.index)
        }
    }

    /// Moves the element out, or returns nil for a stale handle.
    package mutating func remove(_ id: SlotID) -> Element? {
        guard contains(id) else { return nil }
        let index = Int(id.index)
        slots[index].isOccupied = false
        slots[index].nextFree = firstFree
        firstFree = id.index
        count -= 1
        return unsafe (elements + index).move()
    }
}

extension Slab: @unchecked Sendable where Element: Sendable & ~Copyable {}  // One owner; the pointer never escapes.
