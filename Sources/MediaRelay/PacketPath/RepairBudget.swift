import SwarmCore

/// How much may be sent again: a bucket that fills with time, so that requests cannot multiply what a viewer or a
/// child costs.
struct RepairBudget: Sendable {
    /// What a packet costs on the wire beyond its media: IP, UDP, RTP or link header, extensions, tag. Without it small
    /// packets would be nearly free, and one request could ask for thousands.
    static var overheadBytes: Int { 96 }

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
