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
        if preferredSession(of: slot) != nil {
            transmit(message, on: slot, at: now.monotonic, into: &out)
            askIfSilent(slot, at: now.monotonic, into: &out)
            rekeyIfDue(slot, at: now, into: &out, events: &events)
        } else if relations[slot].handshake != nil {
            enqueue(message.copied(), on: slot)
        } else if isIdempotent && message.count <= LinkWire.earlyMessageLimit {
            beginHandshake(slot, earlyMessage: message.copied(), at: now, into: &out, events: &events)
        } else {
            enqueue(message.copied(), on: slot)
            beginHandshake(slot, earlyMessage: nil, at: now, into: &out, events: &events)
        }
        schedule(slot)
    }

    /// Sends over the preferred session of `slot`, which must have one.
    mutating func transmit(_ message: Span<UInt8>, on slot: SlotID, at now: MonotonicInstant, into out: inout Outbox) {
        guard let index = preferredSession(of: slot), let address = relations[slot].address else { return }
        relations[slot].sessions[index].transmit(message, to: address, into: &out)
        relations[slot].noteSent(at: now)
    }

    mutating func flushQueue(_ slot: SlotID, at now: MonotonicInstant, into out: inout Outbox) {
        let queue = relations[slot].queue
        relations[slot].queue = []
        for message in queue {
            queuedBytes -= message.count
            transmit(message.span, on: slot, at: now, into: &out)
        }
    }

    /// Puts `message` into the handshake's answer, if `id` is being answered right now; a second message waits until
    /// the session is confirmed.
    private mutating func sendInResponse(_ message: Span<UInt8>, to id: NodeID, into out: inout Outbox) -> Bool {
        guard let slot = openResponse, pending.contains(slot), pending[slot].contact.id == id else { return false }
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
        guard relations[slot].probe == nil, relations[slot].handshake == nil,
            let since = relations[slot].unansweredSince, now - since >= limits.probeAfterSilence,
            let index = preferredSession(of: slot)
        else { return }
        beginProbe(slot, connection: relations[slot].sessions[index].localConnection, at: now, into: &out)
    }

    mutating func beginProbe(_ slot: SlotID, connection: UInt32, at now: MonotonicInstant, into out: inout Outbox) {
        relations[slot].probe = LinkRelation.Probe(connection: connection, attempt: 0, deadline: now)
        repeatProbe(slot, at: now, into: &out)
        schedule(slot)
    }

    /// Sends the next copy of the probe under way, with a token that dates it.
    mutating func repeatProbe(_ slot: SlotID, at now: MonotonicInstant, into out: inout Outbox) {
        guard let probe = relations[slot].probe, let index = relations[slot].session(connection: probe.connection),
            let address = relations[slot].address
        else {
            relations[slot].probe = nil
            return
        }
        let message = ProbeMessage(type: LinkWire.probeType, token: now.nanoseconds)
        relations[slot].sessions[index].transmit(message.bytes.span, to: address, into: &out)
        relations[slot].noteSent(at: now)
        // A path slower than the first gap would otherwise be asked four times before it could answer.
        let gap = max(limits.probeGap, min((relations[slot].roundTrip ?? .zero) * 2, limits.probeGapCeiling))
        let doubled = gap * Int64(1 << min(probe.attempt, 8))
        relations[slot].probe?.attempt += 1
        relations[slot].probe?.deadline = now + generator.jittered(doubled, by: 0.1)
    }

    /// Answers a probe on the session it came by.
    mutating func answerProbe(_ slot: SlotID, session: Int, token: UInt64, into out: inout Outbox) {
        guard let address = relations[slot].address else { return }
        let message = ProbeMessage(type: LinkWire.probeAnswerType, token: token)
        relations[slot].sessions[session].transmit(message.bytes.span, to: address, into: &out)
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
