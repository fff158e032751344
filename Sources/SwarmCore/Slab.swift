/// The handle of a slab's element: a slot and the generation it was filled in. A stale handle finds nothing.
@usableFromInline
package struct SlotID: Hashable, Sendable {
    @usableFromInline package let index: UInt32
    @usableFromInline package let generation: UInt32

    @inlinable
    package init(index: UInt32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }
}

/// What a slab knows of one slot. Not nested: a type within a generic one asks for its metadata at each access.
@usableFromInline
@safe package struct SlabSlot {
    /// Where the element lies; meaningless while the slot is free.
    @usableFromInline var element: UnsafeMutableRawPointer
    /// Odd while the slot is filled; one more at each filling and at each removal.
    @usableFromInline var generation: UInt32
    @usableFromInline var nextFree: UInt32

    @inlinable
    init(element: UnsafeMutableRawPointer, generation: UInt32, nextFree: UInt32) {
        unsafe self.element = element
        self.generation = generation
        self.nextFree = nextFree
    }
}

/// A bounded table of noncopyable values with generation-checked handles and a free list. Elements never move while
/// they live; removing one ends its life exactly once.
///
/// Memory is held for what lives, each element in a block of its own, and sixteen bytes for every slot ever used; never
/// for the capacity or the busiest hour: ten thousand simulated nodes may each have tables made for the largest swarm,
/// and after the minutes of joining, when links come and go, the blocks of one node serve others.
@safe @usableFromInline
package struct Slab<Element: ~Copyable>: ~Copyable {
    /// A bare table rather than an array, whose reference count would be changed at each access.
    @usableFromInline var slots: UnsafeMutablePointer<SlabSlot>
    @usableFromInline var slotCapacity = 1
    @usableFromInline var firstFree = UInt32.max
    /// Slots ever used are 0..<slotCount: the range to walk, in a stable order, with `id(at:)`.
    @usableFromInline package internal(set) var slotCount = 0
    /// The most elements the slab can hold.
    @usableFromInline package let capacity: Int
    @usableFromInline package internal(set) var count = 0

    @inlinable
    package init(capacity: Int) {
        precondition(capacity > 0 && capacity < Int(UInt32.max), "slab of \(capacity)")
        self.capacity = capacity
        unsafe slots = UnsafeMutablePointer<SlabSlot>.allocate(capacity: slotCapacity)
    }

    @inlinable
    deinit {
        for index in 0..<slotCount where unsafe slots[index].generation & 1 == 1 {
            unsafe element(index).deinitialize(count: 1)
            unsafe element(index).deallocate()
        }
        unsafe slots.deallocate()
    }

    @inlinable
    package var isFull: Bool { count == capacity }

    /// Moves `element` in, or drops it and returns nil when the slab is full.
    @inlinable
    package mutating func insert(_ element: consuming Element) -> SlotID? {
        guard count < capacity else { return nil }
        let block = UnsafeMutablePointer<Element>.allocate(capacity: 1)
        unsafe block.initialize(to: element)
        let index: Int
        if firstFree != .max {
            index = Int(firstFree)
            firstFree = unsafe slots[index].nextFree
            unsafe slots[index].element = UnsafeMutableRawPointer(block)
        } else {
            index = slotCount
            if slotCount == slotCapacity { growSlots() }
            unsafe (slots + index).initialize(
                to: SlabSlot(element: UnsafeMutableRawPointer(block), generation: 0, nextFree: .max))
            slotCount += 1
        }
        unsafe slots[index].generation &+= 1
        count += 1
        return SlotID(index: UInt32(index), generation: unsafe slots[index].generation)
    }

    @inlinable
    package func contains(_ id: SlotID) -> Bool {
        guard Int(id.index) < slotCount else { return false }
        let generation = unsafe slots[Int(id.index)].generation
        // An even generation is that of a free slot, whatever a handle made by hand says.
        return generation == id.generation && generation & 1 == 1
    }

    /// The handle of the element in slot `index`, or nil where the slot is free.
    @inlinable
    package func id(at index: Int) -> SlotID? {
        guard index < slotCount else { return nil }
        let generation = unsafe slots[index].generation
        return generation & 1 == 1 ? SlotID(index: UInt32(index), generation: generation) : nil
    }

    /// The element of a handle that `contains` accepts; a stale one traps.
    @inlinable
    package subscript(id: SlotID) -> Element {
        // Addressors rather than coroutines: those allocate a frame per access where they are not inlined.
        unsafeAddress {
            precondition(contains(id), "stale slab handle \(id.index).\(id.generation)")
            return unsafe UnsafePointer(element(Int(id.index)))
        }
        unsafeMutableAddress {
            precondition(contains(id), "stale slab handle \(id.index).\(id.generation)")
            return unsafe element(Int(id.index))
        }
    }

    /// Moves the element out, or returns nil for a stale handle.
    @inlinable
    package mutating func remove(_ id: SlotID) -> Element? {
        guard contains(id) else { return nil }
        let index = Int(id.index)
        unsafe slots[index].generation &+= 1
        unsafe slots[index].nextFree = firstFree
        firstFree = id.index
        count -= 1
        let block = unsafe element(index)
        defer { unsafe block.deallocate() }
        return unsafe block.move()
    }

    /// Bytes of the heap the slab holds, without what its elements hold.
    package var allocatedBytes: Int {
        slotCapacity * MemoryLayout<SlabSlot>.stride + count * MemoryLayout<Element>.stride
    }

    @inlinable
    mutating func growSlots() {
        let larger = UnsafeMutablePointer<SlabSlot>.allocate(capacity: min(2 * slotCapacity, capacity))
        unsafe larger.moveInitialize(from: slots, count: slotCount)
        unsafe slots.deallocate()
        unsafe slots = larger
        slotCapacity = min(2 * slotCapacity, capacity)
    }

    @inlinable
    func element(_ index: Int) -> UnsafeMutablePointer<Element> {
        unsafe slots[index].element.assumingMemoryBound(to: Element.self)
    }
}

extension Slab: @unchecked Sendable where Element: Sendable & ~Copyable {}  // One owner; the pointers never escape.
