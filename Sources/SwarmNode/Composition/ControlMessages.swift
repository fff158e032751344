import DHT
import MediaRelay
import SwarmCore

/// What the node's users ask of the composition. Each request is answered by exactly one `ControlReply` with its id,
/// at the latest after `CompositionLimits.requestTimeout`.
package enum ControlRequest: Sendable {
    /// WHIP: an SDP offer that wants to publish. A name bound to a key needs that key's word for this node.
    case publish(StreamName, offer: String, delegation: Delegation? = nil)
    /// WHEP: an SDP offer that wants to play.
    case play(StreamName, offer: String)
    /// An SDP file that describes clear RTP sent to this host.
    case publishPlainRTP(StreamName, description: String, delegation: Delegation? = nil)
    /// Trickled candidates, or an ICE restart. `entityTag` nil matches any.
    case patch(session: String, entityTag: String?, fragment: String)
    case delete(session: String)
    case members
    /// One member as known here: no row where it is not.
    case member(NodeID)
    /// Every stream under the prefix that the swarm lists, joined with those carried here.
    case streams(prefix: String)
    /// One stream as carried here, without asking the swarm: no row where it is not.
    case carriedStream(StreamName)
    /// The way to this node where the stream is carried here, else where it can be had, from the DHT.
    case route(StreamName)
    /// Counters of the whole node, workers included.
    case statistics
    /// Where the stream is published, as the DHT has it.
    case locate(StreamName)
    /// A record of the name with this node as its origin, and no stream behind it, until it is withdrawn or its time is
    /// over; or the end of that.
    case announce(StreamName, isWithdrawn: Bool, lifetime: Interval? = nil)
    /// Whether a known node's DHT answers.
    case ping(NodeID)
    /// What this node's DHT knows and holds.
    case discovery
}

package struct RequestID: Hashable, Sendable {
    package let raw: UInt64
    package init(_ raw: UInt64) { self.raw = raw }
}

package enum ControlReply: Sendable {
    case created(CreatedSession)
    case accepted
    case restarted(fragment: String, entityTag: String)
    case deleted
    case members([MemberSnapshot])
    case streams([StreamSnapshot])
    case route(RouteTrace)
    case statistics(NodeStatistics)
    /// Nil where the stream is not live.
    case location(StreamLocation?)
    /// The round trip, nil where no answer came.
    case pinged(Interval?)
    case discovery(DiscoverySnapshot)
    case refused(ControlRefusal)
}

package struct CreatedSession: Sendable {
    /// 43 base64url characters.
    package var token: String
    package var sdp: String
    package var entityTag: String
}

package enum ControlRefusal: Error, Sendable, Equatable {
    case badOffer(String)
    case unsupportedMedia(String)
    case noCommonCodec([String])
    case notLive
    case nameTaken
    case full
    /// The name is bound to a key that has not, or not validly, given it to this node; one line says why.
    case notDelegated(String)
    case unknownSession
    case unknownNode
    case entityTagMismatch
    case timedOut
    case stopping
}

/// What the composition tells its driver, in order.
package enum SwarmEvent: Sendable {
    /// For media worker `worker`.
    case command(worker: Int, WorkerCommand)
    /// Bind these UDP addresses for a plain RTP session and hand what arrives to the worker; `addresses[i]` is track
    /// i's. The driver answers with `plainPortsOpened`.
    case openPlainPorts(worker: Int, SessionID, addresses: [NetworkAddress])
    /// The sockets of a plain session are no longer needed.
    case closePlainPorts(worker: Int, SessionID)
    case reply(RequestID, ControlReply)
    case notice(SwarmNotice)
}

/// A change that people watch.
package enum SwarmNotice: Sendable {
    case memberChanged(NodeID)
    case memberRemoved(NodeID)
    case streamChanged(StreamName)
    case streamEnded(StreamName)
    /// The first round of the stream's record is stored at `holders` nodes.
    case streamPublished(StreamName, holders: Int)
    case routeChanged(StreamName)
    case sessionsChanged(publishers: Int, viewers: Int)
}

package struct MemberSnapshot: Sendable {
    package enum State: Sendable {
        case alive, suspected, left, failed
    }
    package var id: NodeID
    package var key: PublicKey
    package var addresses: AddressList
    package var state: State
    package var roundTrip: Interval?
    /// 0…1.
    package var load: Double
    /// Since an authentic message of its came; nil if none ever did.
    package var age: Interval?
    package var isSelf: Bool
    package var publicURL: String
}

package struct StreamSnapshot: Sendable {
    package var name: StreamName
    package var origin: NodeID
    /// Nil where this node does not carry the stream.
    package var descriptor: StreamDescriptor?
    package var viewers: Int
    package var children: Int
    package var isCarried: Bool
}

/// A node's part of the DHT.
package struct DiscoverySnapshot: Sendable {
    package struct Row: Sendable {
        package var id: NodeID
        package var addresses: AddressList
        package var roundTrip: Interval?
        /// Since it was last heard.
        package var silence: Interval
        /// Requests in a row that it left unanswered.
        package var failures: Int
        /// Among the nearest to this node.
        package var isSibling: Bool
    }

    /// Nodes of the swarm, as the density of ids tells.
    package var estimatedNodes: Double
    /// Nearest to this node first.
    package var rows: [Row]
    package var published: [StreamName]
    /// Other nodes' living records, what is remembered of dead ones, and cached copies.
    package var records: RecordStore.Counts
}

/// The way of a stream from its origin to this node; the origin alone where the stream does not come here.
package struct RouteTrace: Sendable {
    package struct Hop: Sendable {
        package var node: NodeID
        package var parent: NodeID?
        package var roundTrip: Interval?
        package var lossRatio: Double?
    }
    package var stream: StreamName
    package var origin: NodeID
    package var hops: [Hop]
    /// Whether the stream reaches this node now.
    package var isCarried = true
    /// Other nodes that have it to give; a sample, and only where it is not carried here.
    package var carriers: [NodeID] = []
}

package struct NodeStatistics: Sendable {
    package var streams: Int
    package var publishers: Int
    package var viewers: Int
    /// Nodes fed by this one, over all streams.
    package var children: Int
    package var peers: Int
    /// 0…1.
    package var load: Double
    package var workers: [WorkerStatistics]
    /// Names of the streams by handle, for the workers' rows.
    package var names: [StreamHandle: StreamName]
    /// Arrivals refused by the control plane, by reason name.
    package var refusals: [(reason: String, count: UInt64)]
}
