import SwarmCore

extension LinkTable {
    /// Handles one datagram, decrypting in place. Returns a control message to be dispatched, if it held one.
    package mutating func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<LinkEvent>
    ) -> LinkDelivery? {
        finishReceive(at: now, into: &out, events: &events)
        guard datagram.count > 0 else { return refuse(.wrongLength) }
        switch datagram[0] {
        case LinkWire.initiationType:
            return receiveInitiation(&datagram, from: source, at: now, into: &out)
        case LinkWire.responseType:
            return receiveResponse(&datagram, from: source, at: now, into: &out, events: &events)
        case LinkWire.cookieType: return receiveCookie(datagram.span, from: source, at: now.monotonic, into: &out)
        case LinkWire.transportType:
            return receiveTransport(&datagram, from: source, at: now, into: &out, events: &events)
        default: return refuse(.unknownType)
        }
    }

    /// Sends what the datagram received last still owes its sender: the handshake's answer, or its confirmation.
    package mutating func finishReceive(
        at now: Now, into out: inout Outbox, events: inout EventBuffer<LinkEvent>
    ) {
        if let slot = openResponse {
            if pending.contains(slot), pending[slot].response.isEmpty {
                let none = InlineArray<1, UInt8>(repeating: 0)
                writeResponse(slot, message: none.span.extracting(0..<0), into: &out)
            }
            closeOpenResponse()
        }
        if let slot = confirmation {
            confirmation = nil
            if relations.contains(slot), relations[slot].hasSession {
                let connection = relations[slot].newest.localConnection
                beginProbe(slot, connection: connection, at: now.monotonic, into: &out)
            }
        }
    }

    mutating func refuse(_ reason: LinkRefusal) -> LinkDelivery? {
        refusals.add(reason)
        return nil
    }

    // MARK: Message 1

    private mutating func receiveInitiation(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, at now: Now, into out: inout Outbox
    ) -> LinkDelivery? {
        let count = datagram.count
        guard (LinkWire.initiationMinimum...LinkWire.initiationMaximum).contains(count) else {
            return refuse(.wrongLength)
        }
        guard datagram[1] == LinkWire.version else { return refuse(.unsupportedVersion) }
        guard let secretIndex = secretIndex(of: datagram.span) else { return refuse(.badMac) }
        let remoteConnection = datagram.span.loadUInt32(at: 2)
        if repeatResponse(to: datagram.span, from: source, into: &out) { return nil }
        if let reason = refusal(
            ofInitiation: datagram.span, from: source, secretIndex: secretIndex, at: now.monotonic, into: &out)
        {
            return refuse(reason)
        }
        var noise = NoiseHandshake(
            responder: identity.agreement, prologue: LinkWire.prologue(connection: remoteConnection).span, suite: suite)
        let body = LinkWire.initiationHeader
        var handshake = datagram._mutatingExtracting(body..<(count - LinkWire.macsByteCount))
        guard let payload = noise.readInitiation(&handshake) else { return refuse(.undecryptableInitiation) }
        let start = body + payload.lowerBound
        guard let initiation = Initiation(datagram.span, payload: start..<(body + payload.upperBound)) else {
            return refuse(.malformedPayload)
        }
        guard initiation.key != identity.key else { return refuse(.ownKey) }
        guard suite.agreementKey(of: initiation.key) == noise.remoteStatic else { return refuse(.keyMismatch) }
        let contact = suite.contact(initiation.key, AddressList(source))
        guard !isReplay(initiation, ephemeral: noise.remoteEphemeral, of: contact.id, at: now.monotonic) else {
            return refuse(.replayedInitiation)
        }
        let ephemeral = suite.agreementKeyPair(secretKey: entropy.bytes32())
        guard noise.agreeResponse(ephemeral: ephemeral, presharedKey: secrets[secretIndex].presharedKey) else {
            return refuse(.undecryptableInitiation)
        }
        let session = LinkSession(
            noise, isInitiator: false, localConnection: makeConnection(), remoteConnection: remoteConnection,
            initiationTimestamp: initiation.timestamp, at: now.monotonic, suite: suite)
        openResponse = insertPending(
            PendingResponse(
                id: contact.id, key: contact.key, address: source, session: session,
                expiresAt: now.monotonic + limits.pendingLifetime, secretIndex: secretIndex,
                ephemeral: noise.remoteEphemeral))
        openNoise.set(noise)
        return delivery(initiation.message, contact: contact, source: source, isConfirmed: false, in: datagram.span)
    }

    /// The message's place, unless there is none or its type is the link's own.
    private mutating func delivery(
        _ range: Range<Int>, contact: Contact, source: NetworkAddress, isConfirmed: Bool, in datagram: Span<UInt8>
    ) -> LinkDelivery? {
        guard !range.isEmpty else { return nil }
        guard datagram[range.lowerBound] >= LinkWire.firstControlType else { return refuse(.malformedPayload) }
        return LinkDelivery(peer: Peer(contact: contact, address: source, isConfirmed: isConfirmed), range: range)
    }

    /// Which of our secrets made the mac1 of `packet`.
    private func secretIndex(of packet: Span<UInt8>) -> Int? {
        for index in ownMacKeys.indices where suite.hasMac(packet, key: ownMacKeys[index]) { return index }
        return nil
    }

    /// Answers a copy of a message 1 that is pending with the same message 2; its request is not delivered again.
    private mutating func repeatResponse(
        to packet: Span<UInt8>, from source: NetworkAddress, into out: inout Outbox
    ) -> Bool {
        let start = LinkWire.initiationHeader
        guard let ephemeral = Bytes32(packet.extracting(start..<(start + 32))),
            let slot = pendingResponse(to: ephemeral)
        else { return false }
        let response = pending[slot].response
        out.append(to: source, copying: response.span)
        return true
    }

    /// Whether message 1 is a copy of one that made a session, or older than the one that made a living session.
    private func isReplay(
        _ initiation: Initiation, ephemeral: Bytes32, of id: NodeID, at now: MonotonicInstant
    ) -> Bool {
        guard let slot = slot(of: id) else { return false }
        let isAlive = relations[slot].lastHeard.map { now - $0 < limits.staleTimestampGuard } ?? false
        for position in 0..<relations[slot].sessionCount {
            let isOlder = relations[slot].readSession(position) { session in
                !session.isInitiator
                    && (session.initiationMark == ephemeral.word0
                        || isAlive && initiation.timestamp <= session.initiationTimestamp)
            }
            if isOlder { return true }
        }
        return false
    }

    // MARK: Message 2

    private mutating func receiveResponse(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<LinkEvent>
    ) -> LinkDelivery? {
        let count = datagram.count
        guard (LinkWire.responseMinimum...Limits.datagramBytes).contains(count) else { return refuse(.wrongLength) }
        guard datagram[1] == LinkWire.version else { return refuse(.unsupportedVersion) }
        guard let secretIndex = secretIndex(of: datagram.span) else { return refuse(.badMac) }
        let connection = datagram.span.loadUInt32(at: 6)
        guard case .relation(let slot)? = owner(of: connection),
            let handshake = relations[slot].handshake, handshake.connection == connection
        else { return refuse(.unknownConnection) }
        guard handshake.failedResponses < limits.failedResponses else { return refuse(.undecryptableResponse) }
        // Counted before it is known; a genuine one ends the handshake and the count with it.
        relations[slot].changeRare { $0.handshake?.failedResponses += 1 }
        var noise = handshake.noise
        let body = LinkWire.responseHeader
        let isAgreed = noise.agreeResponse(
            from: datagram.span.extracting(body..<(count - LinkWire.macsByteCount)),
            presharedKey: secrets[secretIndex].presharedKey)
        guard isAgreed else { return refuse(.undecryptableResponse) }
        let session = LinkSession(
            noise, isInitiator: true, localConnection: connection,
            remoteConnection: datagram.span.loadUInt32(at: 2), initiationTimestamp: 0, at: now.monotonic, suite: suite)
        var sealed = datagram._mutatingExtracting(body..<(count - LinkWire.macsByteCount))
        guard let payload = noise.readResponse(&sealed) else { return refuse(.undecryptableResponse) }
        if handshake.attempts == 1 { relations[slot].noteRoundTrip(now.monotonic - handshake.startedAt) }
        endHandshake(of: slot)
        relations[slot].changeRare { $0.probe = nil }
        noteHeard(slot, from: source, movesAddress: true, at: now.monotonic)
        add(session, to: slot)
        confirmation = slot
        announce(slot, from: source, events: &events)
        flushQueue(slot, at: now.monotonic, into: &out)
        schedule(slot)
        let range = (body + payload.lowerBound)..<(body + payload.upperBound)
        guard let early = Self.messageRange(datagram.span, payload: range) else { return refuse(.malformedPayload) }
        return delivery(
            early, contact: relations[slot].contact, source: source, isConfirmed: true, in: datagram.span)
    }

    private mutating func announce(
        _ slot: SlotID, from source: NetworkAddress, events: inout EventBuffer<LinkEvent>
    ) {
        guard !relations[slot].isAnnounced else { return }
        relations[slot].isAnnounced = true
        events.append(.established(Peer(contact: relations[slot].contact, address: source, isConfirmed: true)))
    }

    // MARK: Transport

    private mutating func receiveTransport(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<LinkEvent>
    ) -> LinkDelivery? {
        guard datagram.count >= LinkWire.transportOverhead else { return refuse(.wrongLength) }
        let connection = datagram.span.loadUInt32(at: 1)
        switch owner(of: connection) {
        case .relation(let slot):
            guard let position = relations[slot].session(connection: connection) else {
                return refuse(.unknownConnection)
            }
            switch open(&datagram, on: slot, session: position) {
            case .replayed: return refuse(.replayedTransport)
            case .undecryptable: return refuse(.undecryptableTransport)
            case .text(let range, let isNewest):
                noteHeard(slot, from: source, movesAddress: isNewest, at: now.monotonic)
                if relations[slot].probe?.connection == connection {
                    relations[slot].changeRare { $0.probe = nil }
                }
                let delivery = handle(
                    datagram.span, range, on: slot, session: connection, from: source, at: now.monotonic, into: &out)
                rekeyIfDue(slot, at: now, into: &out, events: &events)
                schedule(slot)
                return delivery
            }
        case .pending(let waiting):
            switch pending[waiting].session.open(&datagram, suite: suite) {
            case .replayed: return refuse(.replayedTransport)
            case .undecryptable: return refuse(.undecryptableTransport)
            case .text(let range, _):
                guard let slot = confirm(waiting, from: source, at: now.monotonic, events: &events) else { return nil }
                let delivery = handle(
                    datagram.span, range, on: slot, session: connection, from: source, at: now.monotonic, into: &out)
                flushQueue(slot, at: now.monotonic, into: &out)
                schedule(slot)
                return delivery
            }
        case nil: return refuse(.unknownConnection)
        }
    }

    private mutating func open(
        _ datagram: inout MutableSpan<UInt8>, on slot: SlotID, session position: Int
    ) -> LinkSession.Opening {
        guard !relations[slot].isAtRest else { return relations[slot].newest.open(&datagram, suite: suite) }
        return relations[slot].useSession(position) { [suite] session in session.open(&datagram, suite: suite) }
    }

    /// The initiator has proved that it holds the keys: its session now counts. Messages that waited for a handshake of
    /// ours leave over it.
    private mutating func confirm(
        _ waiting: SlotID, from source: NetworkAddress, at now: MonotonicInstant, events: inout EventBuffer<LinkEvent>
    ) -> SlotID? {
        let contact = Contact(id: pending[waiting].id, key: pending[waiting].key, addresses: AddressList(source))
        var session = pending[waiting].session
        let queue = pending[waiting].queue
        removePending(waiting)
        guard let slot = relation(for: contact, at: now, events: &events) else { return nil }
        session.establishedAt = now
        noteHeard(slot, from: source, movesAddress: true, at: now)
        if let early = endHandshake(of: slot) { enqueue(early, on: slot) }
        add(session, to: slot)
        for message in queue { enqueue(message, on: slot) }
        announce(slot, from: source, events: &events)
        return slot
    }

    /// A decrypted transport message: the link's own, or one to dispatch.
    private mutating func handle(
        _ datagram: Span<UInt8>, _ range: Range<Int>, on slot: SlotID, session connection: UInt32,
        from source: NetworkAddress,
        at now: MonotonicInstant, into out: inout Outbox
    ) -> LinkDelivery? {
        guard !range.isEmpty else { return nil }
        let type = datagram[range.lowerBound]
        if type >= LinkWire.firstControlType {
            let peer = Peer(contact: relations[slot].contact, address: source, isConfirmed: true)
            return LinkDelivery(peer: peer, range: range)
        }
        // Longer is allowed: fields a newer version appends.
        guard range.count >= LinkWire.probeByteCount else { return refuse(.malformedTransport) }
        let token = datagram.loadUInt64(at: range.lowerBound + 1)
        switch type {
        case LinkWire.probeType:
            guard let position = relations[slot].session(connection: connection) else { break }
            answerProbe(slot, session: position, token: token, into: &out)
        case LinkWire.probeAnswerType:
            let sample = now - MonotonicInstant(nanoseconds: token)
            // The token is ours, but the peer could change it: a round trip of a minute is not one.
            if sample >= .zero, sample < .seconds(60) { relations[slot].noteRoundTrip(sample) }
        default: refusals.add(.malformedTransport)
        }
        return nil
    }

    /// Where the length-prefixed message at the front of a payload lies; what follows it is padding or unknown.
    static func messageRange(_ datagram: Span<UInt8>, payload: Range<Int>) -> Range<Int>? {
        var reader = ByteReader(datagram.extracting(payload))
        guard let count = reader.readVarint(limit: UInt64(Limits.messageBytes)), Int(count) <= reader.remaining else {
            return nil
        }
        let start = payload.lowerBound + reader.offset
        return start..<(start + Int(count))
    }
}

/// The payload of message 1.
private struct Initiation {
    let timestamp: UInt64
    let key: PublicKey
    /// Where its message lies in the datagram; empty if there is none.
    let message: Range<Int>

    init?(_ datagram: Span<UInt8>, payload: Range<Int>) {
        var reader = ByteReader(datagram.extracting(payload))
        guard let timestamp = reader.readUInt64(), let key = reader.readBytes32(),
            let message = LinkTable.messageRange(
                datagram, payload: (payload.lowerBound + reader.offset)..<payload.upperBound)
        else { return nil }
        self.timestamp = timestamp
        self.key = PublicKey(key)
        self.message = message
    }
}
