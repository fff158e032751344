import Composition
import DHT
import Routing
import Simulations
import SwarmCore
import SwarmCrypto
import Testing

/// Adversaries stand where honest nodes stand, and do what they say.
@Suite struct AdversaryTests {
    /// Honest nodes, then insiders, all joined; a few seconds for gossip.
    private static func swarm(
        seed: UInt64, honest: Int, conducts: [any Conduct], collusion: Collusion = Collusion()
    ) -> CheckedSwarm {
        let swarm = CheckedSwarm(seed: seed)
        for _ in 0..<honest { swarm.add() }
        for conduct in conducts {
            let node = swarm.add(swarm.insider(conduct))
            if let contact = node.host?.contact { collusion.join(contact) }
        }
        swarm.simulation.run(for: .seconds(15))
        return swarm
    }

    private static func insider(_ swarm: CheckedSwarm, _ index: Int) -> InsiderHost? {
        swarm.simulation.nodes[index].host as? InsiderHost
    }

    @Test func insidersStandInEverybodysTables() {
        let collusion = Collusion()
        let conducts: [any Conduct] = [
            LyingConduct(collusion), LyingConduct(collusion, .silent), LyingConduct(collusion, .forgetful),
        ]
        let swarm = Self.swarm(seed: 1, honest: 7, conducts: conducts, collusion: collusion)
        for node in swarm.simulation.nodes.prefix(7) {
            for index in 7..<10 {
                guard let id = swarm.simulation.nodes[index].host?.contact.id else { continue }
                #expect(node.swarm?.machine.knowsMember(id) == true)
                #expect(node.swarm?.machine.hasContact(id) == true)
            }
        }
        #expect(collusion.count == 3)
        #expect(swarm.suite.violations.map(\.description) == [])
    }

    /// The liar names colluders only, whoever asks for whatever; a lookup of honest nodes meets them.
    @Test func liarsNameEachOther() throws {
        let collusion = Collusion()
        let conducts = (0..<3).map { _ in LyingConduct(collusion) }
        let swarm = Self.swarm(seed: 2, honest: 6, conducts: conducts, collusion: collusion)
        let name = try #require(swarm.announce("live/one", at: 1))
        swarm.simulation.run(for: .seconds(3))
        for node in 0..<6 { _ = swarm.locate(name, from: node) }
        #expect(conducts.reduce(0) { $0 + $1.lies } > 10)
        let key = Bytes32(1, 2, 3, 4)
        let near = collusion.closest(to: key, limit: 2)
        #expect(near.count == 2)
        #expect(near[0].id.distance(to: key) < near[1].id.distance(to: key))
    }

    /// Lied to are only the victims: the joiner sees colluders, everybody else an honest node.
    @Test func anEclipseIsTriedOnOneJoinerOnly() {
        let collusion = Collusion()
        let swarm = CheckedSwarm(seed: 3)
        for _ in 0..<5 { swarm.add() }
        let victim = swarm.simulation.configuration(of: 9, life: 0).identity.id
        let conducts = (0..<4).map { _ in LyingConduct(collusion, victims: [victim]) }
        for conduct in conducts {
            if let contact = swarm.add(swarm.insider(conduct)).host?.contact { collusion.join(contact) }
        }
        swarm.simulation.run(for: .seconds(5))
        #expect(conducts.allSatisfy { $0.lies == 0 })
        let node = swarm.simulation.addNode()
        // It knows nobody but a colluder.
        let seeds = [swarm.simulation.nodes[7].host?.contact].compactMap { $0 }
        swarm.simulation.start(node, seeds: seeds)
        swarm.simulation.run(for: .seconds(20))
        #expect(conducts.reduce(0) { $0 + $1.lies } > 0)
        // Gossip breaks the eclipse: members are told by everybody.
        let first = swarm.simulation.nodes[0].host?.contact.id
        #expect(first.map { node.swarm?.machine.knowsMember($0) == true } == true)
    }

    @Test func forgeriesAreRefusedWithTheirReasons() throws {
        let name = try #require(StreamName("live/one"))
        let forger = ForgingConduct([name], using: SeededGenerator(seed: 1))
        let swarm = Self.swarm(seed: 4, honest: 6, conducts: [forger])
        _ = swarm.announce("live/one", at: 2)
        swarm.simulation.run(for: .seconds(30))
        #expect(forger.forged > 20)
        let origin = swarm.simulation.nodes[2].host?.contact.id
        for node in 0..<6 { #expect(swarm.locate(name, from: node) == origin) }
        var refused = Counters<DHTRefusal>()
        for node in swarm.simulation.nodes {
            guard let refusals = node.swarm?.machine.dhtRefusals else { continue }
            for (reason, count) in refusals.all { refused.add(reason, count) }
        }
        #expect(refused[.notPublisher] > 0)
        #expect(refused[.badSignature] > 0)
        #expect(refused[.clockSkew] > 0)
        #expect(swarm.suite.violations.map(\.description) == [])
    }

    @Test func droppersLoseTheirShare() {
        let conduct = DroppingConduct(share: 1, using: SeededGenerator(seed: 1))
        let swarm = Self.swarm(seed: 5, honest: 4, conducts: [conduct])
        let node = swarm.simulation.nodes[4]
        #expect(node.datagramsSent == 0, "whoever drops everything never speaks")
        let half = Self.swarm(
            seed: 5, honest: 4, conducts: [DroppingConduct(share: 0.3, using: SeededGenerator(seed: 2))])
        #expect(half.simulation.nodes[4].datagramsSent > 20)
    }

    @Test func falseGossipBreaksNobody() throws {
        let conduct = FalseGossipConduct(using: SeededGenerator(seed: 1))
        let swarm = Self.swarm(seed: 6, honest: 8, conducts: [conduct])
        swarm.simulation.run(for: .seconds(60))
        #expect(conduct.lies > 50)
        let name = try #require(swarm.announce("live/one", at: 1))
        #expect(swarm.locate(name, from: 6) == swarm.simulation.nodes[1].host?.contact.id)
        #expect(swarm.suite.violations.map(\.description) == [])
    }

    /// A flood of good first messages from forged sources: nothing overflows, nobody is amplified, lookups go on.
    @Test(arguments: [false, true]) func aFloodOfHandshakesIsSurvived(isFromMany: Bool) throws {
        let swarm = Self.swarm(seed: 7, honest: 6, conducts: [])
        let name = try #require(swarm.announce("live/one", at: 0))
        var plan = HandshakeFlood.Plan()
        plan.fromManyAddresses = isFromMany
        let flood = HandshakeFlood(plan, in: swarm.simulation, using: SeededGenerator(seed: 3))
        flood.begin(at: swarm.simulation.nodes[0], for: .seconds(10), in: swarm.simulation)
        swarm.simulation.run(for: .seconds(5))
        let origin = swarm.simulation.nodes[0].host?.contact.id
        #expect(swarm.locate(name, from: 4) == origin)
        swarm.simulation.run(for: .seconds(5))
        #expect(flood.sent > 5_000)
        #expect(swarm.suite.violations.map(\.description) == [])
        var stranger = plan
        stranger.knowsSecret = false
        let noise = HandshakeFlood(stranger, in: swarm.simulation, using: SeededGenerator(seed: 4))
        let sent = swarm.simulation.nodes[0].bytesSent
        noise.begin(at: swarm.simulation.nodes[0], for: .milliseconds(100), in: swarm.simulation)
        swarm.simulation.run(for: .milliseconds(100))
        #expect(noise.sent > 50)
        #expect(swarm.simulation.nodes[0].bytesSent - sent < UInt64(noise.sent) * 100, "strangers get no answer")
    }

    @Test func aFloodOfRequestsIsAnsweredAndHurtsNobody() throws {
        let flood = RequestFloodConduct(perSecond: 1000, using: SeededGenerator(seed: 1))
        let swarm = Self.swarm(seed: 8, honest: 6, conducts: [flood])
        let name = try #require(swarm.announce("live/one", at: 1))
        #expect(swarm.locate(name, from: 5) == swarm.simulation.nodes[1].host?.contact.id)
        #expect(flood.requests > 5_000)
        #expect(swarm.suite.violations.map(\.description) == [])
    }

    @Test func groundIDsLieNextToTheirKey() {
        let suite = CryptoSuite.counted()
        var generator = SeededGenerator(seed: 1)
        let key = Bytes32(7, 7, 7, 7)
        let ground = IDGrinder.grind(5, near: key, bits: 6, suite: suite, using: &generator)
        #expect(ground.count == 5)
        #expect(ground.allSatisfy { $0.id.distance(to: key).leadingZeroBitCount >= 6 })
        #expect(IDGrinder.grind(5, near: key, bits: 60, tries: 100, suite: suite, using: &generator).isEmpty)
        #expect(IDGrinder.bits(against: 1000) == 13)
        // They run as members under those ids.
        let swarm = CheckedSwarm(seed: 9)
        for _ in 0..<3 { swarm.add() }
        let collusion = Collusion()
        for identity in ground {
            let node = swarm.add { node in
                InsiderHost(
                    swarm.simulation.configuration(of: node.index, life: 0), identity: identity,
                    conduct: LyingConduct(collusion, .silent), at: node.clock.now(swarm.simulation.now))
            }
            if let contact = node.host?.contact { collusion.join(contact) }
            #expect(node.host?.contact.id == identity.id)
        }
        swarm.simulation.run(for: .seconds(10))
        #expect(ground.allSatisfy { swarm.simulation.nodes[0].swarm?.machine.knowsMember($0.id) == true })
    }
}
