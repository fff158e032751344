import COpenSSL
import SwarmCore

/// The handshake as OpenSSL does it: an SSL object between two memory buffers, with OpenSSL's randomness and, in its
/// retransmission timer, a clock of its own (`gettimeofday`). Verbs: see `DTLSEndpoint`.
@safe struct OpenSSLHandshake: ~Copyable, @unchecked Sendable {
    // Unchecked: the SSL object and its state block have one owner and are touched only through it.
    private let ssl: OpaquePointer
    private let callbackState: UnsafeMutablePointer<edge_dtls_state>
    private let isServer: Bool
    /// Keeps the SSL context's owner alive as long as its sessions.
    private let context: DTLSContext
    private var phase = Phase.idle
    /// When OpenSSL wants to retransmit, in the owner's time.
    private(set) var nextDeadline: MonotonicInstant?

    private enum Phase {
        case idle
        case handshaking
        case connected
        case closed
    }

    /// `firstTimeout` is the first retransmission's delay; it doubles. Traps only when memory is exhausted.
    init(
        context: DTLSContext, role: DTLSRole, remoteFingerprint: Bytes32, firstTimeout: Interval
    ) {
        self.context = context
        isServer = role == .server
        unsafe callbackState = UnsafeMutablePointer<edge_dtls_state>.allocate(capacity: 1)
        unsafe callbackState.initialize(to: edge_dtls_state())
        unsafe withUnsafeMutableBytes(of: &callbackState.pointee.expected_fingerprint) { bytes in
            for index in 0..<32 { unsafe bytes[index] = remoteFingerprint[index] }
        }
        unsafe callbackState.pointee.first_timeout_us = UInt32(clamping: firstTimeout.nanoseconds / 1000)
        unsafe callbackState.pointee.longest_timeout_us =
            UInt32(clamping: max(firstTimeout, EdgeLimits.dtlsLongestTimeout).nanoseconds / 1000)
        guard
            let ssl = unsafe edge_dtls_new(
                context.unsafeContext, callbackState, isServer ? 1 : 0, EdgeLimits.dtlsDatagramBytes)
        else { preconditionFailure("out of memory") }
        unsafe self.ssl = ssl
    }

    deinit {
        unsafe SSL_free(ssl)
        unsafe callbackState.deinitialize(count: 1)
        unsafe callbackState.deallocate()
    }

    /// RFC 6347 §4.1: type, version, epoch and sequence number in 11 bytes, then the length.
    private static var recordHeaderBytes: Int { 13 }

    var isStarted: Bool { phase != .idle }

    // MARK: Verbs

    /// A client sends its first flight, a server begins to listen. Once.
    mutating func start(at now: MonotonicInstant) -> DTLSOutcome {
        guard phase == .idle else { return .none }
        phase = .handshaking
        return progress(at: now)
    }

    /// Handles one datagram of DTLS records, one record at a time: OpenSSL 3.0 forgets the rest of a datagram behind a
    /// handshake message that it has seen before, and a flight behind a late ClientHello would cost a time-out. What
    /// follows the last whole record is ignored (RFC 6347 §4.1.2.7).
    mutating func receive(_ datagram: Span<UInt8>, at now: MonotonicInstant) -> DTLSOutcome {
        var outcome = DTLSOutcome.none
        var offset = 0
        while offset + Self.recordHeaderBytes <= datagram.count, phase == .handshaking || phase == .connected {
            let end = offset + Self.recordHeaderBytes + Int(datagram.loadUInt16(at: offset + 11))
            guard end <= datagram.count else { break }
            switch receiveRecord(datagram.extracting(offset..<end), at: now) {
            case .none: break
            case let news: outcome = news
            }
            offset = end
        }
        return outcome
    }

    private mutating func receiveRecord(_ record: Span<UInt8>, at now: MonotonicInstant) -> DTLSOutcome {
        let written = unsafe record.withUnsafeBufferPointer { bytes in
            unsafe BIO_write(SSL_get_rbio(ssl), bytes.baseAddress, Int32(bytes.count))
        }
        guard written == Int32(record.count) else { return .none }
        let outcome = progress(at: now)
        unsafe edge_dtls_reset_input(ssl)
        return outcome
    }

    /// Retransmits when due; early is a no-op. Afterwards no deadline at or before `now` remains.
    mutating func advance(to now: MonotonicInstant) -> DTLSOutcome {
        guard let deadline = nextDeadline, deadline <= now else { return .none }
        guard phase == .handshaking || phase == .connected else {
            nextDeadline = nil
            return .none
        }
        ERR_clear_error()
        // -1 after twelve retransmissions: some twenty seconds, when the session's own time-out ends it anyway.
        guard unsafe edge_dtls_handle_timeout(ssl) >= 0 else { return fail() }
        return progress(at: now)
    }

    /// Says close_notify, if there is anybody to say it to.
    mutating func close() {
        if phase == .connected {
            ERR_clear_error()
            _ = unsafe SSL_shutdown(ssl)
        }
        phase = .closed
        nextDeadline = nil
    }

    /// Moves what waits to be sent into `out`, cut at record boundaries into datagrams of at most 1,200 bytes.
    mutating func drain(to target: NetworkAddress, into out: inout Outbox) {
        var start: UnsafeMutablePointer<UInt8>?
        let count = unsafe edge_dtls_output(ssl, &start)
        guard let base = unsafe start, count > 0 else { return }
        let flight = unsafe Span(_unsafeStart: base, count: count)
        var datagramStart = 0
        var offset = 0
        while offset + Self.recordHeaderBytes <= flight.count {
            let end = min(offset + Self.recordHeaderBytes + Int(flight.loadUInt16(at: offset + 11)), flight.count)
            if end - datagramStart > EdgeLimits.dtlsDatagramBytes, offset > datagramStart {
                out.append(to: target, copying: flight.extracting(datagramStart..<offset))
                datagramStart = offset
            }
            offset = end
        }
        if offset > datagramStart { out.append(to: target, copying: flight.extracting(datagramStart..<offset)) }
        unsafe edge_dtls_reset_output(ssl)
    }

    // MARK: OpenSSL

    private mutating func progress(at now: MonotonicInstant) -> DTLSOutcome {
        defer { scheduleRetransmission(at: now) }
        ERR_clear_error()
        if phase == .handshaking {
            let result = unsafe SSL_do_handshake(ssl)
            guard result == 1 else {
                let reason = unsafe SSL_get_error(ssl, result)
                return reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE ? .none : fail()
            }
            guard unsafe callbackState.pointee.fingerprint_verified == 1, let keys = exportKeys() else { return fail() }
            phase = .connected
            return .connected(keys)
        }
        return readRecords()
    }

    /// After the handshake: alerts, late retransmissions (which OpenSSL answers itself) and application data, which is
    /// discarded. Bounded by what one record holds.
    private mutating func readRecords() -> DTLSOutcome {
        var scratch = InlineArray<256, UInt8>(repeating: 0)
        for _ in 0..<EdgeLimits.readsPerRecord {
            let result = unsafe withUnsafeMutableBytes(of: &scratch) { bytes in
                unsafe SSL_read(ssl, bytes.baseAddress, Int32(bytes.count))
            }
            if result > 0 { continue }
            switch unsafe SSL_get_error(ssl, result) {
            case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE:
                return .none
            case SSL_ERROR_ZERO_RETURN:
                close()
                return .closedByPeer
            default:
                // A fatal alert: whatever its reason, the peer is gone.
                _ = fail()
                return .closedByPeer
            }
        }
        return .none
    }

    private mutating func fail() -> DTLSOutcome {
        ERR_clear_error()
        let mismatch = unsafe callbackState.pointee.fingerprint_mismatch != 0
        phase = .closed
        nextDeadline = nil
        return .failed(mismatch ? .fingerprintMismatch : .handshakeFailed)
    }

    private mutating func scheduleRetransmission(at now: MonotonicInstant) {
        guard phase == .handshaking || phase == .connected else {
            nextDeadline = nil
            return
        }
        let left = unsafe edge_dtls_timeout_us(ssl)
        // OpenSSL calls anything below 15 ms zero; a millisecond keeps the deadline in the future.
        nextDeadline = left < 0 ? nil : now + .microseconds(max(left, 1000))
    }

    /// RFC 5764 §4.2.
    private func exportKeys() -> SRTPSessionKeys? {
        let number = unsafe edge_dtls_srtp_profile(ssl)
        guard let profile = SRTPProfile(rawValue: UInt16(truncatingIfNeeded: number)) else { return nil }
        var exported: [UInt8] = Array(repeating: 0, count: profile.exportedByteCount)
        let label = "EXTRACTOR-dtls_srtp"
        let done = unsafe SSL_export_keying_material(
            ssl, &exported, exported.count, label, label.utf8.count, nil, 0, 0)
        guard done == 1 else { return nil }
        return SRTPSessionKeys(profile: profile, exported: exported.span, isServer: isServer)
    }
}
