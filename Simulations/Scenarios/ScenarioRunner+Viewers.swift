import Composition
import SwarmCore

/// One person who watches, or wanted to.
struct Viewer {
    let node: Int
    let life: UInt32
    /// Place of the stream in the truth.
    let stream: Int
    let arrivedAt: UInt64
    var client: MediaClientID?
    /// From the offer to the node's answer, in milliseconds.
    var answerMilliseconds: Double?
    var isRefused = false
    /// The node died, or the viewer went.
    var isGone = false
    /// A relay on the way to this viewer went down.
    var isOrphaned = false
}

/// Everybody who came to watch.
struct Audience {
    var viewers: [Viewer] = []

    /// The node is gone and everybody behind it.
    mutating func lose(_ node: Int) {
        for index in viewers.indices where viewers[index].node == node { viewers[index].isGone = true }
    }
}

/// People who come, watch and go.
extension ScenarioRunner {
    func scheduleViewers(_ workload: Int) {
        let plan = scenario.viewers[workload]
        let generator = generator(Simulation.Purpose.workload, "viewers/" + plan.name)
        let begin = instant(plan.at)
        for number in 0..<plan.count {
            var draws = generator.child(UInt64(number))
            let time = begin + UInt64(draws.unitInterval() * Double(max(0, plan.within.nanoseconds)))
            simulation.schedule(at: time) { [unowned self] _ in arrive(workload, draws) }
        }
        arrivals(rate: plan.rate, generator) { [unowned self] draws in arrive(workload, draws) }
    }

    /// Where nothing is to be seen yet, the viewer comes again in a second, up to a minute.
    private func arrive(_ workload: Int, _ draws: SeededGenerator, patience: Int = 60) {
        let plan = scenario.viewers[workload]
        var draws = draws
        guard let node = seat(plan, using: &draws), node.media != nil,
            let stream = truth.randomLive(
                olderThan: now - min(now, UInt64(Self.grace.nanoseconds)), popularity: plan.popularity, using: &draws)
        else {
            guard patience > 0 else { return }
            return simulation.schedule(after: .seconds(1)) { [unowned self] _ in
                arrive(workload, draws, patience: patience - 1)
            }
        }
        let index = audience.viewers.count
        audience.viewers.append(Viewer(node: node.index, life: node.life, stream: stream, arrivedAt: now))
        let stay = plan.stay.map { draws.jittered($0, by: 0.5) }
        let begun = now
        simulation.play(truth.streams[stream].name, at: node) { [unowned self] outcome in
            guard case .began(let client, let token) = outcome else {
                audience.viewers[index].isRefused = true
                return note("viewer", at: now, node: node.index, truth.streams[stream].name.text, 0, "refused")
            }
            audience.viewers[index].client = client
            audience.viewers[index].answerMilliseconds = Double(now - begun) / 1_000_000
            guard let stay else { return }
            let life = node.life
            simulation.schedule(after: stay) { [unowned self] _ in
                guard node.life == life else { return }
                audience.viewers[index].isGone = true
                simulation.ask(node, .delete(session: token)) { _ in }
            }
        }
    }

    /// The viewer's node: anybody's, or one at which nobody watches or publishes.
    private func seat(_ plan: ViewerWorkload, using draws: inout SeededGenerator) -> SimulatedNode? {
        guard plan.isApart else { return randomNode(upFor: Self.grace, using: &draws) }
        var taken = Set(audience.viewers.filter { !$0.isGone }.map(\.node))
        for stream in truth.liveStreams { taken.insert(stream.node) }
        let free = simulation.nodes.filter { node in
            node.swarm != nil && !taken.contains(node.index)
                && hosts.upSince[node.index].map { $0 + UInt64(Self.grace.nanoseconds) <= now } == true
        }
        return free.isEmpty ? nil : free[draws.integer(below: free.count)]
    }

    /// Marks those whose way leads over `node`, which is about to go down.
    func noteOrphans(of node: Int) {
        guard scenario.fidelity == .packets, timeline.isMeasured(now) else { return }
        for index in audience.viewers.indices where !audience.viewers[index].isGone {
            let viewer = audience.viewers[index]
            let stream = truth.streams[viewer.stream]
            guard viewer.node != node, stream.node != node,
                let way = route(of: stream.name, from: stream.node, to: viewer.node), way.contains(node)
            else { continue }
            audience.viewers[index].isOrphaned = true
        }
    }

    /// How many viewers' ways lead over each node, their own nodes not counted.
    func viewersBehindNodes() -> [Int] {
        var counts = [Int](repeating: 0, count: simulation.nodes.count)
        for viewer in audience.viewers where !viewer.isGone {
            let stream = truth.streams[viewer.stream]
            for node in route(of: stream.name, from: stream.node, to: viewer.node)?.dropLast() ?? [] {
                counts[node] += 1
            }
        }
        return counts
    }

    /// A node that feeds others and is no origin.
    func isRelay(_ node: SimulatedNode) -> Bool {
        guard let swarm = node.swarm, swarm.machine.childCount > 0 else { return false }
        return truth.published(at: node.index).isEmpty
    }
}
