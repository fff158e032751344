import Routing
import SwarmCore
import SwarmCrypto
import Testing

final class MembershipNode: WireNode {
    var machine: Membership
    var events: [MembershipEvent] = []

    init(seed: Int, now: Now, life: UInt64 = 0, sizes: CellSizes = CellSizes()) {
        let contact = testContact(seed)
        var configuration = MembershipConfiguration(contact: contact, workerPorts: [7789, 7790])
        configuration.region = "eu"
        configuration.sizes = sizes
        machine = Membership(
            configuration: configuration, generator: SeededGenerator(seed: UInt64(seed) + life << 32), now: now)
        super.init(contact: contact)
    }

    override func receive(_ bytes: [UInt8], from peer: Peer, at now: Now, into out: inout MessageOutbox) {
        var buffer = EventBuffer<MembershipEvent>()
        machine.receive(bytes.span, from: peer, at: now, into: &out, events: &buffer)
        #expect(buffer.count <= 64)
        while let event = buffer.popFirst() { events.append(event) }
    }
    override func advance(to now: Now, into out: inout MessageOutbox) {
        var buffer = EventBuffer<MembershipEvent>()
        machine.advance(to: now, into: &out, events: &buffer)
        while let event = buffer.popFirst() { events.append(event) }
    }
    override var nextDeadline: MonotonicInstant? { machine.nextDeadline }

    func status(of id: NodeID) -> MemberStatus? { machine.member(id)?.status }
    func has(_ match: (MembershipEvent) -> Bool) -> Bool { events.contains(where: match) }
}

/// `count` nodes that all know only the first, on paths of up to 60 ms and with 2 % loss; everybody has met.
func makeSwarm(_ count: Int, seed: UInt64, lossPerMille: Int = 20) -> VirtualWire<MembershipNode> {
    let delays = planeDelays(seed: seed, count: count, side: 30)
    let wire = VirtualWire<MembershipNode>(seed: seed, lossPerMille: lossPerMille, delayMilliseconds: delays)
    for index in 0..<count { wire.add(MembershipNode(seed: index + Int(seed) * 1000, now: wire.now)) }
    let first = wire.nodes[0].contact
    for index in 1..<count { wire.nodes[index].machine.join([first], at: wire.now) }
    let joined = wire.run(atMost: .seconds(20)) { wire.nodes.allSatisfy { $0.machine.presentCount == count - 1 } }
    #expect(joined != nil, "\(count) nodes did not all meet")
    return wire
}

@Suite struct MembershipTests {
    @Test(arguments: [3, 10, 50]) func allJoinThroughOneAndAKilledOneIsNoticed(count: Int) {
        for seed in 1...(count < 50 ? 4 : 1) as ClosedRange<UInt64> {
            let wire = makeSwarm(count, seed: seed)
            wire.run(for: .seconds(10))
            let falseAlarms = wire.nodes.filter { $0.has { if case .failed = $0 { true } else { false } } }
            #expect(falseAlarms.isEmpty, "seed \(seed): alive nodes were failed")

            let victim = 1
            let victimID = wire.nodes[victim].contact.id
            wire.nodes[victim].isUp = false
            let others = wire.nodes.indices.filter { $0 != victim }
            let suspected = wire.run(atMost: .seconds(10)) {
                others.contains { wire.nodes[$0].status(of: victimID) != .alive }
            }
            #expect(
                (suspected ?? .seconds(99)) < .milliseconds(2500),
                "seed \(seed): suspected after \(String(describing: suspected))")
            let failed = wire.run(atMost: .seconds(20)) {
                others.allSatisfy { wire.nodes[$0].status(of: victimID) == .failed }
            }
            let total = (suspected ?? .zero) + (failed ?? .seconds(99))
            #expect(total <= .seconds(count <= 10 ? 8 : 9), "seed \(seed): failed after \(total.milliseconds) ms")
            #expect(total >= .milliseconds(5900), "seed \(seed): failed after \(total.milliseconds) ms only")
            for other in others {
                let sawFailure = wire.nodes[other].has { if case .failed(victimID) = $0 { true } else { false } }
                #expect(sawFailure)
            }
        }
    }

    @Test func aRestartedNodeReturnsAtOnceThoughItsClockWentBack() {
        let wire = makeSwarm(6, seed: 3)
        let id = wire.nodes[2].contact.id
        wire.nodes[2].isUp = false
        wire.run(for: .seconds(1))
        // Nobody has failed it yet; the new process starts with an older wall clock.
        var past = wire.now
        past.wallMilliseconds -= 3_600_000
        let reborn = MembershipNode(seed: 3002, now: past, life: 1)
        wire.replace(2, with: reborn)
        reborn.machine.join([wire.nodes[0].contact], at: wire.now)
        let back = wire.run(atMost: .seconds(15)) {
            wire.nodes.indices.allSatisfy { index in
                index == 2
                    ? reborn.machine.presentCount == 5
                    : wire.nodes[index].machine.member(id)?.description.instance == reborn.machine.own.instance
                        && wire.nodes[index].status(of: id) == .alive
            }
        }
        #expect(back != nil)
        // The restart is told as a death and a birth.
        for index in [0, 1, 3, 4, 5] {
            #expect(wire.nodes[index].has { if case .failed(id) = $0 { true } else { false } }, "node \(index)")
        }
    }

    @Test func aFailedNodeThatComesBackIsBornAgain() {
        let wire = makeSwarm(5, seed: 4)
        let id = wire.nodes[4].contact.id
        wire.nodes[4].isUp = false
        wire.run(for: .seconds(12))
        #expect(wire.nodes[0].status(of: id) == .failed)
        let reborn = MembershipNode(seed: 4004, now: wire.now, life: 1)
        wire.replace(4, with: reborn)
        reborn.machine.join([wire.nodes[1].contact], at: wire.now)
        wire.run(for: .seconds(3))
        for index in 0..<4 { #expect(wire.nodes[index].status(of: id) == .alive, "node \(index)") }
        #expect(reborn.machine.presentCount == 4)
    }

    @Test func aFalseAccusationIsRefutedByRaisingTheVersion() {
        let wire = makeSwarm(8, seed: 5, lossPerMille: 0)
        let victim = wire.nodes[3]
        let before = victim.machine.own.version
        let lie = NewsEntry.status(.suspected, victim.contact.id, version: before, accuser: 99)
        wire.send(newsMessage([lie]), from: 1, to: wire.nodes[2].contact)
        let heard = wire.run(atMost: .seconds(2)) { wire.nodes[2].status(of: victim.contact.id) == .suspected }
        #expect(heard != nil)
        let refuted = wire.run(atMost: .seconds(4)) {
            wire.nodes.indices.allSatisfy { $0 == 3 || wire.nodes[$0].status(of: victim.contact.id) == .alive }
        }
        #expect(refuted != nil)
        #expect(victim.machine.own.version > before)
        #expect(wire.nodes[2].has { if case .alive(victim.contact.id) = $0 { true } else { false } })
        // Even "failed" is refuted: the accused still probes, and is told.
        let worse = NewsEntry.status(.failed, victim.contact.id, version: victim.machine.own.version, accuser: 99)
        wire.send(newsMessage([worse]), from: 1, to: wire.nodes[2].contact)
        wire.run(for: .milliseconds(500))
        let back = wire.run(atMost: .seconds(6)) {
            wire.nodes.indices.allSatisfy { $0 == 3 || wire.nodes[$0].status(of: victim.contact.id) == .alive }
        }
        #expect(back != nil)
    }

    @Test func aLeaverIsNotMourned() {
        let wire = makeSwarm(10, seed: 6)
        let id = wire.nodes[9].contact.id
        wire.call(9) { node, now, out in node.machine.leave(at: now, into: &out) }
        wire.nodes[9].isUp = false
        let gone = wire.run(atMost: .seconds(3)) {
            (0..<9).allSatisfy { wire.nodes[$0].status(of: id) == .left }
        }
        #expect(gone != nil)
        #expect(wire.nodes[9].machine.nextDeadline == nil)
        for index in 0..<9 {
            #expect(!wire.nodes[index].has { if case .failed(id) = $0 { true } else { false } })
        }
        wire.run(for: .seconds(125))
        #expect(wire.nodes[0].machine.member(id) == nil, "tombstones end")
    }

    @Test func aLonelyNodeKeepsAskingItsSeedAndHealedPartitionsMeet() {
        let wire = VirtualWire<MembershipNode>(seed: 7)
        for index in 0..<6 { wire.add(MembershipNode(seed: 7000 + index, now: wire.now)) }
        wire.isBlocked = { a, b in (a < 3) != (b < 3) }
        for index in [1, 2] { wire.nodes[index].machine.join([wire.nodes[0].contact], at: wire.now) }
        for index in [4, 5] { wire.nodes[index].machine.join([wire.nodes[3].contact], at: wire.now) }
        wire.nodes[3].machine.join([wire.nodes[0].contact], at: wire.now)
        wire.run(for: .seconds(120))
        #expect(wire.nodes[0].machine.presentCount == 2)
        #expect(wire.nodes[5].machine.presentCount == 2)
        wire.isBlocked = { _, _ in false }
        let healed = wire.run(atMost: .seconds(180)) { wire.nodes.allSatisfy { $0.machine.presentCount == 5 } }
        #expect(healed != nil)
    }

    @Test func trafficAtRestIsSmall() {
        let count = 40
        let wire = makeSwarm(count, seed: 8)
        wire.run(for: .seconds(20))
        let (messages, bytes) = (wire.messagesSent, wire.bytesSent)
        wire.run(for: .seconds(30))
        let messagesPerSecond = Double(wire.messagesSent - messages) / 30 / Double(count)
        let bytesPerSecond = Double(wire.bytesSent - bytes) / 30 / Double(count)
        // Five PINGs and five ACKs a second; the rest is repair, indirect probes and syncs.
        #expect(messagesPerSecond < 13, "\(messagesPerSecond) messages a second")
        // Coordinates still settle in the first minute; 0.6 to 1 kB later.
        #expect(bytesPerSecond < 2000, "\(bytesPerSecond) bytes a second")
    }

    @Test func loadAndPlaceAreTold() {
        let wire = makeSwarm(10, seed: 9)
        let id = wire.nodes[4].contact.id
        wire.nodes[4].machine.updateSelf(load: 700, freeChildSlots: 3, at: wire.now)
        let told = wire.run(atMost: .seconds(15)) {
            wire.nodes.indices.allSatisfy { index in
                guard index != 4 else { return true }
                let description = wire.nodes[index].machine.member(id)?.description
                return description?.load == 700 && description?.freeChildSlots == 3
            }
        }
        #expect(told != nil)
        #expect(wire.nodes[0].machine.member(id)?.description.workerPorts == [7789, 7790])
        #expect(wire.nodes[0].machine.member(id)?.description.region == "eu")
    }

    @Test func coordinatesPredictUnmeasuredPairs() {
        let wire = makeSwarm(20, seed: 10)
        wire.run(for: .seconds(60))
        var errors: [Double] = []
        for a in 0..<20 {
            for b in 0..<20 where a < b {
                let real = wire.delayMilliseconds(a, b) * 2 * 1.05
                guard
                    let predicted = wire.nodes[0].machine.predictedRoundTrip(
                        from: wire.nodes[a].contact.id, to: wire.nodes[b].contact.id)
                else { continue }
                errors.append(abs(predicted.fractionalMilliseconds - real) / real)
            }
        }
        errors.sort()
        #expect(errors.count > 150)
        #expect(errors.isEmpty || errors[errors.count / 2] < 0.25, "median error \(errors[errors.count / 2])")
    }

    @Test func measuredPathsShowRoundTripAndLoss() {
        let wire = makeSwarm(3, seed: 11, lossPerMille: 100)
        wire.run(for: .seconds(60))
        let quality = wire.nodes[0].machine.member(wire.nodes[1].contact.id)?.quality
        let real = wire.delayMilliseconds(0, 1) * 2 * 1.05
        #expect(abs((quality?.roundTrip?.fractionalMilliseconds ?? 0) - real) < real * 0.1)
        #expect((30...500).contains(quality?.lossPerMille ?? 0))
    }

    @Test func unconfirmedSendersLeaveNothing() {
        let now = Now(monotonic: MonotonicInstant(nanoseconds: 5), wallMilliseconds: 5)
        let node = MembershipNode(seed: 1, now: now)
        let stranger = testContact(2)
        let peer = Peer(contact: stranger, address: .loopback(port: 1), isConfirmed: false)
        let news = NewsEntry.alive(MemberDescription(contact: testContact(3), version: 9, instance: 1))
        var out = MessageOutbox()
        var ping: [UInt8] = [MembershipMessageType.ping, 0, 0, 0, 0, 0, 0, 0, 1]
        ping += newsMessage([news]).dropFirst()
        node.receive(ping, from: peer, at: now, into: &out)
        #expect(out.count == 1, "a PING is answered")
        node.receive(newsMessage([news]), from: peer, at: now, into: &out)
        #expect(out.count == 1)
        #expect(node.machine.members.isEmpty)
        #expect(node.machine.refusals[.unconfirmed] == 1)
    }

    @Test func theMemberTableIsBounded() {
        let now = Now(monotonic: MonotonicInstant(nanoseconds: 5), wallMilliseconds: 5)
        let node = MembershipNode(seed: 1, now: now)
        let peer = Peer(contact: testContact(2), address: .loopback(port: 1), isConfirmed: true)
        var out = MessageOutbox()
        for index in 0..<(Limits.members + 500) {
            let news = NewsEntry.alive(MemberDescription(contact: testContact(10_000 + index), version: 9, instance: 1))
            node.receive(newsMessage([news]), from: peer, at: now, into: &out)
        }
        // The list has been divided; a few of those outside the cell are remembered.
        #expect(node.machine.cellDepth >= 3)
        #expect(node.machine.cellCount <= RoutingLimits.cellMaximum)
        #expect(node.machine.members.count <= RoutingLimits.cellMaximum + RoutingLimits.foreignMembers)
        #expect(node.machine.refusals[.unknownSubject] > 1000)
    }
}

func newsMessage(_ entries: [NewsEntry]) -> [UInt8] {
    var bytes: [UInt8] = [MembershipMessageType.news, UInt8(entries.count)]
    for entry in entries {
        let encoded = entry.encoded()
        if encoded.count < 64 {
            bytes.append(UInt8(encoded.count))
        } else {
            bytes += [0x40 | UInt8(encoded.count >> 8), UInt8(encoded.count & 0xff)]
        }
        bytes += encoded
    }
    return bytes
}
