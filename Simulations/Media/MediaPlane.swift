import MediaRelay
import SwarmCore

/// The media workers of one simulated node and the clients behind them, in whichever fidelity.
///
/// The control plane's commands go in by `apply`, what the workers say comes out as reports; both cross a hop of
/// `MediaTiming.hop`, as between real threads, inside the plane. Call order: after any verb the engine sends
/// `output.datagrams` (each from its own port), hands every report to the node's `SwarmMachine.handle(_:from:)`, and
/// asks for `nextDeadline` anew. Times are the node's own.
///
/// Clients: `offer` makes one and its SDP; the scenario asks the node with it (`.publish` or `.play`) and hands the
/// answer to `accept`. A client that is to leave politely does so by the node's `.delete`; `vanish` is pulling its plug.
package protocol MediaPlane: AnyObject {
    /// SHA-256 that the node's composition announces as its certificate's.
    var fingerprint: Bytes32 { get }
    var nextDeadline: MonotonicInstant? { get }

    func apply(_ command: WorkerCommand, worker: Int, at now: Now, into output: inout MediaOutput)
    /// A datagram of another node for the worker on `port`; it is decrypted in place.
    func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, to port: UInt16, at now: Now,
        into output: inout MediaOutput)
    func advance(to now: Now, into output: inout MediaOutput)

    func offer(_ purpose: MediaClientPurpose, at now: Now) -> MediaClientOffer
    func accept(_ answer: String, client: MediaClientID, at now: Now) throws(NegotiationError)
    func vanish(_ client: MediaClientID, at now: Now)
    /// What each viewer behind this node has met so far, in the order of their offers.
    func viewers(at now: Now) -> [ViewerMeasure]
}

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
    /// The longest time without media since the first media, or since `forgetGaps`.
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

/// What a worker of the node says, for its composition.
package struct MediaReport: Sendable {
    package let worker: Int
    package let event: WorkerEvent
}

/// What one call into a plane wrote: datagrams with the ports they leave from, and reports.
package struct MediaOutput: ~Copyable {
    package var datagrams: Outbox
    /// The source port of each datagram.
    package private(set) var sourcePorts: [UInt16] = []
    package var reports = EventBuffer<MediaReport>()

    package init(byteCapacity: Int = 1 << 20, datagramCapacity: Int = 2048) {
        datagrams = Outbox(byteCapacity: byteCapacity, datagramCapacity: datagramCapacity)
    }

    package mutating func append(from port: UInt16, to destination: NetworkAddress, copying datagram: Span<UInt8>) {
        if datagrams.append(to: destination, copying: datagram) { sourcePorts.append(port) }
    }

    /// Forgets the datagrams, which have been sent.
    package mutating func removeDatagrams() {
        datagrams.removeAll()
        sourcePorts.removeAll(keepingCapacity: true)
    }
}

/// Times of the simulated node's inside, the same in both fidelities.
package struct MediaTiming: Sendable {
    /// Between the control thread and a worker, each way: a ring, a wake-up and a batch.
    package var hop = Interval.microseconds(100)
    /// One way between a client and its node, drawn uniformly per client. The shortest exceeds `hop`, so that a client's
    /// first check finds its session.
    package var clientDelay = Interval.microseconds(200)...Interval.milliseconds(20)

    package init() {}

    /// The delay of one client, drawn from its own number.
    package func clientDelay(of client: MediaClientID, seed: UInt64) -> Interval {
        var generator = SeededGenerator(seed: seed).child(UInt64(client.raw))
        let width = clientDelay.upperBound - clientDelay.lowerBound
        return clientDelay.lowerBound
            + Interval(nanoseconds: Int64(Double(width.nanoseconds) * generator.unitInterval()))
    }
}
