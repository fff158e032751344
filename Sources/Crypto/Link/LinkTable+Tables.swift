import SwarmCore

/// Entering and leaving the tables.
extension LinkTable {
    // MARK: Finding

    /// The relation with `id`.
    func slot(of id: NodeID) -> SlotID? {
        var cursor = relationByNode.cursor(salt.hash(id))
        while let index = relationByNode.next(&cursor) {
            guard let slot = relations.id(at: index) else { continue }
            if relations[slot].id == id { return slot }
        }
        return nil
    }

    /// The pending response to `id`, begun last.
    func newestPending(of id: NodeID) -> SlotID? {
        var newest: SlotID?
        var cursor = pendingByNode.cursor(salt.hash(id))
        while let index = pendingByNode.next(&cursor) {
            guard let slot = pending.id(at: index), pending[slot].id == id else { continue }
            if let found = newest, pending[found].expiresAt > pending[slot].expiresAt { continue }
            newest = slot
        }
        return newest
    }

    /// The pending response to a message 1 with this ephemeral key.
    func pendingResponse(to ephemeral: Bytes32) -> SlotID? {
        var cursor = pendingByEphemeral.cursor(salt.hash(ephemeral.word0, ephemeral.word1))
        while let index = pendingByEphemeral.next(&cursor) {
            guard let slot = pending.id(at: index), pending[slot].ephemeral == ephemeral else { continue }
            return slot
        }
        return nil
    }

    func preferredSession(of slot: SlotID) -> Int? {
        relations[slot].preferredSession(ownID: identity.id, simultaneousOpen: limits.simultaneousOpen)
    }

    // MARK: Connection ids

    /// Whom a connection id leads to.
    enum ConnectionOwner: Sendable { case relation(SlotID), pending(SlotID) }

    func owner(of connection: UInt32) -> ConnectionOwner? {
        guard let place = connections.slot(connection) else { return nil }
        if place >= Self.pendingPlace { return pending.id(at: place - Self.pendingPlace).map { .pending($0) } }
        return relations.id(at: place).map { .relation($0) }
    }

    /// Pending responses stand behind all relations in the numbers the index of connection ids holds.
    static var pendingPlace: Int { 1 << 30 }

    /// A connection id that nobody uses; never zero.
    mutating func makeConnection() -> UInt32 {
        while true {
            let candidate = UInt32(truncatingIfNeeded: entropy.uint64())
            if candidate != 0, connections.slot(candidate) == nil { return candidate }
        }
    }

    mutating func release(_ connection: UInt32, of slot: SlotID) { connections.remove(connection, slot: slot.index) }

    // MARK: Relations

    /// The relation with the owner of `contact`, made if there is room. A relation without keys takes the addresses of
    /// `contact`, which may know better.
    mutating func relation(
        for contact: Contact, at now: MonotonicInstant, events: inout EventBuffer<LinkEvent>
    ) -> SlotID? {
        if let slot = slot(of: contact.id) {
            if !relations[slot].hasSession || relations[slot].isStale, !contact.addresses.isEmpty {
                relations[slot].learn(contact.addresses)
            }
            return slot
        }
        if relations.isFull { evictIdlest(at: now, events: &events) }
        guard let slot = relations.insert(LinkRelation(contact: contact, at: now)) else {
            refusals.add(.tableFull)
            return nil
        }
        relationByNode.insert(salt.hash(contact.id), slot: slot.index)
        return slot
    }

    /// Makes room by ending the relation that has been silent longest, if that is a while.
    private mutating func evictIdlest(at now: MonotonicInstant, events: inout EventBuffer<LinkEvent>) {
        var idlest: SlotID?
        var earliest = now - limits.rekeyStagger
        for index in 0..<relations.slotCount {
            guard let slot = relations.id(at: index), !relations[slot].hasHandshake,
                relations[slot].lastActivity < earliest
            else { continue }
            idlest = slot
            earliest = relations[slot].lastActivity
        }
        guard let idlest else { return }
        close(idlest, events: &events)
    }

    /// Ends a relation and tells it where its beginning was told.
    mutating func close(_ slot: SlotID, events: inout EventBuffer<LinkEvent>) {
        let (id, wasAnnounced) = (relations[slot].id, relations[slot].isAnnounced)
        removeRelation(slot)
        if wasAnnounced { events.append(.closed(id)) }
    }

    mutating func removeRelation(_ slot: SlotID) {
        guard relations.contains(slot) else { return }
        dropSessions(of: slot)
        endHandshake(of: slot)
        for message in relations[slot].takeQueue() { queuedBytes -= message.count }
        relationByNode.remove(salt.hash(relations[slot].id), slot: slot.index)
        leaveAddress(slot)
        timers.remove(Int(slot.index))
        if confirmation == slot { confirmation = nil }
        _ = relations.remove(slot)
    }

    /// Forgets the keys shared with a peer.
    mutating func dropSessions(of slot: SlotID) {
        while let ended = relations[slot].endOldestSession(establishedBefore: .distantFuture) {
            release(ended, of: slot)
        }
    }

    /// Forgets the session that `connection` names and those before it.
    mutating func dropSessions(of slot: SlotID, upTo connection: UInt32) {
        while relations[slot].session(connection: connection) != nil,
            let ended = relations[slot].endOldestSession(establishedBefore: .distantFuture)
        {
            release(ended, of: slot)
        }
    }

    /// Forgets the handshake under way, if there is one, and returns the message it carries.
    @discardableResult
    mutating func endHandshake(of slot: SlotID) -> [UInt8]? {
        guard let handshake = relations[slot].handshake else { return nil }
        connections.remove(handshake.connection, slot: slot.index)
        relations[slot].changeRare { $0.handshake = nil }
        return handshake.earlyMessage
    }

    /// Makes `session` the newest of its relation.
    mutating func add(_ session: LinkSession, to slot: SlotID) {
        connections.insert(session.localConnection, slot: slot.index)
        if let ended = relations[slot].add(session, limit: limits.sessionsPerPeer) { release(ended, of: slot) }
        completedHandshakes += 1
    }

    /// Notes that an authenticated packet arrived; replies follow it where it is newer than all before.
    mutating func noteHeard(_ slot: SlotID, from source: NetworkAddress, movesAddress: Bool, at now: MonotonicInstant) {
        relations[slot].noteHeard(at: now)
        guard movesAddress, relations[slot].address != source else { return }
        leaveAddress(slot)
        relations[slot].move(to: source)
        relationByAddress.insert(salt.hash(source), slot: slot.index)
    }

    private mutating func leaveAddress(_ slot: SlotID) {
        let address = relations[slot].address
        guard !address.isUnspecified else { return }
        relationByAddress.remove(salt.hash(address), slot: slot.index)
    }

    /// Sees to it that `slot` is looked at when its next deadline comes.
    mutating func schedule(_ slot: SlotID) {
        guard relations.contains(slot) else { return }
        // A relation at rest only ever gets later deadlines than the one that stands.
        if relations[slot].isAtRest, timers.isSet(Int(slot.index)) { return }
        timers.set(Int(slot.index), noLaterThan: relations[slot].deadline(limits))
    }

    /// Keeps `message` until `slot` has a session; the oldest waiting message gives way.
    mutating func enqueue(_ message: [UInt8], on slot: SlotID) {
        let limit = limits.queuedMessagesPerPeer
        let dropped = relations[slot].changeRare { rare in
            rare.queue.count >= limit ? rare.queue.removeFirst().count : nil
        }
        if let dropped {
            queuedBytes -= dropped
            refusals.add(.queueDropped)
        }
        guard queuedBytes + message.count <= limits.queuedBytes else {
            refusals.add(.queueFull)
            return
        }
        queuedBytes += message.count
        relations[slot].changeRare { $0.queue.append(message) }
    }

    // MARK: Pending responses

    mutating func insertPending(_ response: consuming PendingResponse) -> SlotID? {
        makeRoom(for: response.id)
        let (id, ephemeral, connection) = (response.id, response.ephemeral, response.session.localConnection)
        guard let slot = pending.insert(response) else { return nil }
        pendingByNode.insert(salt.hash(id), slot: slot.index)
        pendingByEphemeral.insert(salt.hash(ephemeral.word0, ephemeral.word1), slot: slot.index)
        connections.insert(connection, slot: UInt32(Self.pendingPlace) + slot.index)
        if pendingHead > 64, pendingHead * 2 > pendingOrder.count {
            pendingOrder.removeFirst(pendingHead)
            pendingHead = 0
        }
        pendingOrder.append(slot)
        return slot
    }

    /// A peer that keeps beginning anew displaces only itself; copies of its old messages displace it only together.
    private mutating func makeRoom(for id: NodeID) {
        let perPeer = 4
        var ofPeer = 0
        var oldest: SlotID?
        var cursor = pendingByNode.cursor(salt.hash(id))
        while let index = pendingByNode.next(&cursor) {
            guard let slot = pending.id(at: index), pending[slot].id == id else { continue }
            ofPeer += 1
            if let found = oldest, pending[found].expiresAt <= pending[slot].expiresAt { continue }
            oldest = slot
        }
        if ofPeer >= perPeer, let oldest {
            removePending(oldest)
            refusals.add(.pendingEvicted)
        }
        while pending.isFull, pendingHead < pendingOrder.count {
            removePending(pendingOrder[pendingHead])
            refusals.add(.pendingEvicted)
        }
    }

    /// Ends a pending response; whoever wants its session took it before.
    mutating func removePending(_ slot: SlotID) {
        guard pending.contains(slot) else { return }
        connections.remove(pending[slot].session.localConnection, slot: UInt32(Self.pendingPlace) + slot.index)
        pendingByNode.remove(salt.hash(pending[slot].id), slot: slot.index)
        let ephemeral = pending[slot].ephemeral
        pendingByEphemeral.remove(salt.hash(ephemeral.word0, ephemeral.word1), slot: slot.index)
        for message in pending[slot].queue { queuedBytes -= message.count }
        pending[slot].session.wipe()
        _ = pending.remove(slot)
        if openResponse == slot { closeOpenResponse() }
        while pendingHead < pendingOrder.count, !pending.contains(pendingOrder[pendingHead]) { pendingHead += 1 }
        if pendingHead == pendingOrder.count {
            pendingOrder.removeAll(keepingCapacity: pendingOrder.capacity <= 16)
            pendingHead = 0
        }
    }
}
