import SwarmCore

/// A binary heap by time, then by order of arrival: what the flow fabric still has to do.
struct FlowQueue<Item> {
    private struct Entry {
        let due: MonotonicInstant
        let order: UInt64
        let item: Item

        func precedes(_ other: Entry) -> Bool { (due, order) < (other.due, other.order) }
    }

    private var entries: [Entry] = []
    private var order: UInt64 = 0

    var count: Int { entries.count }
    var nextDue: MonotonicInstant? { entries.first?.due }

    mutating func push(_ item: Item, at due: MonotonicInstant) {
        order += 1
        entries.append(Entry(due: due, order: order, item: item))
        var child = entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[child].precedes(entries[parent]) else { return }
            entries.swapAt(child, parent)
            child = parent
        }
    }

    /// The earliest item that is due by `now`.
    mutating func popDue(at now: MonotonicInstant) -> (due: MonotonicInstant, item: Item)? {
        guard let first = entries.first, first.due <= now else { return nil }
        let last = entries.removeLast()
        if !entries.isEmpty {
            entries[0] = last
            sink()
        }
        return (first.due, first.item)
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var earliest = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < entries.count {
                if entries[child].precedes(entries[earliest]) { earliest = child }
            }
            guard earliest != parent else { return }
            entries.swapAt(parent, earliest)
            parent = earliest
        }
    }
}

/// Values under stable numbers; a number is used again under another generation.
struct FlowTable<Value> {
    /// A place and the generation of its tenant: stale ones find nothing.
    struct Reference: Hashable {
        let index: Int
        let generation: UInt32
    }

    private var values: [Value?] = []
    private var generations: [UInt32] = []
    private var free: [Int] = []

    mutating func insert(_ value: Value) -> Reference {
        if let index = free.popLast() {
            values[index] = value
            return Reference(index: index, generation: generations[index])
        }
        values.append(value)
        generations.append(0)
        return Reference(index: values.count - 1, generation: 0)
    }

    mutating func remove(_ reference: Reference) {
        guard contains(reference) else { return }
        values[reference.index] = nil
        generations[reference.index] &+= 1
        free.append(reference.index)
    }

    func contains(_ reference: Reference) -> Bool {
        generations[reference.index] == reference.generation && values[reference.index] != nil
    }

    subscript(reference: Reference) -> Value {
        get {
            guard contains(reference), let value = values[reference.index] else {
                preconditionFailure("nothing under \(reference)")
            }
            return value
        }
        _modify {
            guard contains(reference), var value = values[reference.index] else {
                preconditionFailure("nothing under \(reference)")
            }
            values[reference.index] = nil
            defer { values[reference.index] = value }
            yield &value
        }
    }
}
