import SwarmCore

/// Entering and leaving the tables.
extension LinkTable {
    func preferredSession(of slot: SlotID) -> Int? {
        relations[slot].preferredSession(
            ownIDIsLower: identity.id < relations[slot].contact.id, simultaneousOpen: limits.simultaneousOpen)
    }

    /// The relation with the owner of `contact`, made if there is room. A relation without keys takes the addresses of
    /// `contact`, which may know better.
    mutating func relation(
        for contact: Contact, at now: MonotonicInstant, events: inout EventBuffer<LinkEvent>
    ) -> SlotID? {
        if let slot = relationByNode[contact.id] {
            if relations[slot].sessions.isEmpty, !contact.addresses.isEmpty {
                relations[slot].contact.addresses = contact.addresses
            }
            return slot
        }
        if relations.isFull { evictIdlest(at: now, events: &events) }
        guard let slot = relations.insert(LinkRelation(contact: contact, at: now)) else {
            refusals.add(.tableFull)
            return nil
        }
        relationByNode[contact.id] = slot
        return slot
    }

    /// Makes room by ending the relation that has been silent longest, if that is a while.
    private mutating func evictIdlest(at now: MonotonicInstant, events: inout EventBuffer<LinkEvent>) {
        var idlest: SlotID?
        var earliest = now - limits.rekeyStagger
        for index in 0..<relations.slotCount {
            guard let slot = relations.id(at: index), relations[slot].handshake == nil,
                relations[slot].lastActivity < earliest
            else { continue }
            idlest = slot
            earliest = relations[slot].lastActivity
        }
        guard let idlest else { return }
        let id = relations[idlest].contact.id
        let wasAnnounced = relations[idlest].isAnnounced
        removeRelation(idlest)
        if wasAnnounced { events.append(.closed(id)) }
    }

    mutating func removeRelation(_ slot: SlotID) {
        guard let relation = relations.remove(slot) else { return }
        relationByNode[relation.contact.id] = nil
        for session in relation.sessions { connections[session.localConnection] = nil }
        if let handshake = relation.handshake { connections[handshake.connection] = nil }
        queuedBytes -= relation.queue.reduce(0) { $0 + $1.count }
        if confirmation == slot { confirmation = nil }
    }

    /// Makes `session` the newest of its relation.
    mutating func add(_ session: LinkSession, to slot: SlotID) {
        if relations[slot].sessions.count >= limits.sessionsPerPeer {
            connections[relations[slot].sessions.removeFirst().localConnection] = nil
        }
        relations[slot].sessions.append(session)
        connections[session.localConnection] = .session(slot)
        completedHandshakes += 1
    }

    mutating func insertPending(_ response: PendingResponse) -> SlotID? {
        // A peer that keeps beginning anew displaces only itself; copies of its old messages displace it only together.
        let perPeer = 4
        var ofPeer = 0
        var oldestOfPeer: SlotID?
        for position in pendingHead..<pendingOrder.count {
            let slot = pendingOrder[position]
            guard pending.contains(slot), pending[slot].contact.id == response.contact.id else { continue }
            ofPeer += 1
            if oldestOfPeer == nil { oldestOfPeer = slot }
        }
        if ofPeer >= perPeer, let oldestOfPeer {
            removePending(oldestOfPeer)
            refusals.add(.pendingEvicted)
        }
        while pending.isFull, pendingHead < pendingOrder.count {
            removePending(pendingOrder[pendingHead])
            refusals.add(.pendingEvicted)
        }
        let connection = response.session.localConnection
        guard let slot = pending.insert(response) else { return nil }
        connections[connection] = .pending(slot)
        if pendingHead > 64, pendingHead * 2 > pendingOrder.count {
            pendingOrder.removeFirst(pendingHead)
            pendingHead = 0
        }
        pendingOrder.append(slot)
        return slot
    }

    @discardableResult
    mutating func removePending(_ slot: SlotID) -> PendingResponse? {
        guard let response = pending.remove(slot) else { return nil }
        connections[response.session.localConnection] = nil
        queuedBytes -= response.queue.reduce(0) { $0 + $1.count }
        if openResponse == slot { openResponse = nil }
        while pendingHead < pendingOrder.count, !pending.contains(pendingOrder[pendingHead]) { pendingHead += 1 }
        return response
    }

    /// A connection id that nobody uses; never zero.
    mutating func makeConnection() -> UInt32 {
        while true {
            let candidate = UInt32(truncatingIfNeeded: entropy.uint64())
            if candidate != 0, connections[candidate] == nil { return candidate }
        }
    }

    /// Puts `relation` where its next deadline belongs.
    mutating func schedule(_ slot: SlotID) {
        guard relations.contains(slot) else { return }
        let deadline = relations[slot].deadline(limits)
        if let scheduled = relations[slot].scheduled, scheduled <= deadline { return }
        relations[slot].scheduled = deadline
        timers.insert(LinkTimers.Entry(deadline: deadline, relation: slot))
    }

    /// Keeps `message` until `slot` has a session; the oldest waiting message gives way.
    mutating func enqueue(_ message: [UInt8], on slot: SlotID) {
        if relations[slot].queue.count >= limits.queuedMessagesPerPeer {
            queuedBytes -= relations[slot].queue.removeFirst().count
            refusals.add(.queueDropped)
        }
        guard queuedBytes + message.count <= limits.queuedBytes else {
            refusals.add(.queueFull)
            return
        }
        queuedBytes += message.count
        relations[slot].queue.append(message)
    }
}
