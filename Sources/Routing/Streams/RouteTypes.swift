import SwarmCore
import SwarmCrypto

/// A node that may serve a stream, as the composition sees it: from the DHT, with what gossip knows about it.
package struct RouteCandidate: Sendable, Hashable {
    package var contact: Contact
    package var isOrigin: Bool
    /// Predicted delay from the origin through this candidate to us, as far as it is known.
    package var predictedDelayMilliseconds: Double
    /// 0–1000 ‰.
    package var load: UInt16
    /// Share of lost probes on the path to the candidate, 0–1000 ‰.
    package var lossPerMille: UInt16

    package init(
        contact: Contact, isOrigin: Bool, predictedDelayMilliseconds: Double, load: UInt16, lossPerMille: UInt16 = 0
    ) {
        self.contact = contact
        self.isOrigin = isOrigin
        self.predictedDelayMilliseconds = predictedDelayMilliseconds
        self.load = load
        self.lossPerMille = lossPerMille
    }
}

/// A media link as both ends agreed on it: what the composition needs to derive the keys and to tell a worker.
package struct MediaLinkPlan: Sendable, Hashable {
    /// What arriving packets carry; unique in this node, never 0.
    package var localConnectionID: UInt32
    /// What our packets must carry.
    package var remoteConnectionID: UInt32
    package var peer: Contact
    /// True for the child, who opens.
    package var isInitiator: Bool
    package var localWorker: Int
    package var remoteWorker: Int
    /// UDP port of the peer's worker.
    package var remotePort: UInt16
    /// Random, chosen by the child: makes every opening of a link a different one.
    package var instance: UInt64
    /// Which secret of the control link the keys come from.
    package var mediaEpoch: UInt64
    package var cipher: LinkCipherKind
}

/// Why a stream could not be had.
package enum RouteFailure: Int, CaseIterable, Sendable, Hashable {
    /// Nobody asked carries it.
    case notFound
    /// Everybody asked was full.
    case full
    /// Nobody answered.
    case timedOut
    /// Only nodes below us in the tree were offered.
    case loop
    /// Refused by a policy.
    case policy
    case tableFull
}

/// What `StreamRoutes` tells the composition. `link` is always the local connection id.
package enum StreamRouteEvent: Sendable {
    /// Open this media link in worker `plan.localWorker`. Comes before any attachment that names it.
    case openLink(MediaLinkPlan)
    /// Nothing uses the link any more.
    case closeLink(link: UInt32, worker: Int)
    /// Media of `stream` will arrive over `link`, labelled `alias`; replaces an earlier parent.
    case parentAttached(
        stream: StreamName, link: UInt32, alias: UInt32, layers: UInt64, descriptor: [UInt8], epoch: UInt64)
    case parentDetached(stream: StreamName)
    /// Send media of `stream` over `link`, labelled `alias` (the child's). Repeated with other layers, it changes them.
    case childAttached(stream: StreamName, link: UInt32, alias: UInt32, layers: UInt64, child: NodeID)
    case childDetached(stream: StreamName, link: UInt32, child: NodeID)
    /// The parent sent a newer descriptor (or another epoch).
    case descriptorChanged(stream: StreamName, descriptor: [UInt8], epoch: UInt64)
    /// The origin has unpublished it, or nobody here and below wants it any more. The route is forgotten.
    case ended(stream: StreamName)
    /// Look the stream up again and call `offer`.
    case needsCandidates(stream: StreamName)
    /// Given up; the route is forgotten.
    case failed(stream: StreamName, reason: RouteFailure)
    /// Whether this node now carries the stream for others to find.
    case carrying(stream: StreamName, Bool)
}

/// This node's place in a stream's tree.
package enum RouteRole: Sendable, Hashable {
    case origin
    /// Without a parent, looking for one.
    case seeking
    /// A parent has accepted us; its media link is being opened.
    case attaching
    case attached
}

/// One stream's route, for operators and tests.
package struct RouteSnapshot: Sendable {
    package struct Child: Sendable, Hashable {
        package var node: NodeID
        package var link: UInt32
        package var alias: UInt32
        package var layers: UInt64
        /// False while only reserved.
        package var isAttached: Bool
    }

    package var stream: StreamName
    package var role: RouteRole
    package var worker: Int
    package var parent: Contact?
    package var parentLink: UInt32?
    package var children: [Child]
    /// Hops from the origin; nil while there is no parent.
    package var rank: Int?
    /// The origin's number under which `rank` holds.
    package var number: UInt32
    package var epoch: UInt64
    /// First eight bytes of the ids from the origin to the parent.
    package var path: [UInt64]
    package var layers: UInt64
    package var hasLocalInterest: Bool
    /// Why the search under way has found no parent yet; nil without a search.
    package var obstacle: RouteFailure?
    package var descriptor: [UInt8]
}

/// What a `StreamRoutes` is made with.
package struct StreamRoutesConfiguration: Sendable {
    package var own: Contact
    /// UDP port of each media worker, in order; at least one.
    package var workerPorts: [UInt16]
    /// How many nodes may be children of this one, over all streams.
    package var maxChildren: Int
    /// AES where the processor has it; the parent takes ChaCha20 unless both prefer AES.
    package var preferredCipher: LinkCipherKind
    /// Computes the ids of contacts that peers name.
    package var suite: CryptoSuite

    package init(
        own: Contact, workerPorts: [UInt16], maxChildren: Int, preferredCipher: LinkCipherKind,
        suite: CryptoSuite = .real
    ) {
        self.own = own
        self.workerPorts = workerPorts
        self.maxChildren = maxChildren
        self.preferredCipher = preferredCipher
        self.suite = suite
    }
}

extension NodeID {
    /// The first eight bytes: enough to recognise a node on a path of at most 16.
    package var prefix: UInt64 { bytes.word0 }
}
