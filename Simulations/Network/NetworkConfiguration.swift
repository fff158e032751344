/// What the simulated network does to datagrams, besides the distances of its matrix. The defaults are an Internet of
/// wired hosts in an ordinary hour.
package struct NetworkConfiguration: Sendable, Hashable {
    /// Standard deviation over mean of a path's one-way delay (lognormal, median 1). 0: none.
    package var jitterRatio = 0.19
    /// How long a delay keeps its level: it wanders from one draw to the next in windows of the next power of two
    /// nanoseconds, so that datagrams of one burst stay in order. 0: every datagram is drawn by itself, and much is
    /// reordered.
    package var jitterWindowMilliseconds = 1_000.0
    /// Share lost outside bursts: every directed link has its own, uniform in this range.
    package var baseLoss = 0.001...0.01
    /// Share lost within a burst (the bad state of Gilbert and Elliott): likewise.
    package var burstLoss = 0.05...0.20
    /// Mean duration of a burst. 0: no bursts.
    package var burstMeanMilliseconds = 400.0
    /// Mean time between two bursts, at least 16 times the former.
    package var calmMeanMilliseconds = 20_000.0
    /// Share of datagrams that arrive twice (none of them late or damaged as well), the copy up to `reorderingMilliseconds` later.
    package var duplication = 0.000_5
    /// Share of datagrams delayed by a uniform extra of up to `reorderingMilliseconds`.
    package var reordering = 0.001
    package var reorderingMilliseconds = 20.0
    /// Share of datagrams with one bit flipped that UDP's checksum missed.
    package var bitFlips = 0.000_01
    /// The largest IP packet of a path, headers included.
    package var mtuBytes = 1_500
    /// Share of nodes behind a tunnel whose packets are at most `smallMTUBytes`.
    package var smallMTUShare = 0.0
    package var smallMTUBytes = 1_280
    /// Capacity of every node's access link in bits per second; nil is unbounded. `NetworkModel.setCapacity` makes
    /// exceptions.
    package var uplinkBitsPerSecond: Double?
    package var downlinkBitsPerSecond: Double?
    /// The longest wait in any queue; what would wait longer is dropped at its tail.
    package var queueMilliseconds = 100.0
    /// Scale and spread of the lognormal way from a node to its site, in round-trip milliseconds.
    package var accessMedianMilliseconds = 0.5
    package var accessSigma = 0.8

    package init() {}

    /// Distances alone: nothing is lost, late, copied or damaged.
    package static var undisturbed: NetworkConfiguration {
        var configuration = NetworkConfiguration()
        configuration.jitterRatio = 0
        configuration.baseLoss = 0...0
        configuration.burstLoss = 0...0
        configuration.burstMeanMilliseconds = 0
        configuration.duplication = 0
        configuration.reordering = 0
        configuration.bitFlips = 0
        return configuration
    }

    /// The first thing wrong with these numbers, in one line; nil if nothing is.
    package var problem: String? {
        let shares: [(String, Double)] = [
            ("baseLoss", baseLoss.lowerBound), ("baseLoss", baseLoss.upperBound),
            ("burstLoss", burstLoss.lowerBound), ("burstLoss", burstLoss.upperBound),
            ("duplication", duplication), ("reordering", reordering), ("bitFlips", bitFlips),
            ("smallMTUShare", smallMTUShare),
        ]
        for (name, value) in shares where !(0...1).contains(value) {
            return "\(name) is a share between 0 and 1, not \(value)"
        }
        guard duplication + reordering + bitFlips <= 1 else {
            return
                "duplication, reordering and bitFlips together are \(duplication + reordering + bitFlips), more than 1"
        }
        let ranges: [(String, Double, ClosedRange<Double>)] = [
            ("jitterRatio", jitterRatio, 0...1),
            ("jitterWindowMilliseconds", jitterWindowMilliseconds, 0...3_600_000),
            ("burstMeanMilliseconds", burstMeanMilliseconds, 0...600_000),
            ("reorderingMilliseconds", reorderingMilliseconds, 0...60_000),
            ("queueMilliseconds", queueMilliseconds, 1...1_000),
            ("accessMedianMilliseconds", accessMedianMilliseconds, 0...1_000),
            ("accessSigma", accessSigma, 0...2),
            ("mtuBytes", Double(mtuBytes), 576...65_535),
            ("smallMTUBytes", Double(smallMTUBytes), 576...65_535),
        ]
        for (name, value, range) in ranges where !range.contains(value) {
            return "\(name) is between \(range.lowerBound) and \(range.upperBound), not \(value)"
        }
        if burstMeanMilliseconds > 0, !(16 * burstMeanMilliseconds...1e9).contains(calmMeanMilliseconds) {
            return "calmMeanMilliseconds is at least 16 times burstMeanMilliseconds, not \(calmMeanMilliseconds)"
        }
        let rates = [("uplinkBitsPerSecond", uplinkBitsPerSecond), ("downlinkBitsPerSecond", downlinkBitsPerSecond)]
        for case (let name, let rate?) in rates where !NetworkLimits.accessBitsPerSecond.contains(rate) {
            let range = NetworkLimits.accessBitsPerSecond
            return "\(name) is between \(range.lowerBound) and \(range.upperBound), not \(rate)"
        }
        return nil
    }
}
