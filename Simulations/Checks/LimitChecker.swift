import Composition
import SwarmCore

/// No table of a node grows past its limit, and no call leaves messages behind.
///
/// What can be counted without a walk is asked after every call, the rest of `nodesPerSweep` nodes in turn.
package final class LimitChecker: Checker {
    /// A swarm of 50 nodes at every sweep; of a large one each node every few seconds.
    private static var nodesPerSweep: Int { 64 }

    package let name = "limits"
    package let interests: CheckerInterests = .calls
    package weak var log: ViolationLog?
    private var next = 0

    package init() {}

    package func called(_ node: SimulatedNode, in simulation: Simulation) {
        guard let swarm = node.swarm else { return }
        if let table = swarm.machine.overfullTable { judge(table, at: node, in: simulation) }
        if swarm.machine.hasUnsettledWork { violate("a call left work unsettled", at: node, in: simulation) }
    }

    package func sweep(_ simulation: Simulation) {
        for _ in 0..<min(Self.nodesPerSweep, simulation.nodes.count) {
            next = next + 1 < simulation.nodes.count ? next + 1 : 0
            guard let swarm = simulation.nodes[next].swarm else { continue }
            for table in swarm.machine.tables { judge(table, at: simulation.nodes[next], in: simulation) }
        }
    }

    package func judge(_ table: TableAudit, at node: SimulatedNode, in simulation: Simulation) {
        guard table.count > table.limit else { return }
        violate("\(table.name) holds \(table.count) of at most \(table.limit)", at: node, in: simulation)
    }
}
