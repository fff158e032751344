import SwarmCore

/// ICE, DTLS and SRTP of one client's session, without socket, clock or thread.
///
/// Call order: `init`; then for each datagram of the session, by its first byte (RFC 7983), `handleSTUN`, `handleDTLS`,
/// `unprotectRTP` or `unprotectRTCP`; `protectRTP` and `protectRTCP` for what is sent to `remoteAddress` once
/// `isConnected`; `advance` when `nextDeadline` has come (early is a no-op, an older `now` too); `close` at the end. A
/// signal that ends the session is given once; afterwards every verb is a no-op and no deadline remains.
///
/// The owner keeps the tables by which a datagram finds its session: the local username fragment for STUN, and the
/// addresses announced by `.addressValidated` for everything else. Refused datagrams are counted in `refusals`.
package struct EdgeTransport: ~Copyable, Sendable {
    private var ice: ICEAgent
    private var dtls: DTLSEndpoint?
    /// `dtls?.nextDeadline`, kept here because a noncopyable optional cannot be read through.
    private var handshakeDeadline: MonotonicInstant?
    private var srtp: Boxed<SRTPContext>?
    private let dtlsRole: DTLSRole
    private var phase = Phase.connecting
    /// ICE and DTLS must be done by then.
    private let connectDeadline: MonotonicInstant
    /// When consent runs out if nothing more is heard. Media only moves `ICEAgent.lastHeard`; this moves when it is due.
    private var consentDeadline: MonotonicInstant
    private let hasConsentTimeout: Bool
    package private(set) var refusals = Counters<EdgeRefusal>()

    private enum Phase {
        case connecting
        case connected
        case ended
    }

    /// The room a packet's protection may take behind it.
    package static var rtpOverhead: Int { SRTPContext.rtpOverhead }
    package static var rtcpOverhead: Int { SRTPContext.rtcpOverhead }

    /// A session that will connect. `generator` is this session's own (transaction ids, tie-breaker, jitter).
    /// `dtlsFirstTimeout` is shortened by tests that run over a lossy wire in real time.
    package init(
        configuration: TransportConfiguration, certificate: DTLSCertificate, generator: SeededGenerator, at now: Now,
        dtlsFirstTimeout: Interval = EdgeLimits.dtlsFirstTimeout
    ) {
        ice = ICEAgent(configuration: configuration, generator: generator, at: now.monotonic)
        dtls = DTLSEndpoint(
            certificate: certificate, role: configuration.dtlsRole,
            remoteFingerprint: configuration.remoteFingerprint, generator: generator, firstTimeout: dtlsFirstTimeout)
        dtlsRole = configuration.dtlsRole
        connectDeadline = now.monotonic + EdgeLimits.connectTimeout
        consentDeadline = now.monotonic + EdgeLimits.consentTimeout
        hasConsentTimeout = true
    }

    /// A session that is connected from the start, with keys agreed elsewhere: for benches, tests and the simulator.
    /// It has no DTLS and answers STUN only for the empty username; consent never runs out.
    package init(testKeys keys: SRTPSessionKeys, remoteAddress: NetworkAddress, at now: Now) {
        let nobody = ICECredentials(usernameFragment: "", password: "")
        let configuration = TransportConfiguration(
            iceRole: .lite, local: nobody, remote: nobody, remoteFingerprint: .zero, dtlsRole: .server)
        ice = ICEAgent(configuration: configuration, generator: SeededGenerator(seed: 0), at: now.monotonic)
        ice.adopt(remoteAddress, at: now.monotonic)
        dtls = nil
        srtp = Boxed(SRTPContext(keys))
        dtlsRole = .server
        phase = .connected
        connectDeadline = .distantFuture
        consentDeadline = .distantFuture
        hasConsentTimeout = false
    }

    // MARK: Arrivals

    /// Handles a datagram whose first byte is 0…3.
    package mutating func handleSTUN(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, at now: Now, into out: inout Outbox
    ) -> TransportSignal {
        guard phase != .ended else { return .none }
        let outcome = ice.receive(datagram.span, from: source, at: now.monotonic, into: &out, refusals: &refusals)
        startHandshakeIfReady(at: now.monotonic, into: &out)
        switch outcome {
        case .none: return .none
        case .validated(let address, let replaced): return .addressValidated(address, replacing: replaced)
        }
    }

    /// Handles a datagram whose first byte is 20…63.
    package mutating func handleDTLS(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, at now: Now, into out: inout Outbox
    ) -> TransportSignal {
        guard phase != .ended else { return .none }
        guard ice.isValidated(source) else {
            refusals.add(.dtlsFromUnvalidatedAddress)
            return .none
        }
        guard datagram.count >= 13, datagram[0] >= 20, datagram[0] <= 63, datagram[1] == 0xfe else {
            refusals.add(.dtlsMalformed)
            return .none
        }
        let outcome = dtls?.receive(datagram.span, at: now.monotonic) ?? .none
        return conclude(outcome, at: now.monotonic, into: &out)
    }

    /// Authenticates and decrypts a packet in place. Returns the RTP packet's length, or nil after counting why not.
    @_lifetime(packet: copy packet)
    package mutating func unprotectRTP(_ packet: inout MutableSpan<UInt8>, at now: Now) -> Int? {
        guard let count = srtp?.value.unprotectRTP(&packet, refusals: &refusals) else {
            if srtp == nil { refusals.add(.mediaBeforeKeys) }
            return nil
        }
        ice.heard(at: now.monotonic)
        return count
    }

    /// Authenticates and decrypts a packet in place. Returns the compound packet's length, or nil after counting why not.
    @_lifetime(packet: copy packet)
    package mutating func unprotectRTCP(_ packet: inout MutableSpan<UInt8>, at now: Now) -> Int? {
        guard let count = srtp?.value.unprotectRTCP(&packet, refusals: &refusals) else {
            if srtp == nil { refusals.add(.mediaBeforeKeys) }
            return nil
        }
        ice.heard(at: now.monotonic)
        return count
    }

    // MARK: Departures

    /// Protects the RTP packet in the first `count` bytes of `packet` in place; behind it there must be room for
    /// `rtpOverhead`. `index` is the source's 48-bit packet index: roll-over counter (0 at first) and sequence number.
    /// Protecting the same packet under the same index again gives the same bytes; another packet under an index that
    /// was used would give the key away. Returns the new length, or nil before the keys are there or without room.
    @_lifetime(packet: copy packet)
    package mutating func protectRTP(
        _ packet: inout MutableSpan<UInt8>, count: Int, headerLength: Int, index: UInt64
    ) -> Int? {
        srtp?.value.protectRTP(&packet, count: count, headerLength: headerLength, index: index) ?? nil
    }

    /// Protects the compound RTCP packet in the first `count` bytes of `packet`; room for `rtcpOverhead` behind it.
    @_lifetime(packet: copy packet)
    package mutating func protectRTCP(_ packet: inout MutableSpan<UInt8>, count: Int) -> Int? {
        srtp?.value.protectRTCP(&packet, count: count) ?? nil
    }

    // MARK: Time

    /// Runs every timer that is due.
    package mutating func advance(to now: Now, into out: inout Outbox) -> TransportSignal {
        guard phase != .ended else { return .none }
        let instant = now.monotonic
        if phase == .connecting, instant >= connectDeadline { return end(.failed(.neverConnected), into: &out) }
        if hasConsentTimeout, instant >= consentDeadline {
            consentDeadline = (ice.lastHeard ?? connectDeadline) + EdgeLimits.consentTimeout
            if instant >= consentDeadline { return end(.failed(.consentLost), into: &out) }
        }
        ice.advance(to: instant, into: &out)
        let outcome = dtls?.advance(to: instant) ?? .none
        return conclude(outcome, at: instant, into: &out)
    }

    package var nextDeadline: MonotonicInstant? {
        guard phase != .ended else { return nil }
        var deadline = Deadline.earlier(ice.nextDeadline, handshakeDeadline)
        if phase == .connecting { deadline = Deadline.earlier(deadline, connectDeadline) }
        if hasConsentTimeout { deadline = Deadline.earlier(deadline, consentDeadline) }
        return deadline
    }

    // MARK: Changes from above

    /// Says goodbye (close_notify) if connected, and ends. The owner removes the session.
    package mutating func close(into out: inout Outbox) {
        guard phase != .ended else { return }
        _ = end(.none, into: &out)
    }

    /// ICE restart (RFC 8445 §2.4): the new credentials count at once, the old ones are accepted until the first check
    /// with the new. DTLS and keys stay.
    package mutating func restart(local: ICECredentials, remote: ICECredentials, at now: Now) {
        ice.restart(local: local, remote: remote, at: now.monotonic)
    }

    // MARK: Reading

    package var isConnected: Bool { phase == .connected }
    package var hasEnded: Bool { phase == .ended }
    /// Where to send: the address the peer nominated last, else the first it was heard from.
    package var remoteAddress: NetworkAddress? { ice.selected }
    /// The addresses whose datagrams belong to this session, for clearing the owner's table.
    package var validatedAddressCount: Int { ice.addressCount }
    package func validatedAddress(at index: Int) -> NetworkAddress { ice.address(at: index) }
    /// Whether `username`, the part of USERNAME before the colon, names this session.
    package func accepts(username: Span<UInt8>) -> Bool { ice.accepts(username: username) }

    // MARK: Private

    /// DTLS begins with the first validated address: before, a stranger could make us send to anybody (and as server
    /// there is nothing to send).
    private mutating func startHandshakeIfReady(at now: MonotonicInstant, into out: inout Outbox) {
        guard ice.selected != nil, dtls?.isStarted == false else { return }
        _ = dtls?.start(at: now)
        drainHandshake(into: &out)
    }

    private mutating func conclude(
        _ outcome: DTLSOutcome, at now: MonotonicInstant, into out: inout Outbox
    ) -> TransportSignal {
        drainHandshake(into: &out)
        switch outcome {
        case .none:
            return .none
        case .connected(let keys):
            srtp = Boxed(SRTPContext(keys))
            phase = .connected
            ice.heard(at: now)
            return .connected
        case .closedByPeer:
            return end(.closedByPeer, into: &out)
        case .failed(let reason):
            return end(.failed(reason), into: &out)
        }
    }

    private mutating func drainHandshake(into out: inout Outbox) {
        if let target = ice.selected { dtls?.drain(to: target, into: &out) }
        handshakeDeadline = dtls?.nextDeadline ?? nil
    }

    private mutating func end(_ signal: TransportSignal, into out: inout Outbox) -> TransportSignal {
        dtls?.close()
        drainHandshake(into: &out)
        phase = .ended
        dtls = nil
        srtp = nil
        return signal
    }
}
