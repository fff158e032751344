import SwarmCore
import SwarmCrypto
import Testing

/// A member of the swarm that speaks the link's packets by hand, byte by byte as PROTOCOL.md has them, so that it can
/// also speak them wrongly.
private struct HandmadePeer {
    let suite = CryptoSuite.real
    let identity = Identity(seed: Bytes32(55, 0, 0, 0))
    let address = NetworkAddress(ipv4: 0x0a00_0063, port: 99)
    let responder: PublicKey
    var noise: NoiseHandshake

    /// `agreement` is the static key it uses; its own image unless it lies.
    init(to responder: PublicKey, agreement: AgreementKeyPair? = nil) {
        self.responder = responder
        let prologue = Array("mafalda-swarm link v1".utf8) + [0, 0xc1, 1, 0, 0, 0, 1]
        noise = NoiseHandshake(
            initiator: agreement ?? identity.agreement, responderKey: suite.agreementKey(of: responder) ?? .zero,
            prologue: prologue.span, suite: suite)
    }

    /// Message 1 with whatever follows timestamp and key in its payload.
    mutating func initiation(key: PublicKey, rest: [UInt8]) -> [UInt8] {
        var storage = [UInt8](repeating: 0, count: 384)
        var writer = ByteWriter(storage.mutableSpan)
        writer.append(UInt8(0xc1))
        writer.append(UInt8(1))
        writer.append(UInt32(1))
        let ephemeral = suite.agreementKeyPair(secretKey: Bytes32(6, 6, 6, 6))
        let isWritten = noise.writeInitiation(ephemeral: ephemeral, into: &writer) { payload in
            payload.append(UInt64(1))
            payload.append(key.bytes)
            payload.append(rest.span)
            payload.append(repeating: 0xff, count: 384 - 16 - payload.count)
        }
        #expect(isWritten)
        return storage + mac(storage) + [UInt8](repeating: 0, count: 16)
    }

    private func mac(_ packet: [UInt8]) -> [UInt8] {
        let key = responder.bytes.withSpan {
            Hash.deriveKey(homeSecret.current, label: "mafalda-swarm mac1 v1", context: $0)
        }
        var mac = [UInt8](repeating: 0, count: 16)
        var output = mac.mutableSpan
        key.withSpan { key in
            var hash = Blake2b(outputByteCount: 16, key: key)
            hash.update(packet.span)
            hash.finish(into: &output)
        }
        return mac
    }

    /// Takes message 2 and returns the key of its transport packets, with the connection id to write into them.
    mutating func finish(_ response: [UInt8]) -> (key: Bytes32, connection: [UInt8])? {
        let psk = Hash.deriveKey(homeSecret.current, label: "mafalda-swarm psk v1")
        let body = Array(response[10..<(response.count - 32)])
        guard noise.agreeResponse(from: body.span, presharedKey: psk) else { return nil }
        return (noise.split().initiatorToResponder, Array(response[2..<6]))
    }

    func transport(_ plain: [UInt8], counter: UInt64, key: Bytes32, connection: [UInt8]) -> [UInt8] {
        var packet = [0xc4] + connection + [0, 0, 0, 0, 0, 0, 0, UInt8(counter)] + plain
        packet += [UInt8](repeating: 0, count: 16)
        var cipher = LinkCipher(.chaCha20Poly1305, key: key, direction: .sealing)
        var span = packet.mutableSpan
        cipher.seal(counter: counter, headerByteCount: 13, packet: &span)
        return packet
    }
}

struct HandmadePeerTests {
    private let now = Now(monotonic: MonotonicInstant(nanoseconds: 5), wallMilliseconds: 5)
    private func makeNode() -> LinkNode { LinkNode(2, suite: .real, secret: homeSecret) }

    @Test func aStaticKeyThatIsNotTheImageIsRefused() {
        let bob = makeNode()
        let foreign = CryptoSuite.real.agreementKeyPair(secretKey: Bytes32(5, 5, 5, 5))
        var peer = HandmadePeer(to: bob.identity.key, agreement: foreign)
        bob.receive(peer.initiation(key: peer.identity.key, rest: [1, 0x10]), from: peer.address, at: now)
        #expect(bob.refusals(.keyMismatch) == 1)
        #expect(bob.received.isEmpty && bob.out.isEmpty && bob.pendingCount == 0)
    }

    @Test func ourOwnKeyIsNoPeer() {
        let bob = makeNode()
        var peer = HandmadePeer(to: bob.identity.key, agreement: bob.identity.agreement)
        bob.receive(peer.initiation(key: bob.identity.key, rest: [1, 0x10]), from: peer.address, at: now)
        #expect(bob.refusals(.ownKey) == 1)
        #expect(bob.out.isEmpty && bob.pendingCount == 0)
    }

    /// What a member may put after the fields of message 1's payload: the bytes, and the message it makes.
    @Test(
        arguments: [
            ([0], nil, 0), ([1, 0x10], [0x10], 0), ([2, 0x10, 7], [0x10, 7], 0), ([1, 0x0f], nil, 1), ([1, 0], nil, 1),
            // A length beyond the payload, one beyond every message, one not in its shortest form, none that ends.
            ([0x44, 0x00, 0x10], nil, 1), ([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], nil, 1),
            ([0x40, 0x01, 0x10], nil, 1), ([], nil, 1),
        ] as [([UInt8], [UInt8]?, UInt64)])
    func payloadsOfMessageOneAreReadWithCare(rest: [UInt8], message: [UInt8]?, refusals: UInt64) {
        let bob = makeNode()
        var peer = HandmadePeer(to: bob.identity.key)
        bob.receive(peer.initiation(key: peer.identity.key, rest: rest), from: peer.address, at: now)
        #expect(bob.messages == (message.map { [$0] } ?? []))
        #expect(bob.refusals(.malformedPayload) == refusals)
        #expect(bob.relationCount == 0)
    }

    @Test func transportMessagesOfAMemberAreReadWithCare() throws {
        let bob = makeNode()
        var peer = HandmadePeer(to: bob.identity.key)
        bob.receive(peer.initiation(key: peer.identity.key, rest: [0]), from: peer.address, at: now)
        let response = drain(&bob.out)[0].bytes
        let finished = peer.finish(response)
        let (key, connection) = try #require(finished)
        // Plaintext, whether it is delivered, whether it is refused, packets it is answered by.
        let cases: [([UInt8], Bool, Bool, Int)] = [
            ([], false, false, 0), ([0x01], false, true, 0), ([0x01, 1, 2, 3, 4, 5, 6, 7], false, true, 0),
            ([0x01, 1, 2, 3, 4, 5, 6, 7, 8], false, false, 1), ([0x01, 1, 2, 3, 4, 5, 6, 7, 8, 9], false, false, 1),
            ([0x02, 255, 255, 255, 255, 255, 255, 255, 255], false, false, 0),
            ([0x02, 0, 0, 0, 0, 0, 0, 0, 0], false, false, 0), ([0x00], false, true, 0),
            ([0x0f, 1, 2, 3, 4, 5, 6, 7, 8], false, true, 0), ([0x10], true, false, 0), ([0xff], true, false, 0),
            ([UInt8](repeating: 0x10, count: 2000), true, false, 0),
        ]
        for (counter, (plain, isDelivered, isRefused, answers)) in cases.enumerated() {
            let (delivered, refused) = (bob.received.count, bob.refusalTotal)
            let packet = peer.transport(plain, counter: UInt64(counter), key: key, connection: connection)
            bob.receive(packet, from: peer.address, at: now)
            #expect(bob.received.count - delivered == (isDelivered ? 1 : 0), "\(counter)")
            #expect(bob.refusalTotal - refused == (isRefused ? 1 : 0), "\(counter)")
            #expect(drain(&bob.out).count == answers, "\(counter)")
        }
        #expect(bob.told.count == 1 && bob.relationCount == 1)
        let contact = bob.links.contact(of: peer.identity.id)
        #expect(contact == peer.identity.contact(at: AddressList(peer.address)))
    }
}
