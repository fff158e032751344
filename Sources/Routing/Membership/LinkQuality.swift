import SwarmCore

/// Round trip and loss of one path, from probes: smoothed round trip and its deviation as in RFC 6298 §2, and the fate
/// of the last 32 probes.
package struct LinkQuality: Sendable, Hashable {
    /// Nil until the first answer.
    package private(set) var roundTrip: Interval?
    package private(set) var deviation: Interval = .zero
    /// One bit per probe, newest lowest: 1 = lost.
    private var fates: UInt32 = 0
    private var probes: UInt8 = 0
    /// The last three samples: their median feeds the coordinate, so that one outlier moves nothing.
    private var recent: (Interval, Interval, Interval) = (.zero, .zero, .zero)
    private var samples: UInt8 = 0

    package init() {}

    package mutating func answered(after sample: Interval) {
        let sample = max(sample, .microseconds(1))
        if let smoothed = roundTrip {
            let difference = Interval(nanoseconds: Int64(clamping: (smoothed - sample).nanoseconds.magnitude))
            deviation = (deviation * 3 + difference) / 4
            roundTrip = (smoothed * 7 + sample) / 8
        } else {
            roundTrip = sample
            deviation = sample / 2
        }
        recent = (recent.1, recent.2, sample)
        if samples < 3 { samples += 1 }
    }

    package mutating func probeEnded(lost: Bool) {
        fates = fates << 1 | (lost ? 1 : 0)
        if probes < 32 { probes += 1 }
    }

    /// Lost among the last 32 probes, 0–1000 ‰; nil before the first.
    package var lossPerMille: UInt16? {
        guard probes > 0 else { return nil }
        let seen: UInt32 = probes == 32 ? .max : (1 << UInt32(probes)) - 1
        return UInt16((fates & seen).nonzeroBitCount * 1000 / Int(probes))
    }

    /// The median of the last three samples; nil before the third.
    package var medianOfThree: Interval? {
        guard samples == 3 else { return nil }
        let (a, b, c) = recent
        return max(min(a, b), min(max(a, b), c))
    }

    package static func == (a: LinkQuality, b: LinkQuality) -> Bool {
        a.roundTrip == b.roundTrip && a.deviation == b.deviation && a.fates == b.fates && a.probes == b.probes
    }
    package func hash(into hasher: inout Hasher) {
        hasher.combine(roundTrip)
        hasher.combine(fates)
    }
}
