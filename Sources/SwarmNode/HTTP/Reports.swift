import SwarmCore

/// `GET /api/v1/node`.
package struct NodeReport: Sendable, Equatable {
    /// 52 characters of base32.
    package var id: String
    package var version: String
    package var swarmName: String
    package var isReady: Bool
    package var isDraining: Bool
    package var uptimeMilliseconds: Int64
    /// Live members other than this node.
    package var peers: Int
    /// `host:port` of the swarm socket as peers are told it.
    package var addresses: [String]
    /// UDP port of each media worker, by worker.
    package var mediaPorts: [UInt16]
    package var swarmPort: UInt16
    package var streams: Int
    package var publishers: Int
    package var viewers: Int
    /// Nodes fed by this one, over all streams.
    package var children: Int
    /// 0…1, the worst of CPU, egress bandwidth and packet rate.
    package var load: Double
    package var sessions: [SessionReport]
    package var links: [LinkReport]

    package init(
        id: String, version: String, swarmName: String, isReady: Bool, isDraining: Bool = false,
        uptimeMilliseconds: Int64 = 0, peers: Int = 0, addresses: [String] = [], mediaPorts: [UInt16] = [],
        swarmPort: UInt16 = 0, streams: Int = 0, publishers: Int = 0, viewers: Int = 0, children: Int = 0,
        load: Double = 0, sessions: [SessionReport] = [], links: [LinkReport] = []
    ) {
        self.id = id
        self.version = version
        self.swarmName = swarmName
        self.isReady = isReady
        self.isDraining = isDraining
        self.uptimeMilliseconds = uptimeMilliseconds
        self.peers = peers
        self.addresses = addresses
        self.mediaPorts = mediaPorts
        self.swarmPort = swarmPort
        self.streams = streams
        self.publishers = publishers
        self.viewers = viewers
        self.children = children
        self.load = load
        self.sessions = sessions
        self.links = links
    }
}

/// One client session, without its secret id.
package struct SessionReport: Sendable, Equatable {
    package enum Role: String, Sendable {
        case publisher
        case viewer
    }
    package var stream: String
    package var role: Role
    package var isConnected: Bool
    package var worker: Int
    package var packetsReceived: UInt64
    package var bytesReceived: UInt64
    package var packetsSent: UInt64
    package var bytesSent: UInt64
    package var packetsLost: UInt64
    package var roundTripMilliseconds: Double?

    package init(
        stream: String, role: Role, isConnected: Bool, worker: Int, packetsReceived: UInt64 = 0,
        bytesReceived: UInt64 = 0, packetsSent: UInt64 = 0, bytesSent: UInt64 = 0, packetsLost: UInt64 = 0,
        roundTripMilliseconds: Double? = nil
    ) {
        self.stream = stream
        self.role = role
        self.isConnected = isConnected
        self.worker = worker
        self.packetsReceived = packetsReceived
        self.bytesReceived = bytesReceived
        self.packetsSent = packetsSent
        self.bytesSent = bytesSent
        self.packetsLost = packetsLost
        self.roundTripMilliseconds = roundTripMilliseconds
    }
}

/// One media link between a worker here and one of a peer's.
package struct LinkReport: Sendable, Equatable {
    package var peer: String
    package var worker: Int
    package var isEstablished: Bool
    package var packetsReceived: UInt64
    package var bytesReceived: UInt64
    package var packetsSent: UInt64
    package var bytesSent: UInt64
    package var packetsLost: UInt64
    package var framesFirstSent: UInt64
    package var framesFirstSentTwice: UInt64
    package var roundTripMilliseconds: Double?

    package init(
        peer: String, worker: Int, isEstablished: Bool, packetsReceived: UInt64 = 0, bytesReceived: UInt64 = 0,
        packetsSent: UInt64 = 0, bytesSent: UInt64 = 0, packetsLost: UInt64 = 0, framesFirstSent: UInt64 = 0,
        framesFirstSentTwice: UInt64 = 0, roundTripMilliseconds: Double? = nil
    ) {
        self.peer = peer
        self.worker = worker
        self.isEstablished = isEstablished
        self.packetsReceived = packetsReceived
        self.bytesReceived = bytesReceived
        self.packetsSent = packetsSent
        self.bytesSent = bytesSent
        self.packetsLost = packetsLost
        self.framesFirstSent = framesFirstSent
        self.framesFirstSentTwice = framesFirstSentTwice
        self.roundTripMilliseconds = roundTripMilliseconds
    }
}

/// One row of `GET /api/v1/members`.
package struct MemberReport: Sendable, Equatable {
    package enum State: String, Sendable {
        case alive
        case suspect
        case left
        case dead
    }
    package var id: String
    /// `host:port`, best first.
    package var addresses: [String]
    package var state: State
    /// Nil where nothing is measured or estimated yet; 0 for this node.
    package var roundTripMilliseconds: Double?
    package var load: Double
    /// Since the member was last heard of.
    package var ageMilliseconds: Int64
    package var isSelf: Bool
    /// Where its API is, if it says so.
    package var apiURL: String?

    package init(
        id: String, addresses: [String], state: State, roundTripMilliseconds: Double?, load: Double,
        ageMilliseconds: Int64, isSelf: Bool = false, apiURL: String? = nil
    ) {
        self.id = id
        self.addresses = addresses
        self.state = state
        self.roundTripMilliseconds = roundTripMilliseconds
        self.load = load
        self.ageMilliseconds = ageMilliseconds
        self.isSelf = isSelf
        self.apiURL = apiURL
    }
}

/// One row of `GET /api/v1/streams`.
package struct StreamReport: Sendable, Equatable {
    package struct Track: Sendable, Equatable {
        /// `audio`, `video`.
        package var kind: String
        /// `VP8`, `opus`.
        package var codec: String
        package var encodings: Int
        package init(kind: String, codec: String, encodings: Int = 1) {
            self.kind = kind
            self.codec = codec
            self.encodings = encodings
        }
    }
    package var name: String
    /// Node id of the origin.
    package var origin: String
    package var tracks: [Track]
    /// Viewers at this node.
    package var viewers: Int
    /// Nodes fed with the stream by this node.
    package var children: Int
    /// Whether media of the stream reaches this node now.
    package var isCarried: Bool
    package var packetsReceived: UInt64
    package var bytesReceived: UInt64

    package init(
        name: String, origin: String, tracks: [Track] = [], viewers: Int = 0, children: Int = 0,
        isCarried: Bool = false, packetsReceived: UInt64 = 0, bytesReceived: UInt64 = 0
    ) {
        self.name = name
        self.origin = origin
        self.tracks = tracks
        self.viewers = viewers
        self.children = children
        self.isCarried = isCarried
        self.packetsReceived = packetsReceived
        self.bytesReceived = bytesReceived
    }
}

/// `GET /api/v1/routes/{stream}`: the origin first, this node last.
package struct RouteReport: Sendable, Equatable {
    package struct Hop: Sendable, Equatable {
        package var node: String
        /// Nil for the origin.
        package var parent: String?
        /// Of the link to the parent; nil where not measured.
        package var roundTripMilliseconds: Double?
        package var lossRatio: Double?
        package var addedDelayMilliseconds: Double?
        package init(
            node: String, parent: String? = nil, roundTripMilliseconds: Double? = nil, lossRatio: Double? = nil,
            addedDelayMilliseconds: Double? = nil
        ) {
            self.node = node
            self.parent = parent
            self.roundTripMilliseconds = roundTripMilliseconds
            self.lossRatio = lossRatio
            self.addedDelayMilliseconds = addedDelayMilliseconds
        }
    }
    package var stream: String
    package var origin: String
    package var hops: [Hop]
    /// False where the stream does not reach this node: `hops` is the origin alone then.
    package var isCarried: Bool
    /// Ids of other nodes that have it, where it is not carried here.
    package var carriers: [String]
    package init(stream: String, origin: String, hops: [Hop], isCarried: Bool = true, carriers: [String] = []) {
        self.stream = stream
        self.origin = origin
        self.hops = hops
        self.isCarried = isCarried
        self.carriers = carriers
    }
}

/// What `/metrics` renders: families in the order given.
package struct MetricsReport: Sendable, Equatable {
    package enum Kind: String, Sendable {
        case counter
        case gauge
    }
    package struct Sample: Sendable, Equatable {
        /// Few, and their values from a bounded set: never stream or viewer names.
        package var labels: [Label]
        package var value: Double
        package init(_ value: Double, labels: [Label] = []) {
            self.labels = labels
            self.value = value
        }
    }
    package struct Label: Sendable, Equatable {
        package var name: String
        package var value: String
        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }
    package struct Family: Sendable, Equatable {
        /// Without `_total`; the base unit ends it: `mafalda_link_received_bytes`.
        package var name: String
        package var help: String
        package var kind: Kind
        package var samples: [Sample]
        package init(name: String, help: String, kind: Kind, samples: [Sample]) {
            self.name = name
            self.help = help
            self.kind = kind
            self.samples = samples
        }
    }
    package var families: [Family]
    package init(families: [Family] = []) { self.families = families }
}

/// A change worth showing, for `/api/v1/events`.
package enum NodeEvent: Sendable, Equatable {
    case memberChanged(MemberReport)
    case memberRemoved(id: String)
    case streamChanged(StreamReport)
    case streamEnded(name: String)
    /// The route to a carried stream changed; readers ask for it anew.
    case routeChanged(stream: String)
    case sessionsChanged(publishers: Int, viewers: Int)
}
