import SwarmCore

/// One number of a report.
package struct Figure: Sendable, Hashable {
    /// Snake case with the unit in it: `lookup_ms_p50`.
    package let name: String
    /// Nil where there was nothing to measure.
    package let value: Double?

    package init(_ name: String, _ value: Double?) {
        self.name = name
        self.value = value
    }

    package init(_ name: String, _ value: some BinaryInteger) {
        self.init(name, Double(value))
    }
}

/// What a run may not do, and did.
package struct ScenarioViolation: Sendable, Hashable {
    /// The rule that was broken, in one word: what `--shrink` keeps the same.
    package let rule: String
    /// One line.
    package let text: String
    /// Nanoseconds since the start; nil for what is only known at the end.
    package let time: UInt64?

    package init(rule: String, text: String, time: UInt64? = nil) {
        self.rule = rule
        self.text = text
        self.time = time
    }
}

/// What a run showed. Wall-clock figures are the caller's to add: nothing here depends on the machine it ran on.
package struct SimulationReport: Sendable, Hashable {
    package var scenario: String
    package var nodes: Int
    package var seed: UInt64
    /// 16 hexadecimal digits over every delivered datagram.
    package var digest: String
    package var simulated: Interval
    package var events: UInt64
    package var machineCalls: UInt64
    package var violations: [ScenarioViolation]
    /// In the order they are printed.
    package var figures: [Figure]

    package func figure(_ name: String) -> Double? { figures.first { $0.name == name }?.value }
}
