import SwarmCore
import SwarmCrypto

/// A handshake that has DTLS 1.2's shape without its cryptography, its clock and its entropy: the same four flights of
/// about OpenSSL's sizes, retransmission by the owner's time, the fingerprint check, the choice of SRTP profile, alerts and
/// close_notify. Two sessions with the same seeds and the same arrivals send the same bytes.
///
/// What changes on the way is found as DTLS finds it: a protected record with a wrong tag is dropped, a handshake that the
/// two ends saw differently fails at Finished, a certificate that is not the announced one fails at once. It stops nobody
/// who means to deceive. Verbs: see `DTLSEndpoint`.
struct SimulatedHandshake: ~Copyable, Sendable {
    /// Bytes of each handshake message with its header, as OpenSSL 3.0 makes them with our settings (test
    /// `flightsHaveOpenSSLsSizes`): the ClientHello; the server's four messages; the client's three, without the
    /// ChangeCipherSpec and Finished that follow.
    private enum Size {
        static var hello: Int { 153 }
        static var serverFlight: Int { 627 }
        static var clientFlight: Int { 457 }
    }

    private enum Phase {
        case idle
        /// A client waits for the server's flight, a server for ClientHello.
        case opening
        /// The own flight with the certificate is out: a server waits for the client's second, a client for the last.
        case proving
        case connected
        case closed
    }

    private let certificate: SimulatedCertificate
    private let isServer: Bool
    private let remoteFingerprint: Bytes32
    private let firstTimeout: Interval
    private let random: Bytes32
    private var phase = Phase.idle
    private(set) var nextDeadline: MonotonicInstant?
    private var timeout: Interval
    private var retransmissions = 0

    private var profile: SRTPProfile?
    private var clientRandom = Bytes32.zero
    private var secret: SimulatedSecret?
    /// Every handshake message so far, own and the peer's.
    private var transcript: [UInt8] = []
    /// The client's message of its second flight has come; its Finished follows.
    private var hasClientProof = false
    /// The handshake message of the flight that is repeated until it is answered, and whether Finished goes with it.
    private var flight: (message: [UInt8], hasFinished: Bool) = ([], false)
    private var finished: [UInt8] = []
    private var sequences: (plain: UInt64, sealed: UInt64) = (0, 0)
    private var waiting: [[UInt8]] = []
    /// The last flight goes out once more at most once a call, however often the client repeats its own.
    private var hasRepeated = false

    /// After so many a handshake gives up, as OpenSSL's does.
    private static var retransmissionLimit: Int { 12 }

    init(
        certificate: SimulatedCertificate, role: DTLSRole, remoteFingerprint: Bytes32, generator: SeededGenerator,
        firstTimeout: Interval
    ) {
        // A child of its own, so that ICE's draws from the same generator stay what they are.
        var draws = generator.child(0x6474_6c73)
        self.certificate = certificate
        isServer = role == .server
        self.remoteFingerprint = remoteFingerprint
        self.firstTimeout = firstTimeout
        timeout = firstTimeout
        random = Bytes32(draws.next(), draws.next(), draws.next(), draws.next())
    }

    // MARK: Verbs

    mutating func start(at now: MonotonicInstant) -> DTLSOutcome {
        guard phase == .idle else { return .none }
        phase = .opening
        guard !isServer else { return .none }
        clientRandom = random
        var payload = random.array
        payload.append(UInt8(Self.preference.count))
        for profile in Self.preference { payload += SimulatedRecord.bytes(UInt64(profile.rawValue), count: 2) }
        send(.clientHello, number: 0, padded(payload, to: Size.hello), hasFinished: false, at: now)
        return .none
    }

    mutating func receive(_ datagram: Span<UInt8>, at now: MonotonicInstant) -> DTLSOutcome {
        hasRepeated = false
        var outcome = DTLSOutcome.none
        var offset = 0
        while offset + SimulatedRecord.headerBytes <= datagram.count, phase != .idle, phase != .closed {
            let end = offset + SimulatedRecord.headerBytes + Int(datagram.loadUInt16(at: offset + 11))
            guard end <= datagram.count else { break }
            switch receiveRecord(datagram.extracting(offset..<end), at: now) {
            case .none: break
            case let news: outcome = news
            }
            offset = end
        }
        return outcome
    }

    mutating func advance(to now: MonotonicInstant) -> DTLSOutcome {
        guard let due = nextDeadline, due <= now else { return .none }
        retransmissions += 1
        guard retransmissions <= Self.retransmissionLimit else { return fail(.handshakeFailed) }
        timeout = min(timeout * 2, max(firstTimeout, EdgeLimits.dtlsLongestTimeout))
        nextDeadline = now + timeout
        sendFlight()
        return .none
    }

    mutating func close() {
        if phase == .connected { sendAlert(level: 1, description: 0) }
        phase = .closed
        nextDeadline = nil
    }

    mutating func drain(to target: NetworkAddress, into out: inout Outbox) {
        for datagram in waiting { out.append(to: target, copying: datagram.span) }
        waiting.removeAll()
    }

    // MARK: Arrivals

    private mutating func receiveRecord(_ record: Span<UInt8>, at now: MonotonicInstant) -> DTLSOutcome {
        guard record[1] == 0xfe, record[2] == 0xfd else { return .none }
        let isProtected = record.loadUInt16(at: 3) == 1
        guard isProtected || record.loadUInt16(at: 3) == 0 else { return .none }
        var content: [UInt8]
        if isProtected {
            guard let secret,
                let opened = SimulatedRecord.open(record, secret: secret, isServer: !isServer)
            else { return .none }
            content = opened
        } else {
            content = record.extracting(SimulatedRecord.headerBytes..<record.count).copied()
        }
        switch record[0] {
        case SimulatedRecord.Kind.handshake:
            guard let message = SimulatedRecord.readMessage(content) else { return .none }
            return receive(message.kind, message.payload, whole: content, isProtected: isProtected, at: now)
        case SimulatedRecord.Kind.alert where content.count == 2:
            // Once there are keys, an alert in the clear is anybody's.
            guard phase != .connected || isProtected else { return .none }
            return receiveAlert(level: content[0], description: content[1])
        default: return .none
        }
    }

    private mutating func receiveAlert(level: UInt8, description: UInt8) -> DTLSOutcome {
        guard level == 2 || description == 0 else { return .none }
        if phase == .connected {
            close()
            return .closedByPeer
        }
        phase = .closed
        nextDeadline = nil
        return .failed(.handshakeFailed)
    }

    private mutating func receive(
        _ kind: SimulatedRecord.Message, _ payload: [UInt8], whole: [UInt8], isProtected: Bool, at now: MonotonicInstant
    ) -> DTLSOutcome {
        switch (kind, phase) {
        case (.clientHello, .opening) where isServer && !isProtected: return takeHello(payload, whole, at: now)
        case (.serverHello, .opening) where !isServer && !isProtected:
            return takeServerFlight(payload, whole, at: now)
        case (.clientKeyExchange, .proving) where isServer && !isProtected && !hasClientProof:
            return takeClientProof(payload, whole)
        case (.finished, .proving) where isProtected && (!isServer || hasClientProof):
            return takeFinished(payload, whole)
        case (.finished, .connected) where isServer && isProtected && !hasRepeated:
            // The client repeats itself: the last flight was lost (RFC 6347 §4.2.4).
            hasRepeated = true
            sendFlight()
            return .none
        default: return .none
        }
    }

    /// A server chooses by its own preference and shows its certificate.
    private mutating func takeHello(_ payload: [UInt8], _ whole: [UInt8], at now: MonotonicInstant) -> DTLSOutcome {
        guard payload.count >= 33, payload.count >= 33 + 2 * Int(payload[32]),
            let random = Bytes32(Array(payload[..<32]))
        else { return fail(.handshakeFailed) }
        let offered = (0..<Int(payload[32])).map { UInt16(payload[33 + 2 * $0]) << 8 | UInt16(payload[34 + 2 * $0]) }
        guard let chosen = Self.preference.first(where: { offered.contains($0.rawValue) }) else {
            return fail(.handshakeFailed)
        }
        profile = chosen
        clientRandom = random
        transcript = whole
        var answer = self.random.array + SimulatedRecord.bytes(UInt64(chosen.rawValue), count: 2)
        answer += certificate.publicValue.array
        answer += signature(over: answer, by: certificate.publicValue).array
        phase = .proving
        send(.serverHello, number: 0, padded(answer, to: Size.serverFlight), hasFinished: false, at: now)
        return .none
    }

    private mutating func takeServerFlight(
        _ payload: [UInt8], _ whole: [UInt8], at now: MonotonicInstant
    ) -> DTLSOutcome {
        guard payload.count >= 98, let random = Bytes32(Array(payload[..<32])),
            let chosen = SRTPProfile(rawValue: UInt16(payload[32]) << 8 | UInt16(payload[33])),
            let server = Bytes32(Array(payload[34..<66])), let proof = Bytes32(Array(payload[66..<98]))
        else { return fail(.handshakeFailed) }
        guard SimulatedCertificate.fingerprint(of: server) == remoteFingerprint else {
            return fail(.fingerprintMismatch)
        }
        guard proof == signature(over: Array(payload[..<66]), by: server) else { return fail(.handshakeFailed) }
        profile = chosen
        transcript += whole
        let secret = SimulatedSecret(
            clientRandom: clientRandom, serverRandom: random, client: certificate.publicValue, server: server)
        self.secret = secret
        var answer = certificate.publicValue.array
        answer += signature(over: answer, by: certificate.publicValue).array
        phase = .proving
        send(.clientKeyExchange, number: 1, padded(answer, to: Size.clientFlight), hasFinished: true, at: now)
        return .none
    }

    private mutating func takeClientProof(_ payload: [UInt8], _ whole: [UInt8]) -> DTLSOutcome {
        guard payload.count >= 64, let client = Bytes32(Array(payload[..<32])),
            let proof = Bytes32(Array(payload[32..<64]))
        else { return fail(.handshakeFailed) }
        guard SimulatedCertificate.fingerprint(of: client) == remoteFingerprint else {
            return fail(.fingerprintMismatch)
        }
        guard proof == signature(over: Array(payload[..<32]), by: client) else { return fail(.handshakeFailed) }
        transcript += whole
        secret = SimulatedSecret(
            clientRandom: clientRandom, serverRandom: random, client: client, server: certificate.publicValue)
        hasClientProof = true
        return .none
    }

    private mutating func takeFinished(_ payload: [UInt8], _ whole: [UInt8]) -> DTLSOutcome {
        guard let secret, let profile, payload == secret.finished(isServer: !isServer, transcriptHash()) else {
            return fail(.handshakeFailed)
        }
        if isServer {
            transcript += whole
            finished = secret.finished(isServer: true, transcriptHash())
            flight = ([], true)
            sendFlight()
        }
        phase = .connected
        nextDeadline = nil
        transcript = []
        let exported = secret.exported(profile.exportedByteCount)
        guard let keys = SRTPSessionKeys(profile: profile, exported: exported.span, isServer: isServer) else {
            return fail(.handshakeFailed)
        }
        return .connected(keys)
    }

    // MARK: Departures

    /// Begins a flight that is repeated until it is answered.
    private mutating func send(
        _ kind: SimulatedRecord.Message, number: UInt16, _ payload: [UInt8], hasFinished: Bool, at now: MonotonicInstant
    ) {
        let message = SimulatedRecord.message(kind, number: number, payload)
        transcript += message
        flight = (message, hasFinished)
        if hasFinished, let secret {
            finished = secret.finished(isServer: isServer, transcriptHash())
            // What the server's Finished covers.
            transcript += SimulatedRecord.message(.finished, number: 2, finished)
        }
        retransmissions = 0
        timeout = firstTimeout
        nextDeadline = now + timeout
        sendFlight()
    }

    private mutating func sendFlight() {
        var datagram: [UInt8] = []
        if !flight.message.isEmpty {
            datagram += SimulatedRecord.plain(
                SimulatedRecord.Kind.handshake, sequence: nextPlain(), flight.message)
        }
        if flight.hasFinished, let secret {
            datagram += SimulatedRecord.plain(SimulatedRecord.Kind.changeCipherSpec, sequence: nextPlain(), [1])
            datagram += SimulatedRecord.sealed(
                SimulatedRecord.Kind.handshake, sequence: nextSealed(),
                SimulatedRecord.message(.finished, number: 2, finished), secret: secret, isServer: isServer)
        }
        waiting.append(datagram)
    }

    /// Under the keys once the own ChangeCipherSpec is out.
    private mutating func sendAlert(level: UInt8, description: UInt8) {
        let content = [level, description]
        if let secret, flight.hasFinished {
            waiting.append(
                SimulatedRecord.sealed(
                    SimulatedRecord.Kind.alert, sequence: nextSealed(), content, secret: secret, isServer: isServer))
        } else {
            waiting.append(SimulatedRecord.plain(SimulatedRecord.Kind.alert, sequence: nextPlain(), content))
        }
    }

    /// Tells the peer (handshake_failure, bad_certificate) and ends.
    private mutating func fail(_ reason: TransportFailure) -> DTLSOutcome {
        sendAlert(level: 2, description: reason == .fingerprintMismatch ? 42 : 40)
        phase = .closed
        nextDeadline = nil
        return .failed(reason)
    }

    private mutating func nextPlain() -> UInt64 {
        defer { sequences.plain += 1 }
        return sequences.plain
    }

    private mutating func nextSealed() -> UInt64 {
        defer { sequences.sealed += 1 }
        return sequences.sealed
    }

    // MARK: Checks

    private static var preference: [SRTPProfile] { [.aes128GCM, .aes128CMSHA1With80BitTag, .aes256GCM] }

    private func transcriptHash() -> Bytes32 { Hash.blake2b256(transcript.span) }

    /// Of the handshake so far and `fields`.
    private func signature(over fields: [UInt8], by publicValue: Bytes32) -> Bytes32 {
        Hash.blake2b256(key: publicValue) { hash in
            hash.update("signature")
            hash.update(transcript.span)
            hash.update(fields.span)
        }
    }

    /// Filled with what follows from the random value, so that every session's bytes differ, as a real one's do.
    private func padded(_ payload: [UInt8], to messageBytes: Int) -> [UInt8] {
        let missing = messageBytes - SimulatedRecord.messageHeaderBytes - payload.count
        guard missing > 0 else { return payload }
        return payload + (0..<missing).map { random[$0 & 31] ^ UInt8(truncatingIfNeeded: $0) }
    }
}
