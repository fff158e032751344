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
    private var law: (popularity: Popularity, exponent: Double)?

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
        if popularity > 0 { prepareLaw(popularity) }
        // Nearly all are old enough; where few are, a walk finds them.
        for _ in 0..<8 {
            let index: Int
            if popularity > 0, let law {
                index = orderedLive[law.popularity.sample(using: &generator)]
            } else {
                index = live[generator.integer(below: live.count)]
            }
            if streams[index].publishedAt <= time { return index }
        }
        let old = live.filter { streams[$0].publishedAt <= time }
        return old.isEmpty ? nil : old[generator.integer(below: old.count)]
    }

    private mutating func prepareLaw(_ exponent: Double) {
        if orderChanged {
            orderedLive = live.sorted()
            orderChanged = false
        }
        if law?.popularity.count != live.count || law?.exponent != exponent {
            law = (Popularity(count: live.count, exponent: exponent), exponent)
        }
    }

    /// The oldest that has not ended.
    func first(olderThan time: UInt64) -> Int? {
        live.filter { streams[$0].publishedAt <= time }.min()
    }
}
