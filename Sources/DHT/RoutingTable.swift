import SwarmCore

/// The nodes this one knows to be there, by distance in Kademlia's XOR space (Maymounkov and Mazières 2002, §2.2):
/// bucket i holds at most k nodes that share exactly i leading bits with this node.
///
/// Only nodes that have spoken for themselves are entered, never hearsay. A full bucket keeps its members as long as
/// they answer (old nodes tend to stay) and lets newcomers wait in a short queue. Subnets are bounded, so that one
/// landlord cannot fill a bucket. The order of everything is that of arrival or of distance: it replays.
package struct RoutingTable: Sendable {
    package struct Entry: Sendable {
        package var contact: Contact
        package var lastHeard: MonotonicInstant
        /// Smoothed as TCP's (RFC 6298 §2: seven parts old, one part new); nil before the first measurement.
        package var roundTrip: Interval?
        /// Requests in a row that stayed unanswered.
        package var failures = 0
    }

    /// What became of an observed contact.
    package enum Outcome: Hashable, Sendable {
        case added, updated
        /// The bucket is full: the newcomer waits, and `oldest` has not been heard for longest.
        case waiting(oldest: Contact)
        case refused
    }

    struct Bucket: Sendable {
        var entries: [Entry] = []
        var replacements: [Entry] = []
        var lastLookup = MonotonicInstant.zero
    }

    package let own: NodeID
    private let configuration: DHTConfiguration
    private var buckets: [Bucket] = []
    package private(set) var count = 0

    package init(own: NodeID, configuration: DHTConfiguration) {
        self.own = own
        self.configuration = configuration
    }

    // MARK: Changing

    /// Enters or refreshes a node that was heard at `now`. Its newest addresses replace the old ones.
    package mutating func observe(_ contact: Contact, roundTrip: Interval?, at now: MonotonicInstant) -> Outcome {
        guard contact.id != own, !contact.addresses.isEmpty else { return .refused }
        let index = bucketIndex(of: contact.id)
        while buckets.count <= index { buckets.append(Bucket(lastLookup: now)) }
        if let position = buckets[index].entries.firstIndex(where: { $0.contact.id == contact.id }) {
            buckets[index].entries[position].hear(contact, roundTrip: roundTrip, at: now)
            return .updated
        }
        let entry = Entry(contact: contact, lastHeard: now, roundTrip: roundTrip)
        guard subnetHasRoom(for: contact, inBucket: index) else { return .refused }
        if buckets[index].entries.count < configuration.bucketSize {
            enter(entry, inBucket: index)
            return .added
        }
        if let weakest = weakestFailing(inBucket: index) {
            removeEntry(at: weakest, inBucket: index)
            enter(entry, inBucket: index)
            return .added
        }
        wait(entry, inBucket: index)
        return oldest(inBucket: index).map { .waiting(oldest: $0) } ?? .refused
    }

    /// Counts an unanswered request; after enough of them, or sooner where somebody waits, the node is forgotten.
    package mutating func recordFailure(of id: NodeID) {
        let index = bucketIndex(of: id)
        guard index < buckets.count,
            let position = buckets[index].entries.firstIndex(where: { $0.contact.id == id })
        else { return }
        buckets[index].entries[position].failures += 1
        let patience = buckets[index].replacements.isEmpty ? configuration.failuresToForget : 2
        guard buckets[index].entries[position].failures >= patience else { return }
        removeEntry(at: position, inBucket: index)
        promote(inBucket: index)
    }

    /// Forgets a node at once: somebody else found it dead, or it said goodbye.
    package mutating func remove(_ id: NodeID) {
        let index = bucketIndex(of: id)
        guard id != own, index < buckets.count else { return }
        buckets[index].replacements.removeAll { $0.contact.id == id }
        guard let position = buckets[index].entries.firstIndex(where: { $0.contact.id == id }) else { return }
        removeEntry(at: position, inBucket: index)
        promote(inBucket: index)
    }

    /// Notes that a lookup passed through the bucket of `key`, so that it needs no refresh.
    package mutating func noteLookup(for key: Bytes32, at now: MonotonicInstant) {
        let index = min((own.bytes ^ key).leadingZeroBitCount, buckets.count - 1)
        guard index >= 0 else { return }
        buckets[index].lastLookup = now
    }

    // MARK: Reading

    package func entry(of id: NodeID) -> Entry? {
        let index = bucketIndex(of: id)
        guard index < buckets.count else { return nil }
        return buckets[index].entries.first { $0.contact.id == id }
    }

    /// Every entry, farthest bucket first.
    package var entries: [Entry] { buckets.flatMap(\.entries) }
    package var contacts: [Contact] { entries.map(\.contact) }
    package var isEmpty: Bool { count == 0 }

    /// Up to `limit` entries, nearest to `key` first. `trusted` leaves out those whose last request failed: what is
    /// told to others should be alive.
    package func closest(to key: Bytes32, limit: Int, trusted: Bool = false) -> [Entry] {
        var found: [Entry] = []
        let near = (own.bytes ^ key).leadingZeroBitCount
        func take(_ group: [Entry]) {
            let usable = trusted ? group.filter { $0.failures == 0 } : group
            found += usable.sorted { $0.contact.id.distance(to: key) < $1.contact.id.distance(to: key) }
        }
        // The key's own bucket is nearest; then, mixed, all buckets beyond it; then the others, towards the far end.
        if near < buckets.count { take(buckets[near].entries) }
        if found.count < limit, near + 1 < buckets.count { take(buckets[(near + 1)...].flatMap(\.entries)) }
        var index = min(near, buckets.count) - 1
        while found.count < limit, index >= 0 {
            take(buckets[index].entries)
            index -= 1
        }
        return Array(found.prefix(limit))
    }

    /// How many known live nodes lie nearer to `key` than this one.
    package func countNearerThanOwn(to key: Bytes32, limit: Int) -> Int {
        let distance = own.distance(to: key)
        let nearer = closest(to: key, limit: limit, trusted: true)
        return nearer.count { $0.contact.id.distance(to: key) < distance }
    }

    /// A random key in the bucket that has gone longest without a lookup, where that is `age` or more.
    package func staleBucketKey(
        at now: MonotonicInstant, age: Interval, using generator: inout SeededGenerator
    ) -> Bytes32? {
        guard let index = stalest, now - buckets[index].lastLookup >= age else { return nil }
        return randomKey(inBucket: index, using: &generator)
    }

    /// When the next bucket falls due for a refresh.
    package func nextRefresh(age: Interval) -> MonotonicInstant? {
        guard let index = stalest else { return nil }
        return buckets[index].lastLookup + age
    }

    /// A random key in each bucket farther than the nearest neighbour: what a node that has just joined looks up.
    package func refreshKeys(using generator: inout SeededGenerator) -> [Bytes32] {
        guard let nearest = buckets.lastIndex(where: { !$0.entries.isEmpty }) else { return [] }
        return (0..<nearest).map { randomKey(inBucket: $0, using: &generator) }
    }

    // MARK: Inside

    private func bucketIndex(of id: NodeID) -> Int { min(id.distance(to: own.bytes).leadingZeroBitCount, 255) }

    private var stalest: Int? {
        guard count > 0 else { return nil }
        return buckets.indices.min { buckets[$0].lastLookup < buckets[$1].lastLookup }
    }

    private func randomKey(inBucket index: Int, using generator: inout SeededGenerator) -> Bytes32 {
        let random = Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
        let shared = Bytes32.leadingOnes(index)
        let flipped = Bytes32.leadingOnes(index + 1) ^ shared
        return (own.bytes & (shared | flipped)) ^ flipped ^ (random & ~(shared | flipped))
    }

    private mutating func enter(_ entry: Entry, inBucket index: Int) {
        buckets[index].replacements.removeAll { $0.contact.id == entry.contact.id }
        buckets[index].entries.append(entry)
        count += 1
    }

    private mutating func wait(_ entry: Entry, inBucket index: Int) {
        buckets[index].replacements.removeAll { $0.contact.id == entry.contact.id }
        buckets[index].replacements.append(entry)
        if buckets[index].replacements.count > DHTLimits.replacementsPerBucket {
            buckets[index].replacements.removeFirst()
        }
    }

    private mutating func removeEntry(at position: Int, inBucket index: Int) {
        buckets[index].entries.remove(at: position)
        count -= 1
    }

    /// The newest of those who wait takes the free place: it is the likeliest to be alive.
    private mutating func promote(inBucket index: Int) {
        while let entry = buckets[index].replacements.popLast() {
            guard subnetHasRoom(for: entry.contact, inBucket: index) else { continue }
            enter(entry, inBucket: index)
            return
        }
    }

    private func weakestFailing(inBucket index: Int) -> Int? {
        let entries = buckets[index].entries
        let weakest = entries.indices.max { entries[$0].failures < entries[$1].failures }
        guard let weakest, entries[weakest].failures >= 2 else { return nil }
        return weakest
    }

    private func oldest(inBucket index: Int) -> Contact? {
        buckets[index].entries.min { $0.lastHeard < $1.lastHeard }?.contact
    }

    private func subnetHasRoom(for contact: Contact, inBucket index: Int) -> Bool {
        guard let address = contact.addresses.first, !address.isLoopback, !address.isPrivate else { return true }
        func isNeighbour(_ entry: Entry) -> Bool {
            guard let other = entry.contact.addresses.first, other.isIPv4 == address.isIPv4 else { return false }
            return other.subnet == address.subnet
        }
        guard buckets[index].entries.count(where: isNeighbour) < configuration.subnetLimitPerBucket else {
            return false
        }
        let inTable = buckets.reduce(0) { $0 + $1.entries.count(where: isNeighbour) }
        return inTable < configuration.subnetLimitInTable
    }
}

extension RoutingTable.Entry {
    fileprivate mutating func hear(_ newer: Contact, roundTrip sample: Interval?, at now: MonotonicInstant) {
        contact.addresses = newer.addresses
        lastHeard = max(lastHeard, now)
        failures = 0
        guard let sample else { return }
        roundTrip = roundTrip.map { ($0 * 7 + sample) / 8 } ?? sample
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
