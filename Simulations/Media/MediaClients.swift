import MediaRelay
import SwarmCore

/// A simulated client: unique within a plane (packet fidelity) or a simulation (flow fidelity).
package struct MediaClientID: Hashable, Comparable, Sendable {
    package let raw: UInt32
    package init(_ raw: UInt32) { self.raw = raw }
    package static func < (a: MediaClientID, b: MediaClientID) -> Bool { a.raw < b.raw }
}

package enum MediaClientPurpose: Sendable, Hashable {
    case publishing
    case playing
}

package struct MediaClientOffer: Sendable {
    package let client: MediaClientID
    package let sdp: String
}

/// What one viewer met. Intervals count from its offer.
package struct ViewerMeasure: Sendable, Hashable {
    package var client: MediaClientID
    package var timeToConnect: Interval?
    package var timeToFirstKeyFrame: Interval?
    /// The longest time without media since the first media, or since gaps were last forgotten.
    package var longestGap: Interval
    /// Media is missing at the time of the measure: the gap so far counts in `longestGap`.
    package var isWithoutMedia: Bool
    package var packetsReceived: UInt64
    /// Never came, after all repairs.
    package var packetsLost: UInt64
    package var packetsDuplicate: UInt64
    /// The session has ended, by whatever way.
    package var isClosed: Bool
}

/// Where the simulated clients are, the same in both fidelities.
package struct ClientPaths: Sendable {
    /// One way between a client and its node, drawn uniformly per client. The shortest exceeds the hop between a node's
    /// threads, so that a client's first check finds its session.
    package var delay = Interval.microseconds(200)...Interval.milliseconds(20)
    private let seed: UInt64

    package init(seed: UInt64) { self.seed = seed }

    /// The delay of one client, drawn from the seed and its own number.
    package func delay(of client: MediaClientID) -> Interval {
        var generator = SeededGenerator(seed: seed).child(UInt64(client.raw))
        let width = delay.upperBound - delay.lowerBound
        return delay.lowerBound + Interval(nanoseconds: Int64(Double(width.nanoseconds) * generator.unitInterval()))
    }
}
