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
            timers.remove(entry.index)
            guard let slot = relations.id(at: entry.index) else { continue }
            service(slot, at: now, into: &out, events: &events)
            schedule(slot)
        }
    }

    /// Runs the timers of one relation.
    private mutating func service(
        _ slot: SlotID, at now: Now, into out: inout Outbox, events: inout EventBuffer<LinkEvent>
    ) {
        // Established at this instant or before, and so at the end of its life.
        let expired = MonotonicInstant(nanoseconds: (now.monotonic - limits.sessionLifetime).nanoseconds + 1)
        while let ended = relations[slot].endOldestSession(establishedBefore: expired) { release(ended, of: slot) }
        if let probe = relations[slot].probe, probe.deadline <= now.monotonic {
            serviceProbe(slot, probe, at: now, into: &out, events: &events)
            guard relations.contains(slot) else { return }
        }
        if let handshake = relations[slot].handshake, handshake.deadline <= now.monotonic {
            serviceHandshake(slot, handshake, at: now, into: &out, events: &events)
            guard relations.contains(slot) else { return }
        }
        let isIdle = relations[slot].lastActivity + limits.idleLifetime <= now.monotonic
        guard isIdle || (!relations[slot].hasSession && !relations[slot].hasHandshake) else { return }
        close(slot, events: &events)
    }

    private mutating func serviceProbe(
        _ slot: SlotID, _ probe: LinkRelation.Probe, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<LinkEvent>
    ) {
        guard probe.attempt >= limits.probeAttempts else {
            repeatProbe(slot, at: now.monotonic, into: &out)
            return
        }
        // The peer has lost the session and all before it. If none is left a handshake finds out whether it is gone itself.
        relations[slot].changeRare { $0.probe = nil }
        dropSessions(of: slot, upTo: probe.connection)
        guard !relations[slot].hasSession, !relations[slot].hasHandshake else { return }
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
        let early = endHandshake(of: slot)
        // A rekey that failed while the old session still works is tried again with the next use.
        let wasHeard = relations[slot].lastHeard.map { $0 >= handshake.startedAt } ?? false
        guard !relations[slot].hasSession || !wasHeard else { return }
        giveUp(slot, waiting: early, events: &events)
    }
}
