import SwarmCore

/// The 32 bytes that make nodes members of one swarm, and, while it is being changed, the ones before.
package struct SwarmSecret: Sendable, Hashable {
    package var current: Bytes32
    /// Still accepted, and tried where the current one gets no answer.
    package var previous: Bytes32?

    package init(current: Bytes32, previous: Bytes32? = nil) {
        self.current = current
        self.previous = previous
    }

    package init(from entropy: inout Entropy) { self.init(current: entropy.bytes32()) }
}
