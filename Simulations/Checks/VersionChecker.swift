import Composition
import SwarmCore

/// Only a node raises its own version: within one life its description's version never falls, and nobody believes in a
/// version that the node has never had, or goes back to an older one of the same life.
///
/// Over a restart it may fall, where the wall clock has gone back: others then tell the node, which raises it.
///
/// Views are compared at sweeps, `viewsPerSweep` members at a time in turn.
package final class VersionChecker: Checker {
    /// A swarm of 50 nodes once in half a second: a view changes no faster than news travels.
    private static var viewsPerSweep: Int { 500 }
    /// Whose views are remembered: a view of a thousand members takes 100 KiB, and 64 nodes see what all see.
    private static var nodesWatched: Int { 64 }

    package let name = "versions"
    package let interests: CheckerInterests = .calls
    package weak var log: ViolationLog?

    /// The highest version each honest identity has had.
    private var own: [NodeID: UInt64] = [:]
    /// What each node believed last, of its own present life.
    private var views: [View] = []
    private var lastOwn: [(life: UInt32, version: UInt64)] = []
    private var next = 0

    private struct View {
        var life: UInt32
        var members: [NodeID: (instance: UInt64, version: UInt64)] = [:]
    }

    package init() {}

    package func called(_ node: SimulatedNode, in simulation: Simulation) {
        guard let swarm = node.swarm, node.isHonest else { return }
        while lastOwn.count <= node.index { lastOwn.append((.max, 0)) }
        let version = swarm.machine.ownVersion
        let last = lastOwn[node.index]
        guard last != (node.life, version) else { return }
        if last.life == node.life, version < last.version {
            violate("its own version fell from \(last.version) to \(version)", at: node, in: simulation)
        }
        lastOwn[node.index] = (node.life, version)
        own[swarm.contact.id] = max(own[swarm.contact.id] ?? 0, version)
    }

    package func sweep(_ simulation: Simulation) {
        var budget = Self.viewsPerSweep
        let watched = min(Self.nodesWatched, simulation.nodes.count)
        for _ in 0..<watched where budget > 0 {
            next = next + 1 < watched ? next + 1 : 0
            let node = simulation.nodes[next]
            guard let swarm = node.swarm, node.isHonest else { continue }
            while views.count <= node.index { views.append(View(life: .max)) }
            if views[node.index].life != node.life { views[node.index] = View(life: node.life) }
            swarm.machine.forEachMember { member in
                budget -= 1
                see(member, from: node, in: simulation)
            }
        }
    }

    /// What `node` believes of a member.
    package func see(_ member: MemberAudit, from node: SimulatedNode, in simulation: Simulation) {
        while views.count <= node.index { views.append(View(life: node.life)) }
        if let before = views[node.index].members[member.id], before.instance == member.instance,
            member.version < before.version
        {
            violate(
                "went back from version \(before.version) to \(member.version) of \(member.id.short)", at: node,
                in: simulation)
        }
        views[node.index].members[member.id] = (member.instance, member.version)
        if let truth = own[member.id], member.version > truth {
            violate(
                "believes in version \(member.version) of \(member.id.short), which is at \(truth)", at: node,
                in: simulation)
        }
    }
}
