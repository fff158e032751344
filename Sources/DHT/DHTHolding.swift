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
        if let reason = record.delegationFault(wallMilliseconds: now.wallMilliseconds, suite: identity.suite) {
            return refuse(reason, .refused)
        }
        guard record.isAuthentic(identity.suite) else { return refuse(.badSignature, .refused) }
        switch store.put(record, key: key, from: peer.address, at: now) {
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

    /// Why an answer's record is not believed; nil where it proves itself: right key, signed lately, by its publisher, who
    /// may use the name.
    func doubt(_ record: Record, under key: Bytes32, _ now: Now) -> DHTRefusal? {
        guard record.key == key else { return .wrongKey }
        // A holder's copy may be as old as its life; a tombstone is remembered for longer and needs no haste.
        let age = record.isTombstone ? DHTConfiguration.memoryOfTheDead : record.kind.longestLifetime
        let tolerance = DHTConfiguration.clockTolerance + age
        guard record.isSigned(near: now.wallMilliseconds, tolerance: tolerance) else { return .clockSkew }
        let wall = now.wallMilliseconds
        if let reason = record.delegationFault(wallMilliseconds: wall, suite: identity.suite) { return reason }
        return record.isAuthentic(identity.suite) ? nil : .badSignature
    }

    mutating func refuse(_ reason: DHTRefusal, _ result: PutResult) -> PutAnswer {
        refusals.add(reason)
        return PutAnswer(result)
    }
}

extension DHTRefusal {
    /// How a holder words the refusal to the publisher.
    var putResult: PutResult {
        switch self {
        case .superseded: .superseded
        case .publisherFull, .subnetShareFull, .keyFull, .storeFull: .full
        default: .refused
        }
    }
}
