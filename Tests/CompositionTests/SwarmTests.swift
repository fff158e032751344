import Composition
import MediaRelay
import SwarmCore
import Testing

/// The whole control and media plane of several nodes, without sockets: real offers, real DTLS, virtual time.
@Suite struct SwarmTests {
    private let name: StreamName

    init() throws { name = try #require(StreamName("room/demo")) }

    @Test func aStreamCrossesARelay() throws {
        let swarm = VirtualSwarm()
        let a = try swarm.addNode(maxChildren: 1)
        let (b, c) = (try swarm.addNode(), try swarm.addNode())
        swarm.settle()
        _ = try #require(try swarm.publish(name, at: a))
        swarm.run(for: .seconds(2))
        let near = try #require(try swarm.play(name, at: b))
        swarm.run(for: .seconds(2))
        let far = try #require(try swarm.play(name, at: c))
        swarm.run(for: .seconds(6))
        #expect(swarm.route(name, at: c) == [a.id, b.id, c.id])
        for client in [near, far] {
            let report = client.report(at: swarm.now)
            #expect(report.isConnected && report.packetsReceived > 300, "\(report)")
            #expect(report.packetsLost == 0 && report.packetsDuplicate == 0)
            #expect((report.timeToFirstKeyFrame ?? .seconds(9)) < .seconds(2))
        }
        let link = try #require(swarm.statistics(of: a)?.workers.first?.links.first)
        #expect(link.peer == b.id && link.framesFirstSent > 300 && link.framesFirstSentTwice == 0)
    }

    @Test func lossBetweenNodesIsRepaired() throws {
        let swarm = VirtualSwarm()
        swarm.loss = 0.03
        let (a, b) = (try swarm.addNode(), try swarm.addNode())
        swarm.settle()
        _ = try #require(try swarm.publish(name, at: a))
        swarm.run(for: .seconds(2))
        let player = try #require(try swarm.play(name, at: b))
        swarm.run(for: .seconds(10))
        let report = player.report(at: swarm.now)
        #expect(report.packetsReceived > 800, "\(report)")
        #expect(report.lossRatio < 0.001)
    }

    @Test func aDeadRelayIsReplaced() throws {
        let swarm = VirtualSwarm()
        let a = try swarm.addNode(maxChildren: 1)
        let (b, c) = (try swarm.addNode(), try swarm.addNode())
        swarm.settle()
        _ = try #require(try swarm.publish(name, at: a))
        swarm.run(for: .seconds(2))
        _ = try #require(try swarm.play(name, at: b))
        swarm.run(for: .seconds(2))
        let player = try #require(try swarm.play(name, at: c))
        swarm.run(for: .seconds(3))
        #expect(swarm.route(name, at: c) == [a.id, b.id, c.id])
        let before = player.report(at: swarm.now).packetsReceived
        b.isAlive = false
        swarm.run(for: .seconds(15))
        #expect(swarm.route(name, at: c) == [a.id, c.id])
        let report = player.report(at: swarm.now)
        #expect(report.packetsReceived > before + 300, "\(report)")
    }

    @Test func leavingLeavesNothing() throws {
        let swarm = VirtualSwarm()
        let (a, b) = (try swarm.addNode(), try swarm.addNode())
        swarm.settle()
        let publisher = try #require(try swarm.publish(name, at: a))
        swarm.run(for: .seconds(2))
        for _ in 0..<3 {
            let player = try #require(try swarm.play(name, at: b))
            swarm.run(for: .seconds(1))
            guard case .deleted = swarm.ask(b, .delete(session: player.token)) else {
                Issue.record("DELETE was refused")
                return
            }
            swarm.clients.removeAll { $0 === player }
        }
        swarm.run(for: .seconds(8))
        let left = try #require(swarm.statistics(of: b))
        #expect(left.streams == 0 && left.viewers == 0 && left.workers[0].links.isEmpty)
        #expect(swarm.statistics(of: a)?.children == 0)
        _ = swarm.ask(a, .delete(session: publisher.token))
        swarm.clients.removeAll { $0 === publisher }
        swarm.run(for: .seconds(3))
        #expect(swarm.statistics(of: a)?.streams == 0)
        #expect(try swarm.play(name, at: b) == nil, "the stream is gone")
    }

    /// The branch is cut, the media link closed; a new publication and the same viewers' node begin anew.
    @Test func aStreamReturnsUnderItsName() throws {
        let swarm = VirtualSwarm()
        let (a, b) = (try swarm.addNode(), try swarm.addNode())
        swarm.settle()
        for round in 0..<3 {
            let publisher = try #require(try swarm.publish(name, at: a), "round \(round)")
            swarm.run(for: .seconds(2))
            let player = try #require(try swarm.play(name, at: b), "round \(round)")
            swarm.run(for: .seconds(3))
            let report = player.report(at: swarm.now)
            #expect(report.packetsReceived > 150 && report.packetsLost == 0, "round \(round): \(report)")
            _ = swarm.ask(a, .delete(session: publisher.token))
            swarm.clients.removeAll()
            swarm.run(for: .seconds(1))
        }
        #expect(swarm.statistics(of: b)?.viewers == 0, "viewers of an ended stream are closed")
    }

    /// The origin dies; once that is known, the name is free at another node, and viewers come back to it.
    @Test func aDeadOriginsNameIsFree() throws {
        let swarm = VirtualSwarm()
        let (a, b, c) = (try swarm.addNode(), try swarm.addNode(), try swarm.addNode())
        swarm.settle()
        _ = try #require(try swarm.publish(name, at: b))
        swarm.run(for: .seconds(3))
        b.isAlive = false
        swarm.clients.removeAll()
        swarm.run(for: .seconds(10))
        #expect(try swarm.play(name, at: a) == nil)
        _ = try #require(try swarm.publish(name, at: c))
        swarm.run(for: .seconds(5))
        let player = try #require(try swarm.play(name, at: a))
        swarm.run(for: .seconds(3))
        #expect(player.report(at: swarm.now).packetsReceived > 150)
    }

    /// A node that carried the stream for a child becomes its origin: the child goes on.
    @Test func aCarrierBecomesTheOrigin() throws {
        let swarm = VirtualSwarm()
        let a = try swarm.addNode(maxChildren: 1)
        let (b, c) = (try swarm.addNode(maxChildren: 1), try swarm.addNode())
        swarm.settle()
        let first = try #require(try swarm.publish(name, at: a))
        swarm.run(for: .seconds(2))
        _ = try #require(try swarm.play(name, at: b))
        swarm.run(for: .seconds(2))
        let far = try #require(try swarm.play(name, at: c))
        swarm.run(for: .seconds(2))
        #expect(swarm.route(name, at: c) == [a.id, b.id, c.id])
        _ = swarm.ask(a, .delete(session: first.token))
        swarm.clients.removeAll { $0 !== far }
        swarm.run(for: .seconds(2))
        _ = try #require(try swarm.publish(name, at: b))
        swarm.run(for: .seconds(2))
        let player = try #require(try swarm.play(name, at: c))
        swarm.run(for: .seconds(3))
        #expect(player.report(at: swarm.now).packetsReceived > 150)
        #expect(swarm.route(name, at: c) == [b.id, c.id])
    }

    @Test func aNameHasOnePublisher() throws {
        let swarm = VirtualSwarm()
        let (a, b) = (try swarm.addNode(), try swarm.addNode())
        swarm.settle()
        _ = try #require(try swarm.publish(name, at: a))
        swarm.run(for: .seconds(3))
        #expect(try swarm.publish(name, at: b) == nil)
        #expect(try swarm.publish(name, at: a) == nil)
        guard case .streams(let listed) = swarm.ask(b, .streams(prefix: "room")) else {
            Issue.record("no listing")
            return
        }
        #expect(listed.map(\.name) == [name] && listed.first?.origin == a.id)
    }

    @Test func refusalsSayWhy() throws {
        let swarm = VirtualSwarm()
        let node = try swarm.addNode()
        let cases: [(ControlRequest, ControlRefusal?)] = [
            (.publish(name, offer: "hello"), nil), (.play(name, offer: "hello"), .notLive),
            (.delete(session: "none"), .unknownSession),
            (.patch(session: "none", entityTag: nil, fragment: ""), .unknownSession), (.route(name), .notLive),
        ]
        for (request, expected) in cases {
            guard case .refused(let refusal) = swarm.ask(node, request) else {
                Issue.record("\(request) was not refused")
                continue
            }
            if let expected { #expect(refusal == expected) }
        }
        #expect(swarm.statistics(of: node)?.streams == 0)
    }
}
