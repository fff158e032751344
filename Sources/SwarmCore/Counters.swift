/// Counts of events by reason: a fixed array, one cell per case. Arrivals refused are counted here and nowhere else.
package struct Counters<Reason: RawRepresentable<Int> & CaseIterable & Sendable>: Sendable {
    private var cells: [UInt64]

    package init() { cells = Array(repeating: 0, count: Reason.allCases.count) }

    /// Adds `amount` to `reason`. The raw values of `Reason` must be 0..<count.
    package mutating func add(_ reason: Reason, _ amount: UInt64 = 1) { cells[reason.rawValue] &+= amount }

    package subscript(reason: Reason) -> UInt64 { cells[reason.rawValue] }

    package var total: UInt64 { cells.reduce(0, &+) }

    /// Every reason with its count, in the order of the cases.
    package var all: [(reason: Reason, count: UInt64)] {
        Reason.allCases.map { ($0, cells[$0.rawValue]) }
    }
}
