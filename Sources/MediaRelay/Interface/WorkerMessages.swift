import SwarmCore

/// What the control thread tells a media worker. Commands are applied in order; one that names an unknown handle is a
/// no-op (the thing may just have closed).
package enum WorkerCommand: Sendable {
    /// Makes room for a stream's layers; repeated with a newer descriptor it updates them.
    case openStream(StreamHandle, StreamDescriptor)
    /// Ends the stream: its sessions are closed with `reason`, its attachments removed.
    case closeStream(StreamHandle, SessionCloseReason)
    case addPublisher(PublisherConfiguration)
    case addViewer(ViewerConfiguration)
    case removeSession(SessionID, SessionCloseReason)
    /// ICE restart (RFC 8445 §2.4): new credentials, same keys.
    case restartICE(SessionID, local: ICECredentials, remote: ICECredentials)
    case openLink(MediaLinkConfiguration)
    case closeLink(LinkHandle)
    /// Media of `stream` arrives over `link`, labelled `alias` (ours). Replaces an earlier parent without a gap.
    case attachParent(StreamHandle, LinkHandle, alias: UInt32, layers: LayerSet)
    case detachParent(StreamHandle)
    /// Media of `stream` leaves over `link`, labelled `alias` (the child's). Repeated, it changes the layers.
    case attachChild(StreamHandle, LinkHandle, alias: UInt32, layers: LayerSet)
    case detachChild(StreamHandle, LinkHandle)
    /// Answered by one `.statistics` event.
    case collectStatistics(token: UInt64)
}

package enum SessionCloseReason: Int, CaseIterable, Sendable {
    /// DELETE on the session's URL.
    case deleted
    /// The client closed DTLS or said BYE.
    case closedByPeer
    /// No consent, check or media for the time-out (RFC 7675 §5.1).
    case timedOut
    /// ICE or DTLS did not complete in time.
    case neverConnected
    case handshakeFailed
    case fingerprintMismatch
    /// The publisher left or was replaced.
    case streamEnded
    case shuttingDown
    case limitReached
}

/// What a media worker tells the control thread.
package enum WorkerEvent: Sendable {
    case sessionConnected(SessionID)
    case sessionClosed(SessionID, SessionCloseReason)
    /// The first authentic packet of a link arrived.
    case linkEstablished(LinkHandle)
    /// Nothing authentic for the link's time-out.
    case linkLost(LinkHandle)
    /// The parent of a stream said that it has ended upstream.
    case parentEnded(StreamHandle)
    case statistics(WorkerStatistics)
}

/// A snapshot of one worker's counters. Counts are since start.
package struct WorkerStatistics: Sendable {
    package struct Session: Sendable {
        package var id: SessionID
        package var stream: StreamHandle
        package var isPublisher: Bool
        package var isConnected: Bool
        package var remoteAddress: NetworkAddress?
        package var packetsReceived: UInt64 = 0
        package var bytesReceived: UInt64 = 0
        package var packetsSent: UInt64 = 0
        package var bytesSent: UInt64 = 0
        package var packetsRetransmitted: UInt64 = 0
        package var packetsLost: UInt64 = 0
        package var roundTrip: Interval?
        package init(id: SessionID, stream: StreamHandle, isPublisher: Bool, isConnected: Bool) {
            self.id = id
            self.stream = stream
            self.isPublisher = isPublisher
            self.isConnected = isConnected
        }
    }

    package struct Link: Sendable {
        package var handle: LinkHandle
        package var peer: NodeID
        package var isEstablished: Bool
        package var packetsReceived: UInt64 = 0
        package var bytesReceived: UInt64 = 0
        package var packetsSent: UInt64 = 0
        package var bytesSent: UInt64 = 0
        package var packetsRetransmitted: UInt64 = 0
        package var packetsLost: UInt64 = 0
        /// Media frames sent for the first time, and those among them whose (stream, track, encoding, sequence) had
        /// already been first-sent on this link: always 0 unless something is wrong.
        package var framesFirstSent: UInt64 = 0
        package var framesFirstSentTwice: UInt64 = 0
        package var roundTrip: Interval?
        package init(handle: LinkHandle, peer: NodeID, isEstablished: Bool) {
            self.handle = handle
            self.peer = peer
            self.isEstablished = isEstablished
        }
    }

    package struct Stream: Sendable {
        package var handle: StreamHandle
        package var viewers: Int
        package var children: Int
        package var hasParent: Bool
        package var hasPublisher: Bool
        package var packetsReceived: UInt64 = 0
        package var bytesReceived: UInt64 = 0
        package init(handle: StreamHandle, viewers: Int, children: Int, hasParent: Bool, hasPublisher: Bool) {
            self.handle = handle
            self.viewers = viewers
            self.children = children
            self.hasParent = hasParent
            self.hasPublisher = hasPublisher
        }
    }

    package var token: UInt64
    package var worker: Int
    package var sessions: [Session] = []
    package var links: [Link] = []
    package var streams: [Stream] = []
    /// Arrivals refused, by reason name; bounded by the number of reasons.
    package var refusals: [(reason: String, count: UInt64)] = []

    package init(token: UInt64, worker: Int) {
        self.token = token
        self.worker = worker
    }
}
