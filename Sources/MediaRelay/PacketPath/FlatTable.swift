import SwarmCore

/// A key of a `FlatTable`: spreads itself over 64 bits.
protocol FlatKey: Equatable, Sendable {
    func hash(salt: UInt64) -> UInt64
}

/// A map of fixed size with linear probing and no allocation after its birth: how a datagram finds its session or
/// link. Never walked, so that its order decides nothing.
struct FlatTable<Key: FlatKey, Value: Sendable>: Sendable {
    private struct Cell: Sendable {
        var key: Key
        var value: Value
    }

    private var cells: [Cell?]
    private let mask: Int
    private let salt: UInt64
    /// The most keys it takes: half its cells, so that probes stay short.
    let capacity: Int
    private(set) var count = 0

    /// `salt` is random, so that nobody can choose addresses that collide.
    init(capacity: Int, salt: UInt64) {
        var cellCount = 16
        while cellCount < capacity * 2 { cellCount *= 2 }
        cells = Array(repeating: nil, count: cellCount)
        mask = cellCount - 1
        self.salt = salt
        self.capacity = capacity
    }

    subscript(key: Key) -> Value? {
        var index = home(of: key)
        while let cell = cells[index] {
            if cell.key == key { return cell.value }
            index = (index + 1) & mask
        }
        return nil
    }

    /// Sets or replaces; false when the table is full.
    @discardableResult
    mutating func set(_ key: Key, _ value: Value) -> Bool {
        var index = home(of: key)
        while let cell = cells[index] {
            if cell.key == key {
                cells[index] = Cell(key: key, value: value)
                return true
            }
            index = (index + 1) & mask
        }
        guard count < capacity else { return false }
        cells[index] = Cell(key: key, value: value)
        count += 1
        return true
    }

    mutating func remove(_ key: Key) {
        var index = home(of: key)
        while let cell = cells[index], cell.key != key { index = (index + 1) & mask }
        guard cells[index] != nil else { return }
        count -= 1
        // Moves later cells of the run back, so that no probe meets a hole before its key.
        var hole = index
        var next = (hole + 1) & mask
        while let cell = cells[next] {
            let distance = (next - home(of: cell.key)) & mask
            if distance >= (next - hole) & mask {
                cells[hole] = cell
                hole = next
            }
            next = (next + 1) & mask
        }
        cells[hole] = nil
    }

    private func home(of key: Key) -> Int { Int(truncatingIfNeeded: key.hash(salt: salt) >> 24) & mask }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014): every bit of the input reaches every bit of the output.
enum Mixer {
    static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

extension NetworkAddress: FlatKey {
    func hash(salt: UInt64) -> UInt64 {
        Mixer.mix(Mixer.mix(low ^ salt) &+ (high &* 0x9e37_79b9_7f4a_7c15) &+ UInt64(port))
    }
}
extension SessionID: FlatKey {
    func hash(salt: UInt64) -> UInt64 { Mixer.mix(raw ^ salt) }
}
extension StreamHandle: FlatKey {
    func hash(salt: UInt64) -> UInt64 { Mixer.mix(UInt64(raw) ^ salt) }
}
extension LinkHandle: FlatKey {
    func hash(salt: UInt64) -> UInt64 { Mixer.mix(UInt64(raw) ^ salt) }
}

/// When each element of a slab wants to be woken: one word per slot, so that a thousand are looked over in less than a
/// microsecond.
struct DeadlineTable: Sendable {
    private var deadlines: [MonotonicInstant]
    /// No deadline lies before it; it may be early after one was put off.
    private(set) var earliest = MonotonicInstant.distantFuture

    init(capacity: Int) {
        deadlines = []
        deadlines.reserveCapacity(capacity)
    }

    /// Nil clears the slot.
    mutating func set(_ slot: UInt32, to deadline: MonotonicInstant?) {
        let index = Int(slot)
        while deadlines.count <= index { deadlines.append(.distantFuture) }
        deadlines[index] = deadline ?? .distantFuture
        if deadlines[index] < earliest { earliest = deadlines[index] }
    }

    /// Brings the slot's deadline forward to `deadline`, never back.
    mutating func bringForward(_ slot: UInt32, to deadline: MonotonicInstant) {
        let index = Int(slot)
        guard index < deadlines.count, deadline < deadlines[index] else { return }
        deadlines[index] = deadline
        if deadline < earliest { earliest = deadline }
    }

    /// The next slot from `start` on that is due, cleared as it is returned.
    mutating func takeDue(from start: Int, at now: MonotonicInstant) -> Int? {
        var index = start
        while index < deadlines.count {
            if deadlines[index] <= now {
                deadlines[index] = .distantFuture
                return index
            }
            index += 1
        }
        return nil
    }

    func isDue(_ slot: UInt32, at now: MonotonicInstant) -> Bool {
        Int(slot) < deadlines.count && deadlines[Int(slot)] <= now
    }

    mutating func refreshEarliest() {
        var least = MonotonicInstant.distantFuture
        for deadline in deadlines where deadline < least { least = deadline }
        earliest = least
    }

    var next: MonotonicInstant? { earliest == .distantFuture ? nil : earliest }
}
/// Hashes of username fragments (`UsernameFragmentHash`).
extension UInt64: FlatKey {
    func hash(salt: UInt64) -> UInt64 { Mixer.mix(self ^ salt) }
}
