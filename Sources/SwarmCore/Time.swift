/// A span of time in nanoseconds; may be negative.
@usableFromInline
package struct Interval: Comparable, Hashable, Sendable, AdditiveArithmetic {
    @usableFromInline package var nanoseconds: Int64

    @inlinable
    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    @inlinable
    package static func microseconds(_ value: Int64) -> Interval { Interval(nanoseconds: value * 1_000) }
    @inlinable
    package static func milliseconds(_ value: Int64) -> Interval { Interval(nanoseconds: value * 1_000_000) }
    @inlinable
    package static func seconds(_ value: Int64) -> Interval { Interval(nanoseconds: value * 1_000_000_000) }
    @inlinable
    package static var zero: Interval { Interval(nanoseconds: 0) }

    /// Whole milliseconds, rounded towards zero.
    @inlinable
    package var milliseconds: Int64 { nanoseconds / 1_000_000 }
    /// Milliseconds with their fraction.
    @inlinable
    package var fractionalMilliseconds: Double { Double(nanoseconds) / 1_000_000 }
    @inlinable
    package var fractionalSeconds: Double { Double(nanoseconds) / 1_000_000_000 }

    @inlinable
    package static func < (a: Interval, b: Interval) -> Bool { a.nanoseconds < b.nanoseconds }
    @inlinable
    package static func + (a: Interval, b: Interval) -> Interval {
        Interval(nanoseconds: a.nanoseconds + b.nanoseconds)
    }
    @inlinable
    package static func - (a: Interval, b: Interval) -> Interval {
        Interval(nanoseconds: a.nanoseconds - b.nanoseconds)
    }
    @inlinable
    package static func * (a: Interval, b: Int64) -> Interval { Interval(nanoseconds: a.nanoseconds * b) }
    @inlinable
    package static func / (a: Interval, b: Int64) -> Interval { Interval(nanoseconds: a.nanoseconds / b) }
}

/// A point on the driver's monotonic clock, in nanoseconds since an arbitrary start. Never wall time.
@usableFromInline
package struct MonotonicInstant: Comparable, Hashable, Sendable {
    @usableFromInline package var nanoseconds: UInt64

    @inlinable
    package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    @inlinable
    package static var zero: MonotonicInstant { MonotonicInstant(nanoseconds: 0) }
    /// Later than every instant a clock can show.
    @inlinable
    package static var distantFuture: MonotonicInstant { MonotonicInstant(nanoseconds: .max) }

    @inlinable
    package static func < (a: MonotonicInstant, b: MonotonicInstant) -> Bool {
        a.nanoseconds < b.nanoseconds
    }
    @inlinable
    package static func - (a: MonotonicInstant, b: MonotonicInstant) -> Interval {
        Interval(nanoseconds: Int64(truncatingIfNeeded: a.nanoseconds &- b.nanoseconds))
    }
    /// Saturates at both ends of the clock.
    @inlinable
    package static func + (a: MonotonicInstant, b: Interval) -> MonotonicInstant {
        if b.nanoseconds >= 0 {
            let (sum, overflow) = a.nanoseconds.addingReportingOverflow(UInt64(b.nanoseconds))
            return MonotonicInstant(nanoseconds: overflow ? .max : sum)
        }
        let back = b.nanoseconds.magnitude
        return MonotonicInstant(nanoseconds: a.nanoseconds > back ? a.nanoseconds - back : 0)
    }
    @inlinable
    package static func - (a: MonotonicInstant, b: Interval) -> MonotonicInstant {
        a + Interval(nanoseconds: 0 &- b.nanoseconds)
    }
}

/// The time a driver hands to a machine: both clocks, read together.
///
/// `monotonic` never runs backwards and decides everything; `wallMilliseconds` (Unix time) may jump and only labels
/// things that other machines read (record signing times, token expiry).
@usableFromInline
package struct Now: Sendable, Hashable {
    @usableFromInline package var monotonic: MonotonicInstant
    @usableFromInline package var wallMilliseconds: UInt64

    @inlinable
    package init(monotonic: MonotonicInstant, wallMilliseconds: UInt64) {
        self.monotonic = monotonic
        self.wallMilliseconds = wallMilliseconds
    }

    @inlinable
    package static func + (now: Now, interval: Interval) -> Now {
        let wall = Int64(clamping: now.wallMilliseconds) + interval.milliseconds
        return Now(monotonic: now.monotonic + interval, wallMilliseconds: UInt64(max(0, wall)))
    }
}
