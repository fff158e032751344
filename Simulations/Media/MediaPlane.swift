import MediaRelay
import SwarmCore

/// A node's media workers and the clients behind them, in the fidelity of the run: real ones that forward packets, or
/// rates and trees.
///
/// The engine hands over commands of the control plane, datagrams to the worker ports and the passing of time; what the
/// plane says goes back as `WorkerEvent`s, each with its worker. Commands and events cross between the node's threads, so
/// the engine delays both by a hop. Times are the node's own.
///
/// Clients: `offer` makes one and its SDP; the scenario asks the node with it (`.publish` or `.play`) and hands the
/// answer to `accept`. A client that leaves politely does so by the node's `.delete`; `vanish` pulls its plug.
package protocol MediaPlane: AnyObject {
    /// SHA-256 that the node's composition announces as its certificate's.
    var fingerprint: Bytes32 { get }
    func apply(
        _ command: WorkerCommand, worker: Int, at now: Now, into out: inout MediaOutput)
    /// `destination` is the local address the datagram came to.
    func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, to destination: NetworkAddress, at now: Now,
        into out: inout MediaOutput)
    func advance(to now: Now, into out: inout MediaOutput)
    var nextDeadline: MonotonicInstant? { get }

    /// The host is down from now on; nothing is called afterwards.
    func stop()
    /// The host stalls until `end` (the simulation's time); the engine calls nothing before.
    func pause(until end: MonotonicInstant)

    func offer(_ purpose: MediaClientPurpose, at now: Now) -> MediaClientOffer
    /// Hands the node's answer to its client. Throws where the client can't use it.
    func accept(
        _ answer: String, client: MediaClientID, at now: Now, into out: inout MediaOutput) throws(NegotiationError)
    func vanish(_ client: MediaClientID, at now: Now)
    /// What each viewer behind this node has met so far, in the order of their offers.
    func viewers(at now: Now) -> [ViewerMeasure]
}

/// What a media plane hands back to the engine after a call.
package struct MediaOutput: ~Copyable {
    /// Datagrams, each run of them behind the address it leaves from.
    package var datagrams: Outbox
    /// `sources[i]` is where datagram i leaves from.
    package var sources: [NetworkAddress] = []
    package var events: [(worker: Int, event: WorkerEvent)] = []

    package init() { datagrams = Outbox(byteCapacity: 4 << 20, datagramCapacity: 8192) }

    /// Notes that every datagram appended since the last call leaves from `source`.
    package mutating func send(from source: NetworkAddress) {
        while sources.count < datagrams.count { sources.append(source) }
    }

    package mutating func removeAll() {
        datagrams.removeAll()
        sources.removeAll(keepingCapacity: true)
        events.removeAll(keepingCapacity: true)
    }
}
