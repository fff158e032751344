import SwarmCore

extension LinkTable {
    /// Sends `message` (1 to `Limits.messageBytes` bytes, first byte 0x10 or more) to the owner of `contact`: over a
    /// session at once, else after a handshake, which begins now. An idempotent message may ride in message 1, where
    /// somebody who recorded it can have it delivered again.
    package mutating func send(
        _ message: Span<UInt8>, to contact: Contact, isIdempotent: Bool, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<LinkEvent>
    ) {
        guard (1...Limits.messageBytes).contains(message.count), message[0] >= LinkWire.firstControlType else {
            refusals.add(.unsendableMessage)
            return
        }
        guard contact.id != identity.id else {
            refusals.add(.unusableContact)
            return
        }
        if sendInResponse(message, to: contact.id, into: &out) { return }
        guard let slot = relation(for: contact, at: now.monotonic, events: &events) else { return }
        distrustIfIdle(slot, at: now.monotonic)
        if let position = preferredSession(of: slot) {
            transmit(message, on: slot, session: position, at: now.monotonic, into: &out)
            askIfSilent(slot, at: now.monotonic, into: &out)
            rekeyIfDue(slot, at: now, into: &out, events: &events)
        } else if relations[slot].hasHandshake {
            enqueue(message.copied(), on: slot)
            if isIdempotent { hastenHandshake(slot, at: now.monotonic, into: &out) }
        } else if isIdempotent && message.count <= LinkWire.earlyMessageLimit {
            beginHandshake(slot, earlyMessage: message.copied(), at: now, into: &out, events: &events)
        } else {
            enqueue(message.copied(), on: slot)
            beginHandshake(slot, earlyMessage: nil, at: now, into: &out, events: &events)
        }
        schedule(slot)
    }

    /// After a silence in which the peer may have forgotten the session, nothing is sent on it: the new handshake carries
    /// an idempotent request as fast, and a request lost on a dead session would be missed by nobody for seconds.
    private mutating func distrustIfIdle(_ slot: SlotID, at now: MonotonicInstant) {
        guard now - relations[slot].lastActivity >= limits.trustedIdle, relations[slot].hasSession else { return }
        relations[slot].isStale = true
        // What was asked before the silence is no question any more.
        if relations[slot].probe != nil { relations[slot].changeRare { $0.probe = nil } }
    }

    /// Another request while the first waits for its handshake is most often its repetition, by somebody who knows better
    /// than our clock how far away the peer is: message 1 is repeated too, once and not within 100 ms.
    private mutating func hastenHandshake(_ slot: SlotID, at now: MonotonicInstant, into out: inout Outbox) {
        guard let handshake = relations[slot].handshake, handshake.attempts == 1,
            now - handshake.startedAt >= limits.shortestHandshakeGap
        else { return }
        repeatInitiation(slot, at: now, into: &out)
    }

    /// Sends over the session at `position`.
    mutating func transmit(
        _ message: Span<UInt8>, on slot: SlotID, session position: Int, at now: MonotonicInstant,
        into out: inout Outbox
    ) {
        let address = relations[slot].address
        if relations[slot].isAtRest {
            relations[slot].newest.transmit(message, to: address, suite: suite, into: &out)
        } else {
            relations[slot].useSession(position) { [suite] session in
                session.transmit(message, to: address, suite: suite, into: &out)
            }
        }
        relations[slot].noteSent(at: now)
    }

    mutating func flushQueue(_ slot: SlotID, at now: MonotonicInstant, into out: inout Outbox) {
        guard !relations[slot].isAtRest, let position = preferredSession(of: slot) else { return }
        for message in relations[slot].takeQueue() {
            queuedBytes -= message.count
            transmit(message.span, on: slot, session: position, at: now, into: &out)
        }
    }

    /// Puts `message` into the handshake's answer, if `id` is being answered right now; a second message waits until
    /// the session is confirmed.
    private mutating func sendInResponse(_ message: Span<UInt8>, to id: NodeID, into out: inout Outbox) -> Bool {
        guard let slot = openResponse, pending.contains(slot), pending[slot].id == id else { return false }
        if pending[slot].response.isEmpty, message.count <= LinkWire.responseMessageLimit {
            writeResponse(slot, message: message, into: &out)
            return true
        }
        guard pending[slot].queue.count < limits.queuedMessagesPerPeer,
            queuedBytes + message.count <= limits.queuedBytes
        else {
            refusals.add(.queueFull)
            return true
        }
        queuedBytes += message.count
        pending[slot].queue.append(message.copied())
        return true
    }

    // MARK: Probes

    /// Asks whether the peer still has our session, if too much was sent without an echo.
    private mutating func askIfSilent(_ slot: SlotID, at now: MonotonicInstant, into out: inout Outbox) {
        guard let since = relations[slot].unansweredSince, now - since >= limits.probeAfterSilence,
            relations[slot].probe == nil, !relations[slot].hasHandshake,
            let position = preferredSession(of: slot)
        else { return }
        let connection = relations[slot].readSession(position) { $0.localConnection }
        beginProbe(slot, connection: connection, at: now, into: &out)
    }

    mutating func beginProbe(_ slot: SlotID, connection: UInt32, at now: MonotonicInstant, into out: inout Outbox) {
        let probe = LinkRelation.Probe(connection: connection, attempt: 0, deadline: now)
        relations[slot].changeRare { $0.probe = probe }
        repeatProbe(slot, at: now, into: &out)
        schedule(slot)
    }

    /// Sends the next copy of the probe under way, with a token that dates it.
    mutating func repeatProbe(_ slot: SlotID, at now: MonotonicInstant, into out: inout Outbox) {
        guard let probe = relations[slot].probe else { return }
        guard let position = relations[slot].session(connection: probe.connection) else {
            relations[slot].changeRare { $0.probe = nil }
            return
        }
        let message = ProbeMessage(type: LinkWire.probeType, token: now.nanoseconds)
        transmit(message.bytes.span, on: slot, session: position, at: now, into: &out)
        // A path slower than the first gap would otherwise be asked four times before it could answer.
        let gap = max(limits.probeGap, min((relations[slot].roundTrip ?? .zero) * 2, limits.probeGapCeiling))
        let doubled = gap * Int64(1 << min(probe.attempt, 8))
        let deadline = now + generator.jittered(doubled, by: 0.1)
        relations[slot].changeRare { rare in
            rare.probe?.attempt += 1
            rare.probe?.deadline = deadline
        }
    }

    /// Answers a probe on the session it came by.
    mutating func answerProbe(_ slot: SlotID, session position: Int, token: UInt64, into out: inout Outbox) {
        let (message, address) = (ProbeMessage(type: LinkWire.probeAnswerType, token: token), relations[slot].address)
        relations[slot].useSession(position) { [suite] session in
            session.transmit(message.bytes.span, to: address, suite: suite, into: &out)
        }
    }
}

/// A probe or its answer: type and eight bytes that come back.
struct ProbeMessage {
    var bytes = InlineArray<9, UInt8>(repeating: 0)

    init(type: UInt8, token: UInt64) {
        var target = bytes.mutableSpan
        target[0] = type
        target.store(token, at: 1)
    }
}
