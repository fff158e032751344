import MediaRelay
import SwarmCore

/// A node's media workers, in the fidelity of the run: real ones that forward packets, or rates and trees.
///
/// The engine hands over commands of the control plane, datagrams to the worker ports and the passing of time; what the
/// plane says goes back as `WorkerEvent`s, each with its worker.
package protocol MediaPlane: AnyObject {
    func apply(
        _ command: WorkerCommand, worker: Int, at now: Now, into out: inout MediaOutput)
    /// `port` is the local port the datagram came to.
    func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, to destination: NetworkAddress, at now: Now,
        into out: inout MediaOutput)
    func advance(to now: Now, into out: inout MediaOutput)
    var nextDeadline: MonotonicInstant? { get }
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
