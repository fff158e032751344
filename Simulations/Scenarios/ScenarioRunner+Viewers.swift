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
    var isRefused = false
    /// The node died, or the viewer went.
    var isGone = false
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

    private func arrive(_ workload: Int, _ draws: SeededGenerator) {
        let plan = scenario.viewers[workload]
        var draws = draws
        guard let node = randomNode(upFor: Self.grace, using: &draws), node.media != nil,
            let stream = truth.randomLive(
                olderThan: now - min(now, UInt64(Self.grace.nanoseconds)), popularity: plan.popularity, using: &draws)
        else { return }
        let index = audience.viewers.count
        audience.viewers.append(Viewer(node: node.index, life: node.life, stream: stream, arrivedAt: now))
        let stay = plan.stay.map { draws.jittered($0, by: 0.5) }
        simulation.play(truth.streams[stream].name, at: node) { [unowned self] outcome in
            guard case .began(let client, let token) = outcome else {
                audience.viewers[index].isRefused = true
                return note("viewer", at: now, node: node.index, truth.streams[stream].name.text, 0, "refused")
            }
            audience.viewers[index].client = client
            guard let stay else { return }
            let life = node.life
            simulation.schedule(after: stay) { [unowned self] _ in
                guard node.life == life else { return }
                audience.viewers[index].isGone = true
                simulation.ask(node, .delete(session: token)) { _ in }
            }
        }
    }

    /// A node that feeds others and is no origin.
    func isRelay(_ node: SimulatedNode) -> Bool {
        guard let swarm = node.swarm, swarm.machine.childCount > 0 else { return false }
        return truth.published(at: node.index).isEmpty
    }
}
