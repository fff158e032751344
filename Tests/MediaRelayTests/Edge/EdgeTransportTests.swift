import MediaRelay
import SwarmCore
import Testing

/// Two whole transports over a virtual wire.
@Suite struct EdgeTransportTests {
    private let certificates: (client: DTLSCertificate, server: DTLSCertificate)

    init() throws {
        certificates = (try DTLSCertificate(at: testNow()), try DTLSCertificate(at: testNow()))
    }

    @Test func certificatesHaveTheirOwnFingerprints() {
        #expect(certificates.client.fingerprint != certificates.server.fingerprint)
        let text = certificates.client.fingerprintText
        #expect(text.count == 95)
        #expect(Bytes32(hexBytes(text)) == certificates.client.fingerprint)
    }

    @Test(arguments: [DTLSRole.client, .server])
    func connectAndCarryMedia(clientRole: DTLSRole) {
        let pair = EdgePair(clientRole: clientRole, certificates: certificates, at: testNow())
        #expect(pair.client.protectRTCP([0x80, 201, 0, 1, 0, 0, 0, 5]) == nil)
        pair.step(to: testNow())
        #expect(pair.isConnected)
        #expect(pair.client.signals == [.addressValidated(EdgePair.serverAddress, replacing: nil), .connected])
        #expect(pair.server.signals == [.addressValidated(EdgePair.clientAddress, replacing: nil), .connected])
        #expect(pair.server.remoteAddress == EdgePair.clientAddress)
        #expect(pair.largestDatagram <= EdgeLimits.dtlsDatagramBytes)
        #expect(pair.carriesMedia(indices: 65_530..<65_550, at: testNow()))
        #expect(pair.client.nextDeadline ?? .zero > testNow().monotonic)
    }

    /// Browsers that offer DTLS 1.3 send a ClientHello larger than a datagram: fragments, possibly out of order.
    @Test(arguments: [[0, 1, 2], [2, 1, 0], [1, 1, 0, 2]])
    func reassembleAFragmentedClientHello(order: [Int]) throws {
        let pair = EdgePair(clientRole: .client, certificates: certificates, at: testNow())
        pair.client.advance(to: testNow())
        for sent in pair.client.takeSent() {
            pair.server.receive(sent.bytes, from: EdgePair.clientAddress, at: testNow())
        }
        for sent in pair.server.takeSent() {
            pair.client.receive(sent.bytes, from: EdgePair.serverAddress, at: testNow())
        }
        let hello = try #require(pair.client.takeSent().first?.bytes)
        // Record header of 13 bytes, handshake header of 12 (RFC 6347 §4.2.2), then the body.
        let body = Array(hello[25...])
        let cuts = [0, body.count / 3, body.count / 2, body.count]
        for (number, part) in order.enumerated() {
            let fragment = body[cuts[part]..<cuts[part + 1]]
            var bytes = Array(hello[..<11])
            bytes[10] = UInt8(20 + number)  // The client goes on at 1, inside the replay window.
            bytes += [UInt8((fragment.count + 12) >> 8), UInt8((fragment.count + 12) & 255)] + hello[13..<19]
            bytes += [0, UInt8(cuts[part] >> 8), UInt8(cuts[part] & 255)]
            bytes += [0, UInt8(fragment.count >> 8), UInt8(fragment.count & 255)] + fragment
            pair.server.receive(bytes, from: EdgePair.clientAddress, at: testNow())
        }
        pair.deliver(at: testNow())
        #expect(pair.isConnected)
        #expect(pair.carriesMedia(indices: 0..<3, at: testNow()))
    }

    /// A ClientHello sent again, in one datagram with the next flight: OpenSSL used to lose what follows it.
    @Test func readPastARepeatedClientHello() throws {
        let pair = EdgePair(clientRole: .client, certificates: certificates, at: testNow())
        pair.client.advance(to: testNow())
        var hello: [UInt8]?
        for _ in 0..<3 {
            for sent in pair.client.takeSent() {
                var bytes = sent.bytes
                if bytes[0] == 22 {
                    var again = hello ?? []
                    if !again.isEmpty { again[10] = 30 }
                    if hello == nil { hello = bytes }
                    bytes = again + bytes
                }
                pair.server.receive(bytes, from: EdgePair.clientAddress, at: testNow())
            }
            for sent in pair.server.takeSent() {
                pair.client.receive(sent.bytes, from: EdgePair.serverAddress, at: testNow())
            }
        }
        #expect(pair.isConnected)
    }

    /// DTLS retransmits by the operating system's clock, so this one test runs in real time, and in a process of its own,
    /// where long simulations do not keep it from running.
    @Test(arguments: [(true, UInt64(1)), (false, 2), (true, 3), (false, 4)])
    func connectOverALossyWire(isClient: Bool, seed: UInt64) async {
        await #expect(processExitsWith: .success) { [isClient = isClient as Bool, seed = seed as UInt64] in
            let certificates = (client: try DTLSCertificate(at: testNow()), server: try DTLSCertificate(at: testNow()))
            let clock = ContinuousClock()
            let start = clock.now
            func now() -> Now {
                let elapsed = start.duration(to: clock.now).components
                return testNow()
                    + Interval(nanoseconds: elapsed.seconds * 1_000_000_000 + elapsed.attoseconds / 1_000_000_000)
            }
            let pair = EdgePair(
                clientRole: isClient ? .client : .server, certificates: certificates, at: now(), lossPercent: 25,
                seed: seed)
            while !pair.isConnected, !pair.client.hasEnded, !pair.server.hasEnded {
                pair.step(to: now())
                try await clock.sleep(for: .milliseconds(2))
            }
            precondition(pair.isConnected, "seed \(seed): \(pair.client.signals) \(pair.server.signals)")
            precondition(pair.carriesMedia(indices: 0..<4, at: now()))
        }
    }

    @Test(arguments: [(DTLSRole.client, DTLSRole.client), (.client, .server), (.server, .client), (.server, .server)])
    func refuseAWrongFingerprint(clientRole: DTLSRole, wrongAt: DTLSRole) {
        let pair = EdgePair(
            clientRole: clientRole, certificates: certificates, at: testNow(), wrongFingerprintAt: wrongAt)
        pair.step(to: testNow())
        let deceived = wrongAt == clientRole ? pair.client : pair.server
        let other = wrongAt == clientRole ? pair.server : pair.client
        #expect(deceived.signals.last == .failed(.fingerprintMismatch))
        #expect(!deceived.isConnected)
        #expect(deceived.nextDeadline == nil)
        // The alert tells the other side, which may have thought itself connected.
        #expect(other.hasEnded)
        #expect(deceived.protectRTCP([0x80, 201, 0, 1, 0, 0, 0, 5]) == nil)
    }

    @Test(arguments: [DTLSRole.client, .server])
    func sayGoodbye(closer: DTLSRole) {
        let pair = EdgePair(clientRole: .client, certificates: certificates, at: testNow())
        pair.step(to: testNow())
        let (from, to) = closer == .client ? (pair.client, pair.server) : (pair.server, pair.client)
        from.close()
        pair.deliver(at: testNow())
        #expect(to.signals.last == .closedByPeer)
        #expect(to.hasEnded && from.hasEnded)
        #expect(to.nextDeadline == nil && from.nextDeadline == nil)
        from.advance(to: testNow(100_000))
        #expect(from.signals.last == .connected, "an ended transport signals nothing")
    }

    @Test func giveUpWhenNobodyComes() {
        let pair = EdgePair(clientRole: .client, certificates: certificates, at: testNow())
        pair.server.advance(to: testNow(19_999))
        #expect(pair.server.signals.isEmpty)
        pair.server.advance(to: testNow(20_000))
        #expect(pair.server.signals == [.failed(.neverConnected)])
        #expect(pair.server.nextDeadline == nil)
        // The client has tried, with growing pauses, and never marched on the spot.
        var checks = 0
        var time: Int64 = 0
        while !pair.client.hasEnded, time < 60_000 {
            pair.client.advance(to: testNow(time))
            checks += pair.client.takeSent().count
            #expect(pair.client.nextDeadline ?? .distantFuture > testNow(time).monotonic)
            time += 10
        }
        #expect(pair.client.signals == [.failed(.neverConnected)])
        #expect((8...20).contains(checks), "\(checks)")
    }

    @Test func consentIsRenewedByChecks() {
        let pair = EdgePair(clientRole: .client, certificates: certificates, at: testNow())
        for second in 0..<120 { pair.step(to: testNow(Int64(second) * 1000)) }
        #expect(pair.isConnected)
        // The wire is cut.
        var endedAt: Int64?
        for second in 120..<180 where endedAt == nil {
            pair.server.advance(to: testNow(Int64(second) * 1000))
            if pair.server.hasEnded { endedAt = Int64(second) }
        }
        #expect(pair.server.signals.last == .failed(.consentLost))
        #expect((143...150).contains(endedAt ?? 0), "\(endedAt ?? 0)")
    }

    /// FFmpeg checks once and never again: its media must keep the session alive, forged media must not.
    @Test func consentIsRenewedByAuthenticMedia() throws {
        let pair = EdgePair(clientRole: .client, certificates: certificates, at: testNow())
        pair.step(to: testNow())
        for second in 1..<100 {
            let (packet, header) = rtpPacket(sequence: UInt16(second), ssrc: 5, payload: [1])
            let sealed = try #require(pair.client.protectRTP(packet, headerLength: header, index: UInt64(second)))
            let now = testNow(Int64(second) * 1000)
            #expect(pair.server.receive(sealed, from: EdgePair.clientAddress, at: now) == packet)
            pair.server.advance(to: now)
        }
        #expect(pair.server.isConnected)
        for second in 100..<140 {
            var forged = rtpPacket(sequence: UInt16(second), ssrc: 5, payload: [1]).packet
            forged += Array(repeating: 1, count: 16)
            pair.server.receive(forged, from: EdgePair.clientAddress, at: testNow(Int64(second) * 1000))
            pair.server.advance(to: testNow(Int64(second) * 1000))
        }
        #expect(pair.server.signals.last == .failed(.consentLost))
    }

    /// The same inputs give the same STUN bytes: DTLS apart, a session is a function of its seed.
    @Test func checksAreReproducible() {
        func sent() -> [[UInt8]] {
            let pair = EdgePair(clientRole: .server, certificates: certificates, at: testNow())
            var datagrams: [[UInt8]] = []
            for time: Int64 in [0, 250, 750, 1750] {
                pair.client.advance(to: testNow(time))
                datagrams += pair.client.takeSent().map(\.bytes)
            }
            return datagrams
        }
        let first = sent()
        #expect(first.count == 4)
        #expect(first == sent())
        #expect(Set(first).count == 1, "a retransmission repeats the message")
    }
}
