import Simulations
import Testing

@Suite struct LimitsTests {
    @Test func aRunIsBounded() { #expect(SimulationLimits.nodes == 100_000) }
}
