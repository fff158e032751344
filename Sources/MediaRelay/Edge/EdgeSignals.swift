import SwarmCore

/// What a call into an `EdgeTransport` means for its owner. At most one per call.
package enum TransportSignal: Sendable, Hashable {
    case none
    /// A correct connectivity check came from (or was answered by) `address` for the first time: datagrams from it
    /// belong to this session from now on. `replacing` is the least recently heard address, forgotten to make room.
    case addressValidated(NetworkAddress, replacing: NetworkAddress?)
    /// DTLS is done and the keys are in place: media may flow. Given once.
    case connected
    /// The peer said close_notify: remove the session.
    case closedByPeer
    /// The session is dead: remove it. Given once.
    case failed(TransportFailure)
}

package enum TransportFailure: Sendable, Hashable {
    /// ICE and DTLS did not complete within `EdgeLimits.connectTimeout`.
    case neverConnected
    /// No valid check and no authentic packet for `EdgeLimits.consentTimeout` (RFC 7675 §5.1).
    case consentLost
    /// DTLS failed for another reason than the certificate: no common version, cipher or SRTP profile, an alert.
    case handshakeFailed
    /// The peer's certificate is not the one its session description announced (RFC 8122 §6.2).
    case fingerprintMismatch

    package var closeReason: SessionCloseReason {
        switch self {
        case .neverConnected: .neverConnected
        case .consentLost: .timedOut
        case .handshakeFailed: .handshakeFailed
        case .fingerprintMismatch: .fingerprintMismatch
        }
    }
}

/// Why a datagram was refused at the edge. Raw values are the cells of a `Counters`.
package enum EdgeRefusal: Int, CaseIterable, Sendable {
    case stunMalformed
    /// Not a binding request or response (RFC 8489 §5), or a class we have no use for.
    case stunUnexpected
    case stunUnknownUsername
    /// MESSAGE-INTEGRITY is absent or wrong.
    case stunUnauthenticated
    case stunBadFingerprint
    /// Answered with 420 (RFC 8489 §6.3.1).
    case stunUnknownAttribute
    /// Answered with 487 (RFC 8445 §7.3.1.1).
    case stunRoleConflict
    /// A response to no request of ours, or from another address than asked (RFC 8445 §7.2.5.2.1).
    case stunUnmatchedResponse
    case stunErrorResponse
    /// The source has not passed a connectivity check.
    case dtlsFromUnvalidatedAddress
    /// Too short for a record, or not DTLS.
    case dtlsMalformed
    /// Media before DTLS is done, or after it has ended.
    case mediaBeforeKeys
    case rtpMalformed
    case rtpUnauthenticated
    case rtpReplayed
    case rtcpMalformed
    case rtcpUnauthenticated
    case rtcpReplayed
    /// More sources than `EdgeLimits.sourcesPerSession`.
    case sourceTableFull
}
