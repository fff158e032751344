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

/// What a slab knows of one slot; it stands in the chunk before the elements. Not nested: a type within a generic one
/// asks for its metadata at each access.
@usableFromInline
package struct SlabSlot {
    /// Odd while the slot is filled; one more at each filling and at each removal.
    @usableFromInline var generation: UInt32
    @usableFromInline var nextFree: UInt32

    @inlinable
    init(generation: UInt32, nextFree: UInt32) {
        self.generation = generation
        self.nextFree = nextFree
    }
}

/// A bounded table of noncopyable values with generation-checked handles and a free list. Elements never move while
/// they live; removing one ends its life exactly once.
///
/// Memory comes in chunks as slots are first filled, never for the capacity: an empty slab holds none, and ten thousand
/// simulated nodes may each have tables made for the largest swarm.
@safe @usableFromInline
package struct Slab<Element: ~Copyable>: ~Copyable {
    /// The chunks, each: `SlabSlot` for every element, then the elements. A bare table rather than an array, whose
    /// reference count would be changed at each access.
    @usableFromInline var chunks: UnsafeMutablePointer<UnsafeMutableRawPointer>
    @usableFromInline var chunkCount = 0
    @usableFromInline var chunkCapacity = 0
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
        unsafe chunks = UnsafeMutablePointer<UnsafeMutableRawPointer>.allocate(capacity: 1)
        chunkCapacity = 1
    }

    @inlinable
    deinit {
        for index in 0..<slotCount where unsafe slot(index).pointee.generation & 1 == 1 {
            unsafe element(index).deinitialize(count: 1)
        }
        for position in 0..<chunkCount { unsafe chunks[position].deallocate() }
        unsafe chunks.deallocate()
    }

    @inlinable
    package var isFull: Bool { count == capacity }

    /// Moves `element` in, or drops it and returns nil when the slab is full.
    @inlinable
    package mutating func insert(_ element: consuming Element) -> SlotID? {
        guard count < capacity else { return nil }
        let index: Int
        if firstFree != .max {
            index = Int(firstFree)
            firstFree = unsafe slot(index).pointee.nextFree
        } else {
            index = slotCount
            if index >> Self.chunkShift == chunkCount { addChunk() }
            unsafe slot(index).initialize(to: SlabSlot(generation: 0, nextFree: .max))
            slotCount += 1
        }
        unsafe slot(index).pointee.generation &+= 1
        unsafe self.element(index).initialize(to: element)
        count += 1
        return SlotID(index: UInt32(index), generation: unsafe slot(index).pointee.generation)
    }

    @inlinable
    package func contains(_ id: SlotID) -> Bool {
        guard Int(id.index) < slotCount else { return false }
        let generation = unsafe slot(Int(id.index)).pointee.generation
        // An even generation is that of a free slot, whatever a handle made by hand says.
        return generation == id.generation && generation & 1 == 1
    }

    /// The handle of the element in slot `index`, or nil where the slot is free.
    @inlinable
    package func id(at index: Int) -> SlotID? {
        guard index < slotCount else { return nil }
        let generation = unsafe slot(index).pointee.generation
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
        unsafe slot(index).pointee.generation &+= 1
        unsafe slot(index).pointee.nextFree = firstFree
        firstFree = id.index
        count -= 1
        return unsafe element(index).move()
    }

    /// Bytes of the heap the slab holds, without what its elements hold.
    package var allocatedBytes: Int {
        let elements = min(chunkCount << Self.chunkShift, capacity) * MemoryLayout<Element>.stride
        return elements + chunkCount * (Self.elementOffset + MemoryLayout<UInt>.stride)
    }

    // MARK: Chunks

    /// Elements of a chunk, as a power of two: about 4 KiB of them, at least 2 and at most 64. Half a chunk, which is
    /// what a table wastes on average, is then little beside a node's other tables.
    @inlinable
    static var chunkShift: Int {
        let fitting = 4096 / max(MemoryLayout<Element>.stride, 1)
        return fitting >= 64 ? 6 : fitting >= 32 ? 5 : fitting >= 16 ? 4 : fitting >= 8 ? 3 : fitting >= 4 ? 2 : 1
    }

    /// Where a chunk's elements begin.
    @inlinable
    static var elementOffset: Int {
        let alignment = MemoryLayout<Element>.alignment
        let slotBytes = MemoryLayout<SlabSlot>.stride << chunkShift
        return (slotBytes + alignment - 1) / alignment * alignment
    }

    @inlinable
    mutating func addChunk() {
        if chunkCount == chunkCapacity {
            let larger = UnsafeMutablePointer<UnsafeMutableRawPointer>.allocate(capacity: 2 * chunkCapacity)
            unsafe larger.moveInitialize(from: chunks, count: chunkCount)
            unsafe chunks.deallocate()
            unsafe chunks = larger
            chunkCapacity *= 2
        }
        // The last chunk of a small slab is only as long as the capacity asks.
        let elements = min(1 << Self.chunkShift, capacity - chunkCount << Self.chunkShift)
        let bytes = Self.elementOffset + elements * MemoryLayout<Element>.stride
        let alignment = max(MemoryLayout<Element>.alignment, MemoryLayout<SlabSlot>.alignment)
        unsafe (chunks + chunkCount).initialize(
            to: UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: alignment))
        chunkCount += 1
    }

    @inlinable
    func slot(_ index: Int) -> UnsafeMutablePointer<SlabSlot> {
        let chunk = unsafe chunks[index >> Self.chunkShift]
        let position = index & (1 << Self.chunkShift - 1)
        return unsafe (chunk + position * MemoryLayout<SlabSlot>.stride).assumingMemoryBound(to: SlabSlot.self)
    }

    @inlinable
    func element(_ index: Int) -> UnsafeMutablePointer<Element> {
        let chunk = unsafe chunks[index >> Self.chunkShift]
        let position = index & (1 << Self.chunkShift - 1)
        let offset = Self.elementOffset + position * MemoryLayout<Element>.stride
        return unsafe (chunk + offset).assumingMemoryBound(to: Element.self)
    }
}

extension Slab: @unchecked Sendable where Element: Sendable & ~Copyable {}  // One owner; the pointers never escape.
