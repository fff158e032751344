import Composition
import Routing
import SwarmCore

/// A stream's tree has no loop at any instant: following parents from a node never leads back to it, among nodes that
/// are in one publication of the stream.
///
/// Looked at whenever a node says that its route changed, from that node up, and from every node at each sweep.
package final class TreeChecker: Checker {
    package let name = "trees"
    package let interests: CheckerInterests = [.calls, .tellings]
    package weak var log: ViolationLog?
    private var directory = NodeDirectory()

    package init() {}

    package func called(_ node: SimulatedNode, in simulation: Simulation) { directory.note(node) }

    package func told(_ event: SwarmEvent, by node: SimulatedNode, in simulation: Simulation) {
        guard case .notice(.routeChanged(let stream)) = event else { return }
        directory.note(node)
        climb(from: node.index, stream, in: simulation)
    }

    package func sweep(_ simulation: Simulation) {
        for node in simulation.nodes {
            guard let swarm = node.swarm, node.isHonest else { continue }
            for stream in swarm.machine.routedStreams { climb(from: node.index, stream, in: simulation) }
        }
    }

    private func climb(from start: Int, _ stream: StreamName, in simulation: Simulation) {
        guard let epoch = simulation.nodes[start].swarm?.machine.route(of: stream)?.epoch else { return }
        let path = Self.path(from: start) { index in
            guard let route = simulation.nodes[index].swarm?.machine.route(of: stream), !route.isOrigin,
                route.epoch == epoch, let parent = route.parent
            else { return nil }
            return self.directory.index(of: parent)
        }
        guard let path else { return }
        violate("\(stream) goes round: \(path)", at: simulation.nodes[start], in: simulation)
    }

    /// The nodes of a loop through `start` when parents are followed, or nil where there is none. Loops further up are
    /// found from the nodes on them.
    package static func path(from start: Int, parent: (Int) -> Int?) -> [Int]? {
        var path = [start]
        var node = start
        while let next = parent(node) {
            if next == start { return path + [next] }
            guard !path.contains(next) else { return nil }
            path.append(next)
            node = next
        }
        return nil
    }
}

/// Which host an identity runs on at present.
struct NodeDirectory {
    private var indices: [NodeID: Int] = [:]
    /// The identity known of each host, by index.
    private var known: [(life: UInt32, id: NodeID)?] = []

    /// Cheap where nothing has changed.
    mutating func note(_ node: SimulatedNode) {
        while known.count <= node.index { known.append(nil) }
        if let entry = known[node.index], entry.life == node.life { return }
        guard let id = node.host?.contact.id else { return }
        known[node.index] = (node.life, id)
        indices[id] = node.index
    }

    func index(of id: NodeID) -> Int? { indices[id] }
}
