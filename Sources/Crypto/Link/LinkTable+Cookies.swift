import SwarmCore

/// First messages under load: who is asked for a cookie, who is served (PROTOCOL.md, "Cookie reply").
extension LinkTable {
    /// Whether message 1, whose mac1 is right, is worth its key agreements. Where it is not, its sender may get a cookie
    /// reply, and the reason is returned.
    mutating func refusal(
        ofInitiation packet: Span<UInt8>, from source: NetworkAddress, secretIndex: Int, at now: MonotonicInstant,
        into out: inout Outbox
    ) -> LinkRefusal? {
        guard gate.isUnderLoad(limits, at: now) else { return nil }
        cookieSecrets.renew(from: &entropy, at: now)
        let isKnown = isKnown(source)
        let end = packet.count - LinkWire.macByteCount
        let hasMac2 = packet.loadUInt64(at: end) | packet.loadUInt64(at: end + 8) != 0
        if hasMac2, cookieSecrets.verifies(packet, from: source, suite) {
            return gate.refusal(ofProved: source, isKnown: isKnown, limits, salt: salt, at: now)
        }
        guard gate.mayReply(isKnown: isKnown, limits, at: now) else { return .cookieRepliesLimited }
        sendCookie(for: packet, to: source, secretIndex: secretIndex, into: &out)
        return hasMac2 ? .invalidCookie : .cookieAsked
    }

    /// Whether the address is that of a peer with which keys are shared.
    private func isKnown(_ source: NetworkAddress) -> Bool {
        var cursor = relationByAddress.cursor(salt.hash(source))
        while let index = relationByAddress.next(&cursor) {
            guard let slot = relations.id(at: index) else { continue }
            if relations[slot].address == source, relations[slot].hasSession { return true }
        }
        return false
    }

    private mutating func sendCookie(
        for packet: Span<UInt8>, to source: NetworkAddress, secretIndex: Int, into out: inout Outbox
    ) {
        let cookie = cookieSecrets.cookie(for: source, suite)
        let key = secrets[secretIndex].cookieKey(of: identity.key, suite: suite)
        let macs = packet.count - LinkWire.macsByteCount
        let mac = (packet.loadUInt64(at: macs), packet.loadUInt64(at: macs + 8))
        let connection = packet.loadUInt32(at: 2)
        let nonce = (entropy.uint64(), entropy.uint64(), entropy.uint64())
        out.append(to: source, capacity: LinkWire.cookieByteCount) { [suite] writer in
            writer.append(LinkWire.cookieType)
            writer.append(LinkWire.version)
            writer.append(connection)
            writer.append(nonce.0)
            writer.append(nonce.1)
            writer.append(nonce.2)
            writer.append(repeating: 0, count: 16 + CryptoSuite.tagByteCount)
            guard !writer.overflowed else { return }
            var reply = writer.written()
            suite.seal(cookie, key: key, mac: mac, into: &reply)
        }
    }

    // MARK: The initiator's side

    /// A cookie reply: message 1 is repeated at once with a mac2 that its sender will believe.
    mutating func receiveCookie(
        _ reply: Span<UInt8>, from source: NetworkAddress, at now: MonotonicInstant, into out: inout Outbox
    ) -> LinkDelivery? {
        guard reply.count == LinkWire.cookieByteCount else { return refuse(.wrongLength) }
        guard reply[1] == LinkWire.version else { return refuse(.unsupportedVersion) }
        let connection = reply.loadUInt32(at: 2)
        guard case .relation(let slot)? = owner(of: connection), let handshake = relations[slot].handshake,
            handshake.connection == connection
        else { return refuse(.unknownConnection) }
        guard handshake.cookiesUsed < limits.cookiesPerHandshake else { return refuse(.cookieRepeated) }
        let body = handshake.packet.count - LinkWire.macsByteCount
        for index in secrets.indices {
            let macKey = secrets[index].macKey(to: relations[slot].key, suite: suite)
            let mac = suite.mac(key: macKey, handshake.packet.span.extracting(0..<body))
            let key = secrets[index].cookieKey(of: relations[slot].key, suite: suite)
            guard let cookie = suite.openCookie(reply, key: key, mac: mac) else { continue }
            cookies.insert(cookie, of: relations[slot].id, at: now)
            relations[slot].changeRare { $0.handshake?.cookiesUsed += 1 }
            sendInitiation(slot, macKey: macKey, cookie: cookie, to: source, into: &out)
            return nil
        }
        return refuse(.undecryptableCookie)
    }
}
