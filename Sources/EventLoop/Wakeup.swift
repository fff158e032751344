import CSwarmShims
import SwarmCore
import Synchronization

/// Wakes a loop from any thread. Signals given before the loop has looked are one signal.
///
/// An eventfd of our own, watched by the loop, rather than `uv_async`: it lives as long as the last thread that may
/// still signal, so a signal to a loop that has ended is harmless, where `uv_async_send` on a closed loop would write
/// to a descriptor that may be somebody else's by then.
package final class Wakeup: Sendable {
    let descriptor: Int32
    private let isPending = Atomic<Bool>(false)
    private let stop = Atomic<Bool>(false)

    package init() throws(EventLoopError) {
        descriptor = swarm_eventfd_create()
        guard descriptor >= 0 else { throw .descriptors(errno: -descriptor) }
    }

    deinit {
        if descriptor >= 0 { swarm_close(descriptor) }
    }

    /// Never blocks; a system call only when the loop has not been woken already.
    package func signal() {
        // Release: what the signaller wrote before is seen by the loop after `clear`.
        if !isPending.exchange(true, ordering: .acquiringAndReleasing) { swarm_eventfd_signal(descriptor) }
    }

    /// Asks the loop to end; it does so when it looks.
    package func requestStop() {
        stop.store(true, ordering: .releasing)
        signal()
    }

    var isStopRequested: Bool { stop.load(ordering: .acquiring) }

    /// Takes the signal. What was signalled before is visible afterwards; a later signal wakes again.
    func clear() {
        swarm_eventfd_clear(descriptor)
        _ = isPending.exchange(false, ordering: .acquiringAndReleasing)
    }
}
