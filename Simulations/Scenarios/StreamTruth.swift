import SwarmCore

/// Who really publishes what, since when: what lookups are judged by.
package struct StreamTruth {
    package struct Stream {
        package let name: StreamName
        /// Index and life of the node that publishes it, and its key's id.
        package let node: Int
        package let life: UInt32
        package let origin: NodeID
        package let publishedAt: UInt64
        /// When it ended: withdrawn, or its node died.
        package internal(set) var endedAt: UInt64?
        /// Which workload's it is.
        let workload: Int
    }

    /// In the order of publication; places are for ever.
    package private(set) var streams: [Stream] = []
    /// Places of those that have not ended, unordered but deterministic.
    private var live: [Int] = []
    /// Where each stands in `live`.
    private var places: [Int: Int] = [:]
    /// `live` in the order of publication and the law over it, made where somebody draws by popularity.
    private var orderedLive: [Int] = []
    private var orderChanged = false
    private var law: ZipfLaw?

    package var liveCount: Int { live.count }
    /// In the order of publication.
    package var liveStreams: [Stream] { live.sorted().map { streams[$0] } }

    mutating func publish(_ stream: Stream) -> Int {
        let index = streams.count
        streams.append(stream)
        places[index] = live.count
        live.append(index)
        orderChanged = true
        return index
    }

    /// False where it had ended before.
    @discardableResult
    mutating func end(_ index: Int, at time: UInt64) -> Bool {
        guard streams[index].endedAt == nil, let place = places.removeValue(forKey: index) else { return false }
        streams[index].endedAt = time
        orderChanged = true
        let last = live.removeLast()
        if last != index {
            live[place] = last
            places[last] = place
        }
        return true
    }

    /// The streams whose node is `node`, of any life, that have not ended.
    func published(at node: Int) -> [Int] { live.filter { streams[$0].node == node }.sorted() }

    /// A stream that was published before `time` and has not ended, drawn by `generator`: all alike, or by Zipf's law
    /// over the streams in the order of their publication, with `popularity` as its exponent.
    mutating func randomLive(
        olderThan time: UInt64, popularity: Double = 0, using generator: inout SeededGenerator
    ) -> Int? {
        guard !live.isEmpty else { return nil }
        // Nearly all are old enough; where few are, a walk finds them.
        for _ in 0..<8 {
            let place = zipf(popularity).map { $0.draw(using: &generator) } ?? generator.integer(below: live.count)
            let index = popularity > 0 ? orderedLive[place] : live[place]
            if streams[index].publishedAt <= time { return index }
        }
        let old = live.filter { streams[$0].publishedAt <= time }
        return old.isEmpty ? nil : old[generator.integer(below: old.count)]
    }

    private mutating func zipf(_ exponent: Double) -> ZipfLaw? {
        guard exponent > 0 else { return nil }
        if orderedLive.count != live.count || orderChanged {
            orderedLive = live.sorted()
            orderChanged = false
        }
        if law?.count != live.count || law?.exponent != exponent { law = ZipfLaw(live.count, exponent) }
        return law
    }

    /// The oldest that has not ended.
    func first(olderThan time: UInt64) -> Int? {
        live.filter { streams[$0].publishedAt <= time }.min()
    }
}

/// Zipf's law over ranks 0 to count − 1: rank r has the weight 1 / (r + 1) to the power of `exponent`.
struct ZipfLaw: Sendable {
    let exponent: Double
    private var sums: [Double] = []

    /// `count` is positive.
    init(_ count: Int, _ exponent: Double) {
        self.exponent = exponent
        var sum = 0.0
        for rank in 1...count {
            sum += 1 / Elementary.power(Double(rank), exponent)
            sums.append(sum)
        }
    }

    var count: Int { sums.count }

    func draw(using generator: inout SeededGenerator) -> Int {
        let wanted = generator.unitInterval() * sums[sums.count - 1]
        var low = 0
        var high = sums.count - 1
        while low < high {
            let middle = (low + high) / 2
            if sums[middle] <= wanted { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
