/// How a path's delay wanders: a factor of median 1, lognormal, that moves smoothly from one window's draw to the next.
///
/// Between two draws z₀ and z₁ at share s of a window the level is ((1 − s) z₀ + s z₁) / √((1 − s)² + s²), normal with
/// variance 1 at every s, so that every datagram meets the whole distribution whenever it is sent. At the default window
/// the delay changes far more slowly than time passes, and datagrams keep their order. The tails end at 3.67 standard
/// deviations (4,096 quantiles).
package struct JitterProcess: Sendable {
    private let quantiles: [Float]
    /// e^(sigma z) on a grid of 1/32 over −6 … 6; the wander's |z| is at most √2 × 3.67 = 5.2.
    private let factors: [Float]
    private let windows: TimeWindows
    private let isWandering: Bool
    package let isActive: Bool

    package init(ratio: Double, windowMilliseconds: Double) {
        isActive = ratio > 0
        isWandering = windowMilliseconds > 0
        windows = TimeWindows(atLeastMilliseconds: windowMilliseconds)
        quantiles = Self.normalQuantiles
        // A lognormal's (std/mean)² is e^(sigma²) − 1.
        let sigma = Elementary.logarithm(1 + ratio * ratio).squareRoot()
        factors = (0...384).map { Float(Elementary.exponential(sigma * (Double($0) / 32 - 6))) }
    }

    /// Shared by all models of a process: they differ in no number.
    private static let normalQuantiles = Elementary.normalQuantiles(4_096).map { Float($0) }

    /// The factor of a datagram sent on `link` at `now`; `draw` is the datagram's own.
    @inline(__always)
    package func factor(on link: LinkDraws, at now: UInt64, draw: UInt64) -> Double {
        guard isActive else { return 1 }
        guard isWandering else { return Self.interpolated(factors, at: normal(LinkDraws.derived(draw, .level))) }
        let number = windows.number(at: now, on: link)
        let first = normal(link.window(number, .level))
        let second = normal(link.window(number &+ 1, .level))
        let share = windows.share(of: windows.offset(at: now, on: link))
        let rest = 1 - share
        return Self.interpolated(
            factors, at: (rest * first + share * second) / (rest * rest + share * share).squareRoot())
    }

    @inline(__always)
    private func normal(_ draw: UInt64) -> Double { Double(quantiles[Int(truncatingIfNeeded: draw >> 52)]) }

    @inline(__always)
    private static func interpolated(_ table: [Float], at z: Double) -> Double {
        let place = (z + 6) * 32
        let index = Int(place)
        let below = Double(table[index])
        return below + (Double(table[index + 1]) - below) * (place - Double(index))
    }
}
