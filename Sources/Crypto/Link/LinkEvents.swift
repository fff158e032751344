import SwarmCore

/// What a `LinkTable` tells its owner.
package enum LinkEvent: Sendable, Hashable {
    /// The first session with this peer is proved in both directions. Not repeated on a rekey.
    case established(Peer)
    /// A handshake got no answer from any address; messages waiting for the peer were dropped. A relation that existed
    /// is gone, without a `closed`.
    case unreachable(NodeID)
    /// A relation ended in silence, or gave way to a newer one in a full table.
    case closed(NodeID)
}

/// A control message that was decrypted: who sent it, and where its bytes now lie in the datagram given to `receive`.
package struct LinkDelivery: Sendable, Hashable {
    package let peer: Peer
    /// Bytes of the datagram; never empty.
    package let range: Range<Int>

    init(peer: Peer, range: Range<Int>) {
        self.peer = peer
        self.range = range
    }
}

/// Why a datagram or a message went no further.
package enum LinkRefusal: Int, CaseIterable, Sendable {
    /// Shorter than its kind can be, or longer than a datagram may be.
    case wrongLength
    /// The first byte names no packet of ours.
    case unknownType
    case unsupportedVersion
    /// Under load, a message 1 without cookie: answered by a cookie reply.
    case cookieAsked
    /// Under load, a message 1 with a cookie that is outdated, of another address or invented: answered in the same way.
    case invalidCookie
    /// Under load, a message 1 that got no cookie reply because too many were sent.
    case cookieRepliesLimited
    /// Under load, a message 1 with a good cookie from a host that sent too many.
    case sourceLimited
    /// Under load, a message 1 with a good cookie beyond the handshakes a node can afford.
    case handshakesLimited
    /// A cookie reply that does not decrypt.
    case undecryptableCookie
    /// A cookie reply to a handshake that has had enough of them.
    case cookieRepeated
    /// Not made with the swarm's secret for this node: port scans, strangers, an outdated secret.
    case badMac
    /// Handshake message 1 that does not decrypt, or whose keys have small order.
    case undecryptableInitiation
    /// Handshake message 2 that does not decrypt.
    case undecryptableResponse
    /// The payload inside a handshake message breaks its format.
    case malformedPayload
    /// The Ed25519 key in message 1 is not the one whose image is the handshake's static key.
    case keyMismatch
    /// A handshake with ourselves.
    case ownKey
    /// A copy of a message 1 that has been confirmed already, or an older one.
    case replayedInitiation
    /// A connection id that is not in use here.
    case unknownConnection
    /// A transport packet that does not decrypt.
    case undecryptableTransport
    /// A transport packet counter seen before, or too old.
    case replayedTransport
    /// A transport packet whose plaintext has a type reserved to the link.
    case malformedTransport
    /// An answered handshake that was never confirmed.
    case pendingExpired
    /// An answered handshake that gave way to a newer one.
    case pendingEvicted
    /// A new relation found the table full of busy ones.
    case tableFull
    /// A message longer than `Limits.messageBytes`, or empty.
    case unsendableMessage
    /// A waiting message that gave way to a newer one of the same peer.
    case queueDropped
    /// A message found all room for waiting messages taken.
    case queueFull
    /// A waiting message whose peer could not be reached.
    case unreachableDropped
    /// A contact without address, with our own key, or whose key is no valid point.
    case unusableContact
}
