import SwarmCore
import SwarmCrypto

/// Copies of records that readers have found and offered along the way, so that a stream everybody looks up does not
/// fall on its holders alone (Kademlia, §2.3).
///
/// A copy is worth less than a record: its offerer need not be its publisher, so it lives a few seconds, is never counted
/// as held, and is the first to go. Its deadline is set when it comes and no further offer of the same version moves it.
/// When it is over the same version may come again from somebody who has just read it, but all its stays together end
/// with the remaining life the first offer stated; a newer version or a tombstone ends it at once.
struct CopyCache: Sendable {
    enum Outcome: Hashable, Sendable {
        case stored
        case alreadyHeld
        case refused(DHTRefusal)
    }

    /// Who offered a copy: what the limits per source count.
    struct Source: Hashable, Sendable {
        let node: NodeID
        /// Nil where the subnet is not counted.
        let subnet: UInt64?
    }

    private struct Copy: Sendable {
        /// Empty when its stay is over.
        var bytes: [UInt8] = []
        var key = Bytes32.zero
        var publisher = NodeID(.zero)
        var sequence: UInt64 = 0
        var kind = RecordKind.streamOrigin
        /// What the first offer of this version left it.
        var versionEndsAt = MonotonicInstant.zero
        /// Nil for this node's own.
        var source: Source?

        var isLiving: Bool { !bytes.isEmpty }
    }

    private var copies = SlotTable<Copy>()
    private var chains = HashChains()
    /// When a living copy's stay ends, and when a version that has had its stay is forgotten.
    private var deadlines = DeadlineHeap()
    private var perNode: [NodeID: Int] = [:]
    private var perSubnet: [UInt64: Int] = [:]
    private(set) var living = 0
    private var bytes = 0

    // MARK: Changing

    /// Why a copy would not be taken, before its signature is looked at; nil where it would be.
    func refusal(
        of record: Record, key: Bytes32, stay: Interval, from source: Source?, at now: MonotonicInstant
    ) -> Outcome? {
        guard RecordKindMask.cacheable.contains(record.kind.mask), !record.isTombstone else {
            return .refused(.notCacheable)
        }
        guard stay >= CopyStay.shortest else { return .refused(.shortLifetime) }
        if let slot = find(record.kind, record.publisher.id, key) {
            let held = copies[slot]
            guard record.sequence >= held.sequence else { return .refused(.superseded) }
            if record.sequence == held.sequence {
                if held.isLiving { return .alreadyHeld }
                guard held.versionEndsAt - now >= CopyStay.shortest else { return .refused(.notCacheable) }
            }
        }
        let present = slots(key).count { copies[$0].kind == record.kind && copies[$0].isLiving }
        let limit =
            record.kind == .streamOrigin ? DHTLimits.originCopiesPerKey : DHTLimits.carrierCopiesPerKey
        guard present < limit || find(record.kind, record.publisher.id, key).map({ copies[$0].isLiving }) == true
        else { return .refused(.keyFull) }
        guard let source else { return nil }
        guard perNode[source.node] ?? 0 < DHTLimits.copiesPerSource else { return .refused(.publisherFull) }
        if let subnet = source.subnet, perSubnet[subnet] ?? 0 >= DHTLimits.copiesPerSubnet {
            return .refused(.subnetShareFull)
        }
        return nil
    }

    /// Takes a verified copy that `refusal` had nothing against, for `stay` at most; `remaining` is what its holder said.
    mutating func insert(
        _ record: Record, key: Bytes32, remaining: Interval, stay: Interval, from source: Source?,
        at now: MonotonicInstant
    ) {
        var versionEndsAt = now + min(remaining, DHTConfiguration.longestLifetime)
        if let slot = find(record.kind, record.publisher.id, key) {
            if copies[slot].sequence == record.sequence {
                versionEndsAt = min(versionEndsAt, copies[slot].versionEndsAt)
            }
            remove(slot)
        }
        if copies.count >= DHTLimits.copies, let next = deadlines.earliestSlot { remove(next) }
        let spent = slots(key).filter { !copies[$0].isLiving }
        if spent.count >= DHTLimits.spentCopiesPerKey, let first = spent.first { remove(first) }
        var copy = Copy()
        copy.bytes = record.storedBytes
        copy.key = key
        copy.publisher = record.publisher.id
        copy.sequence = record.sequence
        copy.kind = record.kind
        copy.versionEndsAt = versionEndsAt
        copy.source = source
        let slot = copies.insert(copy)
        chains.insert(slot, hash: key.chainHash)
        deadlines.set(slot, min(now + stay, versionEndsAt))
        count(slot, 1)
    }

    /// The publisher itself has spoken: a copy of something older ends.
    mutating func supersede(_ record: Record, key: Bytes32) {
        guard let slot = find(record.kind, record.publisher.id, key), copies[slot].sequence <= record.sequence else {
            return
        }
        remove(slot)
    }

    /// Ends the copies of everything `publisher` has said: it was found dead.
    mutating func remove(_ publisher: NodeID) {
        guard copies.count > 0 else { return }
        for slot in deadlines.slots where copies[slot].publisher == publisher { remove(slot) }
    }

    mutating func sweep(_ now: MonotonicInstant) {
        while let slot = deadlines.popDue(now) {
            guard copies[slot].isLiving, copies[slot].versionEndsAt > now else {
                remove(slot)
                continue
            }
            count(slot, -1)
            copies[slot].bytes = []
            deadlines.set(slot, copies[slot].versionEndsAt)
        }
    }

    // MARK: Reading

    func living(_ kind: RecordKind, _ key: Bytes32, _ now: MonotonicInstant) -> [HeldRecord] {
        slots(key).compactMap { slot in
            let copy = copies[slot]
            guard copy.kind == kind, copy.isLiving, let endsAt = deadlines.instant(of: slot), endsAt > now,
                let record = Record(stored: copy.bytes, publisher: copy.publisher)
            else { return nil }
            return HeldRecord(record: record, remaining: endsAt - now, isCopy: true)
        }
    }

    var nextDeadline: MonotonicInstant? { deadlines.earliest }
    var count: Int { copies.count }

    var memoryBytes: Int {
        copies.memoryBytes + chains.memoryBytes + deadlines.memoryBytes + bytes + living * 40
            + (perNode.capacity + perSubnet.capacity) * 40
    }

    // MARK: Inside

    /// The copies under a key, spent ones included, in the order of their slots: a handful, since the living and
    /// the spent are bounded per key.
    private func slots(_ key: Bytes32) -> [Int] {
        var found: [Int] = []
        var candidate = chains.first(key.chainHash)
        while let slot = candidate {
            if copies[slot].key == key { found.append(slot) }
            candidate = chains.following(slot)
        }
        return found.sorted()
    }

    private func find(_ kind: RecordKind, _ publisher: NodeID, _ key: Bytes32) -> Int? {
        var candidate = chains.first(key.chainHash)
        while let slot = candidate {
            if copies[slot].key == key, copies[slot].kind == kind, copies[slot].publisher == publisher { return slot }
            candidate = chains.following(slot)
        }
        return nil
    }

    private mutating func remove(_ slot: Int) {
        count(slot, -1)
        chains.remove(slot)
        deadlines.remove(slot)
        copies.remove(slot, leaving: Copy())
    }

    /// Only the living count against their source.
    private mutating func count(_ slot: Int, _ change: Int) {
        guard copies[slot].isLiving else { return }
        living += change
        bytes += change * copies[slot].bytes.count
        guard let source = copies[slot].source else { return }
        let ofNode = (perNode[source.node] ?? 0) + change
        perNode[source.node] = ofNode > 0 ? ofNode : nil
        guard let subnet = source.subnet else { return }
        let ofSubnet = (perSubnet[subnet] ?? 0) + change
        perSubnet[subnet] = ofSubnet > 0 ? ofSubnet : nil
    }
}

/// How long a copy stays in a cache.
package enum CopyStay {
    /// A withdrawn stream lives on in caches no longer than this after its holders know of the end.
    package static var longest: Interval { .seconds(5) }
    /// Less is not worth a message.
    package static var shortest: Interval { .milliseconds(500) }
}
