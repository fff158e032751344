/// Why a datagram, a packet or a command was not acted upon. Counted per worker, never logged.
package enum MediaRefusal: Int, CaseIterable, Sendable {
    /// Empty, or the first byte belongs to no protocol of ours (RFC 7983).
    case unknownProtocol
    /// From an address that belongs to another kind of session, or media towards us from a viewer.
    case unexpectedMedia
    /// No session has this source address.
    case unknownSource
    /// A STUN message whose username names no session, or that was malformed.
    case unknownUsername
    /// SRTP or SRTCP that did not authenticate, or came twice.
    case notAuthentic
    /// The session is not keyed yet.
    case notConnected
    case malformedRTP
    case malformedRTCP
    /// No track of the session claims this SSRC, mid or payload type.
    case unknownTrack
    /// The payload type is not the one negotiated for its track.
    case unknownPayloadType
    /// Extensions and payload exceed `PacketLimits.mediaBytes`.
    case tooLarge
    /// This (stream, epoch, track, encoding, sequence) is already stored.
    case duplicatePacket
    /// Older than what the store can hold.
    case latePacket
    /// A viewer or child asked for a packet that the store no longer has.
    case repairNotStored
    /// A viewer or child asked for more repairs than its budget allows.
    case repairOverBudget
    /// An egress fell so far behind that packets left the arrival ring before they were sent.
    case egressOverrun
    /// No link has this connection id.
    case unknownLink
    /// A link packet that did not authenticate.
    case linkNotAuthentic
    /// A link packet whose counter was seen or is too old.
    case linkReplay
    case malformedLinkFrame
    /// A frame for a stream that is not attached to this link.
    case unknownAlias
    /// A media frame of another publication of the stream.
    case otherEpoch
    /// A media frame for a layer the descriptor does not have.
    case unknownLayer
    /// An authentic link packet from an address that has not answered its challenge.
    case unvalidatedAddress
    case sessionLimit
    case streamLimit
    case layerLimit
    case linkLimit
    case attachmentLimit
    /// A command named a handle that is not open; it may just have closed.
    case unknownHandle
    /// A command opened a handle twice.
    case handleInUse
}
