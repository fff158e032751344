import SwarmCore

/// What a receiver tells a sender about one source: loss, jitter and the echo of its last report
/// (RFC 3550 §6.4.1, A.3, A.8).
package struct ReceptionStatistics: Sendable {
    private var firstSequence: UInt64?
    private var highest: UInt64 = 0
    package private(set) var received: UInt64 = 0
    private var expectedBefore: UInt64 = 0
    private var receivedBefore: UInt64 = 0
    /// In timestamp units, times 16 (A.8's scaled form).
    private var scaledJitter: Int64 = 0
    private var lastTransit: Int64?
    private var lastReport: UInt32 = 0
    private var lastReportArrival = MonotonicInstant.zero

    package init() {}

    package mutating func arrived(
        sequence: UInt64, timestamp: UInt32, clockRate: UInt32, at now: MonotonicInstant
    ) {
        if firstSequence == nil { firstSequence = sequence }
        highest = max(highest, sequence)
        received &+= 1
        let ticks = NetworkTime.ticks(now - .zero, rate: clockRate)
        let transit = Int64(Int32(bitPattern: ticks &- timestamp))
        if let lastTransit {
            let difference = Int64(Int32(truncatingIfNeeded: transit &- lastTransit).magnitude)
            scaledJitter += difference - (scaledJitter + 8) >> 4
        }
        lastTransit = transit
    }

    package mutating func received(_ report: SenderReport, at now: MonotonicInstant) {
        lastReport = NetworkTime.short(report.networkTime)
        lastReportArrival = now
    }

    package var jitter: UInt32 { UInt32(truncatingIfNeeded: scaledJitter >> 4) }

    /// Expected but not received, never negative here.
    package var lost: UInt64 {
        guard let firstSequence else { return 0 }
        let expected = highest - firstSequence + 1
        return expected > received ? expected - received : 0
    }

    /// The block for the next receiver report, or nil before the first packet. The fraction is over the time since
    /// the last call.
    package mutating func takeBlock(ssrc: UInt32, at now: MonotonicInstant) -> ReportBlock? {
        guard let firstSequence, highest >= firstSequence else { return nil }
        let expected = highest - firstSequence + 1
        let expectedNow = expected - min(expected, expectedBefore)
        let receivedNow = received - receivedBefore
        expectedBefore = expected
        receivedBefore = received
        let lostNow = expectedNow > receivedNow ? expectedNow - receivedNow : 0
        let fraction = expectedNow == 0 ? 0 : min(255, lostNow * 256 / expectedNow)
        let lost = Int64(clamping: expected) - Int64(clamping: received)
        let delay = now - lastReportArrival
        return ReportBlock(
            ssrc: ssrc, fractionLost: UInt8(truncatingIfNeeded: fraction),
            cumulativeLost: Int32(truncatingIfNeeded: min(max(lost, -0x80_0000), 0x7f_ffff)),
            highestSequence: UInt32(truncatingIfNeeded: highest), jitter: jitter, lastReport: lastReport,
            delaySinceLastReport: lastReport == 0
                ? 0 : UInt32(truncatingIfNeeded: NetworkTime.units(delay) >> 16))
    }
}
