import SwarmCore

/// What runs on a loop: it turns readiness into calls of its machines. All calls come from the loop's one thread.
///
/// Order: `start` first and once; then, as things happen, `receive` for each datagram of a batch followed by one
/// `endBatch`; `wokenUp` after a `Wakeup.signal`; `deadlineReached` when `nextDeadline` has passed (never more than
/// a few microseconds early); `signalled` for watched signals; `stopping` last and once. After each of them, except
/// `receive`, the loop asks `nextDeadline` anew. A driver sends with `loop.send`, at the end of each call but `receive`.
package protocol LoopDriver: ~Copyable {
    /// Opens the driver's sockets on `loop` and begins.
    mutating func start(on loop: EventLoop, at now: Now)
    /// One datagram, which may be changed in place and is gone when this returns. Called per packet: collect answers
    /// into an outbox and send it in `endBatch`.
    mutating func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, on socket: SocketID, at now: Now)
    /// The datagrams of one batch have been received; `now` is the same as theirs.
    mutating func endBatch(at now: Now, on loop: EventLoop)
    /// Another thread has signalled: look into the rings.
    mutating func wokenUp(at now: Now, on loop: EventLoop)
    mutating func deadlineReached(at now: Now, on loop: EventLoop)
    /// A watched signal arrived (`EventLoop.watch(signal:)`).
    mutating func signalled(_ signal: Int32, at now: Now, on loop: EventLoop)
    /// The loop is about to end: the last chance to send. Timers and sockets are gone afterwards.
    mutating func stopping(at now: Now, on loop: EventLoop)
    /// When to be called next, or nil for never.
    var nextDeadline: MonotonicInstant? { get }
}

extension LoopDriver where Self: ~Copyable {
    package mutating func signalled(_ signal: Int32, at now: Now, on loop: EventLoop) {}
    package mutating func stopping(at now: Now, on loop: EventLoop) {}
}

/// A socket of one loop. The id of a closed socket is harmless.
package struct SocketID: Hashable, Sendable {
    let index: Int
    let generation: UInt32
}
