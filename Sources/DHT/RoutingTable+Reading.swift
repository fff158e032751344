import SwarmCore

/// The peers nearest to a key, nearest first, as places in the table: no array, no copy of a contact.
struct NearestPeers {
    /// 2k and one to spare for the asker itself.
    static var capacity: Int { 2 * DHTLimits.contactsPerAnswer + 1 }

    struct Place {
        var distance: UInt64
        var bucket: UInt8
        var position: UInt8
    }

    private var places = InlineArray<41, Place>(repeating: Place(distance: 0, bucket: 0, position: 0))
    private(set) var count = 0
    let limit: Int

    init(limit: Int) { self.limit = min(limit, Self.capacity) }

    var isFull: Bool { count == limit }
    subscript(index: Int) -> Place { places[index] }

    /// Puts a peer in its order among those from `start` on; the last gives way when there are too many.
    mutating func insert(_ place: Place, from start: Int, _ isNearer: (Place, Place) -> Bool) {
        if count == limit {
            guard count > start, isNearer(place, places[count - 1]) else { return }
            count -= 1
        }
        var index = count
        while index > start, isNearer(place, places[index - 1]) {
            places[index] = places[index - 1]
            index -= 1
        }
        places[index] = place
        count += 1
    }
}

extension RoutingTable {
    /// What is known of one node in the table.
    package struct Entry: Sendable {
        package var contact: Contact
        package var coordinate: Coordinate?
        /// Smoothed; nil before the first measurement.
        package var roundTrip: Interval?
        /// When it was last heard, to 17 ms.
        package var lastHeard: MonotonicInstant
        /// Requests in a row that stayed unanswered.
        package var failures: Int
        package var isSibling: Bool
        /// It came by itself.
        package var isGuest: Bool
    }

    /// Whose mention to others is wanted.
    enum Trust {
        /// Everybody in the table.
        case anybody
        /// Those whose last request was answered.
        case answering
        /// Those, if they were heard within the table's `trust`.
        case live(MonotonicInstant)
    }

    func peer(_ place: NearestPeers.Place) -> TablePeer { buckets[Int(place.bucket)].peers[Int(place.position)] }

    func peer(of id: NodeID) -> TablePeer? {
        let index = bucketIndex(of: id)
        guard index < buckets.count, let position = position(of: id, inBucket: index) else { return nil }
        return buckets[index].peers[position]
    }

    package func entry(of id: NodeID) -> Entry? { peer(of: id).map { entry($0) } }

    private func entry(_ peer: TablePeer) -> Entry {
        Entry(
            contact: contact(of: peer), coordinate: peer.coordinate, roundTrip: peer.roundTrip,
            lastHeard: MonotonicInstant(nanoseconds: UInt64(peer.heardTick) << 24),
            failures: Int(peer.failures), isSibling: isSibling(peer.id), isGuest: peer.isGuest)
    }

    /// Every entry, farthest bucket first.
    package var entries: [Entry] { buckets.flatMap { bucket in bucket.peers.map { entry($0) } } }

    package var contacts: [Contact] { buckets.flatMap { bucket in bucket.peers.map { contact(of: $0) } } }
    package var isEmpty: Bool { count == 0 }

    /// Up to `limit` entries (at most 41), nearest to `key` first. `trusted` leaves out those whose last request failed.
    package func closest(to key: Bytes32, limit: Int, trusted: Bool = false) -> [Entry] {
        let nearest = nearest(to: key, limit: limit, trusted ? .answering : .anybody)
        return (0..<nearest.count).map { entry(peer(nearest[$0])) }
    }

    /// The 2k nodes nearest to this one, nearest first: all there are, as far as this node has heard.
    package var siblings: [Contact] { closest(to: own.bytes, limit: configuration.siblings).map(\.contact) }

    /// The places of up to `limit` (at most 41) peers nearest to `key`, nearest first.
    func nearest(to key: Bytes32, limit: Int, _ trust: Trust, except asker: NodeID? = nil) -> NearestPeers {
        var found = NearestPeers(limit: limit)
        let near = (own.bytes ^ key).leadingZeroBitCount
        // The key's own bucket is nearest; then, mixed, all buckets beyond it; then the others, towards the far end.
        if near < buckets.count {
            gather(near..<(near + 1), key, trust, asker, into: &found)
            if !found.isFull { gather((near + 1)..<buckets.count, key, trust, asker, into: &found) }
        }
        var index = min(near, buckets.count) - 1
        while !found.isFull, index >= 0 {
            gather(index..<(index + 1), key, trust, asker, into: &found)
            index -= 1
        }
        return found
    }

    /// How many known nodes lie nearer to `key` than this one, up to `limit`.
    func countNearerThanOwn(to key: Bytes32, limit: Int) -> Int {
        let distance = own.distance(to: key)
        let nearest = nearest(to: key, limit: limit, .anybody)
        var count = 0
        while count < nearest.count, peer(nearest[count]).id.distance(to: key) < distance { count += 1 }
        return count
    }

    private func gather(
        _ range: Range<Int>, _ key: Bytes32, _ trust: Trust, _ asker: NodeID?, into found: inout NearestPeers
    ) {
        let start = found.count
        var tick: UInt32 = 0
        var longest = UInt32.max
        var forgives = true
        switch trust {
        case .anybody: break
        case .answering: forgives = false
        case .live(let now):
            forgives = false
            tick = TablePeer.tick(now)
            longest = TablePeer.ticks(self.trust)
        }
        for index in range {
            for position in buckets[index].peers.indices {
                if !forgives {
                    guard buckets[index].peers[position].failures == 0,
                        longest == .max || buckets[index].peers[position].silence(at: tick) <= longest
                    else { continue }
                }
                let id = buckets[index].peers[position].id
                if let asker, asker == id { continue }
                let place = NearestPeers.Place(
                    distance: id.bytes.word0 ^ key.word0, bucket: UInt8(truncatingIfNeeded: index),
                    position: UInt8(truncatingIfNeeded: position))
                found.insert(place, from: start) { isNearer($0, $1, to: key) }
            }
        }
    }

    /// By the first 64 bits; ids ground to share those with the key are told apart by the rest.
    private func isNearer(_ a: NearestPeers.Place, _ b: NearestPeers.Place, to key: Bytes32) -> Bool {
        guard a.distance == b.distance else { return a.distance < b.distance }
        return peer(a).id.distance(to: key) < peer(b).id.distance(to: key)
    }

    /// The first 64 bits of everybody's distance from this node, nearest first.
    var distances: [UInt64] {
        buckets.flatMap { bucket in bucket.peers.map { $0.id.bytes.word0 ^ own.bytes.word0 } }.sorted()
    }

    // MARK: For the upkeep

    /// Who has been silent for longest beyond what is due: `siblingAge` for siblings, `age` for the others. The sooner of
    /// now and the time it will be due.
    func mostOverdue(
        at now: MonotonicInstant, age: Interval, siblingAge: Interval
    ) -> (id: NodeID, due: MonotonicInstant)? {
        let tick = TablePeer.tick(now)
        let ticks = (Int64(TablePeer.ticks(age)), Int64(TablePeer.ticks(siblingAge)))
        var worst: (id: NodeID, excess: Int64)?
        for bucket in buckets {
            for peer in bucket.peers where !peer.isUnderTest {
                // One that has failed is asked again soon: it is told to nobody until it answers.
                let allowed = (isSibling(peer.id) ? ticks.1 : ticks.0) / (peer.failures > 0 ? 8 : 1)
                let excess = Int64(peer.silence(at: tick)) - allowed
                if excess > worst?.excess ?? .min { worst = (peer.id, excess) }
            }
        }
        return worst.map { ($0.id, now + Interval(nanoseconds: -$0.excess << 24)) }
    }

    /// The farthest bucket with room for `wanted` more strangers, from `start` on and round; nil where all are full.
    /// Buckets as deep as the siblings lie are complete as they are.
    func emptyBucket(from start: Int, wanted: Int) -> Int? {
        guard siblingRadius < .max else { return nil }
        let depth = min(siblingRadius.leadingZeroBitCount, buckets.count)
        guard depth > 0 else { return nil }
        for step in 0..<depth {
            let index = (start + step) % depth
            if buckets[index].peers.count + wanted <= configuration.bucketSize { return index }
        }
        return nil
    }

    /// A random key in bucket `index`.
    func randomKey(inBucket index: Int, using generator: inout SeededGenerator) -> Bytes32 {
        let random = Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
        let shared = Bytes32.leadingOnes(index)
        let flipped = Bytes32.leadingOnes(index + 1) ^ shared
        return (own.bytes & (shared | flipped)) ^ flipped ^ (random & ~(shared | flipped))
    }

    /// The median of the measured round trips; nil before the first.
    func typicalRoundTrip() -> Interval? {
        var times: [Interval] = []
        for bucket in buckets {
            for peer in bucket.peers {
                if let time = peer.roundTrip { times.append(time) }
            }
        }
        guard !times.isEmpty else { return nil }
        times.sort()
        return times[times.count / 2]
    }
}

extension Bytes32 {
    fileprivate static func & (a: Bytes32, b: Bytes32) -> Bytes32 {
        Bytes32(a.word0 & b.word0, a.word1 & b.word1, a.word2 & b.word2, a.word3 & b.word3)
    }
    fileprivate static func | (a: Bytes32, b: Bytes32) -> Bytes32 {
        Bytes32(a.word0 | b.word0, a.word1 | b.word1, a.word2 | b.word2, a.word3 | b.word3)
    }
    fileprivate static prefix func ~ (a: Bytes32) -> Bytes32 { Bytes32(~a.word0, ~a.word1, ~a.word2, ~a.word3) }

    /// `count` ones from the most significant bit on, then zeros.
    fileprivate static func leadingOnes(_ count: Int) -> Bytes32 {
        func word(_ index: Int) -> UInt64 {
            let ones = min(max(count - index * 64, 0), 64)
            return ones == 0 ? 0 : UInt64.max << UInt64(64 - ones)
        }
        return Bytes32(word(0), word(1), word(2), word(3))
    }
}

extension RoutingTable {
    /// What the table takes by the arithmetic of its types: peers with those that wait, the headers of the buckets' arrays
    /// (32 bytes each), addresses kept beside, and the counts by subnet (8 bytes a place, three quarters of them used).
    package var memory: (peers: Int, bytesPerPeer: Int, bytes: Int) {
        let peers = buckets.reduce(0) { $0 + $1.peers.count + $1.waiting.count }
        let size = MemoryLayout<TablePeer>.stride
        let headers = buckets.count * (MemoryLayout<Bucket>.stride + 2 * 32)
        return (peers, size, peers * size + headers + bytesBeside)
    }
}
