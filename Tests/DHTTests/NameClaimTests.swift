import DHT
import SwarmCore
import SwarmCrypto
import Testing

/// Two publishers on one plain name: exactly one keeps it, the other is told, all readers agree.
@Suite struct NameClaimTests {
    /// Small swarms, cut in two at random for a random time; both sides publish at random times, before, in or after the
    /// cut.
    @Test(arguments: 1...48 as ClosedRange<UInt64>) func oneWinnerAfterAPartition(seed: UInt64) throws {
        var draws = SeededGenerator(seed: seed &* 977)
        let count = 6 + draws.integer(below: 8)
        let k = 4 + draws.integer(below: 5)
        let swarm = Self.swarm(of: count, k: k, seed: seed)
        let name = try #require(StreamName("demo"))
        let first = draws.integer(below: count)
        var second = draws.integer(below: count - 1)
        if second >= first { second += 1 }
        // The publishers stand on different sides, each with at least one neighbour.
        for index in 0..<count { swarm.group[index] = draws.integer(below: 2) }
        swarm.group[first] = 0
        swarm.group[second] = 1
        let sides = swarm.group
        swarm.run(for: .seconds(5 + Int64(draws.integer(below: 60))))
        swarm.publish("demo", at: swarm.nodes[first])
        let gap = Int64(draws.integer(below: 20_000))
        swarm.run(for: .milliseconds(gap))
        swarm.publish("demo", at: swarm.nodes[second])
        swarm.run(for: .seconds(5 + Int64(draws.integer(below: 100))))
        for index in 0..<count { swarm.group[index] = 0 }
        Self.introduceEverybody(swarm)
        swarm.run(for: .seconds(75))
        let losers = [first, second].filter { swarm.nodes[$0].log.contains(.nameTaken(name)) }
        #expect(losers.count == 1, "seed \(seed): gap \(gap) ms, losers \(losers)")
        let winner = losers == [first] ? second : first
        // Beyond the band where the nearer id decides the older lease wins, if it has holders worth the name: a claim that
        // less than a quarter of them speak for is not believed.
        let key = RecordPlace.path("demo")
        let nearest = (0..<count).sorted {
            swarm.nodes[$0].contact.id.distance(to: key) < swarm.nodes[$1].contact.id.distance(to: key)
        }
        let support = nearest.prefix(k).count { sides[$0] == 0 }
        if gap > 4000, support * 3 >= k { #expect(winner == first, "seed \(seed): gap \(gap) ms") }
        for node in swarm.nodes {
            #expect(swarm.find("demo", from: node)?.origin == swarm.nodes[winner].contact.id, "seed \(seed)")
            #expect(swarm.list("", from: node)?.map(\.origin.id) == [swarm.nodes[winner].contact.id], "seed \(seed)")
        }
    }

    /// Publishers that begin at nearly the same time without any partition.
    @Test(arguments: 1...16 as ClosedRange<UInt64>) func oneWinnerOfARace(seed: UInt64) throws {
        var draws = SeededGenerator(seed: seed &* 131)
        let swarm = Self.swarm(of: 9, k: 4, seed: seed &+ 1000)
        let name = try #require(StreamName("demo"))
        swarm.publish("demo", at: swarm.nodes[2])
        swarm.run(for: .milliseconds(Int64(draws.integer(below: 4500))))
        swarm.publish("demo", at: swarm.nodes[7])
        swarm.run(for: .seconds(30))
        let losers = [2, 7].filter { swarm.nodes[$0].log.contains(.nameTaken(name)) }
        #expect(losers.count == 1, "seed \(seed): losers \(losers)")
        let winner = swarm.nodes[losers == [2] ? 7 : 2]
        for node in swarm.nodes { #expect(swarm.find("demo", from: node)?.origin == winner.contact.id) }
    }

    /// A reader whose holders name two origins, each with its age, takes the one that the publishers agree on.
    @Test func readersSeeingBothFollowTheSameRule() {
        var samples = Samples(seed: 4)
        let key = RecordPlace.path("demo")
        for _ in 0..<200 {
            let (a, b) = (samples.identity().id, samples.identity().id)
            let nearer = a.distance(to: key) < b.distance(to: key) ? a : b
            let farther = nearer == a ? b : a
            let gap = Interval.milliseconds(Int64(samples.generator.integer(below: 20_000)) - 10_000)
            // `gap` is what the farther one is older by.
            let ages = (near: Interval.seconds(60), far: .seconds(60) + gap)
            let nearGivesWay = NameClaim.givesWay(
                own: (nearer, ages.near), to: (farther, ages.far), key: key, round: 1)
            let farGivesWay = NameClaim.givesWay(
                own: (farther, ages.far), to: (nearer, ages.near), key: key, round: 1)
            #expect(!(nearGivesWay && farGivesWay), "both would lose at \(gap)")
            let claims = [(id: farther, age: ages.far), (id: nearer, age: ages.near)]
            let believed = NameClaim.preferred(claims, key: key).map { claims[$0].id }
            if nearGivesWay { #expect(believed == farther) }
            if gap < .seconds(2) { #expect(farGivesWay && believed == nearer) }
            // Between the limits it is settled later, for the nearer id.
            if !nearGivesWay, !farGivesWay {
                #expect(
                    NameClaim.givesWay(
                        own: (farther, ages.far), to: (nearer, ages.near), key: key, round: NameClaim.roundsToDecide)
                        || gap >= .seconds(4))
            }
        }
    }

    /// (ages in seconds, observed)
    @Test(
        arguments: [
            ([], 0), ([5], 5), ([5, 9], 9), ([9, 5, 7], 9), ([1, 2, 3, 1000], 3), ([1, 2, 3, 4, 5, 6, 900, 1000], 6),
        ] as [([Int64], Int64)])
    func theTopQuarterMayLie(ages: [Int64], observed: Int64) {
        #expect(NameClaim.observedAge(ages.map { .seconds($0) }) == .seconds(observed))
    }

    private static func swarm(of count: Int, k: Int, seed: UInt64) -> VirtualSwarm {
        let swarm = VirtualSwarm(seed: seed)
        var configuration = DHTConfiguration()
        configuration.bucketSize = k
        for index in 0..<count {
            let node = swarm.addNode(configuration)
            swarm.bootstrap(node, index > 0 ? [swarm.nodes[0].contact] : [])
            swarm.run(for: .milliseconds(400))
        }
        return swarm
    }

    /// Membership brings the halves together again.
    private static func introduceEverybody(_ swarm: VirtualSwarm) {
        for node in swarm.nodes {
            swarm.call(node) { node, now in
                for other in swarm.nodes where other.contact.id != node.contact.id {
                    node.dht.observe(other.contact, roundTrip: nil, at: now, into: &node.out)
                }
            }
        }
    }
}
