import SwarmCore

/// One request in the air.
struct PendingRequest: Sendable {
    enum Purpose: Hashable, Sendable {
        /// A step of a lookup.
        case lookup(LookupID)
        /// A further page of one holder's list.
        case page(LookupID)
        /// The PUT of a publication's round.
        case store(publication: UInt64)
        /// Whether an old contact is still there.
        case probe
        /// A copy for a cache; nothing depends on the answer.
        case offer
        /// This node's own addresses, for a neighbour to keep.
        case addresses(sequence: UInt64)
    }

    let id: RequestID
    let peer: Contact
    let purpose: Purpose
    let message: DHTMessage
    let sentAt: MonotonicInstant
    let timing: RequestTiming
    var transmissions = 1

    /// The next transmission, or the end.
    var dueAt: MonotonicInstant {
        sentAt + (timing.nextTransmission(afterSending: transmissions) ?? timing.timeout)
    }

    /// Whether `dueAt` is the end.
    var isLastChance: Bool { timing.nextTransmission(afterSending: transmissions) == nil }
}

/// The requests in the air, in the order they were sent. An answer counts only if both its id and its sender match.
struct RequestTable: Sendable {
    private var pending: [PendingRequest] = []

    var count: Int { pending.count }
    var isFull: Bool { pending.count >= DHTLimits.requests }

    mutating func add(_ request: PendingRequest) { pending.append(request) }

    /// Takes out the request that `peer` answers, or nil.
    mutating func take(_ id: RequestID, from peer: NodeID) -> PendingRequest? {
        guard let index = pending.firstIndex(where: { $0.id == id && $0.peer.id == peer }) else { return nil }
        return pending.remove(at: index)
    }

    /// The first request that is due: for its next transmission (then noted as sent) or, taken out, for its end.
    mutating func popDue(_ now: MonotonicInstant) -> (request: PendingRequest, isOver: Bool)? {
        guard let index = pending.firstIndex(where: { $0.dueAt <= now }) else { return nil }
        if pending[index].isLastChance { return (pending.remove(at: index), true) }
        pending[index].transmissions += 1
        return (pending[index], false)
    }

    mutating func removeAll(for purposes: Set<PendingRequest.Purpose>) {
        pending.removeAll { purposes.contains($0.purpose) }
    }

    func contains(peer: NodeID, purpose: PendingRequest.Purpose) -> Bool {
        pending.contains { $0.peer.id == peer && $0.purpose == purpose }
    }

    func contains(purpose: PendingRequest.Purpose) -> Bool { pending.contains { $0.purpose == purpose } }

    var nextDeadline: MonotonicInstant? { pending.map(\.dueAt).min() }
}
