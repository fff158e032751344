import Composition
import Simulations
import SwarmCore
import Testing

/// `mafalda dht ping`: a node that nobody here knows is asked at the addresses it has published.
@Suite struct PingTests {
    @Test func aNodeThatIsNotKnownIsFound() throws {
        let swarm = CheckedSwarm(seed: 71, hasMembership: false)
        swarm.grow(to: 120)
        swarm.simulation.run(for: .seconds(60))
        let asker = swarm.simulation.nodes[7]
        guard case .discovery(let snapshot)? = swarm.ask(asker, .discovery) else {
            Issue.record("no snapshot")
            return
        }
        let known = Set(snapshot.rows.map(\.id))
        let strangers = swarm.simulation.nodes.filter { node in
            guard let id = node.host?.contact.id else { return false }
            return node.index != asker.index && !known.contains(id)
        }
        try #require(strangers.count >= 5)
        for stranger in strangers.prefix(4) {
            let id = try #require(stranger.host?.contact.id)
            let reply = swarm.ask(asker, .ping(id))
            guard case .pinged(let roundTrip?) = reply else {
                Issue.record("\(String(describing: reply))")
                continue
            }
            #expect(roundTrip >= .milliseconds(50) && roundTrip < .milliseconds(200))
        }

        let dead = strangers[4]
        let id = try #require(dead.host?.contact.id)
        swarm.simulation.crash(dead)
        guard case .pinged(nil)? = swarm.ask(asker, .ping(id)) else {
            Issue.record("a dead node")
            return
        }
        guard case .refused(.unknownNode)? = swarm.ask(asker, .ping(NodeID(Bytes32(1, 2, 3, 4)))) else {
            Issue.record("a node that never was")
            return
        }
    }
}
