import Composition
import SwarmCore
import SwarmCrypto

/// Plays one scenario: builds the simulation, lets the nodes join, schedules what they do and what is done to them, and
/// keeps the books.
///
/// Call order: `init`, then `run(until:)` in slices of the caller's choice up to `timeline.end`, then `report()`, once.
/// It has no clock of its own: progress and wall time are the caller's.
package final class ScenarioRunner {
    package let scenario: Scenario
    package let timeline: ScenarioTimeline
    package let simulation: Simulation
    package let checks: CheckSuite?
    /// Nil where discovery alone is simulated.
    let media: SimulationMedia?
    /// Media as rates, in that fidelity.
    var fabric: FlowFabric? { media?.fabric }

    package internal(set) var truth = StreamTruth()
    package internal(set) var ledger: LookupLedger
    var audience = Audience()
    var publications = PublicationLedger()
    package internal(set) var samples: [ScenarioSample] = []
    /// Streams of each workload that have got a name.
    var namesGiven: [Int]
    var hosts: HostBook
    var probe: ScenarioProbe?
    var replays: ReplayAttack?
    /// Who was cut off from whom and when: a lookup across a partition proves nothing.
    var partitions: [(groups: [UInt8], begin: UInt64, end: UInt64)] = []
    /// Each node's media egress, summed over the samples of the measured time.
    var egressSums: [Double]
    /// As they were at the end of the measured time.
    var pathFigures: [Figure] = []
    /// Counters at the beginning and the end of the measured time.
    var before: TrafficSample?
    var after: TrafficSample?
    /// What lookups and other samples wrote for `--jsonl`, when asked for.
    package internal(set) var rows: [String] = []
    let keepsRows: Bool
    /// Faults that the network had no room for.
    var refusedFaults = 0

    /// `keepsRows`: remembers a line of JSON for every sample.
    package init(_ scenario: Scenario, matrix: LatencyMatrix, keepsRows: Bool = false) {
        self.scenario = scenario
        self.keepsRows = keepsRows
        timeline = ScenarioTimeline(scenario)
        var options = SimulationOptions(seed: scenario.seed)
        options.hasRealCryptography = scenario.hasRealCryptography
        options.hasMembership = scenario.hasMembership
        options.maxChildren = scenario.maxChildren
        simulation = Simulation(
            options, network: NetworkModel(scenario.network, matrix: matrix, seed: scenario.seed))
        ledger = LookupLedger()
        namesGiven = Array(repeating: 0, count: scenario.streams.count)
        hosts = HostBook(nodes: scenario.nodes)
        egressSums = Array(repeating: 0, count: scenario.nodes)
        let fidelity: SimulationMedia.Fidelity? =
            switch scenario.fidelity {
            case .discovery: nil
            case .flow: .flow
            case .packets: .packets
            }
        let simulation = simulation
        media = fidelity.map {
            SimulationMedia($0, in: simulation, capacityBitsPerSecond: scenario.network.uplinkBitsPerSecond)
        }
        for _ in 0..<scenario.nodes { simulation.addNode() }
        let adversaries = Self.makeReplays(scenario, simulation)
        replays = adversaries
        checks = scenario.hasChecks ? CheckSuite(CheckSuite.standard() + (adversaries.map { [$0] } ?? [])) : nil
        checks?.attach(to: simulation)
        addNATBoxes()
        castAdversaries()
        scheduleAll()
    }

    private func scheduleAll() {
        if !scenario.streams.isEmpty {
            let probe = ScenarioProbe(self)
            self.probe = probe
            simulation.observers.append(probe)
        }
        scheduleJoins()
        for index in scenario.streams.indices { scheduleStreams(index) }
        for index in scenario.lookups.indices { scheduleLookups(index) }
        for index in scenario.viewers.indices { scheduleViewers(index) }
        for fault in scenario.faults { schedule(fault) }
        scheduleSamples()
        simulation.schedule(at: timeline.settled) { [unowned self] _ in
            media?.forgetGaps()
            before = TrafficSample(self)
            replays?.begin(every: .milliseconds(50), until: timeline.measured, in: simulation)
        }
        simulation.schedule(at: timeline.measured) { [unowned self] _ in
            after = TrafficSample(self)
            pathFigures = judgePaths()
            endFaults()
        }
    }

    /// `time` is in nanoseconds since the start.
    package func run(until time: UInt64) { simulation.run(until: min(time, timeline.end)) }

    package var now: UInt64 { simulation.now }

    /// A generator of its own for every part of a scenario, by the part's name: adding one shifts nobody's draws.
    func generator(_ purpose: UInt64, _ name: String) -> SeededGenerator {
        simulation.root.child(purpose).child(Label.of(name))
    }

    /// Calls `action` at random moments of the measured time, `rate` times a second in the mean, each with a generator
    /// of its own. The gaps are uniform between nothing and twice the mean.
    func arrivals(
        rate: Double, _ generator: SeededGenerator, _ action: @escaping (SeededGenerator) -> Void
    ) {
        guard rate > 0 else { return }
        let draws = generator.child(Label.of("arrivals"))
        arrive(after: timeline.settled, number: 0, meanGap: 1_000_000_000 / rate, draws, action)
    }

    private func arrive(
        after time: UInt64, number: UInt64, meanGap: Double, _ draws: SeededGenerator,
        _ action: @escaping (SeededGenerator) -> Void
    ) {
        var own = draws.child(number)
        let time = time + max(1, UInt64(own.unitInterval() * 2 * meanGap))
        guard time < timeline.measured else { return }
        simulation.schedule(at: time) { [unowned self] _ in
            action(own)
            arrive(after: time, number: number + 1, meanGap: meanGap, draws, action)
        }
    }

    /// The instant `interval` after the measured time begins (before it where negative), not before the last join.
    func instant(_ interval: Interval) -> UInt64 {
        let time = Int64(clamping: timeline.settled) + interval.nanoseconds
        return max(timeline.joined, UInt64(max(0, time)))
    }
}

/// The simulation's counters at one instant.
struct TrafficSample {
    let time: UInt64
    let traffic: SimulationTraffic
    let nodesUp: Int
    /// Answers that each node's DHT has given in its present life.
    let answers: [UInt64]
    /// What all that are up have sent in order to publish.
    let publishingRequests: UInt64

    init(_ runner: ScenarioRunner) {
        time = runner.now
        traffic = runner.simulation.traffic
        nodesUp = runner.simulation.nodes.count { $0.isUp }
        answers = runner.simulation.nodes.map { $0.swarm?.machine.dhtTraffic[.answersSent] ?? 0 }
        publishingRequests = runner.simulation.nodes.reduce(0) { sum, node in
            sum + (node.swarm?.machine.dhtTraffic[.publishingRequestsSent] ?? 0)
        }
    }
}
