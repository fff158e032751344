import SwarmCore

/// A node's clocks beside the simulation's: a rate that is off by some parts per million, a wall clock that is off by
/// some milliseconds and may jump.
package struct NodeClock: Sendable {
    /// Parts per million by which the monotonic clock runs fast (or slow, negative). Above −1,000,000.
    package private(set) var driftPPM: Int64 = 0
    /// What the wall clock shows beyond the truth.
    package var wallOffsetMilliseconds: Int64 = 0
    /// Where the present rate began, in both times.
    private var trueOrigin: UInt64 = 0
    private var localOrigin: UInt64 = 0

    /// Unix time at the simulation's start: 2027-01-15.
    package static var wallStart: UInt64 { 1_800_000_000_000 }
    /// The monotonic clocks start at one second: zero is a special instant to some machines.
    private static var monotonicStart: UInt64 { 1_000_000_000 }

    package init() {}

    package mutating func setDrift(ppm: Int64, at time: UInt64) {
        precondition(ppm > -900_000 && ppm < 10_000_000, "a clock off by \(ppm) ppm")
        localOrigin = local(time)
        trueOrigin = time
        driftPPM = ppm
    }

    /// What the node's clocks show at `time` (nanoseconds since the start of the run).
    package func now(_ time: UInt64) -> Now {
        let wall = Int64(Self.wallStart) + Int64(time / 1_000_000) + wallOffsetMilliseconds
        return Now(
            monotonic: MonotonicInstant(nanoseconds: local(time) &+ Self.monotonicStart),
            wallMilliseconds: UInt64(max(0, wall)))
    }

    /// The first instant of the simulation at which the node's clock shows `instant` or later.
    package func time(of instant: MonotonicInstant) -> UInt64 {
        guard instant.nanoseconds > Self.monotonicStart else { return 0 }
        let shown = instant.nanoseconds - Self.monotonicStart
        guard shown > localOrigin else { return trueOrigin }
        let ahead = shown - localOrigin
        guard driftPPM != 0 else { return trueOrigin + ahead }
        guard ahead < UInt64(Int64.max) / 1_000_000 else { return .max }
        let rate = UInt64(1_000_000 + driftPPM)
        let (high, low) = ahead.multipliedFullWidth(by: 1_000_000)
        var elapsed = rate.dividingFullWidth((high, low)).quotient
        while local(trueOrigin + elapsed) < shown { elapsed += 1 }
        return trueOrigin + elapsed
    }

    private func local(_ time: UInt64) -> UInt64 {
        guard driftPPM != 0 else { return localOrigin + (time - trueOrigin) }
        let (high, low) = (time - trueOrigin).multipliedFullWidth(by: UInt64(1_000_000 + driftPPM))
        return localOrigin + UInt64(1_000_000).dividingFullWidth((high, low)).quotient
    }
}
