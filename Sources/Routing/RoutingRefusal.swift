/// Why an arriving message (or a part of one) was not acted upon.
package enum RoutingRefusal: Int, CaseIterable, Sendable {
    /// A type this version does not know.
    case unknownType
    /// Too short, too long, or a value out of range.
    case malformed
    /// Needs a confirmed sender, and came in a first handshake message.
    case unconfirmed
    /// An answer nobody asked for, or one that came too late.
    case unexpectedAnswer
    /// A description or coordinate with numbers that cannot be.
    case implausible
    /// A table is at its limit.
    case tableFull
    /// Older than what is known.
    case stale
    /// About a subscription, stream or member unknown here.
    case unknownSubject
    /// Accepting it could close a loop.
    case wouldLoop
    /// This node is at its fan-out limit.
    case full
    /// No media secret is shared with the sender (yet).
    case noSecret
    /// Came from a node that is not the one concerned.
    case wrongSender
}
