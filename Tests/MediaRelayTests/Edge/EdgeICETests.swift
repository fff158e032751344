import MediaRelay
import SwarmCore
import Testing

/// The lite agent against checks made by hand.
@Suite struct EdgeICETests {
    private let end: EdgeEnd
    private let here = NetworkAddress(ipv4: 0x0a00_0002, port: 7789)
    private let home = NetworkAddress(ipv4: 0x0a00_0001, port: 4000)
    private let away = NetworkAddress(high: 0x2001_0db8 << 32, low: 1, port: 4000)

    init() throws {
        let certificate = try DTLSCertificate(at: testNow())
        let configuration = TransportConfiguration(
            iceRole: .lite, local: EdgePair.serverCredentials, remote: EdgePair.clientCredentials,
            remoteFingerprint: .zero, dtlsRole: .client)
        end = EdgeEnd(configuration, certificate: certificate, address: here, seed: 1, at: testNow())
    }

    /// What a check carries; the defaults are a well-formed one.
    struct Check {
        var credentials = EdgePair.serverCredentials
        var password: String?
        var nominates = false
        var priority: UInt32? = 1000
        var controlling: UInt64? = 5
        var controlled: UInt64?
        var extra: STUN.Attribute?
        var unknown: UInt16?
        var kind = STUN.Kind.request
    }

    private func bytes(_ check: Check) -> [UInt8] {
        var out = Outbox(byteCapacity: 2048, datagramCapacity: 1)
        out.append(to: here, capacity: 1024) { writer in
            STUNWriter.begin(check.kind, STUNTransactionID(high: 1, low: 2), &writer)
            let local = Array(check.credentials.usernameFragment.utf8)
            let remote = Array("clie".utf8)
            STUNWriter.appendUsername(local.span, remote.span, &writer)
            if let priority = check.priority { STUNWriter.append(.priority, priority, &writer) }
            if let value = check.controlling { STUNWriter.append(.iceControlling, value, &writer) }
            if let value = check.controlled { STUNWriter.append(.iceControlled, value, &writer) }
            if check.nominates { STUNWriter.appendUseCandidate(&writer) }
            if let unknown = check.unknown {
                writer.append(unknown)
                writer.append(UInt16(0))
            }
            STUNWriter.finish(HMACSHA1Key(check.password ?? check.credentials.password), &writer)
        }
        return out.bytes(of: 0).copied()
    }

    /// The kind and error code of the only reply, or nil when there is none.
    private func reply(
        to check: Check, from source: NetworkAddress, at time: Int64 = 0
    ) -> (STUN.Kind, UInt16?)? {
        end.receive(bytes(check), from: source, at: testNow(time))
        guard let sent = end.takeSent().first(where: { $0.bytes[0] < 4 }) else { return nil }
        guard sent.destination == source, let message = STUNMessage(sent.bytes.span) else { return nil }
        guard message.verifyIntegrity(HMACSHA1Key(check.credentials.password)) else { return nil }
        if message.kind == .success, message.xorMappedAddress != source { return nil }
        return (message.kind, message.errorCode)
    }

    @Test func answersAndLearnsTheAddress() {
        let answer = reply(to: Check(), from: home)
        #expect(answer?.0 == .success)
        #expect(end.signals == [.addressValidated(home, replacing: nil)])
        #expect(end.remoteAddress == home)
        #expect(reply(to: Check(), from: home)?.0 == .success)
        #expect(end.signals.count == 1)
    }

    /// FFmpeg sends neither PRIORITY nor ICE-CONTROLLING.
    @Test func answersABareCheckAndStartsDTLS() {
        end.receive(bytes(Check(priority: nil, controlling: nil)), from: home, at: testNow())
        let sent = end.takeSent()
        #expect(sent.count == 2)
        #expect(sent.first?.bytes.first == 1)
        #expect(sent.last?.bytes.first == 22, "as DTLS client it sends its ClientHello at once")
        #expect(sent.last?.destination == home)
    }

    @Test func followsTheNewestNomination() {
        _ = reply(to: Check(), from: home)
        _ = reply(to: Check(), from: away)
        #expect(end.remoteAddress == home)
        _ = reply(to: Check(nominates: true), from: away)
        #expect(end.remoteAddress == away)
        _ = reply(to: Check(), from: home)
        #expect(end.remoteAddress == away)
        _ = reply(to: Check(nominates: true), from: home)
        #expect(end.remoteAddress == home)
        #expect(end.addresses == [home, away])
    }

    @Test func silentTowardsStrangers() {
        let stranger = ICECredentials(usernameFragment: "nobo", password: "nobody-password-22-chars")
        #expect(reply(to: Check(credentials: stranger), from: home) == nil)
        #expect(reply(to: Check(password: "wrong"), from: home) == nil)
        #expect(reply(to: Check(kind: .indication), from: home) == nil)
        #expect(reply(to: Check(kind: .success), from: home) == nil)
        #expect(reply(to: Check(kind: .error), from: home) == nil)
        #expect(end.refused(.stunUnknownUsername) == 1)
        #expect(end.refused(.stunUnauthenticated) == 1)
        #expect(end.refused(.stunUnexpected) == 1)
        #expect(end.refused(.stunUnmatchedResponse) == 2)
        #expect(end.signals.isEmpty)
        #expect(end.remoteAddress == nil)
    }

    @Test func answersErrorsWhereTheStandardAsks() {
        let unknown = reply(to: Check(unknown: 0x7fff), from: home)
        #expect(unknown?.0 == .error && unknown?.1 == 420)
        let optional = reply(to: Check(unknown: 0xffee), from: home)
        #expect(optional?.0 == .success)
        let conflict = reply(to: Check(controlling: nil, controlled: 1), from: away)
        #expect(conflict?.0 == .error && conflict?.1 == 487)
        #expect(end.addresses == [home])
        #expect(end.refused(.stunUnknownAttribute) == 1)
        #expect(end.refused(.stunRoleConflict) == 1)
    }

    @Test func boundsItsAddresses() {
        _ = reply(to: Check(nominates: true), from: home)
        for port in UInt16(1)...20 { _ = reply(to: Check(), from: home.withPort(port), at: Int64(port)) }
        #expect(end.addresses.count == EdgeLimits.addressesPerSession)
        #expect(end.addresses.contains(home), "the selected address stays")
        #expect(end.signals.last == .addressValidated(home.withPort(20), replacing: home.withPort(13)))
    }

    @Test func restartAcceptsTheOldUntilTheNewIsUsed() {
        _ = reply(to: Check(nominates: true), from: home)
        let fresh = ICECredentials(usernameFragment: "new1", password: "new-password-of-22-chars")
        end.restart(local: fresh, remote: EdgePair.clientCredentials, at: testNow())
        #expect(end.accepts("serv") && end.accepts("new1") && !end.accepts("other"))
        #expect(reply(to: Check(), from: home)?.0 == .success)
        #expect(reply(to: Check(credentials: fresh, nominates: true), from: away)?.0 == .success)
        #expect(end.remoteAddress == away)
        #expect(reply(to: Check(), from: home) == nil)
        #expect(!end.accepts("serv"))
    }

    @Test func dtlsNeedsACheckFirst() {
        end.receive([22, 0xfe, 0xff] + Array(repeating: 0, count: 60), from: home, at: testNow())
        #expect(end.refused(.dtlsFromUnvalidatedAddress) == 1)
        _ = reply(to: Check(), from: home)
        end.receive([22, 3, 3] + Array(repeating: 0, count: 60), from: home, at: testNow())
        #expect(end.refused(.dtlsMalformed) == 1)
        end.receive([0x80, 96, 0, 1] + Array(repeating: 0, count: 60), from: home, at: testNow())
        #expect(end.refused(.mediaBeforeKeys) == 1)
    }
}
