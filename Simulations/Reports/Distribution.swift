/// A collection of measured values, and the figures people quote of it.
package struct Distribution: Sendable {
    private var values: [Double] = []
    private var isSorted = true

    package init() {}

    package var count: Int { values.count }

    package mutating func add(_ value: Double) {
        values.append(value)
        isSorted = false
    }

    package mutating func add(_ other: Distribution) {
        values += other.values
        isSorted = false
    }

    /// The smallest value that at least this share of the values does not exceed (nearest rank); nil without values.
    package mutating func quantile(_ share: Double) -> Double? {
        guard !values.isEmpty else { return nil }
        sort()
        let rank = Int((share * Double(values.count)).rounded(.up))
        return values[min(max(rank, 1), values.count) - 1]
    }

    package var mean: Double? { values.isEmpty ? nil : values.reduce(0, +) / Double(values.count) }
    package var maximum: Double? { values.max() }

    /// Sorted, for plots.
    package mutating func sorted() -> [Double] {
        sort()
        return values
    }

    private mutating func sort() {
        guard !isSorted else { return }
        values.sort()
        isSorted = true
    }
}
