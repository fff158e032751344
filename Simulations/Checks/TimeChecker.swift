import Composition
import SwarmCore

/// Time runs forward: the simulation's for everybody, a node's monotonic clock over all its lives.
package final class TimeChecker: Checker {
    package let name = "time"
    package let interests: CheckerInterests = .calls
    package weak var log: ViolationLog?
    private var latest: UInt64 = 0
    /// What each node's clock showed last.
    private var shown: [UInt64] = []

    package init() {}

    package func called(_ node: SimulatedNode, in simulation: Simulation) {
        check(time: simulation.now, shown: node.clock.now(simulation.now).monotonic, node, in: simulation)
    }

    /// Apart from `called`, so that a test can show it a clock that runs backwards.
    package func check(
        time: UInt64, shown now: MonotonicInstant, _ node: SimulatedNode, in simulation: Simulation
    ) {
        if time < latest { violate("virtual time went from \(latest) to \(time) ns", at: node, in: simulation) }
        latest = max(latest, time)
        while shown.count <= node.index { shown.append(0) }
        if now.nanoseconds < shown[node.index] {
            violate("its clock went from \(shown[node.index]) to \(now.nanoseconds) ns", at: node, in: simulation)
        }
        shown[node.index] = now.nanoseconds
    }
}

/// What the engine itself finds: a deadline left behind by `advance`, events without end at one instant, a call that
/// says more than a driver can take.
package final class EngineChecker: Checker {
    package let name = "engine"
    package let interests: CheckerInterests = .calls
    package weak var log: ViolationLog?
    private var seen = 0

    package init() {}

    package func called(_ node: SimulatedNode, in simulation: Simulation) { report(simulation) }
    package func sweep(_ simulation: Simulation) { report(simulation) }

    private func report(_ simulation: Simulation) {
        while seen < simulation.defects.count {
            let defect = simulation.defects[seen]
            seen += 1
            let node = simulation.nodes[defect.node]
            let overdue = node.swarm?.machine.overdue(at: node.clock.now(defect.time).monotonic) ?? []
            violate("\(defect.kind.rawValue) by \(overdue)", at: node, in: simulation)
        }
    }
}
