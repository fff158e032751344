import SwarmCore

extension LinkTable {
    /// No later than this, `advance` has something to do.
    package var nextDeadline: MonotonicInstant? {
        guard pendingHead < pendingOrder.count else { return timers.first?.deadline }
        return Deadline.earlier(timers.first?.deadline, pending[pendingOrder[pendingHead]].expiresAt)
    }

    /// Repeats, gives up and forgets whatever is due.
    package mutating func advance(to now: Now, into out: inout Outbox, events: inout EventBuffer<LinkEvent>) {
        finishReceive(at: now, into: &out, events: &events)
        while pendingHead < pendingOrder.count {
            let slot = pendingOrder[pendingHead]
            guard pending[slot].expiresAt <= now.monotonic else { break }
            removePending(slot)
            refusals.add(.pendingExpired)
        }
        while let entry = timers.first, entry.deadline <= now.monotonic {
            timers.removeFirst()
            // An entry the relation no longer remembers was replaced by an earlier one.
            guard relations.contains(entry.relation), relations[entry.relation].scheduled == entry.deadline else {
                continue
            }
            relations[entry.relation].scheduled = nil
            service(entry.relation, at: now, into: &out, events: &events)
            schedule(entry.relation)
        }
    }

    /// Runs the timers of one relation.
    private mutating func service(
        _ slot: SlotID, at now: Now, into out: inout Outbox, events: inout EventBuffer<LinkEvent>
    ) {
        while let oldest = relations[slot].sessions.first,
            oldest.establishedAt + limits.sessionLifetime <= now.monotonic
        {
            connections[oldest.localConnection] = nil
            relations[slot].sessions.removeFirst()
        }
        if let probe = relations[slot].probe, probe.deadline <= now.monotonic {
            serviceProbe(slot, probe, at: now, into: &out, events: &events)
            guard relations.contains(slot) else { return }
        }
        if let handshake = relations[slot].handshake, handshake.deadline <= now.monotonic {
            serviceHandshake(slot, handshake, at: now, into: &out, events: &events)
            guard relations.contains(slot) else { return }
        }
        let isIdle = relations[slot].lastActivity + limits.idleLifetime <= now.monotonic
        guard isIdle || (relations[slot].sessions.isEmpty && relations[slot].handshake == nil) else { return }
        let id = relations[slot].contact.id
        let wasAnnounced = relations[slot].isAnnounced
        removeRelation(slot)
        if wasAnnounced { events.append(.closed(id)) }
    }

    private mutating func serviceProbe(
        _ slot: SlotID, _ probe: LinkRelation.Probe, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<LinkEvent>
    ) {
        guard probe.attempt >= limits.probeAttempts else {
            repeatProbe(slot, at: now.monotonic, into: &out)
            return
        }
        // The peer has lost the session, or is gone: a handshake finds out which.
        relations[slot].probe = nil
        for session in relations[slot].sessions { connections[session.localConnection] = nil }
        relations[slot].sessions = []
        guard relations[slot].handshake == nil else { return }
        beginHandshake(slot, earlyMessage: nil, at: now, into: &out, events: &events)
    }

    private mutating func serviceHandshake(
        _ slot: SlotID, _ handshake: OutgoingHandshake, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<LinkEvent>
    ) {
        guard handshake.attempts >= limits.handshakeGaps.count else {
            repeatInitiation(slot, at: now.monotonic, into: &out)
            return
        }
        connections[handshake.connection] = nil
        relations[slot].handshake = nil
        // A rekey that failed while the old session still works is tried again with the next use.
        let wasHeard = relations[slot].lastHeard.map { $0 >= handshake.startedAt } ?? false
        guard relations[slot].sessions.isEmpty || !wasHeard else { return }
        giveUp(slot, waiting: handshake.earlyMessage, events: &events)
    }
}
