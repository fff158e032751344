import Composition
import SwarmCore
import SwarmCrypto

/// Plays one scenario: builds the simulation, lets the nodes join, schedules what they do and what is done to them, and
/// keeps the books.
///
/// Call order: `init`, then `run(until:)` in slices of the caller's choice up to `timeline.end`, then `report()`. It has
/// no clock of its own; progress and wall time are the caller's.
package final class ScenarioRunner {
    package let scenario: Scenario
    package let timeline: ScenarioTimeline
    package let simulation: Simulation
    package internal(set) var truth = StreamTruth()
    package internal(set) var ledger = LookupLedger()
    package internal(set) var violations: [ScenarioViolation] = []
    /// Streams told to withdraw or published, by workload: how many names were given out.
    var namesGiven: [Int]
    /// When each node's present life began; nil while it is down.
    var upSince: [UInt64?]
    /// Counters at the beginning and the end of the measured time.
    var before: TrafficSample?
    var after: TrafficSample?

    package init(_ scenario: Scenario, matrix: LatencyMatrix) {
        self.scenario = scenario
        timeline = ScenarioTimeline(scenario)
        var options = SimulationOptions(seed: scenario.seed)
        options.hasRealCryptography = scenario.hasRealCryptography
        options.hasMembership = scenario.hasMembership
        simulation = Simulation(
            options, network: NetworkModel(NetworkConfiguration(), matrix: matrix, seed: scenario.seed))
        namesGiven = Array(repeating: 0, count: scenario.streams.count)
        upSince = Array(repeating: nil, count: scenario.nodes)
        for _ in 0..<scenario.nodes { simulation.addNode() }
        scheduleJoins()
        for index in scenario.streams.indices { scheduleStreams(index) }
        for index in scenario.lookups.indices { scheduleLookups(index) }
        simulation.schedule(at: timeline.settled) { [unowned self] _ in before = TrafficSample(self) }
        simulation.schedule(at: timeline.measured) { [unowned self] _ in after = TrafficSample(self) }
    }

    /// `time` is in nanoseconds since the start.
    package func run(until time: UInt64) { simulation.run(until: min(time, timeline.end)) }

    package var now: UInt64 { simulation.now }

    /// A generator of its own for every part of a scenario, by the part's name: adding one shifts nobody's draws.
    func generator(_ purpose: UInt64, _ name: String) -> SeededGenerator {
        simulation.root.child(purpose).child(Self.label(name))
    }

    /// FNV-1a.
    private static func label(_ name: String) -> UInt64 {
        name.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    // MARK: Joining

    private func scheduleJoins() {
        var generator = generator(Simulation.Purpose.scenario, "join")
        let seedCount = min(max(1, scenario.join.seeds), scenario.nodes)
        for index in simulation.nodes.indices {
            let isSeed = index < seedCount
            let time = isSeed ? 0 : UInt64(generator.unitInterval() * Double(timeline.joined))
            simulation.schedule(at: time) { [unowned self] _ in boot(index) }
        }
    }

    /// Starts the node through seeds drawn for this life of it.
    func boot(_ index: Int) {
        let node = simulation.nodes[index]
        guard !node.isUp else { return }
        upSince[index] = now
        simulation.start(node, seeds: contacts(for: index))
    }

    private func contacts(for index: Int) -> [Contact] {
        let seedCount = min(max(1, scenario.join.seeds), scenario.nodes)
        let up = (0..<seedCount).filter { $0 != index && simulation.nodes[$0].isUp }
        var generator = simulation.generator(of: index, life: simulation.nodes[index].life).child(0x7365_6564)
        return up.shuffled(using: &generator).prefix(scenario.join.contacts).compactMap {
            simulation.nodes[$0].host?.contact
        }
    }

    /// A node that has been up for `time`, drawn by `generator`; nil where none is found in a fair number of tries.
    func randomNode(upFor interval: Interval, using generator: inout SeededGenerator) -> SimulatedNode? {
        for _ in 0..<64 {
            let index = generator.integer(below: simulation.nodes.count)
            guard let since = upSince[index], now >= since + UInt64(interval.nanoseconds) else { continue }
            let node = simulation.nodes[index]
            if node.swarm != nil { return node }
        }
        return nil
    }
}

/// The simulation's counters at one instant.
struct TrafficSample {
    let time: UInt64
    let traffic: SimulationTraffic
    let nodesUp: Int

    init(_ runner: ScenarioRunner) {
        time = runner.now
        traffic = runner.simulation.traffic
        nodesUp = runner.simulation.nodes.count { $0.isUp }
    }
}
