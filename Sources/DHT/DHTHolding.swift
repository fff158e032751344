import SwarmCore
import SwarmCrypto

/// What a holder answers to a PUT, and what a publisher makes of it.
struct PutAnswer: Sendable {
    let result: PutResult
    /// For how long the holder has seen the publisher of the record it holds hold it without a gap.
    let age: Interval
    /// The living record of the name's holder, where the name is taken.
    let incumbent: Record?

    init(_ result: PutResult, age: Interval = .zero, incumbent: Record? = nil) {
        self.result = result
        self.age = age
        self.incumbent = incumbent
    }

    func message(_ request: RequestID) -> DHTMessage {
        .putResult(request, result, age: age, incumbent: incumbent)
    }
}

/// Holding other nodes' records: what is taken and what is refused.
extension DHT {
    /// Decides about somebody's own record: the cheap checks first, the signature last.
    mutating func hold(_ record: Record, from peer: Peer, at now: Now) -> PutAnswer {
        guard peer.isConfirmed else { return refuse(.unconfirmed, .unconfirmed) }
        guard record.publisher.id == peer.id else { return refuse(.notPublisher, .refused) }
        let key = record.key
        guard record.isTombstone || isResponsible(for: key) else { return refuse(.notResponsible, .notResponsible) }
        guard record.isAuthentic(identity.suite) else { return refuse(.badSignature, .refused) }
        switch store.put(record, key: key, at: now) {
        case .stored(let age):
            traffic.add(.recordsStored)
            return PutAnswer(.stored, age: age)
        case .alreadyHeld(let age):
            return PutAnswer(.stored, age: age)
        case .nameTaken(let incumbent):
            refusals.add(.nameTaken)
            return PutAnswer(.nameTaken, age: incumbent.age, incumbent: incumbent.record)
        case .refused(let reason):
            return refuse(reason, reason.putResult)
        }
    }

    /// Decides about a copy that a reader offers.
    mutating func cache(_ copy: HeldRecord, from peer: Peer, at now: Now) -> PutAnswer {
        guard peer.isConfirmed else { return refuse(.unconfirmed, .unconfirmed) }
        return refuse(.storeFull, .full)
    }

    private mutating func refuse(_ reason: DHTRefusal, _ result: PutResult) -> PutAnswer {
        refusals.add(reason)
        return PutAnswer(result)
    }
}

extension DHTRefusal {
    /// How a holder words the refusal to the publisher.
    fileprivate var putResult: PutResult {
        switch self {
        case .superseded: .superseded
        case .publisherFull, .keyFull, .storeFull: .full
        default: .refused
        }
    }
}
