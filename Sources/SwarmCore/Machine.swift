/// A protocol without sockets, clock, threads or entropy of its own.
///
/// The driver owns the time, the socket and the outbox. It calls `receive` for each datagram, `advance` when
/// `nextDeadline` has passed (early is a no-op, late is safe), and drains `out` and `events` after each call.
package protocol Machine: ~Copyable {
    associatedtype Event
    /// Handles one datagram, which may be decrypted in place. Malformed input is counted by reason; it is never
    /// thrown and never logged.
    mutating func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<Event>)
    /// Runs every timer that is due; early is a no-op. Afterwards no deadline <= now remains.
    mutating func advance(to now: Now, into out: inout Outbox, events: inout EventBuffer<Event>)
    var nextDeadline: MonotonicInstant? { get }
}

/// A control protocol that speaks to authenticated peers rather than to sockets: the link layer below it has already
/// decrypted the message and proved who sent it.
///
/// The same contract as `Machine`: time and randomness are handed in, malformed input is counted, nothing traps.
package protocol PeerMachine: ~Copyable {
    associatedtype Event
    /// Handles one message from `peer`, whose key the link layer has verified.
    mutating func receive(
        _ message: Span<UInt8>, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<Event>)
    mutating func advance(to now: Now, into out: inout MessageOutbox, events: inout EventBuffer<Event>)
    var nextDeadline: MonotonicInstant? { get }
}

/// The sender of a control message, as the link layer knows it.
@usableFromInline
package struct Peer: Sendable, Hashable {
    /// Key and id are proved; `addresses` holds what the link layer has seen work, possibly nothing else.
    @usableFromInline package var contact: Contact
    /// Where this message came from.
    @usableFromInline package var address: NetworkAddress
    /// False for a request inside a first handshake message: it may be a replay from a spoofed address, so it may be
    /// answered, but must leave no state behind that a stranger could grow.
    @usableFromInline package var isConfirmed: Bool

    @inlinable
    package init(contact: Contact, address: NetworkAddress, isConfirmed: Bool) {
        self.contact = contact
        self.address = address
        self.isConfirmed = isConfirmed
    }

    @inlinable
    package var id: NodeID { contact.id }
}

/// Arithmetic on optional deadlines, where nil means never.
@usableFromInline
package enum Deadline {
    @inlinable
    package static func earlier(_ a: MonotonicInstant?, _ b: MonotonicInstant?) -> MonotonicInstant? {
        guard let a else { return b }
        guard let b else { return a }
        return min(a, b)
    }
}
