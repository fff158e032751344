import SwarmCore
import SwarmCrypto

/// ICE short-term credentials (RFC 8445 §5.3): ufrag 4–256, password 22–256 ice-chars.
package struct ICECredentials: Hashable, Sendable {
    package var usernameFragment: String
    package var password: String
    package init(usernameFragment: String, password: String) {
        self.usernameFragment = usernameFragment
        self.password = password
    }
}

package enum DTLSRole: Sendable, Hashable {
    case client
    case server
}

package enum ICERole: Sendable, Hashable {
    /// Answers checks only (RFC 8445 §2.5): every node.
    case lite
    /// Sends checks and nominates: the headless publisher and player.
    case controlling
}

/// What a session's transport needs to be keyed and found.
package struct TransportConfiguration: Sendable {
    package var iceRole: ICERole
    package var local: ICECredentials
    package var remote: ICECredentials
    /// SHA-256 of the peer's certificate, from its SDP.
    package var remoteFingerprint: Bytes32
    package var dtlsRole: DTLSRole
    /// Where a controlling agent sends its checks; empty for ICE-lite.
    package var remoteCandidates: [NetworkAddress]

    package init(
        iceRole: ICERole, local: ICECredentials, remote: ICECredentials, remoteFingerprint: Bytes32,
        dtlsRole: DTLSRole, remoteCandidates: [NetworkAddress] = []
    ) {
        self.iceRole = iceRole
        self.local = local
        self.remote = remote
        self.remoteFingerprint = remoteFingerprint
        self.dtlsRole = dtlsRole
        self.remoteCandidates = remoteCandidates
    }
}

/// An extension id as negotiated with one client (RFC 8285: 1–14 one-byte, 1–255 two-byte).
package struct ExtensionMapping: Hashable, Sendable {
    package var id: UInt8
    package var header: HeaderExtension
    package init(id: UInt8, header: HeaderExtension) {
        self.id = id
        self.header = header
    }
}

/// A track as its publisher sends it to us.
package struct PublisherTrack: Sendable, Hashable {
    /// Index in the stream's descriptor.
    package var track: UInt8
    package var kind: MediaKind
    package var clockRate: UInt32
    package var codecName: String
    /// Empty where the publisher does not use mids (plain RTP).
    package var mid: String
    package var payloadType: UInt8
    package var retransmissionPayloadType: UInt8?
    /// From `a=ssrc`, if stated; otherwise the first packet with this mid (or payload type) binds it.
    package var ssrc: UInt32?
    package var retransmissionSSRC: UInt32?
    package var extensions: [ExtensionMapping]
    /// Feedback the publisher understands.
    package var supportsNACK: Bool
    package var supportsPLI: Bool
    package var supportsTransportFeedback: Bool

    package init(
        track: UInt8, kind: MediaKind, clockRate: UInt32, codecName: String, mid: String, payloadType: UInt8,
        retransmissionPayloadType: UInt8?, ssrc: UInt32?, retransmissionSSRC: UInt32?, extensions: [ExtensionMapping],
        supportsNACK: Bool, supportsPLI: Bool, supportsTransportFeedback: Bool
    ) {
        self.track = track
        self.kind = kind
        self.clockRate = clockRate
        self.codecName = codecName
        self.mid = mid
        self.payloadType = payloadType
        self.retransmissionPayloadType = retransmissionPayloadType
        self.ssrc = ssrc
        self.retransmissionSSRC = retransmissionSSRC
        self.extensions = extensions
        self.supportsNACK = supportsNACK
        self.supportsPLI = supportsPLI
        self.supportsTransportFeedback = supportsTransportFeedback
    }
}

/// A track as one viewer receives it from us: ssrc, payload type and extension ids are the viewer's own.
package struct ViewerTrack: Sendable, Hashable {
    package var track: UInt8
    package var kind: MediaKind
    package var clockRate: UInt32
    package var codecName: String
    package var mid: String
    package var payloadType: UInt8
    package var retransmissionPayloadType: UInt8?
    package var ssrc: UInt32
    package var retransmissionSSRC: UInt32
    package var extensions: [ExtensionMapping]

    package init(
        track: UInt8, kind: MediaKind, clockRate: UInt32, codecName: String, mid: String, payloadType: UInt8,
        retransmissionPayloadType: UInt8?, ssrc: UInt32, retransmissionSSRC: UInt32, extensions: [ExtensionMapping]
    ) {
        self.track = track
        self.kind = kind
        self.clockRate = clockRate
        self.codecName = codecName
        self.mid = mid
        self.payloadType = payloadType
        self.retransmissionPayloadType = retransmissionPayloadType
        self.ssrc = ssrc
        self.retransmissionSSRC = retransmissionSSRC
        self.extensions = extensions
    }
}

/// A session that sends a stream's media to us.
package struct PublisherConfiguration: Sendable {
    package var session: SessionID
    package var stream: StreamHandle
    /// Nil for plain RTP: no ICE, no DTLS, clear RTP on a port of its own.
    package var transport: TransportConfiguration?
    package var tracks: [PublisherTrack]
    package init(
        session: SessionID, stream: StreamHandle, transport: TransportConfiguration?, tracks: [PublisherTrack]
    ) {
        self.session = session
        self.stream = stream
        self.transport = transport
        self.tracks = tracks
    }
}

/// A session to which we send a stream's media.
package struct ViewerConfiguration: Sendable {
    package var session: SessionID
    package var stream: StreamHandle
    package var transport: TransportConfiguration
    package var tracks: [ViewerTrack]
    /// RTCP canonical name (RFC 3550 §6.5.1), one per stream so that players synchronise its tracks.
    package var canonicalName: String
    package init(
        session: SessionID, stream: StreamHandle, transport: TransportConfiguration, tracks: [ViewerTrack],
        canonicalName: String
    ) {
        self.session = session
        self.stream = stream
        self.transport = transport
        self.tracks = tracks
        self.canonicalName = canonicalName
    }
}

/// A keyed path between one worker here and one worker of a peer, shared by every stream between the two.
package struct MediaLinkConfiguration: Sendable {
    package var handle: LinkHandle
    /// What our packets carry, chosen by the peer.
    package var remoteConnectionID: UInt32
    package var peer: NodeID
    /// The child opens: it sends first and keeps sending until answered; the parent learns the child's address from
    /// its first authentic packet (and challenges a later change before media follows it).
    package var isInitiator: Bool
    package var sendKey: Bytes32
    package var receiveKey: Bytes32
    package var cipher: LinkCipherKind
    package var remoteAddress: NetworkAddress
    package init(
        handle: LinkHandle, remoteConnectionID: UInt32, peer: NodeID, isInitiator: Bool, sendKey: Bytes32,
        receiveKey: Bytes32, cipher: LinkCipherKind, remoteAddress: NetworkAddress
    ) {
        self.handle = handle
        self.remoteConnectionID = remoteConnectionID
        self.peer = peer
        self.isInitiator = isInitiator
        self.sendKey = sendKey
        self.receiveKey = receiveKey
        self.cipher = cipher
        self.remoteAddress = remoteAddress
    }
}
