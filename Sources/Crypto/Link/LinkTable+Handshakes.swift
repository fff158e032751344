import SwarmCore

/// Making both handshake messages.
extension LinkTable {
    /// The prologue of a handshake: a label and message 1's header, so that a changed header fails.
    static func prologue(connection: UInt32) -> [UInt8] {
        var bytes = Array("mafalda-swarm link v1".utf8)
        bytes.append(0)
        bytes.append(LinkWire.initiationType)
        bytes.append(LinkWire.version)
        for shift: UInt32 in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: connection >> shift)) }
        return bytes
    }

    /// Sends message 1 to a peer with which no handshake of ours is under way.
    mutating func beginHandshake(
        _ slot: SlotID, earlyMessage: [UInt8]?, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<LinkEvent>
    ) {
        let contact = relations[slot].contact
        let connection = makeConnection()
        guard !contact.addresses.isEmpty || relations[slot].address != nil,
            let (noise, packet) = makeInitiation(
                to: contact, connection: connection, message: earlyMessage, wallMilliseconds: now.wallMilliseconds)
        else {
            refusals.add(.unusableContact)
            giveUp(slot, waiting: earlyMessage, events: &events)
            return
        }
        relations[slot].handshake = OutgoingHandshake(
            noise: noise, packet: packet, connection: connection, startedAt: now.monotonic,
            earlyMessage: earlyMessage, deadline: now.monotonic)
        connections[connection] = .handshake(slot)
        relations[slot].lastActivity = now.monotonic
        repeatInitiation(slot, at: now.monotonic, into: &out)
        schedule(slot)
    }

    /// Message 1 without its macs, and the state that waits for the answer; nil for a key that is no point.
    private mutating func makeInitiation(
        to contact: Contact, connection: UInt32, message: [UInt8]?, wallMilliseconds: UInt64
    ) -> (NoiseHandshake, [UInt8])? {
        guard let responderKey = suite.agreementKey(of: contact.key) else { return nil }
        // Later than every one before, also where the wall clock stands still or steps back.
        lastTimestamp = max(wallMilliseconds, lastTimestamp &+ 1)
        let (timestamp, key, early) = (lastTimestamp, identity.key, message ?? [])
        let ephemeral = suite.agreementKeyPair(secretKey: entropy.bytes32())
        var noise = NoiseHandshake(
            initiator: identity.agreement, responderKey: responderKey,
            prologue: Self.prologue(connection: connection).span, suite: suite)
        var storage = [UInt8](repeating: 0, count: LinkWire.initiationMaximum - LinkWire.macsByteCount)
        var writer = ByteWriter(storage.mutableSpan)
        writer.append(LinkWire.initiationType)
        writer.append(LinkWire.version)
        writer.append(connection)
        let isWritten = noise.writeInitiation(ephemeral: ephemeral, into: &writer) { payload in
            payload.append(timestamp)
            payload.append(key.bytes)
            payload.appendLengthPrefixed(early.span)
            let minimum = LinkWire.initiationMinimum - LinkWire.macsByteCount - CryptoSuite.tagByteCount
            payload.append(repeating: 0, count: max(0, minimum - payload.count))
        }
        let count = writer.count
        guard isWritten, !writer.overflowed else { return nil }
        return (noise, Array(storage[..<count]))
    }

    /// Sends the next copy of message 1: addresses and secrets take turns.
    mutating func repeatInitiation(_ slot: SlotID, at now: MonotonicInstant, into out: inout Outbox) {
        guard var handshake = relations[slot].handshake else { return }
        var addresses = relations[slot].contact.addresses
        if let known = relations[slot].address { addresses.promote(known) }
        guard !addresses.isEmpty else { return }
        let attempt = handshake.attempts
        let secret = secrets[attempt % secrets.count]
        var packet = handshake.packet
        suite.appendMacs(to: &packet, key: secret.macKey(to: relations[slot].contact.key))
        out.append(to: addresses[attempt / secrets.count % addresses.count], copying: packet.span)
        let gap = limits.handshakeGaps[min(attempt, limits.handshakeGaps.count - 1)]
        handshake.attempts += 1
        handshake.deadline = now + generator.jittered(gap, by: 0.1)
        relations[slot].handshake = handshake
    }

    /// Ends a relation whose handshake failed.
    mutating func giveUp(_ slot: SlotID, waiting message: [UInt8]?, events: inout EventBuffer<LinkEvent>) {
        let id = relations[slot].contact.id
        refusals.add(.unreachableDropped, UInt64(relations[slot].queue.count) + (message == nil ? 0 : 1))
        removeRelation(slot)
        events.append(.unreachable(id))
    }

    /// Begins a new handshake when the session in use is old enough.
    mutating func rekeyIfDue(
        _ slot: SlotID, at now: Now, into out: inout Outbox, events: inout EventBuffer<LinkEvent>
    ) {
        guard relations[slot].handshake == nil, let index = preferredSession(of: slot) else { return }
        let session = relations[slot].sessions[index]
        let stagger = session.isInitiator ? Interval.zero : limits.rekeyStagger
        let isOld = now.monotonic - session.establishedAt >= limits.rekeyAfter + stagger
        guard isOld || session.sendCounter >= limits.rekeyAfterPackets else { return }
        beginHandshake(slot, earlyMessage: nil, at: now, into: &out, events: &events)
    }

    /// Sends message 2 of the pending response `slot`, with `message` inside unless it is empty.
    mutating func writeResponse(_ slot: SlotID, message: Span<UInt8>, into out: inout Outbox) {
        var storage = [UInt8](repeating: 0, count: Limits.datagramBytes - LinkWire.macsByteCount)
        var writer = ByteWriter(storage.mutableSpan)
        writer.append(LinkWire.responseType)
        writer.append(LinkWire.version)
        writer.append(pending[slot].session.localConnection)
        writer.append(pending[slot].session.remoteConnection)
        pending[slot].noise.writeResponse(into: &writer) { payload in
            payload.appendLengthPrefixed(message)
        }
        let count = writer.count
        var packet = Array(storage[..<count])
        // The secret may have been replaced since message 1 came; the newest is then as good as any.
        let secret = secrets[min(pending[slot].secretIndex, secrets.count - 1)]
        suite.appendMacs(to: &packet, key: secret.macKey(to: pending[slot].contact.key))
        out.append(to: pending[slot].address, copying: packet.span)
        pending[slot].response = packet
    }
}
