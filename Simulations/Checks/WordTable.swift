/// A map from 64-bit words to small values with open addressing: what checkers ask at every datagram. Never walked in
/// an order that matters, and bounded: a full table forgets the older half of its entries.
struct WordTable<Value> {
    private struct Cell {
        var key: UInt64
        /// The turn in which the entry was last set; 0 marks a free cell.
        var turn: UInt32
        var value: Value
    }

    private var cells: [Cell]
    private let empty: Value
    private let limit: Int
    private var turn: UInt32 = 1
    private(set) var count = 0
    /// Whether the table has ever been full, so that what it does not have may have been there.
    private(set) var hasForgotten = false

    /// At most `limit` entries; `empty` fills free cells.
    init(limit: Int, empty: Value) {
        self.limit = limit
        self.empty = empty
        cells = Array(repeating: Cell(key: 0, turn: 0, value: empty), count: 64)
    }

    subscript(key: UInt64) -> Value? {
        get {
            let index = place(of: key)
            return cells[index].turn == 0 ? nil : cells[index].value
        }
        set {
            guard let newValue else { return remove(key) }
            var index = place(of: key)
            if cells[index].turn == 0 {
                makeRoom()
                index = place(of: key)
                count += 1
            }
            cells[index] = Cell(key: key, turn: turn, value: newValue)
        }
    }

    private func home(of key: UInt64) -> Int {
        var mixed = key &* 0x9e37_79b9_7f4a_7c15
        mixed ^= mixed >> 32
        return Int(truncatingIfNeeded: mixed) & (cells.count - 1)
    }

    /// Where `key` is, or the free cell where it belongs.
    private func place(of key: UInt64) -> Int {
        var index = home(of: key)
        while cells[index].turn != 0, cells[index].key != key { index = (index + 1) & (cells.count - 1) }
        return index
    }

    private mutating func remove(_ key: UInt64) {
        var hole = place(of: key)
        guard cells[hole].turn != 0 else { return }
        count -= 1
        // Whoever was pushed past the hole moves back, so that probing still finds it.
        var index = hole
        while true {
            index = (index + 1) & (cells.count - 1)
            guard cells[index].turn != 0 else { break }
            let wanted = home(of: cells[index].key)
            let isBetween = hole <= index ? hole < wanted && wanted <= index : hole < wanted || wanted <= index
            if isBetween { continue }
            cells[hole] = cells[index]
            hole = index
        }
        cells[hole] = Cell(key: 0, turn: 0, value: empty)
    }

    private mutating func makeRoom() {
        guard count + 1 > cells.count / 2 else { return }
        let old = cells
        if count < limit {
            cells = Array(repeating: Cell(key: 0, turn: 0, value: empty), count: old.count * 2)
            for cell in old where cell.turn != 0 { cells[place(of: cell.key)] = cell }
        } else {
            // What was not set since the table was last full is old.
            hasForgotten = true
            cells = Array(repeating: Cell(key: 0, turn: 0, value: empty), count: old.count)
            count = 0
            for cell in old where cell.turn == turn && count < limit / 2 {
                cells[place(of: cell.key)] = cell
                count += 1
            }
            turn += 1
        }
    }
}
