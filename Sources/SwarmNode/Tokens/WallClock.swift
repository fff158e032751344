import Glibc

/// The machine's wall clock, for expiry times that other machines set.
package enum WallClock {
    @Sendable package static func unixSeconds() -> UInt64 { UInt64(max(0, time(nil))) }
}
