import SwarmCore

/// What a call into a handshake led to.
enum DTLSOutcome {
    case none
    case connected(SRTPSessionKeys)
    case closedByPeer
    case failed(TransportFailure)
}

/// One end of DTLS 1.2 for SRTP (RFC 5764, RFC 6347).
///
/// Verbs: `start`, `receive`, `advance`, `close`; after each the owner calls `drain`, which cuts what is to be sent into
/// datagrams. The handshake is the one part of the edge whose C library has its own randomness and its own clock;
/// `EdgeTransport` therefore reaches it through these verbs only, and the certificate it is made with decides, once, whether
/// OpenSSL or a simulated handshake is behind them. Packets of media never come here.
struct DTLSEndpoint: ~Copyable, Sendable {
    // Exactly one is there.
    private var library: Boxed<OpenSSLHandshake>?
    private var simulated: Boxed<SimulatedHandshake>?
    private(set) var isStarted = false
    /// When a flight is to be sent again, in the owner's time.
    private(set) var nextDeadline: MonotonicInstant?

    /// `firstTimeout` is the first retransmission's delay; it doubles. `generator` is drawn from by a simulated handshake
    /// only. Traps only when memory is exhausted.
    init(
        certificate: DTLSCertificate, role: DTLSRole, remoteFingerprint: Bytes32, generator: SeededGenerator,
        firstTimeout: Interval = EdgeLimits.dtlsFirstTimeout
    ) {
        switch certificate.kind {
        case .openSSL(let context):
            library = Boxed(
                OpenSSLHandshake(
                    context: context, role: role, remoteFingerprint: remoteFingerprint, firstTimeout: firstTimeout))
        case .simulated(let own):
            simulated = Boxed(
                SimulatedHandshake(
                    certificate: own, role: role, remoteFingerprint: remoteFingerprint, generator: generator,
                    firstTimeout: firstTimeout))
        }
    }

    // MARK: Verbs

    /// A client sends its first flight, a server begins to listen. Once.
    mutating func start(at now: MonotonicInstant) -> DTLSOutcome {
        isStarted = true
        if let outcome = library?.value.start(at: now) { return settle(outcome) }
        if let outcome = simulated?.value.start(at: now) { return settle(outcome) }
        return .none
    }

    /// Handles one datagram of DTLS records.
    mutating func receive(_ datagram: Span<UInt8>, at now: MonotonicInstant) -> DTLSOutcome {
        if let outcome = library?.value.receive(datagram, at: now) { return settle(outcome) }
        if let outcome = simulated?.value.receive(datagram, at: now) { return settle(outcome) }
        return .none
    }

    /// Retransmits when due; early is a no-op. Afterwards no deadline at or before `now` remains.
    mutating func advance(to now: MonotonicInstant) -> DTLSOutcome {
        guard let deadline = nextDeadline, deadline <= now else { return .none }
        if let outcome = library?.value.advance(to: now) { return settle(outcome) }
        if let outcome = simulated?.value.advance(to: now) { return settle(outcome) }
        return .none
    }

    /// Says close_notify, if there is anybody to say it to.
    mutating func close() {
        library?.value.close()
        simulated?.value.close()
        nextDeadline = nil
    }

    /// Moves what waits to be sent into `out`, cut at record boundaries into datagrams of at most 1,200 bytes.
    mutating func drain(to target: NetworkAddress, into out: inout Outbox) {
        library?.value.drain(to: target, into: &out)
        simulated?.value.drain(to: target, into: &out)
    }

    private mutating func settle(_ outcome: DTLSOutcome) -> DTLSOutcome {
        // A noncopyable optional cannot be read through: the deadline is copied after every verb that moves it.
        nextDeadline = library?.value.nextDeadline ?? nil
        if let deadline = simulated?.value.nextDeadline { nextDeadline = deadline }
        return outcome
    }
}
