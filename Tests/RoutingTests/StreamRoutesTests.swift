import Routing
import SwarmCore
import SwarmCrypto
import Testing

@Suite struct StreamRoutesTests {
    let demo = name("demo")

    @Test(arguments: [0, 50]) func aFullOriginDelegatesAndAKilledRelayIsReplaced(lossPerMille: Int) {
        let swarm = RouteSwarm(seed: 1, maxChildren: [1, 8, 8], lossPerMille: lossPerMille)
        swarm.publish(demo, at: 0)
        swarm.subscribe(demo, at: 1)
        #expect(swarm.wire.run(atMost: .seconds(3)) { swarm.isServed(1, demo) } != nil)
        swarm.subscribe(demo, at: 2)
        #expect(swarm.wire.run(atMost: .seconds(4)) { swarm.isServed(2, demo) } != nil)
        #expect(swarm[1].parent(of: demo) == swarm.id(0))
        #expect(swarm[2].parent(of: demo) == swarm.id(1))
        #expect(swarm[2].machine.snapshot(of: demo)?.rank == 2)
        #expect(swarm[2].machine.snapshot(of: demo)?.path == [swarm.id(0).prefix, swarm.id(1).prefix])
        #expect(swarm[2].machine.descriptor(of: demo) == [1, 2, 3])

        swarm.kill(1)
        swarm.wire.run(for: .milliseconds(400))
        let again = swarm.wire.run(atMost: .seconds(12)) { swarm.isServed(2, demo) }
        #expect(again != nil)
        #expect(swarm[2].parent(of: demo) == swarm.id(0))

        swarm.release(demo, at: 2)
        swarm.unpublish(demo)
        swarm.wire.run(for: .seconds(12))
        #expect(swarm[0].isClean)
        #expect(swarm[2].isClean)
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>) func randomLivesNeverLoopAndLeaveNothing(seed: UInt64) {
        let count = 12
        let swarm = RouteSwarm(seed: seed, maxChildren: Array(repeating: 2, count: count), lossPerMille: 20)
        var generator = SeededGenerator(seed: seed)
        let streams = [name("a"), name("b/c")]
        for (index, stream) in streams.enumerated() { swarm.publish(stream, at: index) }
        var epoch: UInt64 = 1
        for _ in 0..<200 {
            let node = 2 + generator.integer(below: count - 2)
            let stream = streams[generator.integer(below: 2)]
            switch generator.integer(below: 12) {
            case 0 where swarm[node].isUp: swarm.kill(node)
            case 1, 2: if !swarm[node].isUp { swarm.revive(node, maxChildren: 2) }
            case 3, 4: if swarm[node].isUp { swarm.release(stream, at: node) }
            case 5:
                guard let origin = swarm.origins[stream] else { break }
                epoch += 1
                swarm.publish(stream, at: origin, epoch: epoch)
            case 6, 7:
                // A better parent is found, as re-optimisation would.
                let found = swarm.candidates(for: stream, at: node)
                guard swarm[node].isUp, !found.isEmpty else { break }
                let pick = found[generator.integer(below: found.count)]
                swarm.act(node) { machine, now, out, events in
                    machine.offer(stream, candidates: [pick], at: now, into: &out, events: &events)
                }
            default: if swarm[node].isUp { swarm.subscribe(stream, at: node, layers: generator.next()) }
            }
            swarm.wire.run(for: .milliseconds(Int64(generator.integer(below: 600))))
        }
        // Liveness: left alone, everybody who watches is served.
        for node in 2..<count where !swarm[node].isUp { swarm.revive(node, maxChildren: 2) }
        for node in 2..<count { for stream in streams { swarm.subscribe(stream, at: node) } }
        let served = swarm.wire.run(atMost: .seconds(40)) {
            (2..<count).allSatisfy { node in streams.allSatisfy { swarm.isServed(node, $0) } }
        }
        #expect(served != nil, "seed \(seed)")
        for node in 0..<count { #expect(swarm[node].machine.freeChildSlots >= 0) }
        for node in 2..<count { for stream in streams { swarm.release(stream, at: node) } }
        for stream in streams { swarm.unpublish(stream) }
        swarm.wire.run(for: .seconds(25))
        for node in 0..<count { #expect(swarm[node].isClean, "seed \(seed), node \(node)") }
        #expect(swarm.wire.dropped == 0)
    }

    @Test func manyJoinersGrowATreeOfBoundedDegree() {
        let count = 24
        let swarm = RouteSwarm(seed: 9, maxChildren: Array(repeating: 2, count: count), lossPerMille: 10)
        swarm.publish(demo, at: 0)
        for node in 1..<count { swarm.subscribe(demo, at: node) }
        let all = swarm.wire.run(atMost: .seconds(20)) { (1..<count).allSatisfy { swarm.isServed($0, demo) } }
        #expect(all != nil)
        for node in 0..<count { #expect((swarm[node].machine.snapshot(of: demo)?.children.count ?? 9) <= 2) }
    }

    @Test func streamsBetweenTheSameWorkersShareOneLink() {
        let swarm = RouteSwarm(seed: 2, maxChildren: [4, 4], workers: 4)
        // Home workers of four: "a" and "e" share one, "b" does not.
        let (first, second, third) = (name("a"), name("e"), name("b"))
        #expect(HomeWorker.index(of: first, workers: 4) == HomeWorker.index(of: second, workers: 4))
        #expect(HomeWorker.index(of: first, workers: 4) != HomeWorker.index(of: third, workers: 4))
        for stream in [first, second, third] {
            swarm.publish(stream, at: 0)
            swarm.subscribe(stream, at: 1)
        }
        swarm.wire.run(for: .seconds(2))
        for stream in [first, second, third] { #expect(swarm.isServed(1, stream)) }
        #expect(swarm[1].openLinks.count == 2)
        #expect(swarm[0].openLinks.count == 2)
        #expect(swarm[1].parents[first] == swarm[1].parents[second])
        swarm.release(first, at: 1)
        swarm.wire.run(for: .seconds(1))
        #expect(swarm.isServed(1, second))
        #expect(swarm[1].openLinks.count == 2)
        swarm.release(second, at: 1)
        swarm.wire.run(for: .seconds(1))
        #expect(swarm[1].openLinks.count == 1)
        #expect(swarm[0].openLinks.count == 1)
        #expect(swarm[0].machine.freeChildSlots == 3)
    }

    @Test func layersAreTheUnionOfWhatIsWantedBelow() {
        let swarm = RouteSwarm(seed: 3, maxChildren: [1, 8, 8])
        func layersAtOrigin() -> UInt64? { swarm[0].machine.snapshot(of: demo)?.children.first?.layers }
        swarm.publish(demo, at: 0)
        swarm.subscribe(demo, at: 1, layers: 0b001)
        swarm.wire.run(for: .seconds(1))
        #expect(layersAtOrigin() == 0b001)
        swarm.subscribe(demo, at: 2, layers: 0b100)
        swarm.wire.run(for: .seconds(1))
        #expect(layersAtOrigin() == 0b101)
        swarm.act(2) { machine, now, out, events in
            machine.setLayers(demo, layers: 0b010, at: now, into: &out, events: &events)
        }
        swarm.wire.run(for: .seconds(1))
        #expect(layersAtOrigin() == 0b011)
        // A carrier without viewers stays for its child, and leaves with it.
        swarm.release(demo, at: 1)
        swarm.wire.run(for: .seconds(1))
        #expect(layersAtOrigin() == 0b010)
        #expect(swarm.isServed(2, demo))
        swarm.release(demo, at: 2)
        swarm.wire.run(for: .seconds(2))
        #expect(layersAtOrigin() == nil)
        #expect(swarm[1].isClean)
    }

    @Test func descriptorsAndTheEndReachTheWholeTree() {
        let swarm = RouteSwarm(seed: 4, maxChildren: [1, 1, 1, 1], lossPerMille: 100)
        swarm.publish(demo, at: 0)
        for node in 1...3 {
            swarm.subscribe(demo, at: node)
            #expect(swarm.wire.run(atMost: .seconds(8)) { swarm.isServed(node, demo) } != nil)
        }
        swarm.act(0) { machine, now, out, events in
            machine.updateDescriptor(demo, descriptor: [9], at: now, into: &out, events: &events)
        }
        let told = swarm.wire.run(atMost: .seconds(15)) {
            (1...3).allSatisfy { swarm[$0].machine.descriptor(of: demo) == [9] }
        }
        #expect(told != nil)
        swarm.publish(demo, at: 0, epoch: 5, descriptor: [5])
        let newEpoch = swarm.wire.run(atMost: .seconds(15)) {
            (1...3).allSatisfy { swarm[$0].machine.snapshot(of: demo)?.epoch == 5 }
        }
        #expect(newEpoch != nil)
        swarm.unpublish(demo)
        swarm.wire.run(for: .seconds(15))
        for node in 1...3 {
            #expect(swarm[node].count { if case .ended = $0 { true } else { false } } == 1, "node \(node)")
            #expect(swarm[node].isClean, "node \(node)")
        }
    }

    @Test func aBetterParentIsMadeBeforeTheOldOneIsLeft() {
        let swarm = RouteSwarm(seed: 5, maxChildren: [8, 8, 8])
        swarm.publish(demo, at: 0)
        for node in 1...2 { swarm.subscribe(demo, at: node) }
        swarm.wire.run(for: .seconds(1))
        swarm[2].log = []
        let better = swarm.candidates(for: demo, at: 2).filter { $0.contact.id == swarm.id(1) }
        swarm.act(2) { machine, now, out, events in
            machine.offer(demo, candidates: better, at: now, into: &out, events: &events)
        }
        let moved = swarm.wire.run(atMost: .seconds(2)) { swarm[2].parent(of: demo) == swarm.id(1) }
        #expect(moved != nil)
        swarm.wire.run(for: .seconds(1))
        #expect(swarm.isServed(2, demo))
        #expect(swarm[2].count { if case .parentDetached = $0 { true } else { false } } == 0)
        #expect(swarm[0].machine.snapshot(of: demo)?.children.count == 1)
        #expect(swarm[2].openLinks.count == 1)
    }

    @Test func aReplayedSubscribeLeavesNothing() {
        let swarm = RouteSwarm(seed: 6, maxChildren: [4, 4])
        swarm.publish(demo, at: 0)
        // The answers go to the address the attacker forged. (The real node would answer them with UNSUBSCRIBE.)
        swarm.wire.isBlocked = { sender, _ in sender == 0 }
        let request = SubscribeMessage(
            subscription: 1, stream: demo, leastEpoch: 0, layers: 3, worker: 0, port: 7789, connectionID: 77,
            instance: 5, alias: 1, cipher: .aes256GCM, feasibility: nil, knownLinks: [])
        for _ in 0..<3 {
            swarm.wire.send(encode(request.write), from: 1, to: swarm[0].contact, isConfirmed: false)
        }
        swarm.wire.run(for: .milliseconds(500))
        #expect(swarm[0].openLinks.count == 1, "reserved")
        #expect(swarm[0].count { if case .childAttached = $0 { true } else { false } } == 0)
        swarm.wire.run(for: .milliseconds(2500))
        #expect(swarm[0].openLinks.isEmpty)
        #expect(swarm[0].machine.snapshot(of: demo)?.children.isEmpty == true)
        #expect(swarm[0].machine.freeChildSlots == 4)
        // And however many there are, they stay few.
        for number in 0..<500 {
            var other = request
            other.subscription = UInt64(number + 10)
            swarm.wire.send(encode(other.write), from: 1, to: swarm[0].contact, isConfirmed: false)
        }
        swarm.wire.run(for: .milliseconds(300))
        #expect(swarm[0].openLinks.count <= RoutingLimits.unconfirmedEdges)
        swarm.wire.run(for: .seconds(6))
        #expect(swarm[0].openLinks.isEmpty)
    }

    @Test func aReplayDoesNotDisturbTheRealChild() {
        let swarm = RouteSwarm(seed: 7, maxChildren: [1, 4])
        swarm.publish(demo, at: 0)
        swarm.subscribe(demo, at: 1)
        swarm.wire.run(for: .seconds(1))
        let request = SubscribeMessage(
            subscription: 1, stream: demo, leastEpoch: 0, layers: 3, worker: 0, port: 7789, connectionID: 77,
            instance: 5, alias: 1, cipher: .aes256GCM, feasibility: nil, knownLinks: [])
        swarm.wire.send(encode(request.write), from: 1, to: swarm[0].contact, isConfirmed: false)
        swarm.wire.run(for: .seconds(5))
        #expect(swarm.isServed(1, demo))
        #expect(swarm[0].openLinks.count == 1)
        #expect(swarm[0].machine.refusals[.stale] == 1)
    }

    @Test func searchesFailWithTheirReason() {
        func reason(_ swarm: RouteSwarm, _ node: Int) -> RouteFailure? {
            for case .failed(_, let reason) in swarm[node].log { return reason }
            return nil
        }
        let nobody = RouteSwarm(seed: 8, maxChildren: [4, 4, 4])
        nobody.answersLookups = false
        nobody.subscribe(demo, at: 1)
        nobody.wire.run(for: .seconds(13))
        #expect(reason(nobody, 1) == .notFound)
        #expect(nobody[1].isClean)

        let full = RouteSwarm(seed: 8, maxChildren: [0, 4, 4])
        full.publish(demo, at: 0)
        full.subscribe(demo, at: 1)
        full.wire.run(for: .seconds(14))
        #expect(reason(full, 1) == .full)

        let silent = RouteSwarm(seed: 8, maxChildren: [4, 4, 4])
        silent.publish(demo, at: 0)
        silent.wire.nodes[0].isUp = false
        silent.subscribe(demo, at: 1)
        silent.wire.run(for: .seconds(14))
        #expect(reason(silent, 1) == .timedOut)
        #expect(silent[1].isClean)
    }

    @Test func aNewNumberLetsASubtreeMoveBelowADeeperParent() {
        // 0 → 1 → 3 → 5 and 0 → 2 → 4 → 6; when 1 dies, 3 (with its child 5) is offered only 6, three hops deep.
        let swarm = RouteSwarm(seed: 10, maxChildren: [2, 1, 1, 1, 1, 1, 1])
        swarm.publish(demo, at: 0)
        for (node, parent) in [(1, 0), (2, 0), (3, 1), (4, 2), (5, 3), (6, 4)] {
            let contact = swarm[parent].contact
            swarm.act(node) { machine, now, out, events in
                let candidate = RouteCandidate(
                    contact: contact, isOrigin: parent == 0, predictedDelayMilliseconds: 1, load: 0)
                machine.subscribe(
                    demo, layers: 1, worker: 0, candidates: [candidate], at: now, into: &out, events: &events)
            }
            swarm.wire.run(for: .seconds(1))
            #expect(swarm[node].parent(of: demo) == swarm.id(parent))
        }
        swarm.answersLookups = false
        swarm.kill(1)
        swarm.wire.run(for: .seconds(1))
        #expect(swarm[3].role(demo) == .seeking)
        let deep = swarm[6].contact
        swarm.act(3) { machine, now, out, events in
            let candidate = RouteCandidate(
                contact: deep, isOrigin: false, predictedDelayMilliseconds: 1, load: 0)
            machine.offer(demo, candidates: [candidate], at: now, into: &out, events: &events)
        }
        let moved = swarm.wire.run(atMost: .seconds(5)) { swarm.isServed(5, demo) }
        #expect(moved != nil)
        #expect(swarm[3].parent(of: demo) == swarm.id(6))
        #expect((swarm[0].machine.snapshot(of: demo)?.number ?? 0) > 1)
        #expect(swarm[5].machine.snapshot(of: demo)?.rank == 5)
    }

    @Test func aSeekingNodeIsNotServedByItsOwnSubtree() {
        let swarm = RouteSwarm(seed: 11, maxChildren: [1, 1, 1, 1])
        swarm.publish(demo, at: 0)
        for node in 1...3 {
            swarm.subscribe(demo, at: node)
            swarm.wire.run(for: .seconds(2))
        }
        #expect(swarm[3].parent(of: demo) == swarm.id(2))
        swarm.wire.isBlocked = { a, b in (a == 0) != (b == 0) }
        // The link to the origin is lost; the origin cannot be reached, the descendants can.
        if let link = swarm[1].parents[demo] {
            swarm.act(1) { machine, now, out, events in
                machine.mediaLinkLost(link, at: now, into: &out, events: &events)
            }
        }
        swarm.wire.run(for: .seconds(8))
        #expect(swarm[1].role(demo) == .seeking)
        swarm.wire.isBlocked = { _, _ in false }
        #expect(swarm.wire.run(atMost: .seconds(10)) { swarm.isServed(3, demo) } != nil)
    }

    @Test func aSeekingNodeWhoseParentForgotItSeeksAgain() {
        let swarm = RouteSwarm(seed: 12, maxChildren: [4, 4])
        swarm.publish(demo, at: 0)
        swarm.subscribe(demo, at: 1)
        swarm.wire.run(for: .seconds(1))
        // The origin restarts and publishes again before anybody noticed.
        swarm.revive(0, maxChildren: 4)
        swarm.publish(demo, at: 0, epoch: 2)
        #expect(swarm.wire.run(atMost: .seconds(6)) { swarm.isServed(1, demo) } != nil)
        #expect(swarm[1].machine.snapshot(of: demo)?.epoch == 2)
    }
}

func encode(_ write: (inout ByteWriter) -> Void) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Limits.messageBytes)
    var span = bytes.mutableSpan
    var writer = ByteWriter(span._mutatingExtracting(0..<span.count))
    write(&writer)
    precondition(!writer.overflowed)
    let count = writer.count
    return Array(bytes.prefix(count))
}
