import Simulations
import SwarmCore
import Testing

@Suite struct NetworkLossTests {
    /// Runs every link of a full mesh over `seconds` in steps of `step` and returns the share of time in bursts and the
    /// bursts' lengths in milliseconds.
    private static func bursts(
        _ loss: LossProcess, links: Int, milliseconds: Int, step: Int
    ) -> (share: Double, lengths: [Double]) {
        var lengths: [Double] = []
        var inBurst = 0
        for number in 0..<links {
            let link = LinkDraws(seed: 3, from: number, to: number + 1)
            var begin: Int?
            for time in stride(from: 0, to: milliseconds, by: step) {
                let isBursting = loss.isBursting(link, at: UInt64(time) * 1_000_000)
                if isBursting { inBurst += 1 }
                if isBursting, begin == nil { begin = time }
                if !isBursting, let start = begin {
                    lengths.append(Double(time - start))
                    begin = nil
                }
            }
        }
        return (Double(inBurst) / Double(links * milliseconds / step), lengths)
    }

    @Test(arguments: [(400.0, 20_000.0), (100.0, 1_600.0), (1_000.0, 60_000.0)])
    func burstsLastAndComeAsTheChains(burst: Double, calm: Double) {
        var configuration = NetworkConfiguration()
        configuration.burstMeanMilliseconds = burst
        configuration.calmMeanMilliseconds = calm
        #expect(configuration.problem == nil)
        let (share, lengths) = Self.bursts(
            LossProcess(configuration), links: 300, milliseconds: Int(calm) * 10, step: max(4, Int(burst) / 25))
        let expected = burst / (burst + calm)
        #expect(abs(share / expected - 1) < 0.06, "share of time in bursts \(share), expected \(expected)")
        let mean = lengths.reduce(0, +) / Double(lengths.count)
        #expect(abs(mean / burst - 1) < 0.08, "mean burst \(mean) ms, expected \(burst)")
        // Exponential: 1/e of them are longer than the mean.
        let longer = Double(lengths.count { $0 > burst }) / Double(lengths.count)
        #expect(abs(longer - 0.368) < 0.03, "\(longer) of the bursts are longer than the mean")
    }

    @Test func measuredLossIsTheConfiguredOne() throws {
        var configuration = NetworkConfiguration.undisturbed
        configuration.baseLoss = 0.004...0.006
        configuration.burstLoss = 0.1...0.1
        configuration.burstMeanMilliseconds = 400
        var model = NetworkModel(configuration, matrix: try BuiltInMatrix.uniform.matrix(), seed: 9)
        for index in 0..<40 { model.addNode(index, site: nil) }
        let count = 1_200_000
        for step in 0..<count {
            let now = UInt64(step) * 1_000_000
            _ = model.send(from: step % 40, to: step / 40 % 40, byteCount: 100, at: now, ordinal: 0)
        }
        let burstShare = 400.0 / 20_400
        let base = Double(model.drops[.loss]) / Double(count)
        let burst = Double(model.drops[.burst]) / Double(count)
        #expect(abs(base / (0.005 * (1 - burstShare)) - 1) < 0.05, "\(base) lost outside bursts")
        #expect(abs(burst / (0.1 * burstShare) - 1) < 0.15, "\(burst) lost within bursts")
        #expect(model.drops.total + model.delivered == UInt64(count))
    }

    @Test func linksHaveSharesOfTheirOwn() {
        let loss = LossProcess(NetworkConfiguration())
        let shares = (0..<1_000).map { loss.baseShare(on: LinkDraws(seed: 1, from: 0, to: $0)) }.sorted()
        #expect(shares[0] >= 0.001 && shares[0] < 0.0012 && shares[999] <= 0.01 && shares[999] > 0.0098)
        let bursts = (0..<1_000).map { loss.burstShare(on: LinkDraws(seed: 1, from: 0, to: $0)) }.sorted()
        #expect(bursts[0] >= 0.05 && bursts[999] <= 0.20 && abs(bursts[500] - 0.125) < 0.01)
    }
}
