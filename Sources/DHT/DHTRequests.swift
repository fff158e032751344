import SwarmCore
import SwarmCrypto

/// The asking side of single requests.
extension DHT {
    /// Sends a request and remembers it. `expected` is the predicted round trip to a peer that was never measured; after
    /// `hedge` it is late at the latest. False, and counted, where too many are in the air.
    @discardableResult
    mutating func ask(
        _ peer: Contact, _ purpose: PendingRequest.Purpose, expected: Interval? = nil, hedge: Interval? = nil,
        at now: Now, into out: inout MessageOutbox, _ message: (RequestID) -> DHTMessage
    ) -> Bool {
        guard !requests.isFull else {
            refusals.add(.tooManyRequests)
            return false
        }
        let request = requests.nextID(generator.next())
        let knowledge: RequestTiming.Knowledge
        if let measured = table.peer(of: peer.id)?.roundTrip {
            knowledge = .measured(measured)
        } else {
            knowledge = expected.map { .predicted($0) } ?? .none
        }
        let pending = PendingRequest(
            id: request, peer: peer, purpose: purpose, message: message(request), sentAt: now.monotonic,
            timing: RequestTiming(knowledge, experience: answerTimes, longestHedge: hedge))
        requests.add(pending)
        traffic.add(.requestsSent)
        if isForPublishing(purpose) { traffic.add(.publishingRequestsSent) }
        send(pending.message, to: peer, into: &out)
        return true
    }

    private func isForPublishing(_ purpose: PendingRequest.Purpose) -> Bool {
        switch purpose {
        case .store, .supply: true
        case .lookup(let id): index(of: id).map { lookups[$0].purpose.isForHolders } ?? false
        case .page, .ping, .probe, .fill, .offer, .addresses: false
        }
    }

    func send(_ message: DHTMessage, to peer: Contact, into out: inout MessageOutbox) {
        // Only a PUT changes anything at its receiver; every other message may be repeated by an eavesdropper in vain.
        out.append(to: peer, isIdempotent: message.kind != .put) { writer in message.write(to: &writer) }
    }

    /// Tells lookups of late requests, sends them again, and ends those that stayed unanswered.
    mutating func repeatRequests(_ now: Now, _ out: inout MessageOutbox, _ events: inout EventBuffer<DHTEvent>) {
        while let (request, due) = requests.popDue(now.monotonic) {
            switch due {
            case .late:
                if case .lookup(let id) = request.purpose { lookupLate(id, at: request.peer.id) }
            case .again:
                traffic.add(.requestsRepeated)
                if isForPublishing(request.purpose) { traffic.add(.publishingRequestsSent) }
                let id = RequestTable.id(of: request.id, transmission: request.transmissions)
                send(request.message.renamed(id), to: request.peer, into: &out)
            case .over:
                traffic.add(.requestsTimedOut)
                answerTimes.noteTimeout()
                noteFailure(of: request.peer.id, at: now.monotonic)
                fail(request, at: now, events: &events)
            }
        }
    }

    private mutating func noteFailure(of peer: NodeID, at now: MonotonicInstant) {
        guard let silence = table.peer(of: peer)?.silence(at: TablePeer.tick(now)) else { return }
        guard table.recordFailure(of: peer) else { return }
        upkeep.noteDeath(afterSilence: Interval(nanoseconds: Int64(silence) << 24))
        table.trust = upkeep.trust
    }

    /// Tells whoever sent the request that no usable answer came.
    mutating func fail(_ request: PendingRequest, at now: Now, events: inout EventBuffer<DHTEvent>) {
        switch request.purpose {
        case .lookup(let id): lookupFailed(id, at: request.peer.id)
        case .page(let id): pageFailed(id)
        case .store(let number): putAnswered(number, PutAnswer(.refused), by: request.peer.id, at: now, events: &events)
        case .supply(let number): supplyAnswered(number, PutAnswer(.refused), by: request.peer.id, at: now.monotonic)
        case .ping(let id): events.append(.pinged(id, roundTrip: nil))
        case .probe, .fill, .offer, .addresses: break
        }
    }

    mutating func handleAnswer(
        _ message: DHTMessage, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<DHTEvent>
    ) {
        guard let (request, roundTrip) = requests.take(message.requestID, from: peer.id, at: now.monotonic) else {
            return refusals.add(.unasked)
        }
        traffic.add(.answersReceived)
        answerTimes.noteAnswer(after: roundTrip)
        var contact = request.peer
        if contact.addresses.first != peer.address { contact.addresses.promote(peer.address) }
        noteLife(of: contact.id, at: now.monotonic)
        if let place = message.coordinate { learnPlace(place, roundTrip) }
        hear(contact, coordinate: message.coordinate, roundTrip: roundTrip, at: now, into: &out)
        switch (request.purpose, message) {
        case (.probe, .pong):
            break
        case (.ping(let id), .pong):
            events.append(.pinged(id, roundTrip: roundTrip))
        case (.fill(let bucket), .contacts(_, _, let named)):
            take(named, forBucket: bucket, now, &out)
        case (.lookup(let id), .contacts(_, _, let closer)):
            lookupAnswered(id, by: contact, closer: closer, records: [], total: 0, now, &out, &events)
        case (.lookup(let id), .values(_, _, let total, let records, let closer)):
            lookupAnswered(id, by: contact, closer: closer, records: records, total: total, now, &out, &events)
        case (.page(let id), .values(_, _, let total, let records, _)):
            pageAnswered(id, by: contact, records: records, total: total, now, &out)
        case (.store(let number), .putResult(_, let result, let age, let incumbent)):
            // Not answered for good: it is repeated when its time comes, and ends when all repetitions are used up.
            guard result != .unconfirmed else { return requests.putBack(request) }
            let answer = PutAnswer(result, age: age, incumbent: incumbent)
            putAnswered(number, answer, by: peer.id, at: now, events: &events)
        case (.supply(let number), .putResult(_, let result, _, _)):
            guard result != .unconfirmed else { return requests.putBack(request) }
            supplyAnswered(number, PutAnswer(result), by: peer.id, at: now.monotonic)
        case (.offer, .putResult(_, let result, _, _)):
            if result == .unconfirmed { requests.putBack(request) }
        case (.addresses(let sequence), .putResult(_, let result, _, _)):
            guard result != .unconfirmed else { return requests.putBack(request) }
            if result == .stored { addressBook.noteHolder(peer.id, of: sequence) }
        default:
            refusals.add(.malformed)
            fail(request, at: now, events: &events)
        }
    }

    /// A sign of life of somebody in the table tells how long nodes live here.
    private mutating func noteLife(of peer: NodeID, at now: MonotonicInstant) {
        guard let silence = table.peer(of: peer)?.silence(at: TablePeer.tick(now)), silence > 0 else { return }
        upkeep.noteLife(afterSilence: Interval(nanoseconds: Int64(silence) << 24))
        table.trust = upkeep.trust
    }

    private mutating func learnPlace(_ place: Coordinate, _ roundTrip: Interval) {
        guard !hasGivenCoordinate else { return }
        coordinate.update(
            roundTripMilliseconds: Double(roundTrip.nanoseconds) / 1_000_000, to: place, using: &generator)
    }

    /// Enters a node into the table; where that changes who is nearest to a publication, it is stored anew soon.
    mutating func hear(
        _ contact: Contact, coordinate: Coordinate? = nil, roundTrip: Interval?, isGuest: Bool = false, at now: Now,
        into out: inout MessageOutbox
    ) {
        let outcome = table.observe(
            contact, coordinate: coordinate, roundTrip: roundTrip, isGuest: isGuest, at: now.monotonic)
        switch outcome {
        case .added:
            if table.isSibling(contact.id) || !publications.isEmpty { supply(contact, at: now, into: &out) }
            upkeep.hasten(to: now.monotonic + Upkeep.shortestPause)
        case .waiting(let oldest):
            // Who was heard within the time that the upkeep allows stays unasked: to ask would make us a stranger at the
            // other end, where somebody else would be asked in turn, and so on for ever.
            let age = upkeep.checkAge(atMost: configuration.refreshInterval)
            guard let peer = table.peer(of: oldest),
                peer.silence(at: TablePeer.tick(now.monotonic)) >= TablePeer.ticks(max(age, configuration.probeAge))
            else { return }
            probe(peer, now, &out)
        case .refused:
            if contact.id != identity.id { refusals.add(.subnetFull) }
        case .updated:
            break
        }
    }

    /// Asks a node of the table whether it is still there, unless that is being asked.
    mutating func probe(_ peer: TablePeer, _ now: Now, _ out: inout MessageOutbox) {
        guard table.beginTest(of: peer.id) else { return }
        let isClient = configuration.isClientOnly
        let place = ownPlace
        ask(table.contact(of: peer), .probe, at: now, into: &out) { .ping($0, isClient: isClient, from: place) }
    }
}

extension DHTMessage {
    /// The same request under another id.
    func renamed(_ id: RequestID) -> DHTMessage {
        switch self {
        case .ping(_, let isClient, let place): .ping(id, isClient: isClient, from: place)
        case .findNode(_, let isClient, let place, let target):
            .findNode(id, isClient: isClient, from: place, target: target)
        case .get(_, let isClient, let place, let query): .get(id, isClient: isClient, from: place, query)
        case .put(_, let isClient, let record): .put(id, isClient: isClient, record)
        case .offerCopy(_, let isClient, let copy): .offerCopy(id, isClient: isClient, copy)
        case .pong, .contacts, .values, .putResult: self
        }
    }

    /// The answerer's own place, where the answer says it.
    var coordinate: Coordinate? {
        switch self {
        case .pong(_, let place), .contacts(_, let place, _), .values(_, let place, _, _, _): place
        case .ping, .findNode, .get, .put, .offerCopy, .putResult: nil
        }
    }
}

extension Coordinate {
    /// Whether it is good enough to predict by.
    var isSettled: Bool { relativeError < 0.7 }
}
