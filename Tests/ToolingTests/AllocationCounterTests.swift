import CAllocationCounter
import SwarmCore
import Testing

/// Kept out of line, so that the optimiser does not remove the allocation it makes.
@inline(never) private func makeArray(_ count: Int) -> [Int] { Array(repeating: count, count: count) }

@Suite struct AllocationCounterTests {
    @Test func countsThisThreadsAllocations() {
        guard allocation_counter_is_available() else { return }
        allocation_counter_start()
        var sum = 0
        for index in 1...10 { sum += makeArray(index * 100)[0] }
        let counted = allocation_counter_stop()
        #expect(sum == 5_500)
        #expect(counted >= 10 && counted < 20)
        _ = makeArray(100)
        #expect(allocation_counter_stop() == counted)
    }

    @Test func countsNothingWhereNothingIsAllocated() {
        guard allocation_counter_is_available() else { return }
        var outbox = Outbox(byteCapacity: 4_096, datagramCapacity: 16)
        // The first turn warms up: the runtime builds type metadata at first use.
        var counted: [UInt64] = [0, 0]
        for turn in 0..<2 {
            allocation_counter_start()
            for _ in 0..<100 {
                for _ in 0..<4 {
                    outbox.append(to: .loopback(port: 9), capacity: 64) { $0.append(repeating: 1, count: 64) }
                }
                outbox.removeAll()
            }
            counted[turn] = allocation_counter_stop()
        }
        #expect(counted[1] == 0)
    }

    @Test func otherThreadsAreNotCounted() async {
        guard allocation_counter_is_available() else { return }
        let elsewhere = await Task.detached { makeArray(10).count }.value
        #expect(elsewhere == 10)
        allocation_counter_start()
        #expect(allocation_counter_stop() == 0)
    }
}
