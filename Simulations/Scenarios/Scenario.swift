import SwarmCore

/// What one run is: how many nodes, on which network, what they do and what is done to them, and what is expected.
///
/// A pure value: `ScenarioReader` makes one of a file, tests make theirs in code, `ScenarioRunner` plays it. Everything
/// that chance decides follows from `seed`.
package struct Scenario: Sendable {
    /// How much of a node is simulated.
    package enum Fidelity: String, CaseIterable, Sendable {
        /// The control plane; streams are announced and looked up, no media.
        case discovery
        /// The control plane and media as rates and trees.
        case flow
        /// The control plane and real media workers that forward packets.
        case packets
    }

    package var name: String
    /// One line about what it shows.
    package var about = ""
    package var nodes = 20
    package var seed: UInt64 = 1
    /// The measured time. Joining and settling come before it, recovery after it.
    package var duration = Interval.seconds(60)
    /// Between the last join and the measured time; what exists from the start begins in its first half.
    package var settle = Interval.seconds(30)
    /// After the measured time: faults have ended, what is under way comes to its end, liveness is demanded.
    package var recovery = Interval.seconds(6)
    /// A built-in matrix's name, or the path of a CSV file.
    package var matrix = BuiltInMatrix.planetlab490.rawValue
    package var fidelity = Fidelity.discovery
    /// Ciphers and signatures as in production, instead of the counted stand-in.
    package var hasRealCryptography = false
    /// False where discovery alone is measured: no gossip, nobody is watched.
    package var hasMembership = true
    /// Nodes that one node may feed, over all streams.
    package var maxChildren = 32
    /// Whether the safety rules are watched at every event.
    package var hasChecks = true
    /// Whether everything that the swarm promises is demanded of it after the recovery (`Liveness`).
    package var demandsLiveness = false
    package var join = JoinPlan()
    package var network = NetworkConfiguration()
    /// The share of nodes behind NAT boxes, and what these do. The nodes with published addresses never are.
    package var natShare = 0.0
    package var nat = NATConfiguration(mapping: .endpointIndependent, filtering: .addressAndPortDependent)
    package var streams: [StreamWorkload] = []
    package var lookups: [LookupWorkload] = []
    package var viewers: [ViewerWorkload] = []
    package var faults: [FaultPlan] = []
    package var adversaries: [AdversaryPlan] = []
    package var expectations: [Expectation] = []

    package init(name: String) { self.name = name }
}

/// How the swarm comes together.
package struct JoinPlan: Sendable {
    /// The seeds are up at once; the others join one by one within this time.
    package var over = Interval.seconds(20)
    /// Nodes whose addresses are published: the first ones, which know each other.
    package var seeds = 5
    /// How many of the seeds a newcomer tries, drawn for each.
    package var contacts = 2

    package init() {}
}

/// Something a report's figure must be; where it is not, the run has failed.
package struct Expectation: Sendable, Hashable {
    package enum Relation: String, CaseIterable, Sendable {
        case atLeast = ">="
        case atMost = "<="
        case above = ">"
        case below = "<"
        case equal = "=="

        package func holds(_ a: Double, _ b: Double) -> Bool {
            switch self {
            case .atLeast: a >= b
            case .atMost: a <= b
            case .above: a > b
            case .below: a < b
            case .equal: a == b
            }
        }
    }

    package let figure: String
    package let relation: Relation
    package let value: Double

    package init(_ figure: String, _ relation: Relation, _ value: Double) {
        self.figure = figure
        self.relation = relation
        self.value = value
    }

    /// `>= 0.9999`; nil where it is not that.
    init?(_ figure: String, text: String) {
        // Two characters before one, so that ">=" is not read as ">".
        for relation in Relation.allCases where text.hasPrefix(relation.rawValue) {
            let rest = text.dropFirst(relation.rawValue.count).trimmed
            guard let value = ScenarioValue.number(rest) ?? ScenarioValue.share(rest) else { return nil }
            self.init(figure, relation, value)
            return
        }
        return nil
    }
}
