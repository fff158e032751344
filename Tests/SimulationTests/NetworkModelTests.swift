import Simulations
import SwarmCore
import Testing

/// Built once: reading 490 × 490 numbers is slow in debug builds.
enum TestMatrices {
    static let planetlab = try? BuiltInMatrix.planetlab490.matrix()
    static let seattle = try? BuiltInMatrix.seattle99.matrix()
}

@Suite struct NetworkModelTests {
    private static let second: UInt64 = 1_000_000_000

    private static func model(
        _ configuration: NetworkConfiguration = NetworkConfiguration(), matrix: LatencyMatrix? = TestMatrices.planetlab,
        nodes: Int, seed: UInt64 = 1
    ) throws -> NetworkModel {
        var model = NetworkModel(configuration, matrix: try #require(matrix), seed: seed)
        for index in 0..<nodes { model.addNode(index, site: nil) }
        return model
    }

    private static func arrival(_ transit: Transit) -> UInt64? {
        if case .arrives(let at, _, _) = transit { at } else { nil }
    }

    // MARK: Distances

    @Test func distancesAreTheMatrixAndTheWaysToIt() throws {
        var model = try Self.model(.undisturbed, nodes: 600)
        #expect(Set((0..<490).map { model.site(of: $0) }).count == 490)
        for (a, b) in [(0, 1), (17, 300), (489, 5)] {
            let truth = model.roundTripMilliseconds(a, b)
            let sites = model.matrix.milliseconds(from: model.site(of: a), to: model.site(of: b))
            #expect(truth > sites && truth < sites + 30)
            #expect(truth == model.roundTripMilliseconds(b, a))
            let out = try #require(Self.arrival(model.send(from: a, to: b, byteCount: 100, at: 5, ordinal: 0))) - 5
            let back = try #require(Self.arrival(model.send(from: b, to: a, byteCount: 100, at: 5, ordinal: 0))) - 5
            #expect(abs(Double(out + back) / 1_000_000 - truth) < 0.05)
        }
        // Nodes 0 and 490 share a site: only their own ways lie between them.
        #expect(model.site(of: 0) == model.site(of: 490))
        #expect(model.roundTripMilliseconds(0, 490) > 0 && model.roundTripMilliseconds(0, 490) < 20)
        #expect(model.roundTripMilliseconds(3, 3) == 0)
    }

    @Test func waysToTheSiteAreLognormal() throws {
        let model = try Self.model(.undisturbed, nodes: 980)
        // Two nodes of one site: the median of a sum of two lognormals (0.5 ms, sigma 0.8) is about 1.25 ms.
        let sums = (0..<490).map { model.roundTripMilliseconds($0, $0 + 490) }.sorted()
        #expect(sums[245] > 1.1 && sums[245] < 1.4)
        #expect(sums[0] > 0.1 && sums[489] < 15)
    }

    @Test func anAsymmetricMatrixMakesAsymmetricWays() throws {
        let matrix = try LatencyMatrix(name: "lopsided", csv: "0,20\n60,0\n")
        #expect(!matrix.isSymmetric)
        var model = NetworkModel(.undisturbed, matrix: matrix, seed: 4)
        model.addNode(0, site: 0)
        model.addNode(1, site: 1)
        let truth = model.roundTripMilliseconds(0, 1)
        #expect(truth == model.roundTripMilliseconds(1, 0) && truth > 40 && truth < 50)
        #expect(abs(model.oneWayMilliseconds(from: 0, to: 1) + 20 - model.oneWayMilliseconds(from: 1, to: 0)) < 1e-6)
        let out = try #require(Self.arrival(model.send(from: 0, to: 1, byteCount: 9, at: 0, ordinal: 0)))
        #expect(abs(Double(out) / 1_000_000 - model.oneWayMilliseconds(from: 0, to: 1)) < 1e-3)
    }

    @Test func flatNetworksAreFlat() throws {
        for (name, expected) in [(BuiltInMatrix.uniform, 50.0), (.lan, 0.2)] {
            var model = NetworkModel(.undisturbed, matrix: try name.matrix(), seed: 1)
            for index in 0..<20 { model.addNode(index, site: nil) }
            #expect(abs(model.roundTripMilliseconds(2, 9) - expected) < 1e-6)
        }
    }

    // MARK: Draws

    /// One draw of every kind on one link, over some time.
    private static func draws(_ model: inout NetworkModel, from: Int, to: Int) -> [Transit] {
        (0..<2_000).map { step in
            let now = UInt64(step) * 20_000_000
            return model.send(from: from, to: to, byteCount: 1_000, at: now, ordinal: UInt32(step % 3))
        }
    }

    @Test func addingNodesLinksAndFaultsShiftsNobodysDraws() throws {
        var configuration = NetworkConfiguration()
        configuration.duplication = 0.05
        configuration.bitFlips = 0.05
        configuration.reordering = 0.05
        var small = try Self.model(configuration, nodes: 2)
        var large = try Self.model(configuration, nodes: 300)
        let elsewhere = NetworkFault(
            .loss(from: NodeSet([7]), to: .all, share: 1), from: 0, until: 100 * Self.second)
        #expect(large.add(elsewhere) != nil)
        for step in 0..<500 { _ = large.send(from: step % 300, to: 299, byteCount: 9, at: 0, ordinal: 0) }
        #expect(Self.draws(&small, from: 0, to: 1) == Self.draws(&large, from: 0, to: 1))
        #expect(small.roundTripMilliseconds(0, 1) == large.roundTripMilliseconds(0, 1))
    }

    @Test func anotherSeedDrawsOtherwise() throws {
        var one = try Self.model(nodes: 2, seed: 1)
        var other = try Self.model(nodes: 2, seed: 2)
        #expect(Self.draws(&one, from: 0, to: 1) != Self.draws(&other, from: 0, to: 1))
    }

    /// In this process and in another one, where Swift hashes differently.
    @Test func theSameSeedReplaysInAnyProcess() async throws {
        let here = Self.trace()
        let child = try await #require(processExitsWith: .success, observing: [\.standardOutputContent]) {
            print("trace=\(NetworkModelTests.trace());")
        }
        #expect(String(decoding: child.standardOutputContent, as: UTF8.self).contains("trace=\(here);"))
    }

    private static func trace() -> UInt64 {
        var configuration = NetworkConfiguration()
        configuration.uplinkBitsPerSecond = 2_000_000
        configuration.downlinkBitsPerSecond = 3_000_000
        guard let matrix = try? LatencyMatrix(name: "four", csv: "0,9,30,80\n9,0,30,81\n31,30,0,5\n80,80,5,0") else {
            return 0
        }
        var model = NetworkModel(configuration, matrix: matrix, seed: 77)
        for index in 0..<16 { model.addNode(index, site: nil) }
        for node in 0..<4 { _ = model.setPathCapacity(from: node, to: node + 1, bitsPerSecond: 1_000_000) }
        _ = model.add(NetworkFault(.cloggedNode(3), from: second, until: 2 * second))
        var digest: UInt64 = 0
        for step in 0..<40_000 as Range<UInt64> {
            let from = Int(step % 16)
            let to = Int(step / 16 % 16)
            let transit = model.send(from: from, to: to, byteCount: 700, at: step * 100_000, ordinal: 0)
            switch transit {
            case .dropped(let reason): digest = LinkDraws.mix(digest &+ UInt64(reason.rawValue))
            case .arrives(let at, let copyAt, let bit):
                digest = LinkDraws.mix(digest &+ at &+ (copyAt ?? 0) &+ UInt64(bit ?? 0))
            }
        }
        return digest
    }

    // MARK: Jitter

    /// The marginal distribution is the configured one at every instant, whether the delay wanders or not.
    @Test(arguments: [0.0, 1_000])
    func jitterIsLognormal(window: Double) throws {
        var configuration = NetworkConfiguration.undisturbed
        configuration.jitterWindowMilliseconds = window
        configuration.jitterRatio = 0.19
        let matrix = LatencyMatrix(name: "flat", everywhere: 100)
        var model = NetworkModel(configuration, matrix: matrix, seed: 5)
        for index in 0..<200 { model.addNode(index, site: nil) }
        var delays: [Double] = []
        for from in 0..<200 {
            for to in 0..<200 where to != from {
                let now = UInt64(from * 200 + to) * 1_000_003
                let at = try #require(Self.arrival(model.send(from: from, to: to, byteCount: 9, at: now, ordinal: 0)))
                delays.append(Double(at - now) / 1_000_000)
            }
        }
        let mean = delays.reduce(0, +) / Double(delays.count)
        let variance = delays.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(delays.count)
        #expect(abs(variance.squareRoot() / mean - 0.19) < 0.004)
        #expect(abs(delays.sorted()[delays.count / 2] - 50) < 0.3)
    }

    @Test func aWanderingDelayKeepsTheOrderAndADrawnOneDoesNot() throws {
        func overtakings(window: Double) throws -> Int {
            var configuration = NetworkConfiguration.undisturbed
            configuration.jitterRatio = 0.19
            configuration.jitterWindowMilliseconds = window
            var model = NetworkModel(configuration, matrix: LatencyMatrix(name: "far", everywhere: 300), seed: 8)
            for index in 0..<2 { model.addNode(index, site: nil) }
            var latest: UInt64 = 0
            var count = 0
            for step in 0..<20_000 as Range<UInt64> {
                let transit = model.send(from: 0, to: 1, byteCount: 9, at: step * 1_000_000, ordinal: 0)
                let at = try #require(Self.arrival(transit))
                if at < latest { count += 1 }
                latest = max(latest, at)
            }
            return count
        }
        #expect(try overtakings(window: 1_000) == 0)
        #expect(try overtakings(window: 0) > 10_000)
    }

    // MARK: Rare events

    @Test func sharesAreTheConfiguredOnes() throws {
        var configuration = NetworkConfiguration.undisturbed
        configuration.duplication = 0.02
        configuration.reordering = 0.03
        configuration.bitFlips = 0.01
        var model = NetworkModel(configuration, matrix: try BuiltInMatrix.uniform.matrix(), seed: 6)
        for index in 0..<2 { model.addNode(index, site: nil) }
        var copies = 0
        var late = 0
        var flips = 0
        let count = 100_000
        for step in 0..<count {
            let now = UInt64(step) * 1_000
            guard
                case .arrives(let at, let copyAt, let bit) = model.send(
                    from: 0, to: 1, byteCount: 50, at: now, ordinal: 0)
            else { continue }
            if at > now + 25_000_000 { late += 1 }
            if let copyAt {
                copies += 1
                #expect(copyAt >= at && copyAt <= at + 20_000_000)
            }
            if let bit {
                flips += 1
                #expect((0..<400).contains(bit))
            }
        }
        #expect(abs(Double(copies) / Double(count) - 0.02) < 0.002)
        #expect(abs(Double(late) / Double(count) - 0.03) < 0.002)
        #expect(abs(Double(flips) / Double(count) - 0.01) < 0.001)
        #expect(model.delivered == UInt64(count) && model.drops.total == 0)
    }

    // MARK: Configuration

    @Test(arguments: [
        (\NetworkConfiguration.jitterRatio as WritableKeyPath<NetworkConfiguration, Double> & Sendable, -0.1),
        (\.jitterRatio, .nan), (\.burstMeanMilliseconds, 5_000), (\.duplication, 1.5), (\.queueMilliseconds, 0),
        (\.reordering, .infinity), (\.accessSigma, 3),
    ])
    func impossibleNumbersAreNamed(field: WritableKeyPath<NetworkConfiguration, Double> & Sendable, value: Double) {
        var configuration = NetworkConfiguration()
        #expect(configuration.problem == nil)
        configuration[keyPath: field] = value
        #expect(configuration.problem?.contains("\(value)") == true || configuration.problem?.contains("16") == true)
    }
}
