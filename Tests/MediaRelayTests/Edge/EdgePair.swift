import MediaRelay
import SwarmCore

/// One transport behind a reference, with its outbox and what it signalled.
final class EdgeEnd {
    private var transport: EdgeTransport
    private var out = Outbox(byteCapacity: 64 * 1024, datagramCapacity: 64)
    let address: NetworkAddress
    var signals: [TransportSignal] = []

    init(
        _ configuration: TransportConfiguration, certificate: DTLSCertificate, address: NetworkAddress, seed: UInt64,
        at now: Now, dtlsFirstTimeout: Interval = EdgeLimits.dtlsFirstTimeout
    ) {
        self.address = address
        transport = EdgeTransport(
            configuration: configuration, certificate: certificate, generator: SeededGenerator(seed: seed), at: now,
            dtlsFirstTimeout: dtlsFirstTimeout)
    }

    var isConnected: Bool { transport.isConnected }
    var hasEnded: Bool { transport.hasEnded }
    var remoteAddress: NetworkAddress? { transport.remoteAddress }
    var nextDeadline: MonotonicInstant? { transport.nextDeadline }
    var addresses: [NetworkAddress] {
        var found: [NetworkAddress] = []
        for index in 0..<transport.validatedAddressCount { found.append(transport.validatedAddress(at: index)) }
        return found
    }
    func refused(_ reason: EdgeRefusal) -> UInt64 { transport.refusals[reason] }
    func accepts(_ fragment: String) -> Bool {
        let utf8 = Array(fragment.utf8)
        return transport.accepts(username: utf8.span)
    }

    /// Demultiplexes as a worker does (RFC 7983). Returns the plaintext of media.
    @discardableResult
    func receive(_ datagram: [UInt8], from source: NetworkAddress, at now: Now) -> [UInt8]? {
        var bytes = datagram
        var span = bytes.mutableSpan
        guard let first = datagram.first else { return nil }
        switch first {
        case 0...3: note(transport.handleSTUN(&span, from: source, at: now, into: &out))
        case 20...63: note(transport.handleDTLS(&span, from: source, at: now, into: &out))
        case 128...191:
            let isControl = datagram.count > 1 && (192...223).contains(datagram[1])
            let count = isControl ? transport.unprotectRTCP(&span, at: now) : transport.unprotectRTP(&span, at: now)
            return count.map { Array(bytes.prefix($0)) }
        default: break
        }
        return nil
    }

    /// Hands the datagram to every verb, whatever its first byte.
    func receiveEverywhere(_ datagram: [UInt8], from source: NetworkAddress, at now: Now) {
        var bytes = datagram
        var span = bytes.mutableSpan
        note(transport.handleSTUN(&span, from: source, at: now, into: &out))
        note(transport.handleDTLS(&span, from: source, at: now, into: &out))
        _ = transport.unprotectRTP(&span, at: now)
        _ = transport.unprotectRTCP(&span, at: now)
    }

    func advance(to now: Now) { note(transport.advance(to: now, into: &out)) }
    func close() { transport.close(into: &out) }
    func restart(local: ICECredentials, remote: ICECredentials, at now: Now) {
        transport.restart(local: local, remote: remote, at: now)
    }

    func protectRTP(_ packet: [UInt8], headerLength: Int, index: UInt64) -> [UInt8]? {
        var buffer = packet + Array(repeating: 0, count: EdgeTransport.rtpOverhead)
        var span = buffer.mutableSpan
        let count = transport.protectRTP(&span, count: packet.count, headerLength: headerLength, index: index)
        return count.map { Array(buffer.prefix($0)) }
    }

    func protectRTCP(_ packet: [UInt8]) -> [UInt8]? {
        var buffer = packet + Array(repeating: 0, count: EdgeTransport.rtcpOverhead)
        var span = buffer.mutableSpan
        let count = transport.protectRTCP(&span, count: packet.count)
        return count.map { Array(buffer.prefix($0)) }
    }

    func takeSent() -> [(destination: NetworkAddress, bytes: [UInt8])] {
        var sent: [(destination: NetworkAddress, bytes: [UInt8])] = []
        for index in 0..<out.count {
            let bytes = out.bytes(of: index).copied()
            sent.append((out.destination(of: index), bytes))
        }
        out.removeAll()
        return sent
    }

    private func note(_ signal: TransportSignal) {
        if signal != .none { signals.append(signal) }
    }
}

/// A controlling client and a lite server over a virtual wire.
final class EdgePair {
    static let clientAddress = NetworkAddress(ipv4: 0x0a00_0001, port: 4000)
    static let serverAddress = NetworkAddress(ipv4: 0x0a00_0002, port: 7789)
    static let clientCredentials = ICECredentials(usernameFragment: "clie", password: "client-password-22-chars")
    static let serverCredentials = ICECredentials(usernameFragment: "serv", password: "server-password-22-chars")

    let client: EdgeEnd
    let server: EdgeEnd
    private var generator: SeededGenerator
    private let lossPercent: Int
    private(set) var largestDatagram = 0

    /// `wrongFingerprintAt`: which end was told a wrong fingerprint.
    init(
        clientRole: DTLSRole, certificates: (client: DTLSCertificate, server: DTLSCertificate), at now: Now,
        wrongFingerprintAt wrong: DTLSRole? = nil, lossPercent: Int = 0, seed: UInt64 = 1
    ) {
        self.lossPercent = lossPercent
        generator = SeededGenerator(seed: seed)
        // Lossy wires run in real time (OpenSSL's timer): do not dawdle.
        let timeout = lossPercent > 0 ? Interval.milliseconds(20) : EdgeLimits.dtlsFirstTimeout
        let serverRole: DTLSRole = clientRole == .client ? .server : .client
        let bad = Bytes32(1, 2, 3, 4)
        let clientConfiguration = TransportConfiguration(
            iceRole: .controlling, local: Self.clientCredentials, remote: Self.serverCredentials,
            remoteFingerprint: wrong == clientRole ? bad : certificates.server.fingerprint, dtlsRole: clientRole,
            remoteCandidates: [Self.serverAddress])
        let serverConfiguration = TransportConfiguration(
            iceRole: .lite, local: Self.serverCredentials, remote: Self.clientCredentials,
            remoteFingerprint: wrong == serverRole ? bad : certificates.client.fingerprint, dtlsRole: serverRole)
        client = EdgeEnd(
            clientConfiguration, certificate: certificates.client, address: Self.clientAddress, seed: seed &+ 1,
            at: now, dtlsFirstTimeout: timeout
        )
        server = EdgeEnd(
            serverConfiguration, certificate: certificates.server, address: Self.serverAddress, seed: seed &+ 2,
            at: now, dtlsFirstTimeout: timeout
        )
    }

    /// Carries what both ends have sent until the wire is empty.
    func deliver(at now: Now) {
        var isBusy = true
        while isBusy {
            isBusy = false
            for (from, to) in [(client, server), (server, client)] {
                for (destination, bytes) in from.takeSent() where destination == to.address {
                    isBusy = true
                    largestDatagram = max(largestDatagram, bytes.count)
                    if generator.integer(below: 100) < lossPercent { continue }
                    to.receive(bytes, from: from.address, at: now)
                }
            }
        }
    }

    func step(to now: Now) {
        client.advance(to: now)
        server.advance(to: now)
        deliver(at: now)
    }

    var isConnected: Bool { client.isConnected && server.isConnected }

    /// RTP both ways under every index of `indices`, RTCP both ways; true when all arrived intact.
    func carriesMedia(indices: Range<UInt64>, at now: Now) -> Bool {
        for (from, to) in [(client, server), (server, client)] {
            for index in indices {
                let (packet, header) = rtpPacket(
                    sequence: UInt16(truncatingIfNeeded: index), ssrc: 5, payload: Array(repeating: 7, count: 300))
                guard let sealed = from.protectRTP(packet, headerLength: header, index: index),
                    to.receive(sealed, from: from.address, at: now) == packet
                else { return false }
            }
            let report: [UInt8] = [0x80, 201, 0, 1, 0, 0, 0, 5]
            guard let sealed = from.protectRTCP(report), to.receive(sealed, from: from.address, at: now) == report
            else {
                return false
            }
        }
        return true
    }
}
