import SwarmCore

/// The handle of one `lookup` or `list`, unique in its machine.
package struct LookupID: Hashable, Comparable, Sendable {
    package let number: UInt64

    package init(number: UInt64) { self.number = number }
    package static func < (a: LookupID, b: LookupID) -> Bool { a.number < b.number }
}

/// Where a stream can be had.
package struct StreamLocation: Hashable, Sendable {
    package var stream: StreamName
    /// The node it is published at, by its own signed record (or this node itself).
    package var origin: Contact
    /// The publication's epoch, as the origin numbered it.
    package var epoch: UInt64
    /// Nodes that said they carry it: a sample, in the order they were learnt, without the origin.
    package var carriers: [Contact]

    package init(stream: StreamName, origin: Contact, epoch: UInt64, carriers: [Contact]) {
        self.stream = stream
        self.origin = origin
        self.epoch = epoch
        self.carriers = carriers
    }
}

/// One stream under a prefix.
package struct ListedStream: Hashable, Sendable {
    package var stream: StreamName
    package var origin: Contact
    package var epoch: UInt64

    package init(stream: StreamName, origin: Contact, epoch: UInt64) {
        self.stream = stream
        self.origin = origin
        self.epoch = epoch
    }
}

/// What the DHT tells its owner. Each lookup ends in exactly one of the first four unless it is cancelled. One call
/// emits at most one event per lookup and publication in hand (`DHTLimits.lookups` + `DHTLimits.publishedStreams`).
package enum DHTEvent: Hashable, Sendable {
    case found(LookupID, StreamLocation)
    /// Nobody among the nodes nearest to the name holds a live record of it, and enough of them have said so.
    case notFound(LookupID)
    /// Everything under the prefix, sorted by name; a name with two origins (after a partition) is listed once.
    case listing(LookupID, [ListedStream])
    /// No verdict: too many lookups at once, and nothing was asked; or too few answered to call a name "not live".
    case overloaded(LookupID)
    /// The first round of a publication is stored at `holders` nodes, this one included where it is among the nearest.
    case published(StreamName, holders: Int)
    /// Another node holds the name. The publication is already withdrawn here; the client gets 409.
    case nameTaken(StreamName)
    /// The end of a `ping`: its round trip, or nil where no answer came.
    case pinged(LookupID, roundTrip: Interval?)
    /// What a node has published of its addresses; nil where none of its neighbours keeps anything.
    case reached(LookupID, Contact?)
    /// The first lookup of this node's own place has ended, or there was nobody to ask.
    case bootstrapped
}
