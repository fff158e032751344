import CSimulationData
import SwarmCore

/// How long nodes stay, in seconds.
package enum LifetimeDistribution: Sendable, Hashable {
    /// As measured at cloud VMs (Sources/CSimulationData/data/README.md): median 29 minutes, 10 % longer than 14 hours.
    case azure
    /// Memoryless.
    case exponential(medianSeconds: Double)
    /// Heavy-tailed: P(X > x) = (m / x)^shape above the shortest time m.
    case pareto(medianSeconds: Double, shape: Double)
    case fixed(seconds: Double)

    /// The first thing wrong with these numbers, in one line; nil if nothing is.
    package var problem: String? {
        let range = 0.001...LifetimeSampler.longestSeconds
        switch self {
        case .azure: return nil
        case .exponential(let seconds), .fixed(let seconds), .pareto(let seconds, _):
            guard range.contains(seconds) else {
                return "a life time is between \(range.lowerBound) and \(range.upperBound) s, not \(seconds)"
            }
        }
        if case .pareto(_, let shape) = self, !(0.1...100).contains(shape) {
            return "a Pareto distribution's shape is between 0.1 and 100, not \(shape)"
        }
        return nil
    }
}

/// Draws life times.
package struct LifetimeSampler: Sendable {
    /// A hundred years: no run is longer, and every sum of two fits the clock.
    package static var longestSeconds: Double { 3_155_760_000 }

    private let distribution: LifetimeDistribution
    private let quantiles: [Double]

    /// `distribution.problem` must be nil.
    package init(_ distribution: LifetimeDistribution) {
        let problem = distribution.problem
        precondition(problem == nil, "life times: \(problem ?? "")")
        self.distribution = distribution
        quantiles = if case .azure = distribution { Self.azureQuantiles } else { [] }
    }

    package func sample(using generator: inout SeededGenerator) -> Interval {
        let unit = generator.unitInterval()
        let seconds =
            switch distribution {
            case .azure: interpolated(unit)
            case .exponential(let median): -Elementary.logarithm(1 - unit) * median / Elementary.logarithm(2)
            case .pareto(let median, let shape): median * Elementary.power(2 * (1 - unit), -1 / shape)
            case .fixed(let seconds): seconds
            }
        return Interval(nanoseconds: Int64(min(seconds, Self.longestSeconds) * 1_000_000_000))
    }

    /// Between the two quantiles next to `unit`; beyond the first and last, those.
    private func interpolated(_ unit: Double) -> Double {
        let place = max(0, unit * Double(quantiles.count) - 0.5)
        let index = min(Int(place), quantiles.count - 1)
        let next = min(index + 1, quantiles.count - 1)
        return quantiles[index] + (quantiles[next] - quantiles[index]) * (place - Double(index))
    }

    private static let azureQuantiles: [Double] = {
        let bytes = unsafe UnsafeBufferPointer(
            start: simulation_azure_lifetimes_bytes, count: simulation_azure_lifetimes_byte_count)
        let quantiles = DecimalText.lines(unsafe bytes.span)
        precondition(
            (2...NetworkLimits.quantiles).contains(quantiles.count), "\(quantiles.count) quantiles of life times")
        return quantiles
    }()
}

/// Which of `count` items is asked for: item i (from 0) with a probability ∝ (i + 1)^−exponent (Zipf's law).
package struct Popularity: Sendable {
    /// Sums of the weights up to and including each item.
    private let cumulative: [Double]

    package init(count: Int, exponent: Double) {
        precondition((1...NetworkLimits.popularItems).contains(count), "popularity of \(count) items")
        precondition((0...10).contains(exponent), "a Zipf exponent is between 0 and 10, not \(exponent)")
        var sum = 0.0
        cumulative = (1...count).map { rank in
            sum += Elementary.power(Double(rank), -exponent)
            return sum
        }
    }

    package var count: Int { cumulative.count }

    package func share(of item: Int) -> Double {
        (cumulative[item] - (item > 0 ? cumulative[item - 1] : 0)) / cumulative[count - 1]
    }

    package func sample(using generator: inout SeededGenerator) -> Int {
        let wanted = generator.unitInterval() * cumulative[count - 1]
        var lower = 0
        var upper = count - 1
        while lower < upper {
            let middle = (lower + upper) / 2
            if cumulative[middle] > wanted { upper = middle } else { lower = middle + 1 }
        }
        return lower
    }
}
