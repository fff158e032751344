import SwarmCore
import SwarmCrypto

/// Caching: what a lookup found is left behind along its way (Kademlia, §2.3).
///
/// A copy travels one step: only what a holder said is copied, never a copy, so that a withdrawn stream lives on for no
/// longer than one stay (`CopyStay.longest`) after its holders know of the end. A cache only ever adds answers, hence it
/// never makes a living stream "not live".
extension DHT {
    /// A lookup for a stream has ended. This node keeps copies of what holders told it, to answer others with, and offers
    /// them to `missing`: of the nodes that answered without the record the one nearest to the key, or nil.
    mutating func spreadCopies(
        of found: GatheredRecords, key: Bytes32, to missing: Contact?, at now: Now, into out: inout MessageOutbox
    ) {
        let stay = CopyStay.limit(halvings: halvings(to: key))
        let isClient = configuration.isClientOnly
        for held in found.copies {
            _ = keepCopy(held, key: key, stay: stay, from: nil, at: now)
            guard let missing else { continue }
            let isSent = ask(missing, .offer, at: now, into: &out) { .offerCopy($0, isClient: isClient, held) }
            if isSent { traffic.add(.copiesOffered) }
        }
    }

    /// Decides about a copy that a reader offers: the cheap checks first, the signature last.
    mutating func cache(_ copy: HeldRecord, from peer: Peer, at now: Now) -> PutAnswer {
        guard peer.isConfirmed else { return refuse(.unconfirmed, .unconfirmed) }
        let key = copy.record.key
        let isCounted = !peer.address.isLoopback && !peer.address.isPrivate
        let source = CopyCache.Source(node: peer.id, subnet: isCounted ? peer.address.subnet : nil)
        let stay = CopyStay.limit(halvings: halvings(to: key))
        switch keepCopy(copy, key: key, stay: stay, from: source, at: now) {
        case .stored:
            traffic.add(.copiesStored)
            return PutAnswer(.stored)
        case .alreadyHeld:
            return PutAnswer(.stored)
        case .refused(let reason):
            return refuse(reason, reason.putResult)
        }
    }

    private mutating func keepCopy(
        _ copy: HeldRecord, key: Bytes32, stay: Interval, from source: CopyCache.Source?, at now: Now
    ) -> CopyCache.Outcome {
        let record = copy.record
        let stay = min(stay, copy.remaining, record.lifetime)
        if let reason = store.refusalOfCopy(record, key: key) { return .refused(reason) }
        if let early = store.cache.refusal(of: record, key: key, stay: stay, from: source, at: now.monotonic) {
            return early
        }
        // What this node found itself was proved when it was gathered.
        if source != nil, let reason = doubt(record, under: key, now) { return .refused(reason) }
        store.cache.insert(
            record, key: key, remaining: min(copy.remaining, record.lifetime), stay: stay, from: source,
            at: now.monotonic)
        return .stored
    }

    /// By how many doublings of the number of nodes this node lies farther from `key` than the k nearest do, as its own
    /// neighbourhood shows their density.
    private func halvings(to key: Bytes32) -> Int {
        let neighbours = table.closest(to: identity.id.bytes, limit: configuration.bucketSize)
        guard neighbours.count == configuration.bucketSize, let farthest = neighbours.last else { return 0 }
        let reach = farthest.contact.id.distance(to: identity.id.bytes).leadingZeroBitCount
        return max(0, reach - identity.id.distance(to: key).leadingZeroBitCount)
    }
}

extension RecordStore {
    /// Why a copy has no place beside what the publishers themselves have stored here.
    func refusalOfCopy(_ record: Record, key: Bytes32) -> DHTRefusal? {
        if let slot = slots.find(record, key: key), slots[slot].sequence >= record.sequence { return .superseded }
        guard record.kind == .streamOrigin else { return nil }
        return slots.list(.streamOrigin, key).contains { !slots[$0].isDead } ? .nameTaken : nil
    }
}
