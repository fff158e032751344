import SwarmCore
import SwarmCrypto

/// The asking side of single requests, and the answering side.
extension DHT {
    // MARK: Asking

    /// Sends a request and remembers it. False, and counted, where too many are in the air.
    @discardableResult
    mutating func ask(
        _ peer: Contact, _ purpose: PendingRequest.Purpose, at now: Now, into out: inout MessageOutbox,
        _ message: (RequestID) -> DHTMessage
    ) -> Bool {
        guard !requests.isFull else {
            refusals.add(.tooManyRequests)
            return false
        }
        let request = RequestID(generator.next())
        let timing = RequestTiming(roundTrip: table.entry(of: peer.id)?.roundTrip)
        let pending = PendingRequest(
            id: request, peer: peer, purpose: purpose, message: message(request), sentAt: now.monotonic, timing: timing)
        requests.add(pending)
        traffic.add(.requestsSent)
        send(pending.message, to: peer, into: &out)
        return true
    }

    func send(_ message: DHTMessage, to peer: Contact, into out: inout MessageOutbox) {
        // Only a PUT changes anything at its receiver; every other message may be repeated by an eavesdropper in vain.
        out.append(to: peer, isIdempotent: message.kind != .put) { writer in message.write(to: &writer) }
    }

    /// Sends late requests again and ends those that stayed unanswered.
    mutating func repeatRequests(_ now: Now, _ out: inout MessageOutbox, _ events: inout EventBuffer<DHTEvent>) {
        while let (request, isOver) = requests.popDue(now.monotonic) {
            if isOver {
                traffic.add(.requestsTimedOut)
                table.recordFailure(of: request.peer.id)
                fail(request, at: now, events: &events)
            } else {
                traffic.add(.requestsRepeated)
                send(request.message, to: request.peer, into: &out)
            }
        }
    }

    /// Tells whoever sent the request that no usable answer came.
    mutating func fail(_ request: PendingRequest, at now: Now, events: inout EventBuffer<DHTEvent>) {
        switch request.purpose {
        case .lookup(let id): lookupFailed(id, at: request.peer.id)
        case .page(let id): pageFailed(id)
        case .store(let number): putAnswered(number, PutAnswer(.refused), at: now, events: &events)
        case .probe, .offer, .addresses: break
        }
    }

    /// Enters a node into the table; where that changes who is nearest to a publication, it is stored anew soon.
    mutating func hear(_ contact: Contact, roundTrip: Interval?, at now: Now, into out: inout MessageOutbox) {
        switch table.observe(contact, roundTrip: roundTrip, at: now.monotonic) {
        case .added:
            hastenPublications(near: contact.id, at: now.monotonic)
        case .waiting(let oldest):
            guard let entry = table.entry(of: oldest.id),
                now.monotonic - entry.lastHeard >= configuration.probeAge,
                !requests.contains(peer: oldest.id, purpose: .probe)
            else { return }
            let isClient = configuration.isClientOnly
            ask(oldest, .probe, at: now, into: &out) { .ping($0, isClient: isClient) }
        case .refused:
            if contact.id != identity.id { refusals.add(.subnetFull) }
        case .updated:
            break
        }
    }

    // MARK: Answering

    mutating func handle(
        _ message: DHTMessage, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<DHTEvent>
    ) {
        switch message {
        case .ping(let request, let isClient):
            meet(peer, isClient: isClient, at: now, into: &out)
            answer(.pong(request), to: peer, into: &out)
        case .findNode(let request, let isClient, let target):
            meet(peer, isClient: isClient, at: now, into: &out)
            answer(.contacts(request, from: coordinate, nearest(to: target, for: peer)), to: peer, into: &out)
        case .get(let request, let isClient, let query):
            meet(peer, isClient: isClient, at: now, into: &out)
            let held = store.records(for: query, key: query.key, turn: request.number, at: now.monotonic)
            let closer = nearest(to: query.key, for: peer)
            answer(
                .values(request, from: coordinate, total: held.total, held.records, closer: closer), to: peer,
                into: &out)
        case .put(let request, let isClient, let record):
            meet(peer, isClient: isClient, at: now, into: &out)
            answer(hold(record, from: peer, at: now).message(request), to: peer, into: &out)
        case .offerCopy(let request, let isClient, let copy):
            meet(peer, isClient: isClient, at: now, into: &out)
            answer(cache(copy, from: peer, at: now).message(request), to: peer, into: &out)
        case .pong, .contacts, .values, .putResult:
            handleAnswer(message, from: peer, at: now, into: &out, events: &events)
        }
    }

    private mutating func handleAnswer(
        _ message: DHTMessage, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<DHTEvent>
    ) {
        guard let request = requests.take(message.requestID, from: peer.id) else { return refusals.add(.unasked) }
        traffic.add(.answersReceived)
        // A repeated request cannot tell which transmission was answered (Karn and Partridge 1987).
        let roundTrip = request.transmissions == 1 ? now.monotonic - request.sentAt : nil
        var contact = request.peer
        contact.addresses.promote(peer.address)
        hear(contact, roundTrip: roundTrip, at: now, into: &out)
        switch (request.purpose, message) {
        case (.probe, .pong):
            break
        case (.lookup(let id), .contacts(_, _, let closer)):
            lookupAnswered(id, by: contact, closer: closer, records: [], total: 0, now, &out, &events)
        case (.lookup(let id), .values(_, _, let total, let records, let closer)):
            lookupAnswered(id, by: contact, closer: closer, records: records, total: total, now, &out, &events)
        case (.page(let id), .values(_, _, let total, let records, _)):
            pageAnswered(id, by: contact, records: records, total: total, now, &out)
        case (.store(let number), .putResult(_, let result, let age, let incumbent)):
            // Not answered for good: it is repeated when its time comes, and ends when all repetitions are used up.
            guard result != .unconfirmed else { return requests.add(request) }
            putAnswered(number, PutAnswer(result, age: age, incumbent: incumbent), at: now, events: &events)
        case (.offer, .putResult(_, let result, _, _)):
            if result == .unconfirmed { requests.add(request) }
        case (.addresses(let sequence), .putResult(_, let result, _, _)):
            guard result != .unconfirmed else { return requests.add(request) }
            if result == .stored { addressBook.noteHolder(peer.id, of: sequence) }
        default:
            refusals.add(.malformed)
            fail(request, at: now, events: &events)
        }
    }

    /// A stranger inside a first handshake message may be a replay, so it leaves no trace in the table.
    private mutating func meet(_ peer: Peer, isClient: Bool, at now: Now, into out: inout MessageOutbox) {
        guard peer.isConfirmed, !isClient else { return }
        var contact = peer.contact
        contact.addresses.promote(peer.address)
        hear(contact, roundTrip: nil, at: now, into: &out)
    }

    private mutating func answer(_ message: DHTMessage, to peer: Peer, into out: inout MessageOutbox) {
        var contact = peer.contact
        contact.addresses.promote(peer.address)
        traffic.add(.answersSent)
        send(message, to: contact, into: &out)
    }

    private func nearest(to key: Bytes32, for peer: Peer) -> [NearContact] {
        let limit = min(configuration.bucketSize, DHTLimits.contactsPerAnswer)
        let entries = table.closest(to: key, limit: limit + 1, trusted: true)
        return Array(entries.lazy.map(\.contact).filter { $0.id != peer.id }.prefix(limit).map { NearContact($0) })
    }
}
