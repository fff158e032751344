import Simulations
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// Random lives with every fault on, each from one seed. A failing seed is the first thing printed; the life can be
/// replayed by it alone.
@Suite(.serialized) struct SweepTests {
    /// Lives in one run of CI. A debug build takes ten times as long for each, so it runs fewer.
    private static var lives: Int {
        #if DEBUG
            5
        #else
            50
        #endif
    }

    /// `MAFALDA_SWEEP_SEED` adds as many lives from another seed, so that CI meets new ones.
    private static var seeds: [UInt64] {
        var seeds = (1...UInt64(lives)).map { $0 }
        if let text = environment("MAFALDA_SWEEP_SEED"), let first = UInt64(text) {
            seeds += (0..<UInt64(lives)).map { first &+ $0 }
        }
        return seeds
    }

    private static func environment(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        return unsafe String(cString: value)
    }

    @Test func everyLifeKeepsEveryPromise() {
        for seed in Self.seeds {
            let life = RandomLife(LifePlan(seed: seed))
            let outcome = life.run()
            guard outcome.violationCount > 0 else { continue }
            print("SWEEP FAILED: seed \(seed), digest \(outcome.digest)")
            print(life.plan)
            for violation in outcome.violations.prefix(8) { print("  \(violation)") }
            Issue.record("seed \(seed): \(outcome.violations.first?.description ?? "")")
        }
    }
    /// A life whose failure needs one fault of many is made as small as that.
    @Test func aFailingLifeIsMadeSmaller() {
        var plan = LifePlan(seed: 8)
        let culprit = LifeFault(at: 5, kind: .crash(1))
        plan.faults.append(culprit)
        let smallest = LifeShrinker.shrink(plan, runs: 200) { plan in
            plan.faults.contains(culprit) ? ["planted"] : []
        }
        #expect(smallest.faults == [culprit])
        #expect(smallest.insiders.isEmpty)
        #expect(smallest.nodes < plan.nodes)
        #expect(LifeShrinker.shrink(plan, runs: 200) { _ in [] }.faults == plan.faults)
    }
}
