import Simulations
import SwarmCore
import Testing

@Suite struct NetworkLifetimeTests {
    private static func sorted(_ distribution: LifetimeDistribution) -> [Double] {
        let sampler = LifetimeSampler(distribution)
        var generator = SeededGenerator(seed: 11)
        return (0..<20_000).map { _ in sampler.sample(using: &generator).fractionalSeconds }.sorted()
    }

    /// Median, ninth decile and bounds as in the trace (censored VMs count as alive when last seen).
    @Test func azureLifetimesAreAsMeasured() {
        let samples = Self.sorted(.azure)
        #expect(samples[10_000] > 1_500 && samples[10_000] < 1_800, "median \(samples[10_000])")
        #expect(samples[18_000] > 40_000 && samples[18_000] < 60_000, "ninth decile \(samples[18_000])")
        #expect(samples[0] > 0 && samples[19_999] <= 518_700)
    }

    @Test func exponentialLifetimesHalveEveryMedian() {
        let samples = Self.sorted(.exponential(medianSeconds: 600))
        for halvings in 1...6 {
            let longer = Double(samples.count { $0 > 600 * Double(halvings) }) / 20_000
            #expect(abs(longer * Double(1 << halvings) - 1) < 0.15)
        }
    }

    @Test func paretoLifetimesHaveAHeavyTail() {
        let samples = Self.sorted(.pareto(medianSeconds: 600, shape: 1))
        #expect(abs(samples[10_000] - 600) < 20 && samples[0] >= 300)
        #expect(abs(Double(samples.count { $0 > 30_000 }) / 20_000 - 0.01) < 0.003)
    }

    @Test func fixedLifetimesAreFixed() {
        #expect(Self.sorted(.fixed(seconds: 2.5)).allSatisfy { $0 == 2.5 })
    }

    @Test(arguments: [
        LifetimeDistribution.exponential(medianSeconds: 0), .fixed(seconds: -1), .fixed(seconds: .nan),
        .pareto(medianSeconds: 5, shape: 0), .pareto(medianSeconds: .infinity, shape: 1),
    ])
    func impossibleLifetimesAreNamed(distribution: LifetimeDistribution) {
        #expect(distribution.problem?.contains("not") == true)
    }

    @Test(arguments: [0.0, 0.5, 0.9, 1.2])
    func popularityIsZipfs(exponent: Double) {
        let popularity = Popularity(count: 100, exponent: exponent)
        var counts = [Int](repeating: 0, count: 100)
        var generator = SeededGenerator(seed: 4)
        for _ in 0..<100_000 { counts[popularity.sample(using: &generator)] += 1 }
        for item in [0, 1, 9, 99] {
            let expected = popularity.share(of: item) * 100_000
            #expect(abs(Double(counts[item]) - expected) < 5 * expected.squareRoot() + 1)
            let ratio = popularity.share(of: 0) / popularity.share(of: item)
            #expect(abs(ratio / Elementary.power(Double(item + 1), exponent) - 1) < 1e-9)
        }
        #expect(counts.reduce(0, +) == 100_000)
    }
}
