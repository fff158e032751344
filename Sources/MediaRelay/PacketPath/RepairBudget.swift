import SwarmCore

/// How much may be sent again: a bucket that fills with time, so that requests cannot multiply what a viewer or a
/// child costs.
struct RepairBudget: Sendable {
    private let burstBytes: Int
    private let bytesPerMillisecond: Int
    private var bytesLeft: Int
    private var filled: MonotonicInstant

    init(burstBytes: Int, bytesPerMillisecond: Int, at now: MonotonicInstant) {
        self.burstBytes = burstBytes
        self.bytesPerMillisecond = bytesPerMillisecond
        bytesLeft = burstBytes
        filled = now
    }

    mutating func take(_ bytes: Int, at now: MonotonicInstant) -> Bool {
        let elapsed = (now - filled).milliseconds
        if elapsed > 0 {
            bytesLeft = min(burstBytes, bytesLeft + Int(min(elapsed, 1000)) * bytesPerMillisecond)
            filled = now
        }
        guard bytesLeft >= bytes else { return false }
        bytesLeft -= bytes
        return true
    }
}
