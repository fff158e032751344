import Simulations
import SwarmCore
import Testing

@Suite struct NetworkFaultTests {
    private static let second: UInt64 = 1_000_000_000

    private static func model(nodes: Int = 6) -> NetworkModel {
        var model = NetworkModel(.undisturbed, matrix: LatencyMatrix(name: "flat", everywhere: 10), seed: 1)
        for index in 0..<nodes { model.addNode(index, site: nil) }
        return model
    }

    private static func delay(
        _ model: inout NetworkModel, _ from: Int, _ to: Int, at now: UInt64, bytes: Int = 100
    ) -> Double? {
        if case .arrives(let at, _, _) = model.send(from: from, to: to, byteCount: bytes, at: now, ordinal: 0) {
            Double(at - now) / 1_000_000
        } else {
            nil
        }
    }

    @Test func aPartitionLastsFromBeginToEnd() {
        var model = Self.model()
        let fault = NetworkFault(
            .partition(groups: [0, 0, 1, 1], isOneWay: false), from: Self.second, until: 3 * Self.second)
        #expect(model.add(fault) != nil)
        #expect(Self.delay(&model, 0, 2, at: Self.second - 1) == 5)
        for now in [Self.second, 3 * Self.second - 1] {
            #expect(model.send(from: 0, to: 2, byteCount: 1, at: now, ordinal: 0) == .dropped(.partitioned))
            #expect(model.send(from: 3, to: 1, byteCount: 1, at: now, ordinal: 0) == .dropped(.partitioned))
            #expect(Self.delay(&model, 0, 1, at: now) == 5)
            #expect(Self.delay(&model, 2, 3, at: now) == 5)
            #expect(Self.delay(&model, 0, 5, at: now) == 5, "nodes beyond the array are of group 0")
        }
        #expect(Self.delay(&model, 0, 2, at: 3 * Self.second) == 5)
        #expect(model.drops[.partitioned] == 4)
    }

    @Test func aOneWayPartitionPassesOneWay() {
        var model = Self.model()
        #expect(model.add(NetworkFault(.partition(groups: [0, 1], isOneWay: true), from: 0, until: .max)) != nil)
        #expect(Self.delay(&model, 0, 1, at: 1) == nil)
        #expect(Self.delay(&model, 1, 0, at: 1) == 5)
    }

    @Test func aFaultEndsEarlyByItsName() throws {
        var model = Self.model()
        let partition = NetworkFault(.partition(groups: [0, 1], isOneWay: false), from: 0, until: .max)
        let loss = NetworkFault(.loss(from: .all, to: .all, share: 1), from: Self.second, until: .max)
        let ids = [model.add(partition), model.add(loss)]
        let first = try #require(ids[0])
        let other = try #require(ids[1])
        #expect(Self.delay(&model, 0, 1, at: 1) == nil)
        model.end(first)
        #expect(Self.delay(&model, 0, 1, at: 2) == 5)
        #expect(Self.delay(&model, 0, 1, at: Self.second) == nil)
        model.end(other)
        #expect(Self.delay(&model, 0, 1, at: Self.second + 1) == 5)
    }

    @Test func aCloggedPathHoldsUntilItsEndAndNoMoreThanItsLimit() {
        var model = Self.model()
        #expect(model.add(NetworkFault(.cloggedPath(from: 0, to: 1), from: 0, until: Self.second)) != nil)
        for count in 0..<NetworkLimits.cloggedDatagrams {
            #expect(Self.delay(&model, 0, 1, at: UInt64(count)) == 1_005 - Double(count) / 1_000_000)
        }
        #expect(model.send(from: 0, to: 1, byteCount: 1, at: 20_000, ordinal: 0) == .dropped(.clogged))
        #expect(Self.delay(&model, 1, 0, at: 20_000) == 5)
        #expect(Self.delay(&model, 0, 2, at: 20_000) == 5)
        #expect(Self.delay(&model, 0, 1, at: Self.second) == 5)
    }

    @Test func aCloggedNodeHoldsBothWays() {
        var model = Self.model()
        #expect(model.add(NetworkFault(.cloggedNode(3), from: 0, until: Self.second)) != nil)
        #expect(Self.delay(&model, 3, 0, at: 0) == 1_005)
        #expect(Self.delay(&model, 2, 3, at: 0) == 1_005)
        #expect(Self.delay(&model, 2, 0, at: 0) == 5)
    }

    @Test func lossIsRaisedBetweenTwoSets() {
        var model = Self.model()
        let share = NetworkFault.Kind.loss(from: NodeSet([0, 1]), to: NodeSet([2]), share: 0.3)
        #expect(model.add(NetworkFault(share, from: 0, until: .max)) != nil)
        func lost(_ from: Int, _ to: Int) -> Int {
            (0..<10_000).count { Self.delay(&model, from, to, at: UInt64($0) * 1_000) == nil }
        }
        #expect(abs(lost(0, 2) - 3_000) < 200)
        #expect(lost(2, 0) == 0 && lost(3, 2) == 0)
        #expect(model.drops[.loss] == model.drops.total)
    }

    @Test func latencyIsRaisedBetweenTwoSets() {
        var model = Self.model()
        let slow = NetworkFault.Kind.latency(from: NodeSet([0]), to: .all, factor: 3, addedMilliseconds: 100)
        #expect(model.add(NetworkFault(slow, from: 0, until: .max)) != nil)
        #expect(Self.delay(&model, 0, 2, at: 0) == 115)
        #expect(Self.delay(&model, 2, 0, at: 0) == 5)
    }

    @Test func aNodesCapacityDropsInBothDirections() {
        var model = Self.model()
        #expect(model.add(NetworkFault(.capacity(node: 0, bitsPerSecond: 80_000), from: 0, until: Self.second)) != nil)
        // 1,000 bytes at 10 bytes a millisecond.
        #expect(Self.delay(&model, 0, 1, at: 0, bytes: 952) == 105)
        #expect(Self.delay(&model, 0, 1, at: 0, bytes: 952) == 205)
        #expect(Self.delay(&model, 0, 1, at: 0, bytes: 952) == nil)
        let down = Self.delay(&model, 2, 0, at: 0, bytes: 952)
        #expect(down.map { abs($0 - 105) < 10 } == true)
        #expect(Self.delay(&model, 1, 2, at: 0, bytes: 952) == 5)
        #expect(Self.delay(&model, 0, 1, at: Self.second, bytes: 952) == 5)
        #expect(model.drops[.queueFull] == 1)
    }

    @Test func faultsAreBoundedAndPastOnesForgotten() {
        var model = Self.model()
        let short = NetworkFault(.cloggedPath(from: 4, to: 5), from: 0, until: Self.second)
        for _ in 0..<NetworkLimits.faults { #expect(model.add(short) != nil) }
        #expect(model.add(short) == nil)
        _ = Self.delay(&model, 0, 1, at: Self.second - 1)
        #expect(model.add(short) == nil)
        #expect(model.add(NetworkFault(.cloggedNode(2), from: 0, until: 3 * Self.second)) == nil)
        model.endAllFaults()
        #expect(model.add(NetworkFault(.cloggedNode(2), from: 0, until: 3 * Self.second)) != nil)
        for _ in 1..<NetworkLimits.faults { #expect(model.add(short) != nil) }
        _ = Self.delay(&model, 0, 1, at: 2 * Self.second)
        #expect(model.add(short) != nil, "what has ended makes room")
    }

    @Test(arguments: [
        NetworkFault(.cloggedNode(1), from: 5, until: 5),
        NetworkFault(.cloggedPath(from: 0, to: 1), from: 0, until: .max),
        NetworkFault(.loss(from: .all, to: .all, share: 1.1), from: 0, until: 1),
        NetworkFault(.loss(from: .all, to: .all, share: .nan), from: 0, until: 1),
        NetworkFault(.capacity(node: 0, bitsPerSecond: 0), from: 0, until: 1),
        NetworkFault(.latency(from: .all, to: .all, factor: -1, addedMilliseconds: 0), from: 0, until: 1),
        NetworkFault(.latency(from: .all, to: .all, factor: 1, addedMilliseconds: .infinity), from: 0, until: 1),
    ])
    func impossibleFaultsAreNamed(fault: NetworkFault) {
        #expect(fault.problem?.contains("not") == true)
    }
}
