import Composition
import SwarmCore

/// Only a node raises its own version: its description's version never falls, not even over a restart under the same
/// key, and nobody believes in a version that the node has never had or goes back to an older one.
///
/// Views are compared at sweeps, `viewsPerSweep` members at a time in turn.
package final class VersionChecker: Checker {
    /// A swarm of 50 nodes once in half a second: a view changes no faster than news travels.
    private static var viewsPerSweep: Int { 500 }

    package let name = "versions"
    package let interests: CheckerInterests = .calls
    package weak var log: ViolationLog?

    /// The highest version each honest identity has had.
    private var own: [NodeID: UInt64] = [:]
    private struct View {
        var life: UInt32
        var versions: [NodeID: UInt64] = [:]
    }
    private var views: [View] = []
    private var lastOwn: [(life: UInt32, version: UInt64)] = []
    private var next = 0

    package init() {}

    package func called(_ node: SimulatedNode, in simulation: Simulation) {
        guard let swarm = node.swarm, node.isHonest else { return }
        while lastOwn.count <= node.index { lastOwn.append((.max, 0)) }
        let version = swarm.machine.ownVersion
        guard lastOwn[node.index] != (node.life, version) else { return }
        lastOwn[node.index] = (node.life, version)
        raise(swarm.contact.id, to: version, at: node, in: simulation)
    }

    /// Apart from `called`, so that a test can show it a node that steps back.
    package func raise(_ id: NodeID, to version: UInt64, at node: SimulatedNode, in simulation: Simulation) {
        if let before = own[id], version < before {
            violate("its own version fell from \(before) to \(version)", at: node, in: simulation)
        }
        own[id] = max(own[id] ?? 0, version)
    }

    package func sweep(_ simulation: Simulation) {
        var budget = Self.viewsPerSweep
        for _ in 0..<simulation.nodes.count where budget > 0 {
            next = next + 1 < simulation.nodes.count ? next + 1 : 0
            let node = simulation.nodes[next]
            guard let swarm = node.swarm, node.isHonest else { continue }
            while views.count <= node.index { views.append(View(life: .max)) }
            if views[node.index].life != node.life { views[node.index] = View(life: node.life) }
            swarm.machine.forEachMember { id, version, _ in
                budget -= 1
                see(id, version, from: node, in: simulation)
            }
        }
    }

    /// `node` believes that `id` is at `version`.
    package func see(_ id: NodeID, _ version: UInt64, from node: SimulatedNode, in simulation: Simulation) {
        while views.count <= node.index { views.append(View(life: node.life)) }
        if let before = views[node.index].versions[id], version < before {
            violate("went back from version \(before) to \(version) of \(id.short)", at: node, in: simulation)
        }
        views[node.index].versions[id] = version
        if let truth = own[id], version > truth {
            violate("believes in version \(version) of \(id.short), which is at \(truth)", at: node, in: simulation)
        }
    }
}
