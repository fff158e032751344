import SwarmCore

/// The parts of a run, in nanoseconds since its start.
package struct ScenarioTimeline: Sendable, Hashable {
    package enum Phase: String, Sendable { case joining, settling, measuring, recovering, done }

    /// The last node has been started.
    package let joined: UInt64
    /// The measured time: settled up to measured.
    package let settled: UInt64
    package let measured: UInt64
    package let end: UInt64

    package init(_ scenario: Scenario) {
        func length(_ interval: Interval) -> UInt64 { UInt64(max(0, interval.nanoseconds)) }
        joined = length(scenario.join.over)
        settled = joined + length(scenario.settle)
        measured = settled + length(scenario.duration)
        end = measured + length(scenario.recovery)
    }

    package func phase(at time: UInt64) -> Phase {
        if time >= end { return .done }
        if time >= measured { return .recovering }
        if time >= settled { return .measuring }
        return time >= joined ? .settling : .joining
    }

    package func isMeasured(_ time: UInt64) -> Bool { time >= settled && time < measured }
}
