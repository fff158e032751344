import Simulations
import SwarmCore
import SwarmCrypto
import Testing

@Suite struct OracleTests {
    /// Nodes on a line, a millisecond of one-way delay apart.
    private static func line(_ count: Int) -> Oracle {
        Oracle(nodeCount: count) { Double(abs($0 - $1)) * 2 }
    }

    @Test func aRelayIsFoundWhereItHelps() {
        // 0 and 1 are far apart; 2 is near both; 3 is nowhere.
        let ways = [[0, 100, 20, 300], [100, 0, 30, 300], [20, 30, 0, 300], [300, 300, 300, 0]] as [[Double]]
        let oracle = Oracle(nodeCount: 4) { ways[$0][$1] }
        #expect(oracle.delay(0, 1) == 50)
        let best = oracle.bestDelay(0, 1, relays: 0..<4)
        #expect(best.milliseconds == 25)
        #expect(best.relay == 2)
        #expect(oracle.bestDelay(0, 2, relays: 0..<4).relay == nil)
        #expect(oracle.bestDelay(0, 1, relays: [3]).milliseconds == 50)
    }

    @Test func theGreedyTreeKeepsItsDegreeAndItsDelays() throws {
        let oracle = Self.line(60)
        for degree in [1, 2, 4, 59] {
            let tree = oracle.greedyTree(origin: 10, members: Array(0..<60), degree: degree)
            #expect(Set(tree.nodes) == Set(0..<60))
            #expect(tree.nodes.count == 60)
            for place in tree.nodes.indices {
                #expect(tree.parents.count { $0 == place } <= degree)
                #expect(tree.parents[place] < place)
            }
            let delays = try #require(oracle.delays(nodes: tree.nodes, parents: tree.parents))
            #expect(delays == tree.delays)
        }
        // With room for everybody the tree is the star, whose delays are the direct ones.
        let star = oracle.greedyTree(origin: 10, members: Array(0..<60), degree: 59)
        #expect(zip(star.nodes, star.delays).allSatisfy { $1 == oracle.delay(10, $0) })
    }

    @Test func aTreeThatIsNoneHasNoDelays() {
        let oracle = Self.line(4)
        #expect(oracle.delays(nodes: [0, 1, 2], parents: [-1, 2, 1]) == nil)
        #expect(oracle.delays(nodes: [0, 1, 2], parents: [-1, 0, 1]) == [0, 1, 2])
    }

    /// Thousands of members take a fraction of a second of work in release, a few in debug.
    @Test func thousandsOfMembersWork() {
        let ways = NetworkModel(.undisturbed, matrix: LatencyMatrix(name: "uniform", everywhere: 50), seed: 1)
        #expect(ways.nodeCount == 0)
        var generator = SeededGenerator(seed: 5)
        let places = (0..<2000).map { _ in (generator.unitInterval() * 100, generator.unitInterval() * 100) }
        let oracle = Oracle(nodeCount: 2000) { a, b in
            let (x, y) = (places[a].0 - places[b].0, places[a].1 - places[b].1)
            return (x * x + y * y).squareRoot()
        }
        let tree = oracle.greedyTree(origin: 0, members: Array(0..<2000), degree: 8)
        #expect(tree.nodes.count == 2000)
        let star = (1..<2000).map { oracle.delay(0, $0) }.reduce(0, +) / 1999
        #expect(tree.meanDelay >= star)
        #expect(tree.meanDelay < star * 2)
    }

    @Test(arguments: [1, 7, 500]) func theClosestAreThoseOfASort(count: Int) {
        var generator = SeededGenerator(seed: UInt64(count))
        func word32() -> Bytes32 { Bytes32(generator.next(), generator.next(), generator.next(), generator.next()) }
        let living = (0..<count).map { (id: NodeID(word32()), index: $0) }
        let space = KeySpace(living)
        for _ in 0..<50 {
            let key = word32()
            let sorted = living.sorted { $0.id.distance(to: key) < $1.id.distance(to: key) }
            #expect(space.closest(to: key, limit: 20).map(\.index) == sorted.prefix(20).map(\.index))
        }
    }
}
