import Routing
import SwarmCore
import SwarmCrypto
import Testing

/// Swarms that are divided into cells, with thresholds small enough for a test: undivided up to 48 nodes, cells of 12 to
/// 48.
@Suite struct CellTests {
    static var sizes: CellSizes {
        var sizes = CellSizes()
        sizes.fullMembers = 48
        sizes.maximum = 48
        sizes.minimum = 12
        sizes.firstDepth = 1
        sizes.foreign = 24
        return sizes
    }

    private static func node(_ seed: Int, now: Now, life: UInt64 = 0) -> MembershipNode {
        MembershipNode(seed: seed, now: now, life: life, sizes: sizes)
    }

    /// `count` nodes join through the first, ten a second, and are left alone until each knows its cell.
    static func swarm(_ count: Int, seed: UInt64, lossPerMille: Int = 20) -> VirtualWire<MembershipNode> {
        let delays = planeDelays(seed: seed, count: count + 8, side: 30)
        let wire = VirtualWire<MembershipNode>(seed: seed, lossPerMille: lossPerMille, delayMilliseconds: delays)
        for index in 0..<count {
            wire.add(node(index + Int(seed) * 1000, now: wire.now))
            if index > 0 { wire.nodes[index].machine.join([wire.nodes[0].contact], at: wire.now) }
            wire.run(for: .milliseconds(100))
        }
        let settled = eventually(wire, within: .seconds(60)) { everybodyKnowsItsCell(wire) }
        #expect(settled != nil, "seed \(seed): \(unsettled(wire))")
        return wire
    }

    /// Runs until `condition` holds, asking five times a second; nil after `limit`.
    static func eventually(
        _ wire: VirtualWire<MembershipNode>, within limit: Interval, _ condition: () -> Bool
    ) -> Interval? {
        let start = wire.now.monotonic
        while wire.now.monotonic - start < limit {
            if condition() { return wire.now.monotonic - start }
            wire.run(for: .milliseconds(200))
        }
        return nil
    }

    /// Whether each living node lists exactly the living members of its cell, and all divide as finely.
    static func everybodyKnowsItsCell(_ wire: VirtualWire<MembershipNode>) -> Bool { unsettled(wire).isEmpty }

    /// What is wrong, node by node.
    static func unsettled(_ wire: VirtualWire<MembershipNode>) -> [String] {
        let alive = wire.nodes.filter(\.isUp)
        let ids = alive.map(\.contact.id).sorted()
        var faults: [String] = []
        for node in alive {
            let depth = node.machine.cellDepth
            let cell = ids.filter { shares($0, node.contact.id, depth) }
            if node.machine.cellCount != cell.count {
                faults.append("\(node.contact.id.short) at depth \(depth): \(node.machine.cellCount) of \(cell.count)")
            } else if !cell.allSatisfy({ $0 == node.contact.id || node.status(of: $0) == .alive }) {
                faults.append("\(node.contact.id.short): not all alive")
            }
            for other in alive where shares(other.contact.id, node.contact.id, depth) {
                if other.machine.cellDepth != depth { faults.append("depths \(depth), \(other.machine.cellDepth)") }
            }
        }
        return faults
    }

    private static func shares(_ a: NodeID, _ b: NodeID, _ bits: Int) -> Bool {
        bits == 0 || (a.bytes.word0 ^ b.bytes.word0) >> UInt64(64 - bits) == 0
    }

    private static func failures(_ wire: VirtualWire<MembershipNode>) -> Int {
        wire.nodes.filter(\.isUp).reduce(0) { sum, node in
            sum + node.events.filter { if case .failed = $0 { true } else { false } }.count
        }
    }

    @Test func aDividedSwarmFollowsOnlyItsCellsAndFindsTheDead() {
        let wire = Self.swarm(160, seed: 1)
        for node in wire.nodes {
            #expect(node.machine.cellDepth >= 2)
            #expect(node.machine.cellCount <= Self.sizes.maximum)
            #expect((80...320).contains(node.machine.estimatedSize), "\(node.machine.estimatedSize)")
        }
        wire.run(for: .seconds(20))
        #expect(Self.failures(wire) == 0, "a living node was failed")
        let (messages, bytes) = (wire.messagesSent, wire.bytesSent)
        wire.run(for: .seconds(30))
        let perSecond = Double(30 * wire.nodes.count)
        #expect(Double(wire.messagesSent - messages) / perSecond < 13)
        #expect(Double(wire.bytesSent - bytes) / perSecond < 1200)

        let victim = wire.nodes[7]
        let id = victim.contact.id
        victim.isUp = false
        let cell = wire.nodes.filter {
            $0.isUp && Self.shares($0.contact.id, id, $0.machine.cellDepth)
        }
        #expect(cell.count >= 12)
        let suspected = wire.run(atMost: .seconds(10)) { cell.contains { $0.status(of: id) != .alive } }
        #expect((suspected ?? .seconds(99)) < .milliseconds(2500))
        let failed = wire.run(atMost: .seconds(20)) { cell.allSatisfy { $0.status(of: id) == .failed } }
        let total = (suspected ?? .zero) + (failed ?? .seconds(99))
        #expect(total <= .seconds(9) && total >= .milliseconds(5900), "failed after \(total.milliseconds) ms")
        // Strangers hear no more of it, and forget it.
        wire.run(for: .seconds(190))
        #expect(!wire.nodes.contains { $0.isUp && $0.status(of: id) == .alive })
        #expect(Self.failures(wire) == cell.count, "nobody else was failed")
    }

    @Test func cellsJoinWhenMostNodesDieAndDivideWhenMoreCome() {
        let wire = Self.swarm(120, seed: 2)
        #expect(wire.nodes.allSatisfy { $0.machine.cellDepth >= 1 })
        for index in 30..<120 { wire.nodes[index].isUp = false }
        let joined = Self.eventually(wire, within: .seconds(120)) { Self.everybodyKnowsItsCell(wire) }
        #expect(joined != nil, "\(Self.unsettled(wire))")
        #expect(wire.nodes[..<30].allSatisfy { $0.machine.cellCount >= 12 })
        for index in 30..<120 {
            let reborn = Self.node(index + 2000, now: wire.now, life: 1)
            wire.replace(index, with: reborn)
            reborn.machine.join([wire.nodes[index % 30].contact], at: wire.now)
            wire.run(for: .milliseconds(100))
        }
        let divided = Self.eventually(wire, within: .seconds(120)) { Self.everybodyKnowsItsCell(wire) }
        #expect(divided != nil, "\(Self.unsettled(wire))")
        #expect(wire.nodes.allSatisfy { $0.machine.cellDepth >= 1 })
    }

    @Test func aHealedPartitionOfCellsMeetsWithoutFurtherFailures() {
        let wire = Self.swarm(100, seed: 3)
        wire.isBlocked = { a, b in a % 2 != b % 2 }
        let split = Self.eventually(wire, within: .seconds(40)) {
            wire.nodes.indices.allSatisfy { index in
                !wire.nodes.indices.contains { other in
                    other % 2 != index % 2
                        && wire.nodes[index].machine.cellDepth > 0
                        && Self.shares(
                            wire.nodes[index].contact.id, wire.nodes[other].contact.id,
                            wire.nodes[index].machine.cellDepth)
                        && wire.nodes[index].status(of: wire.nodes[other].contact.id)?.isPresent == true
                }
            }
        }
        #expect(split != nil, "each half fails the other")
        wire.run(for: .seconds(20))
        let before = Self.failures(wire)
        wire.isBlocked = { _, _ in false }
        let healed = Self.eventually(wire, within: .seconds(180)) { Self.everybodyKnowsItsCell(wire) }
        #expect(healed != nil, "\(Self.unsettled(wire))")
        #expect(Self.failures(wire) - before <= 2, "\(Self.failures(wire) - before) failures after the healing")
    }

    @Test func aNewcomerFindsItsCellThroughAStranger() {
        let wire = Self.swarm(130, seed: 4)
        for newcomer in 0..<4 {
            let node = Self.node(900 + newcomer, now: wire.now)
            wire.add(node)
            guard
                let stranger = wire.nodes.first(where: {
                    !Self.shares($0.contact.id, node.contact.id, max(1, $0.machine.cellDepth))
                })
            else { continue }
            if newcomer < 3 {
                node.machine.join([stranger.contact], at: wire.now)
            } else {
                // Told of a neighbour from elsewhere, as by the DHT.
                let neighbours = wire.nodes.filter { $0 !== node && Self.shares($0.contact.id, node.contact.id, 3) }
                node.machine.meet(neighbours.map(\.contact), at: wire.now)
            }
            let known = Self.eventually(wire, within: .seconds(20)) { Self.everybodyKnowsItsCell(wire) }
            #expect((known ?? .seconds(99)) < .seconds(15), "\(newcomer): \(Self.unsettled(wire))")
        }
    }

    @Test func aRestartedNodeReturnsToItsCellThoughItsClockWentBack() {
        let wire = Self.swarm(100, seed: 5)
        let id = wire.nodes[20].contact.id
        wire.nodes[20].isUp = false
        wire.run(for: .seconds(1))
        var past = wire.now
        past.wallMilliseconds -= 3_600_000
        let reborn = Self.node(5020, now: past, life: 1)
        wire.replace(20, with: reborn)
        reborn.machine.join([wire.nodes[0].contact], at: wire.now)
        let back = Self.eventually(wire, within: .seconds(30)) {
            Self.everybodyKnowsItsCell(wire)
                && wire.nodes.allSatisfy {
                    $0 === reborn || !Self.shares($0.contact.id, id, $0.machine.cellDepth)
                        || $0.machine.member(id)?.description.instance == reborn.machine.own.instance
                }
        }
        #expect(back != nil, "\(Self.unsettled(wire))")
    }

    @Test func aLiarCannotDivideAlone() {
        let wire = Self.swarm(30, seed: 6, lossPerMille: 0)
        // Everybody is told that the swarm is divided into thousands of cells.
        for target in 1..<30 {
            var ping: [UInt8] = [MembershipMessageType.ping]
            ping += [UInt8](repeating: 0, count: 8)
            ping += [0, 12]
            wire.send(ping, from: 0, to: wire.nodes[target].contact)
        }
        wire.run(for: .seconds(3))
        #expect(wire.nodes.allSatisfy { $0.machine.cellDepth == 0 && $0.machine.presentCount == 29 })
    }
}
