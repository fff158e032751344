import SwarmCore
import SwarmCrypto

/// The answering side of single requests.
extension DHT {
    mutating func handle(
        _ message: DHTMessage, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<DHTEvent>
    ) {
        switch message {
        case .ping(let request, let isClient, let place):
            meet(peer, isClient: isClient, place, at: now, into: &out)
            answer(.pong(request, from: coordinate), to: peer, into: &out)
        case .findNode(let request, let isClient, let place, let target):
            meet(peer, isClient: isClient, place, at: now, into: &out)
            let named = nearest(to: target, for: peer, at: now)
            answer(.contacts(request, from: coordinate, named), to: peer, into: &out)
        case .get(let request, let isClient, let place, let query):
            meet(peer, isClient: isClient, place, at: now, into: &out)
            let held = store.records(for: query, key: query.key, turn: request.number, at: now.monotonic)
            if held.records.contains(where: \.isCopy) { traffic.add(.copiesServed) }
            // Who has found the origin needs nobody else.
            let isFound = query.kinds == .location && held.records.contains { $0.record.kind == .streamOrigin }
            let closer = isFound ? [] : nearest(to: query.near ?? query.key, for: peer, at: now)
            answer(
                .values(request, from: coordinate, total: held.total, held.records, closer: closer), to: peer,
                into: &out)
        case .put(let request, let isClient, let record):
            meet(peer, isClient: isClient, nil, at: now, into: &out)
            answer(hold(record, from: peer, at: now).message(request), to: peer, into: &out)
        case .offerCopy(let request, let isClient, let copy):
            meet(peer, isClient: isClient, nil, at: now, into: &out)
            answer(cache(copy, from: peer, at: now).message(request), to: peer, into: &out)
        case .pong, .contacts, .values, .putResult:
            handleAnswer(message, from: peer, at: now, into: &out, events: &events)
        }
    }

    /// A stranger inside a first handshake message may be a replay, so it leaves no trace in the table before its link is
    /// open. A node that says that it cannot be dialled is taken out of it.
    private mutating func meet(
        _ peer: Peer, isClient: Bool, _ place: Coordinate?, at now: Now, into out: inout MessageOutbox
    ) {
        guard peer.isConfirmed else {
            if !isClient { callers.note(peer.id, place) }
            return
        }
        guard !isClient else { return table.remove(peer.id) }
        var contact = peer.contact
        if contact.addresses.first != peer.address { contact.addresses.promote(peer.address) }
        hear(contact, coordinate: place, roundTrip: nil, isGuest: true, at: now, into: &out)
    }

    /// The link to `peer` is open: a stranger's first request was no replay.
    mutating func welcome(_ peer: Peer, at now: Now, into out: inout MessageOutbox) {
        guard let caller = callers.take(peer.id) else { return }
        var contact = peer.contact
        if contact.addresses.first != peer.address { contact.addresses.promote(peer.address) }
        hear(contact, coordinate: caller.place, roundTrip: nil, isGuest: true, at: now, into: &out)
    }

    private mutating func answer(_ message: DHTMessage, to peer: Peer, into out: inout MessageOutbox) {
        var contact = peer.contact
        if contact.addresses.first != peer.address { contact.addresses.promote(peer.address) }
        traffic.add(.answersSent)
        send(message, to: contact, into: &out)
    }

    /// Of the k nearest to `key` that this node knows those in the key's region, in which everybody counts; beyond it,
    /// where they only lead on, a few.
    private mutating func nearest(to key: Bytes32, for peer: Peer, at now: Now) -> [NearContact] {
        size.look(at: table)
        let region = HolderRegion(key: key, swarmSize: size.estimate, holders: configuration.bucketSize)
        let limit = min(configuration.bucketSize, DHTLimits.contactsPerAnswer)
        let nearest = table.nearest(to: key, limit: limit, .live(now.monotonic), except: peer.id)
        var named: [NearContact] = []
        named.reserveCapacity(nearest.count)
        for index in 0..<nearest.count {
            let peer = table.peer(nearest[index])
            if index >= configuration.namesToLeadOn, !region.contains(peer.id, within: 2) { break }
            named.append(NearContact(table.contact(of: peer), coordinate: peer.coordinate))
        }
        return named
    }

    /// Whether this node is one that a record under `key` belongs to: near enough by the size of the swarm, with a
    /// margin for those who judge it differently, or among the 2k nearest that it knows.
    mutating func isResponsible(for key: Bytes32) -> Bool {
        size.look(at: table)
        let region = HolderRegion(key: key, swarmSize: size.estimate, holders: configuration.bucketSize)
        if region.contains(identity.id, within: 4) { return true }
        let limit = 2 * configuration.bucketSize
        return table.countNearerThanOwn(to: key, limit: limit) < limit
    }
}
