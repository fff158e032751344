import SwarmCore

/// From hashes to slots of a slab: open addressing with linear probing (Knuth, TAOCP 3, §6.4, algorithms L and R), eight
/// bytes a cell, at most three quarters full. It holds neither keys nor elements: the caller looks whether the slot it is
/// led to is the one it means.
///
/// Hashes of what strangers choose must be salted (`LinkSalt`). Order of cells decides nothing but the time of a search.
struct SlotIndex: Sendable {
    private struct Cell {
        var hash: UInt32
        /// `vacant`, or a slot's index.
        var slot: UInt32
    }

    /// Where a search stands.
    struct Cursor {
        fileprivate let hash: UInt32
        fileprivate var position: Int
    }

    private static var vacant: UInt32 { .max }
    private var cells: [Cell] = []
    private(set) var count = 0

    func cursor(_ hash: UInt32) -> Cursor { Cursor(hash: hash, position: Int(hash) & (cells.count - 1)) }

    /// The next slot entered under the cursor's hash, or nil when there is no more.
    func next(_ cursor: inout Cursor) -> Int? {
        guard !cells.isEmpty else { return nil }
        while true {
            let cell = cells[cursor.position]
            guard cell.slot != Self.vacant else { return nil }
            cursor.position = (cursor.position + 1) & (cells.count - 1)
            if cell.hash == cursor.hash { return Int(cell.slot) }
        }
    }

    /// The first slot entered under `hash`: for hashes that are themselves the key.
    func slot(_ hash: UInt32) -> Int? {
        var cursor = cursor(hash)
        return next(&cursor)
    }

    mutating func insert(_ hash: UInt32, slot: UInt32) {
        if (count + 1) * 4 > cells.count * 3 { grow() }
        place(Cell(hash: hash, slot: slot))
        count += 1
    }

    /// Removes the entry of `slot` under `hash`; without one, nothing happens.
    mutating func remove(_ hash: UInt32, slot: UInt32) {
        guard !cells.isEmpty else { return }
        let mask = cells.count - 1
        var hole = Int(hash) & mask
        while cells[hole].slot != slot || cells[hole].hash != hash {
            guard cells[hole].slot != Self.vacant else { return }
            hole = (hole + 1) & mask
        }
        // Those behind move up where that brings them no further from home than they are allowed.
        var position = hole
        while true {
            position = (position + 1) & mask
            let cell = cells[position]
            guard cell.slot != Self.vacant else { break }
            let home = Int(cell.hash) & mask
            if (position - home) & mask >= (position - hole) & mask {
                cells[hole] = cell
                hole = position
            }
        }
        cells[hole].slot = Self.vacant
        count -= 1
    }

    /// Bytes of the heap the index holds.
    var allocatedBytes: Int { cells.capacity * MemoryLayout<Cell>.stride }

    private mutating func grow() {
        let old = cells
        cells = Array(repeating: Cell(hash: 0, slot: Self.vacant), count: max(8, old.count * 2))
        for cell in old where cell.slot != Self.vacant { place(cell) }
    }

    private mutating func place(_ cell: Cell) {
        var position = Int(cell.hash) & (cells.count - 1)
        while cells[position].slot != Self.vacant { position = (position + 1) & (cells.count - 1) }
        cells[position] = cell
    }
}

/// Makes the hashes of a table unpredictable to those who choose its keys: the upper half of a full product of two
/// salted words, folded into the lower.
struct LinkSalt: Sendable {
    private let first: UInt64
    private let second: UInt64

    init(from generator: SeededGenerator) {
        var own = generator.child(0x5a17)
        first = own.next()
        second = own.next()
    }

    func hash(_ id: NodeID) -> UInt32 { hash(id.bytes.word0, id.bytes.word1) }

    func hash(_ address: NetworkAddress) -> UInt32 {
        hash(address.low ^ UInt64(address.port) << 48, address.high)
    }

    func hash(_ a: UInt64, _ b: UInt64) -> UInt32 {
        let wide = wideHash(a, b)
        return UInt32(truncatingIfNeeded: wide ^ wide >> 32)
    }

    func wideHash(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let product = (a ^ first).multipliedFullWidth(by: b ^ second)
        return product.high ^ product.low
    }
}
