import SwarmCore

/// The bounds of this module, with the arithmetic that set them.
package enum RoutingLimits {
    // MARK: Membership

    /// Monitors of each node: DESIGN asks for four to six. Five probes a second per node at rest.
    package static var monitors: Int { 5 }
    /// Helpers asked to probe on our behalf (SWIM §3.1: three helpers and 2 % loss leave 10^-4 false suspicions).
    package static var indirectHelpers: Int { 3 }
    /// News is pushed at once to this many members; four infect 10,000 nodes in seven rounds.
    package static var pushFanOut: Int { 4 }
    /// Workers whose ports one member may name: a byte's worth of cores is more than any host seen, 64 keeps the
    /// description below 700 bytes.
    package static var workersPerMember: Int { 64 }
    package static var urlBytes: Int { 255 }
    package static var regionBytes: Int { 32 }
    /// Fields of a later version that we relay without knowing them.
    package static var unknownDescriptionBytes: Int { 64 }
    /// A description at its largest: contact 109, fixed 56, ports 130, texts 289, unknown 64.
    package static var descriptionBytes: Int { 720 }
    /// An entry of a news list: a description with its tag and, in a sample, another tag and an age.
    package static var entryBytes: Int { 724 }
    /// Members from which on joins are not pushed: at 256, one join costs 1,024 messages.
    package static var pushedJoins: Int { 256 }
    /// News riding on one probe: keeps a probe below 600 bytes, so that it never delays media on a thin path.
    package static var piggybackBytes: Int { 500 }
    /// Entries of one message: 1152 bytes of the shortest entries (44 bytes each).
    package static var newsEntriesPerMessage: Int { 32 }
    /// News waiting to ride on probes: in the 15 s of its life a node sends 75 probes and answers with three or four
    /// entries each, and each entry is told ten times or more. What does not fit is left to the anti-entropy sync.
    package static var queuedNews: Int { 128 }
    /// News waiting to be pushed, within 50 ms.
    package static var urgentNews: Int { 512 }
    package static var seeds: Int { 64 }
    /// Probes we run for others at a time; three helpers of five monitors ask at most 15 at once in the worst second.
    package static var relayedProbes: Int { 64 }
    /// Pages sent for one PULL or to a stranger: 4 × 1152 bytes, so a request of 250 bytes is answered by at most 4.6 kB.
    package static var pagesPerSync: Int { 4 }
    /// Digests in one PULL: 1152 bytes less 70 fixed and a description of 180, four bytes each. A longer description
    /// leaves room for fewer.
    package static var digestsPerPull: Int { 224 }
    /// The longest undivided member list (DESIGN §7: full lists up to about 2,000 nodes).
    package static var fullMembers: Int { 2048 }
    /// Members of a cell: 512 × 32 bytes are 16 KiB; halved, 256 are left, twice the minimum.
    package static var cellMaximum: Int { 512 }
    /// With fewer, the share of a cell's members that a burst of failures takes is no longer near the swarm's.
    package static var cellMinimum: Int { 128 }
    /// Members of other cells known at a time.
    package static var foreignMembers: Int { 64 }
    /// What one node tells a member of another cell: of its own cell, nearest to the other, and of the rest; 22 entries
    /// of 120 bytes fit three pages.
    package static var sampledOwnCell: Int { 8 }
    package static var sampledNearest: Int { 8 }
    package static var sampledForeign: Int { 6 }
    /// Contacts handed in by the owner and not asked yet; as many as syncs at a time.
    package static var hints: Int { 4 }
    /// Failed and strayed members asked again long after, so that the halves of an old partition find each other.
    package static var lostMembers: Int { 16 }
    /// PINGs sent for one page to members held failed that the page calls alive.
    package static var revivalsPerPage: Int { 8 }
    /// Versions are wall milliseconds at start, raised by one: anything above is a poisoned version nobody could refute.
    package static var version: UInt64 { 1 << 56 }

    // MARK: Stream routes

    /// Streams one node may publish, watch or carry.
    package static var streams: Int { 4096 }
    /// Child edges of one node over all streams: 16 children for each of 512 streams.
    package static var childEdges: Int { 8192 }
    /// Subscriptions of one node to one stream: the old, the new, and those a lossy path repeats under new numbers.
    package static var edgesPerChild: Int { 4 }
    /// Children of one node, whatever `maxChildren` says.
    package static var childNodes: Int { 1024 }
    package static var mediaLinks: Int { 4096 }
    /// Edges held only by a first handshake message that may be a replay.
    package static var unconfirmedEdges: Int { 64 }
    /// Candidates asked at once.
    package static var asksAtOnce: Int { 3 }
    /// Candidates kept of one offer.
    package static var candidates: Int { 16 }
    /// SUBSCRIBEs sent in one search before it asks for new candidates: bounds nodes that delegate in a circle.
    package static var asksPerSearch: Int { 32 }
    /// Contacts named by one DELEGATE: 8 × 109 bytes at most.
    package static var delegates: Int { 8 }
    /// Hops from the origin: ids of 8 bytes each, 128 bytes of every ACCEPT.
    package static var hops: Int { 16 }
    /// Opaque descriptor bytes: 1152 less 1 + 8 + 60 fixed, 1 + 128 path, 2 length.
    package static var descriptorBytes: Int { 900 }
    /// Links a child names as usable in one SUBSCRIBE: 16 × 8 bytes.
    package static var knownLinks: Int { 16 }
    /// UNSUBSCRIBE and ENDED messages waiting for their answer.
    package static var farewells: Int { 1024 }
}
