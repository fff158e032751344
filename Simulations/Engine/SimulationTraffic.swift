/// What became of every datagram, and how much work the run was.
package struct SimulationTraffic: Sendable {
    /// Why a datagram did not reach a machine. The network's own reasons are counted by the network.
    package enum Loss: Int, CaseIterable, Sendable {
        /// Sent to an address outside the simulation.
        case noSuchHost
        /// The network lost it.
        case network
        /// The host was down when it arrived.
        case hostDown
        /// The host was stalled and its socket's buffer full.
        case bufferFull
        /// No socket at that port.
        case noSuchPort
        /// A NAT box let nothing through.
        case filtered
    }

    /// Events taken from the queue.
    package var events: UInt64 = 0
    /// Calls into machines: `receive`, `advance`, commands and requests.
    package var machineCalls: UInt64 = 0
    package var sent: UInt64 = 0
    package var bytesSent: UInt64 = 0
    /// Second copies that the network made.
    package var duplicated: UInt64 = 0
    package var delivered: UInt64 = 0
    package var lost = [UInt64](repeating: 0, count: Loss.allCases.count)

    package mutating func lose(_ reason: Loss) { lost[reason.rawValue] += 1 }

    package var totalLost: UInt64 { lost.reduce(0, +) }
}

/// Something that no run may contain, whatever the network and the faults do.
package struct SimulationDefect: Sendable, Hashable, CustomStringConvertible {
    package enum Kind: String, Sendable {
        /// After `advance` a machine still had a deadline in the past.
        case deadlineLeftBehind
        /// Events without end at one instant.
        case livelock
        /// An outbox was full: a machine said more in one call than a driver can take.
        case outboxFull
    }

    package let kind: Kind
    package let node: Int
    /// Nanoseconds since the start.
    package let time: UInt64

    package var description: String { "\(kind.rawValue) at node \(node), \(time / 1_000_000) ms" }
}
