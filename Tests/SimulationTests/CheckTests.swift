import Composition
import DHT
import Simulations
import SwarmCore
import SwarmCrypto
import Testing

/// Every checker is silent where all is well, and catches the fault it is there for.
@Suite struct CheckTests {
    @Test func aHealthySwarmBreaksNothing() throws {
        let swarm = CheckedSwarm(seed: 1)
        swarm.grow(to: 10)
        let name = try #require(swarm.announce("live/one", at: 3))
        swarm.simulation.run(for: .seconds(60))
        #expect(swarm.locate(name, from: 8) == swarm.simulation.nodes[3].host?.contact.id)
        swarm.suite.finish(swarm.simulation)
        #expect(swarm.suite.violations.map(\.description) == [])
        #expect(swarm.simulation.traffic.delivered > 1000)
    }

    /// Checkers observe and change nothing.
    @Test func aRunIsTheSameWithAndWithoutCheckers() {
        let digests = [CheckSuite.standard(), []].map { checkers in
            let swarm = CheckedSwarm(seed: 2, checkers: checkers)
            swarm.grow(to: 6)
            swarm.simulation.run(for: .seconds(20))
            return swarm.simulation.digest.text
        }
        #expect(digests[0] == digests[1])
    }

    @Test func aClockThatRunsBackwardsIsCaught() {
        let swarm = CheckedSwarm(seed: 3)
        swarm.grow(to: 3)
        swarm.simulation.nodes[1].clock.setDrift(ppm: 500_000, at: swarm.simulation.now)
        swarm.simulation.run(for: .seconds(10))
        #expect(swarm.caught == [])
        swarm.simulation.nodes[1].clock = NodeClock()
        swarm.simulation.run(for: .seconds(20))
        #expect(swarm.caught == ["time"])
    }

    @Test func aTableBeyondItsLimitIsCaught() {
        let swarm = CheckedSwarm(seed: 4)
        swarm.grow(to: 2)
        let checker = LimitChecker()
        checker.log = swarm.suite.log
        let node = swarm.simulation.nodes[1]
        checker.judge(TableAudit(name: "members", count: 5, limit: 5), at: node, in: swarm.simulation)
        #expect(swarm.caught == [])
        checker.judge(TableAudit(name: "members", count: 6, limit: 5), at: node, in: swarm.simulation)
        #expect(swarm.caught == ["limits"])
    }

    @Test func aDatagramFromNowhereIsCaught() {
        let swarm = CheckedSwarm(seed: 5)
        swarm.grow(to: 3)
        let node = swarm.simulation.nodes[1]
        let bytes: [UInt8] = [0xc4, 1, 2, 3]
        swarm.suite.delivered(bytes.span, from: node.address, to: node, in: swarm.simulation)
        swarm.simulation.run(for: .seconds(2))
        #expect(swarm.caught.contains("conservation"))
    }

    @Test func clearTextIsCaught() {
        let swarm = CheckedSwarm(seed: 6)
        swarm.grow(to: 3)
        let target = swarm.simulation.nodes[0].address
        swarm.add { node in
            PlantedHost(swarm.honest(node)) { out, _ in
                let ping: [UInt8] = [DHTMessage.Kind.ping.rawValue, 0, 0, 0, 0, 0, 0, 0, 1, 0]
                out.append(to: target, copying: ping.span)
            }
        }
        #expect(swarm.caught == ["wire"])
    }

    /// With real ciphers names are looked for in every datagram: none in the product's, one in the planted.
    @Test func aNameInTheClearIsCaught() throws {
        let checker = WireChecker()
        checker.secrets = ["live/secret"]
        let swarm = CheckedSwarm(seed: 7, checkers: [checker], hasRealCryptography: true)
        swarm.grow(to: 4)
        let name = try #require(swarm.announce("live/secret", at: 1))
        #expect(swarm.locate(name, from: 3) == swarm.simulation.nodes[1].host?.contact.id)
        #expect(swarm.caught == [])
        let target = swarm.simulation.nodes[0].address
        swarm.add { node in
            PlantedHost(swarm.honest(node)) { out, _ in
                let text =
                    [0xc4, 0, 0, 0, 1] + Array("and so live/secret it is".utf8) + [UInt8](repeating: 0, count: 16)
                out.append(to: target, copying: text.span)
            }
        }
        #expect(swarm.caught == ["wire"])
    }

    @Test func aNonceUsedTwiceIsCaught() {
        let swarm = CheckedSwarm(seed: 8)
        swarm.grow(to: 3)
        swarm.add { node in
            PlantedHost(swarm.honest(node)) { out, _ in
                for index in 0..<out.count where out.bytes(of: index)[0] == 0xc4 {
                    var copy = out.bytes(of: index).copied()
                    copy[copy.count - 1] ^= 1
                    let target = out.destination(of: index)
                    out.append(to: target, copying: copy.span)
                }
            }
        }
        swarm.simulation.run(for: .seconds(5))
        #expect(swarm.caught == ["nonces"])
    }

    @Test func amplificationIsCaught() {
        let swarm = CheckedSwarm(seed: 9)
        swarm.grow(to: 3)
        let victim = swarm.add { node in
            PlantedHost(
                swarm.honest(node),
                onReceive: { datagram, source, out in
                    guard datagram[0] == 0xc1 else { return }
                    let answer = [0xc3] + [UInt8](repeating: 0, count: 127)
                    for _ in 0..<16 { out.append(to: source, copying: answer.span) }
                })
        }
        swarm.simulation.run(for: .seconds(5))
        let before = swarm.caught
        let flood = HandshakeFlood(
            HandshakeFlood.Plan(), in: swarm.simulation, using: SeededGenerator(seed: 1))
        flood.begin(at: victim, for: .milliseconds(200), in: swarm.simulation)
        swarm.simulation.run(for: .seconds(1))
        #expect(before.subtracting(["amplification"]) == [])
        #expect(swarm.caught == ["amplification"])
    }

    @Test func aVersionThatFallsOrIsInventedIsCaught() {
        let swarm = CheckedSwarm(seed: 10)
        swarm.grow(to: 3)
        let checker = VersionChecker()
        checker.log = swarm.suite.log
        let (node, simulation) = (swarm.simulation.nodes[1], swarm.simulation)
        checker.called(node, in: simulation)
        guard let swarmHost = node.swarm else { return }
        let version = swarmHost.machine.ownVersion
        var member = MemberAudit(id: swarmHost.contact.id, instance: 1, version: version, isPresent: true)
        let reader = simulation.nodes[2]
        checker.see(member, from: reader, in: simulation)
        #expect(swarm.caught == [])
        member.version = version + 1
        checker.see(member, from: reader, in: simulation)
        #expect(swarm.suite.violations.last?.text.contains("believes in version") == true)
        member.version = version - 1
        checker.see(member, from: simulation.nodes[0], in: simulation)
        member.version = version - 2
        checker.see(member, from: simulation.nodes[0], in: simulation)
        #expect(swarm.suite.violations.last?.text.contains("went back") == true)
    }

    @Test func aSequenceThatFallsIsCaught() throws {
        let checker = SequenceChecker()
        let swarm = CheckedSwarm(seed: 11, checkers: [checker])
        swarm.grow(to: 4)
        _ = swarm.announce("live/one", at: 1)
        swarm.simulation.run(for: .seconds(40))
        #expect(checker.seen > 3, "records pass by")
        #expect(swarm.caught == [])
        let node = swarm.simulation.nodes[1]
        let identity = swarm.simulation.configuration(of: 1, life: 0).identity
        func note(_ sequence: UInt64) {
            var statement = RecordStatement(
                kind: .streamOrigin, publisher: identity.contact(at: AddressList(node.address)), sequence: sequence,
                lifetime: .seconds(30))
            statement.name = "live/two"
            checker.note(Record(statement, by: identity), by: node, in: swarm.simulation)
        }
        note(50_000)
        note(26_000)
        #expect(swarm.caught == [], "a PUT that waited")
        node.clock.wallOffsetMilliseconds += 30_000
        note(80_000)
        note(26_000)
        #expect(swarm.caught == [], "one that waited while the clock was set forward")
        note(25_999)
        #expect(swarm.caught == ["sequences"])
    }

    @Test func aLoopInATreeIsCaught() {
        func path(_ parents: [Int: Int]) -> [Int]? { TreeChecker.path(from: 1) { parents[$0] } }
        #expect(path([1: 2, 2: 3, 3: 4]) == nil)
        #expect(path([1: 2, 2: 3, 3: 1]) == [1, 2, 3, 1])
        #expect(path([1: 1]) == [1, 1])
        #expect(path([1: 2, 2: 3, 3: 2]) == nil, "a loop further up is found from the nodes on it")
    }

    @Test func aBelievedReplayIsCaught() {
        let attack = ReplayAttack(using: SeededGenerator(seed: 1))
        let swarm = CheckedSwarm(seed: 12, checkers: CheckSuite.standard() + [attack])
        attack.begin(every: .milliseconds(20), until: .max, in: swarm.simulation)
        swarm.grow(to: 6)
        _ = swarm.announce("live/one", at: 1)
        swarm.simulation.run(for: .seconds(30))
        #expect(attack.replays > 500)
        #expect(swarm.suite.violations.map(\.description) == [])
        let node = swarm.simulation.nodes[2]
        guard let before = node.swarm?.machine.stateFingerprint else { return }
        // A contact heard anew, as by a copy that was believed.
        swarm.simulation.run(for: .seconds(2))
        let after = node.swarm?.machine.stateFingerprint ?? 0
        #expect(before != after, "the fingerprint sees a contact that was heard")
        attack.judge(before: before, after: after, 0xc4, node, swarm.simulation)
        #expect(swarm.caught == ["replays"])
    }

    @Test func whatTheEngineFindsIsReported() {
        let swarm = CheckedSwarm(seed: 13)
        swarm.add { PlantedHost(swarm.honest($0), fixedDeadline: .zero) }
        swarm.simulation.run(for: .milliseconds(1))
        swarm.suite.finish(swarm.simulation)
        #expect(swarm.caught == ["engine"])
        #expect(swarm.suite.violations.first?.text.hasPrefix("deadlineLeftBehind") == true)
    }
}
