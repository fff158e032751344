import Routing
import SwarmCore
import Testing

@Suite struct WatchListTests {
    private static func member(_ generator: inout SeededGenerator, prefix: UInt64? = nil) -> PresentMember {
        let key = PublicKey(Bytes32(generator.next(), generator.next(), generator.next(), generator.next()))
        let first = prefix ?? generator.next()
        let id = NodeID(Bytes32(first, generator.next(), generator.next(), generator.next()))
        let contact = Contact(id: id, key: key, addresses: AddressList(.loopback(port: 1)))
        let record = MemberRecord(MemberDescription(contact: contact, version: 1, instance: 1))
        return PresentMember(record: record, since: .zero)
    }

    /// The definition, by comparing everybody with everybody.
    private static func watched(by own: NodeID, among ids: [NodeID]) -> Set<NodeID> {
        var watched: Set<NodeID> = []
        for subject in ids {
            let salt = Rendezvous.salt(of: subject)
            func weight(_ id: NodeID) -> UInt64 { Rendezvous.weight(id.bytes.word0, salt: salt) }
            let heavier = ids.filter { $0 != subject && weight($0) > weight(own) }
            if heavier.count < RoutingLimits.monitors { watched.insert(subject) }
        }
        return watched
    }

    @Test(arguments: [0, 2]) func ranksKeptMemberByMemberAreThoseOfTheWholeList(depth: Int) {
        var generator = SeededGenerator(seed: 5)
        let own = Self.member(&generator).id
        var table = IDTable<PresentMember>()
        var list = WatchList(own: own, depth: depth, table: table)
        var rebuilds = 0
        for step in 0..<1500 {
            // Grows to about 300, then shrinks.
            let grows = generator.integer(below: 10) < (step < 700 ? 8 : 3)
            if grows || table.count == 0 {
                let member = Self.member(&generator)
                table.insert(member)
                list.joined(member.id, in: table)
            } else {
                let index = generator.integer(below: table.count)
                let id = table[index].id
                table.remove(at: index)
                list.left(id)
            }
            if list.isStale {
                list.rebuild(from: table)
                rebuilds += 1
            }
            guard step % 20 == 0 else { continue }
            let scope = table.elements.map(\.id).filter {
                depth == 0 || ($0.bytes.word0 ^ own.bytes.word0) >> UInt64(64 - depth) == 0
            }
            #expect(Set(list.takeWatched()) == Self.watched(by: own, among: scope), "step \(step)")
        }
        #expect(rebuilds > 5 && rebuilds < 100)
    }

    @Test func aTableFindsIdsHoweverTheyAreSpread() {
        var generator = SeededGenerator(seed: 6)
        for spread in 0..<4 {
            var table = IDTable<PresentMember>()
            var ids: [NodeID] = []
            for index in 0..<400 {
                let prefix: UInt64? =
                    switch spread {
                    case 0: nil
                    case 1: UInt64(index)
                    case 2: UInt64(1) << UInt64(index % 64)
                    default: 7
                    }
                let member = Self.member(&generator, prefix: prefix)
                table.insert(member)
                ids.append(member.id)
            }
            #expect(table.elements.map(\.id) == ids.sorted())
            for id in ids { #expect(table.index(of: id).map { table[$0].id } == id) }
            #expect(table.index(of: NodeID(Bytes32(3, 9, 9, 9))) == nil)
            while let id = ids.popLast() {
                if let index = table.index(of: id) { table.remove(at: index) }
                #expect(table.index(of: id) == nil)
            }
            #expect(table.count == 0)
        }
    }
}
