import Composition
import Simulations
import SwarmCore
import Testing

/// Each promise of the time after the faults: kept by a healthy swarm, and missed where a fault is planted.
@Suite struct CheckLivenessTests {
    private static func swarm(seed: UInt64) -> (CheckedSwarm, SwarmTruth) {
        let swarm = CheckedSwarm(seed: seed)
        swarm.grow(to: 8)
        var truth = SwarmTruth()
        if let name = swarm.announce("live/one", at: 3) { truth.streams = [(name, 3)] }
        truth.absent = [StreamName("live/none")].compactMap { $0 }
        swarm.simulation.run(for: .seconds(20))
        truth.restLevel = Liveness.level(of: swarm.simulation, over: .seconds(20))
        return (swarm, truth)
    }

    private static func demand(_ truth: SwarmTruth, of swarm: CheckedSwarm) -> Set<String> {
        Liveness(truth).demand(of: swarm.simulation, in: swarm.suite, using: SeededGenerator(seed: 1))
        return swarm.caught
    }

    @Test func aHealthySwarmKeepsEveryPromise() {
        let (swarm, start) = Self.swarm(seed: 1)
        var truth = start
        if let contact = swarm.simulation.nodes[7].host?.contact { truth.dead = [contact] }
        swarm.simulation.crash(swarm.simulation.nodes[7])
        _ = Self.demand(truth, of: swarm)
        #expect(swarm.suite.violations.map(\.description) == [])
    }

    @Test func whoIsCutOffForEverIsCaught() {
        let (swarm, truth) = Self.swarm(seed: 2)
        let groups = (0..<8).map { UInt8($0 < 4 ? 0 : 1) }
        _ = swarm.simulation.network.add(
            NetworkFault(.partition(groups: groups, isOneWay: false), from: swarm.simulation.now, until: .max))
        #expect(Self.demand(truth, of: swarm).isSuperset(of: ["partitions-merged", "records-findable"]))
    }

    @Test func whoOutlivesItsDeathIsCaught() {
        let (swarm, start) = Self.swarm(seed: 3)
        var truth = start
        truth.dead = [swarm.simulation.nodes[6].host?.contact].compactMap { $0 }
        #expect(Self.demand(truth, of: swarm) == ["dead-forgotten"])
    }

    @Test func aRecordThatIsWrongOrTooManyIsCaught() {
        let (swarm, start) = Self.swarm(seed: 4)
        var truth = start
        truth.streams = start.streams.map { ($0.name, 5) }
        #expect(Self.demand(truth, of: swarm) == ["records-findable"])
        let (second, other) = Self.swarm(seed: 4)
        truth = other
        truth.absent += other.streams.map(\.name)
        truth.streams = []
        #expect(Self.demand(truth, of: second) == ["records-findable"])
    }

    /// Who hears nothing from most others owes no verdict about a stream that is over; beside as many honest nodes it does.
    @Test(arguments: [(1, false), (5, true)]) func theOutnumberedNeedNotKnow(honest: Int, mustKnow: Bool) throws {
        let swarm = CheckedSwarm(seed: 6)
        swarm.grow(to: honest)
        for _ in 0..<3 { swarm.add(swarm.insider(LyingConduct(Collusion(), .silent))) }
        swarm.simulation.run(for: .seconds(20))
        var truth = SwarmTruth()
        truth.absent = [try #require(StreamName("live/none"))]
        #expect(Self.demand(truth, of: swarm).contains("records-findable") == false)
        let box = Box<ControlReply?>(nil)
        swarm.simulation.ask(swarm.simulation.nodes[0], .locate(truth.absent[0])) { box.value = $0 }
        swarm.simulation.run(for: .seconds(12))
        switch box.value {
        case .location(nil): #expect(mustKnow)
        case .refused(.full): #expect(!mustKnow)
        default: Issue.record("\(String(describing: box.value))")
        }
    }

    @Test func noiseAndUnservedViewersAreCaught() {
        let (swarm, start) = Self.swarm(seed: 5)
        var truth = start
        truth.restLevel = 0.1
        truth.unserved = { _ in [(2, "no media for 4 s")] }
        #expect(Self.demand(truth, of: swarm) == ["traffic-quiet", "viewers"])
    }
}
