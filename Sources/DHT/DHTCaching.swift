import SwarmCore
import SwarmCrypto

/// Caching: what a lookup found is left behind along its way (Kademlia, §2.3).
///
/// A copy of a copy ends when that one does: what a cache says is left of it only shrinks on the way. So a withdrawn stream
/// lives on for no longer than one stay (`CopyStay.longest`) after its holders know of the end, however many pass it on.
/// A cache only ever adds answers, hence it never makes a living stream "not live".
extension DHT {
    /// A lookup for a stream has ended. This node keeps copies of what it was told, to answer others with, and offers them
    /// to nodes that answered without the record. From what is left of them goes twice the time that the lookup took: as
    /// much as the way here, and on to nodes that have answered within it, may have cost.
    mutating func spreadCopies(of lookup: ActiveLookup, at now: Now, into out: inout MessageOutbox) {
        let key = lookup.search.target
        let isClient = configuration.isClientOnly
        for held in lookup.gathered.copies {
            let left = held.remaining - (now.monotonic - lookup.startedAt) * 2
            guard left >= CopyStay.shortest else { continue }
            let copy = HeldRecord(record: held.record, remaining: left, isCopy: true)
            _ = keepCopy(copy, key: key, from: nil, at: now)
            for peer in lookup.emptyHanded {
                let isSent = ask(peer, .offer, at: now, into: &out) { .offerCopy($0, isClient: isClient, copy) }
                if isSent { traffic.add(.copiesOffered) }
            }
        }
    }

    /// Decides about a copy that a reader offers: the cheap checks first, the signature last.
    mutating func cache(_ copy: HeldRecord, from peer: Peer, at now: Now) -> PutAnswer {
        guard peer.isConfirmed else { return refuse(.unconfirmed, .unconfirmed) }
        let key = copy.record.key
        let isCounted = !peer.address.isLoopback && !peer.address.isPrivate
        let source = CopyCache.Source(node: peer.id, subnet: isCounted ? peer.address.subnet : nil)
        switch keepCopy(copy, key: key, from: source, at: now) {
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
        _ copy: HeldRecord, key: Bytes32, from source: CopyCache.Source?, at now: Now
    ) -> CopyCache.Outcome {
        let record = copy.record
        let stay = min(CopyStay.longest, copy.remaining, record.lifetime)
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
}

extension RecordStore {
    /// Why a copy has no place beside what the publishers themselves have stored here.
    func refusalOfCopy(_ record: Record, key: Bytes32) -> DHTRefusal? {
        if let slot = slots.find(record, key: key), slots[slot].sequence >= record.sequence { return .superseded }
        guard record.kind == .streamOrigin else { return nil }
        return slots.list(.streamOrigin, key).contains { !slots[$0].isDead } ? .nameTaken : nil
    }
}
