import SwarmCore
import Testing

private final class Token {
    let onEnd: () -> Void
    init(_ onEnd: @escaping () -> Void) { self.onEnd = onEnd }
    deinit { onEnd() }
}

private struct Element: ~Copyable {
    var value: Int
    let token: Token?
}

extension Array {
    /// Removes the element at `index`; the last one takes its place.
    fileprivate mutating func swapRemove(at index: Int) -> Element {
        swapAt(index, count - 1)
        return removeLast()
    }
}

private func removeValue(_ id: SlotID, from slab: inout Slab<Element>) -> Int? {
    guard let element = slab.remove(id) else { return nil }
    return element.value
}

@Suite struct ContainerTests {
    @Test func staleHandlesFindNothing() throws {
        var slab = Slab<Element>(capacity: 2)
        let inserted = slab.insert(Element(value: 1, token: nil))
        let first = try #require(inserted)
        _ = slab.insert(Element(value: 2, token: nil))
        let refused = slab.insert(Element(value: 3, token: nil))
        #expect(refused == nil, "the slab is full")
        slab[first].value = 7
        let removed = removeValue(first, from: &slab)
        #expect(removed == 7)
        let removedAgain = removeValue(first, from: &slab) == nil
        let stillThere = slab.contains(first)
        #expect(removedAgain && !stillThere)
        let again = slab.insert(Element(value: 4, token: nil))
        let second = try #require(again)
        #expect(second.index == first.index && second.generation != first.generation)
        let value = slab[second].value
        let (found, beyond) = (slab.id(at: Int(second.index)), slab.id(at: 9))
        #expect(value == 4 && found == second && beyond == nil)
    }

    @Test func everyElementEndsOnce() {
        var ends = 0
        do {
            var slab = Slab<Element>(capacity: 8)
            for value in 0..<8 { _ = slab.insert(Element(value: value, token: Token { ends += 1 })) }
            if let id = slab.id(at: 3) { _ = slab.remove(id) }
            #expect(ends == 1)
        }
        #expect(ends == 8)
    }

    /// Chunks of several sizes, the last one cut short by the capacity; a random life against a dictionary of values.
    @Test(arguments: [1, 2, 63, 64, 65, 300, 1000])
    func aSlabBehavesLikeADictionary(capacity: Int) {
        var slab = Slab<Element>(capacity: capacity)
        var model: [SlotID: Int] = [:]
        var ids: [SlotID] = []
        var generator = SeededGenerator(seed: UInt64(capacity))
        for step in 0..<6 * capacity {
            if generator.integer(below: 5) < 3 || ids.isEmpty {
                let isFull = slab.isFull
                let id = slab.insert(Element(value: step, token: nil))
                #expect((id == nil) == isFull && isFull == (model.count == capacity))
                guard let id else { continue }
                #expect(model[id] == nil, "a handle is never given twice")
                model[id] = step
                ids.append(id)
            } else {
                let id = ids.swapRemove(at: generator.integer(below: ids.count))
                let removed = removeValue(id, from: &slab)
                #expect(removed == model[id])
                model[id] = nil
                let isThere = slab.contains(id)
                #expect(!isThere)
            }
            let count = slab.count
            #expect(count == model.count)
        }
        var walked = 0
        for index in 0..<slab.slotCount {
            guard let id = slab.id(at: index) else { continue }
            let value = slab[id].value
            #expect(value == model[id])
            walked += 1
        }
        #expect(walked == model.count)
    }

    @Test func handlesMadeByHandFindNoFreeSlot() throws {
        var slab = Slab<Element>(capacity: 4)
        let empty = slab.contains(SlotID(index: 0, generation: 0))
        let inserted = slab.insert(Element(value: 1, token: nil))
        let id = try #require(inserted)
        _ = removeValue(id, from: &slab)
        for generation in 0..<5 as Range<UInt32> {
            let found = slab.contains(SlotID(index: id.index, generation: generation))
            #expect(!found && !empty)
        }
    }

    @Test func elementsStayWhereTheyAre() throws {
        var slab = Slab<Int>(capacity: 100_000)
        let inserted = slab.insert(-1)
        let first = try #require(inserted)
        let before = unsafe withUnsafePointer(to: &slab[first]) { UInt(bitPattern: $0) }
        for value in 0..<90_000 { _ = slab.insert(value) }
        let after = unsafe withUnsafePointer(to: &slab[first]) { UInt(bitPattern: $0) }
        #expect(before == after)
    }

    @Test func anOutboxGrowsWithoutLosingWhatItHolds() {
        var outbox = Outbox(byteCapacity: 100_000, datagramCapacity: 200)
        for number in 0..<90 {
            let bytes = [UInt8](repeating: UInt8(number), count: 1000 + number)
            let isKept = outbox.append(to: .loopback(port: UInt16(number)), copying: bytes.span)
            #expect(isKept)
        }
        for number in 0..<90 {
            let (bytes, destination) = (outbox.bytes(of: number).copied(), outbox.destination(of: number))
            #expect(bytes == [UInt8](repeating: UInt8(number), count: 1000 + number))
            #expect(destination.port == UInt16(number))
        }
        let (dropped, free) = (outbox.dropped, outbox.freeBytes)
        #expect(dropped == 0 && free == 100_000 - 90 * 1000 - 89 * 90 / 2)
    }

    @Test func aMessageOutboxGrowsAndShrinksWithoutLosingWhatItHolds() {
        var outbox = MessageOutbox(byteCapacity: 10_000, messageCapacity: 20)
        let contact = Contact(id: NodeID(.zero), key: PublicKey(.zero), addresses: AddressList())
        // The reserve of 1,152 bytes no longer fits after eight messages of 1,112: the bound is on bytes, not on memory.
        for round in 0..<3 {
            for number in 0..<12 {
                let isKept = outbox.append(to: contact, isIdempotent: number & 1 == 0) { writer in
                    writer.append(repeating: UInt8(number + round), count: 1112)
                }
                #expect(isKept == (number < 8), "\(number)")
            }
            let (count, dropped) = (outbox.count, outbox.dropped)
            #expect(count == 8 && dropped == UInt64(4 * (round + 1)))
            for number in 0..<8 {
                let (bytes, entry) = (outbox.bytes(of: number).copied(), outbox.entry(number))
                #expect(bytes == [UInt8](repeating: UInt8(number + round), count: 1112))
                #expect(entry.isIdempotent == (number & 1 == 0))
            }
            outbox.removeAll()
            let isEmpty = outbox.isEmpty
            #expect(isEmpty)
        }
    }

    @Test func aFullOutboxDropsAndCounts() {
        var outbox = Outbox(byteCapacity: 10, datagramCapacity: 2)
        let bytes: [UInt8] = [1, 2, 3, 4]
        let address = NetworkAddress.loopback(port: 1)
        let first = outbox.append(to: address, copying: bytes.span)
        let tooLong = outbox.append(to: address, capacity: 2) { $0.append(UInt32(5)) }
        var (dropped, oversized, count) = (outbox.dropped, outbox.oversized, outbox.count)
        #expect(first && !tooLong && dropped == 0 && oversized == 1 && count == 1)
        let second = outbox.append(to: address, capacity: 6) { $0.append(UInt16(0x0506)) }
        let third = outbox.append(to: address, copying: bytes.span)
        (dropped, oversized, count) = (outbox.dropped, outbox.oversized, outbox.count)
        #expect(second && !third && dropped == 1 && count == 2)
        let (written, destination) = (outbox.bytes(of: 1).copied(), outbox.destination(of: 0))
        #expect(written == [5, 6] && destination == address)
        outbox.removeAll()
        let (isEmpty, freeBytes) = (outbox.isEmpty, outbox.freeBytes)
        #expect(isEmpty && freeBytes == 10)
    }

    @Test func eventsLeaveInOrder() {
        var events = EventBuffer<Int>()
        for value in 0..<100 { events.append(value) }
        var seen: [Int] = []
        while let event = events.popFirst() { seen.append(event) }
        let isEmpty = events.isEmpty
        #expect(seen == Array(0..<100) && isEmpty)
    }

    @Test func generatorsRepeatAndSplit() {
        var a = SeededGenerator(seed: 7)
        var b = SeededGenerator(seed: 7)
        for _ in 0..<50 {
            let (x, y) = (a.next(), b.next())
            #expect(x == y)
        }
        let root = SeededGenerator(seed: 1)
        var left = root.child(1)
        var right = root.child(2)
        let (x, y) = (left.next(), right.next())
        #expect(x != y)
        var sum = 0.0
        for _ in 0..<10_000 { sum += a.unitInterval() }
        #expect(abs(sum / 10_000 - 0.5) < 0.02)
    }

    /// The reference output of xoshiro256** seeded with SplitMix64(0), from the authors' C code.
    @Test func generatorMatchesTheReference() {
        var generator = SeededGenerator(seed: 0)
        let (first, second) = (generator.next(), generator.next())
        #expect(first == 0x99ec_5f36_cb75_f2b4 && second == 0xbf6e_1f78_4956_452a)
    }

    @Test func instantsSaturate() {
        #expect(MonotonicInstant.zero - .seconds(1) == .zero)
        #expect(MonotonicInstant.distantFuture + .seconds(1) == .distantFuture)
        #expect((MonotonicInstant(nanoseconds: 5) - MonotonicInstant(nanoseconds: 9)).nanoseconds == -4)
        #expect(Deadline.earlier(nil, .zero) == .zero && Deadline.earlier(.distantFuture, .zero) == .zero)
    }
}
