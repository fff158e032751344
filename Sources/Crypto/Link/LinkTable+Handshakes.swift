import SwarmCore

/// Making both handshake messages.
extension LinkTable {
    /// Sends message 1 to a peer with which no handshake of ours is under way.
    mutating func beginHandshake(
        _ slot: SlotID, earlyMessage: [UInt8]?, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<LinkEvent>
    ) {
        let connection = makeConnection()
        guard !relations[slot].addresses.isEmpty,
            let (noise, packet) = makeInitiation(
                to: relations[slot].key, connection: connection, message: earlyMessage,
                wallMilliseconds: now.wallMilliseconds)
        else {
            refusals.add(.unusableContact)
            giveUp(slot, waiting: earlyMessage, events: &events)
            return
        }
        let handshake = OutgoingHandshake(
            noise: noise, packet: packet, connection: connection, startedAt: now.monotonic,
            earlyMessage: earlyMessage, deadline: now.monotonic)
        relations[slot].changeRare { $0.handshake = handshake }
        connections.insert(connection, slot: slot.index)
        relations[slot].lastActivity = now.monotonic
        repeatInitiation(slot, at: now.monotonic, into: &out)
        schedule(slot)
    }

    /// Message 1 with room for its macs, and the state that waits for the answer; nil for a key that is no point.
    private mutating func makeInitiation(
        to key: PublicKey, connection: UInt32, message: [UInt8]?, wallMilliseconds: UInt64
    ) -> (NoiseHandshake, [UInt8])? {
        guard let responderKey = suite.agreementKey(of: key) else { return nil }
        // Later than every one before, also where the wall clock stands still or steps back.
        lastTimestamp = max(wallMilliseconds, lastTimestamp &+ 1)
        let (timestamp, ownKey, early) = (lastTimestamp, identity.key, message ?? [])
        let ephemeral = suite.agreementKeyPair(secretKey: entropy.bytes32())
        var noise = NoiseHandshake(
            initiator: identity.agreement, responderKey: responderKey,
            prologue: LinkWire.prologue(connection: connection).span, suite: suite)
        var packet = [UInt8](repeating: 0, count: LinkWire.initiationByteCount(message: early.count))
        let room = LinkWire.macsByteCount
        let end = packet.count - room
        var span = packet.mutableSpan
        var writer = ByteWriter(span._mutatingExtracting(0..<end))
        writer.append(LinkWire.initiationType)
        writer.append(LinkWire.version)
        writer.append(connection)
        let isWritten = noise.writeInitiation(ephemeral: ephemeral, into: &writer) { payload in
            payload.append(timestamp)
            payload.append(ownKey.bytes)
            payload.appendLengthPrefixed(early.span)
            payload.append(repeating: 0, count: max(0, end - CryptoSuite.tagByteCount - payload.count))
        }
        guard isWritten, !writer.overflowed, writer.count == end else { return nil }
        return (noise, packet)
    }

    /// Sends the next copy of message 1: addresses and secrets take turns.
    mutating func repeatInitiation(_ slot: SlotID, at now: MonotonicInstant, into out: inout Outbox) {
        guard let attempt = relations[slot].handshake?.attempts else { return }
        let addresses = relations[slot].addresses
        guard !addresses.isEmpty else { return }
        let key = secrets[attempt % secrets.count].macKey(to: relations[slot].key, suite: suite)
        let gap = limits.handshakeGaps[min(attempt, limits.handshakeGaps.count - 1)]
        let deadline = now + generator.jittered(gap, by: 0.1)
        relations[slot].changeRare { rare in
            rare.handshake?.attempts += 1
            rare.handshake?.deadline = deadline
        }
        let address = addresses[attempt / secrets.count % addresses.count]
        let cookie = cookies.cookie(of: relations[slot].id, at: now)
        sendInitiation(slot, macKey: key, cookie: cookie, to: address, into: &out)
    }

    /// Sends a copy of message 1 with these macs.
    mutating func sendInitiation(
        _ slot: SlotID, macKey: Bytes32, cookie: LinkCookie?, to address: NetworkAddress, into out: inout Outbox
    ) {
        guard let packet = relations[slot].handshake?.packet else { return }
        out.append(to: address, capacity: packet.count) { [suite] writer in
            writer.append(packet.span)
            guard !writer.overflowed else { return }
            var written = writer.written()
            suite.writeMacs(into: &written, key: macKey, cookie: cookie)
        }
    }

    /// Ends a relation whose handshake failed.
    mutating func giveUp(_ slot: SlotID, waiting message: [UInt8]?, events: inout EventBuffer<LinkEvent>) {
        let id = relations[slot].id
        let waiting = relations[slot].queueCount
        refusals.add(.unreachableDropped, UInt64(waiting) + (message == nil ? 0 : 1))
        removeRelation(slot)
        events.append(.unreachable(id))
    }

    /// Begins a new handshake when the session in use is old enough.
    mutating func rekeyIfDue(
        _ slot: SlotID, at now: Now, into out: inout Outbox, events: inout EventBuffer<LinkEvent>
    ) {
        // The newest session is the youngest: while it is, every one is.
        guard
            now.monotonic - relations[slot].newest.establishedAt >= limits.rekeyAfter
                || relations[slot].newest.sendCounter >= limits.rekeyAfterPackets
                || !relations[slot].isAtRest
        else { return }
        guard !relations[slot].hasHandshake, let position = preferredSession(of: slot) else { return }
        let limits = limits
        let isDue = relations[slot].readSession(position) { session in
            let stagger = session.isInitiator ? Interval.zero : limits.rekeyStagger
            let isOld = now.monotonic - session.establishedAt >= limits.rekeyAfter + stagger
            return isOld || session.sendCounter >= limits.rekeyAfterPackets
        }
        guard isDue else { return }
        beginHandshake(slot, earlyMessage: nil, at: now, into: &out, events: &events)
    }

    /// Sends message 2 of the response being answered, with `message` inside unless it is empty.
    mutating func writeResponse(_ slot: SlotID, message: Span<UInt8>, into out: inout Outbox) {
        guard openNoise.isPresent else { return }
        var packet = [UInt8](repeating: 0, count: LinkWire.responseByteCount(message: message.count))
        let end = packet.count - LinkWire.macsByteCount
        var span = packet.mutableSpan
        var writer = ByteWriter(span._mutatingExtracting(0..<end))
        writer.append(LinkWire.responseType)
        writer.append(LinkWire.version)
        writer.append(pending[slot].session.localConnection)
        writer.append(pending[slot].session.remoteConnection)
        openNoise.value.writeResponse(into: &writer) { payload in
            payload.appendLengthPrefixed(message)
        }
        // The secret may have been replaced since message 1 came; the newest is then as good as any.
        let secret = secrets[min(pending[slot].secretIndex, secrets.count - 1)]
        suite.writeMacs(into: &span, key: secret.macKey(to: pending[slot].key, suite: suite))
        out.append(to: pending[slot].address, copying: packet.span)
        pending[slot].response = packet
    }

    /// Forgets the handshake being answered; its pending response stays.
    mutating func closeOpenResponse() {
        openResponse = nil
        openNoise.clear()
    }
}
