import SwarmCore

/// What an `IDTable` holds.
package protocol Identified: Sendable {
    var id: NodeID { get }
}

/// Values sorted by node id.
///
/// The first words of the ids lie in an array of their own. Ids are hashes, so a first guess by interpolation lands
/// within a cache line or two of the place; from there the search doubles its steps, which keeps ids that somebody
/// chose at log n.
package struct IDTable<Element: Identified>: Sendable {
    /// First word of each id, ascending.
    package private(set) var prefixes: [UInt64] = []
    package private(set) var elements: [Element] = []

    package init() {}

    package var count: Int { elements.count }
    var isEmpty: Bool { elements.isEmpty }

    package subscript(index: Int) -> Element { elements[index] }

    package func index(of id: NodeID) -> Int? {
        let place = insertionIndex(of: id)
        guard place < prefixes.count, prefixes[place] == id.bytes.word0, elements[place].id == id else { return nil }
        return place
    }

    /// Index of the first element whose id is not below `id`.
    func insertionIndex(of id: NodeID) -> Int {
        var place = firstIndex(notBelow: id.bytes.word0)
        while place < prefixes.count, prefixes[place] == id.bytes.word0, elements[place].id < id { place += 1 }
        return place
    }

    /// Index of the first element whose id begins with `prefix` or something larger.
    func firstIndex(notBelow prefix: UInt64) -> Int {
        guard let first = prefixes.first, let last = prefixes.last, first < prefix else { return 0 }
        guard prefix <= last else { return prefixes.count }
        // From here on: prefixes[low] < prefix <= prefixes[high].
        var low = 0
        var high = prefixes.count - 1
        let share = Double(prefix - first) / Double(last - first)
        let guess = min(max(Int(share * Double(high)), 1), high)
        var step = 4
        if prefixes[guess] < prefix {
            low = guess
            while low + step < high, prefixes[low + step] < prefix {
                low += step
                step *= 2
            }
            high = min(high, low + step)
        } else {
            high = guess
            while high - step > low, prefixes[high - step] >= prefix {
                high -= step
                step *= 2
            }
            low = max(low, high - step)
        }
        while high - low > 1 {
            let middle = (low + high) / 2
            if prefixes[middle] < prefix { low = middle } else { high = middle }
        }
        return high
    }

    /// The elements whose ids share their first `bits` bits with `id`.
    func range(ofPrefix id: NodeID, bits: Int) -> Range<Int> {
        guard bits > 0 else { return 0..<count }
        let low = id.bytes.word0 & ~(UInt64.max >> UInt64(bits))
        let (next, overflow) = low.addingReportingOverflow(1 << UInt64(64 - bits))
        return firstIndex(notBelow: low)..<(overflow ? count : firstIndex(notBelow: next))
    }

    /// Inserts an element whose id is not in the table yet.
    package mutating func insert(_ element: Element) {
        let place = insertionIndex(of: element.id)
        if elements.count == elements.capacity {
            // An eighth of slack: ten thousand simulated nodes cannot afford the usual doubling.
            let wanted = elements.count + max(8, elements.count / 8)
            prefixes.reserveCapacity(wanted)
            elements.reserveCapacity(wanted)
        }
        prefixes.insert(element.id.bytes.word0, at: place)
        elements.insert(element, at: place)
    }

    package mutating func remove(at index: Int) {
        prefixes.remove(at: index)
        elements.remove(at: index)
        if elements.isEmpty { self = IDTable() }
    }

    /// Keeps the elements in `range` only, in storage of their size.
    mutating func keep(_ range: Range<Int>) {
        prefixes = Array(prefixes[range])
        elements = Array(elements[range])
    }

    /// Changes an element; its id must stay.
    mutating func update<Result>(at index: Int, _ change: (inout Element) -> Result) -> Result {
        change(&elements[index])
    }
}
