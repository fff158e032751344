import EventLoop
import Synchronization
import Testing

/// Counts the lives of noncopyable elements.
private final class Census: Sendable {
    let living = Atomic<Int>(0)
}

private struct Token: ~Copyable, Sendable {
    let value: Int
    let census: Census
    init(_ value: Int, _ census: Census) {
        self.value = value
        self.census = census
        census.living.add(1, ordering: .relaxed)
    }
    deinit { census.living.subtract(1, ordering: .relaxed) }
}

private func value(of token: consuming Token?) -> Int? {
    guard let token else { return nil }
    return token.value
}

@Suite struct RingTests {
    @Test(arguments: [1, 2, 3, 64])
    func fullRingRefusesAndCounts(_ minimum: Int) {
        let ring = BoundedRing<Int>(minimumCapacity: minimum)
        #expect(ring.capacity >= minimum && ring.capacity.nonzeroBitCount == 1)
        for value in 0..<ring.capacity { #expect(ring.push(value)) }
        #expect(!ring.push(-1))
        #expect(ring.offer(-2) == -2)
        #expect(ring.refusedCount == 2)
        for value in 0..<ring.capacity { #expect(ring.pop() == value) }
        #expect(ring.pop() == nil)
        #expect(ring.freeCount == ring.capacity)
    }

    @Test func noncopyableElementsEndOnce() {
        let census = Census()
        do {
            let ring = BoundedRing<Token>(minimumCapacity: 4)
            for value in 0..<5 { ring.push(Token(value, census)) }
            #expect(census.living.load(ordering: .relaxed) == 4)
            let first = value(of: ring.pop())
            #expect(first == 0)
        }
        #expect(census.living.load(ordering: .relaxed) == 0)
    }

    @Test func everyElementCrossesInOrder() async {
        let ring = BoundedRing<Int>(minimumCapacity: 64)
        let total = 200_000
        let producer = Task.detached {
            var next = 0
            while next < total {
                if ring.push(next) { next += 1 } else { await Task.yield() }
            }
        }
        var expected = 0
        while expected < total {
            guard let value = ring.pop() else {
                await Task.yield()
                continue
            }
            #expect(value == expected)
            expected = value + 1
        }
        await producer.value
        #expect(ring.isEmpty)
    }

    @Test func manyProducersReachOneConsumer() async {
        let queue = BoundedQueue<Int>(minimumCapacity: 32)
        let producers = 4
        let each = 25_000
        let tasks = (0..<producers).map { producer in
            Task.detached {
                var next = 0
                while next < each {
                    if queue.push(producer << 32 | next) { next += 1 } else { await Task.yield() }
                }
            }
        }
        var expected = Array(repeating: 0, count: producers)
        var received = 0
        while received < producers * each {
            guard let value = queue.pop() else {
                await Task.yield()
                continue
            }
            let producer = value >> 32
            #expect(value & 0xffff_ffff == expected[producer])
            expected[producer] += 1
            received += 1
        }
        for task in tasks { await task.value }
        #expect(queue.pop() == nil)
    }

    @Test func fullQueueRefusesAndEmptiesItself() {
        let census = Census()
        do {
            let queue = BoundedQueue<Token>(minimumCapacity: 4)
            for round in 0..<3 {
                for value in 0..<queue.capacity {
                    let taken = queue.push(Token(value, census))
                    #expect(taken)
                }
                let overfull = queue.push(Token(99, census))
                #expect(!overfull)
                #expect(queue.refusedCount == round + 1)
                for expected in 0..<queue.capacity {
                    let popped = value(of: queue.pop())
                    #expect(popped == expected)
                }
            }
            queue.push(Token(1, census))
        }
        #expect(census.living.load(ordering: .relaxed) == 0)
    }
}
