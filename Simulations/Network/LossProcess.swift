/// Loss after Gilbert (1960) and Elliott (1963), without state: a link is calm or in a burst, and each of the two has a
/// share it loses.
///
/// The chain in continuous time stays in a burst for an exponential time of mean B and calm for one of mean C. Here time
/// is cut into windows of W (the power of two nanoseconds in 8B ..< 16B): at most one burst begins in each, with
/// probability W / (B + C), at a uniform place, and lasts an exponential time cut off at W (7.6 B with 1,024 quantiles,
/// which takes 0.05 % off the mean). So the share of time in bursts is B / (B + C) and their mean length B, as the
/// chain's; two bursts of neighbouring windows may touch and count as one (below 1 % of them at the defaults). The
/// chain's steps per packet at a rate r are 1 / (r B) out of a burst and 1 / (r C) into one.
package struct LossProcess: Sendable {
    private let baseLoss: ClosedRange<Double>
    private let burstLoss: ClosedRange<Double>
    private let windows: TimeWindows
    /// Out of 2³².
    private let beginThreshold: UInt64
    private let durations: [UInt32]

    package init(_ configuration: NetworkConfiguration) {
        baseLoss = configuration.baseLoss
        burstLoss = configuration.burstLoss
        let mean = configuration.burstMeanMilliseconds
        windows = TimeWindows(atLeastMilliseconds: 8 * mean)
        guard mean > 0 else {
            beginThreshold = 0
            durations = []
            return
        }
        let window = Double(windows.nanoseconds) / 1_000_000
        beginThreshold = UInt64(min(1, window / (mean + configuration.calmMeanMilliseconds)) * 0x1p32)
        // Kept in units of 1,024 ns: the longest burst is 7.6 × 10 minutes.
        durations = Elementary.exponentialQuantiles(1_024).map { UInt32($0 * mean * 1_000_000 / 1_024) }
    }

    /// The share lost on `link` outside bursts.
    @inline(__always)
    package func baseShare(on link: LinkDraws) -> Double {
        baseLoss.lowerBound + (baseLoss.upperBound - baseLoss.lowerBound) * LinkDraws.unit(link.key)
    }

    /// The share lost on `link` within bursts.
    package func burstShare(on link: LinkDraws) -> Double {
        burstLoss.lowerBound + (burstLoss.upperBound - burstLoss.lowerBound) * LinkDraws.lowerUnit(link.key)
    }

    @inline(__always)
    package func isBursting(_ link: LinkDraws, at now: UInt64) -> Bool {
        guard beginThreshold > 0 else { return false }
        let number = windows.number(at: now, on: link)
        let current = link.window(number, .burst)
        let previous = link.window(number &- 1, .burst)
        guard current & 0xffff_ffff < beginThreshold || previous & 0xffff_ffff < beginThreshold else { return false }
        let offset = windows.offset(at: now, on: link)
        return covers(current, offset) || covers(previous, offset + windows.nanoseconds)
    }

    /// Whether the burst of a window's draw, if there is one, reaches `offset` nanoseconds after the window's begin.
    private func covers(_ draw: UInt64, _ offset: UInt64) -> Bool {
        guard draw & 0xffff_ffff < beginThreshold else { return false }
        let begin = ((draw >> 42) << (windows.shift - 10)) >> 12
        let duration = UInt64(durations[Int(draw >> 32 & 0x3ff)]) << 10
        return offset >= begin && offset - begin < duration
    }
}
