import SwarmCore

/// Bounds of the control plane, with the arithmetic that set them.
package enum CompositionLimits {
    /// Streams known to this node as publisher, viewer or carrier: 1,024 a worker (MediaLimits) and four workers.
    package static var streams: Int { 4096 }
    /// Sessions of all workers: 4,096 viewers on each of four.
    package static var sessions: Int { 16_384 }
    /// Requests waiting for the swarm at one time. HTTP holds at most that many connections open.
    package static var pendingRequests: Int { 2048 }
    /// After this a request that waits for the swarm is answered with a refusal. Lookups end well before.
    package static var requestTimeout: Interval { .seconds(5) }
    /// How long a stream without viewers is kept before its branch is cut: a page that reloads finds it warm.
    package static var linger: Interval { .seconds(2) }
    /// Waiting for the workers' counters: they answer within one batch.
    package static var statisticsTimeout: Interval { .milliseconds(500) }
    /// Listings under way: each holds one of the DHT's 256 lookups, which viewers need more.
    package static var listings: Int { 16 }
    /// A publisher that has not connected for this long no longer holds its name against the next.
    package static var connectTime: Interval { .seconds(5) }
    /// Names announced by hand (`mafalda dht put`) at one time: a tool for looking, not for publishing.
    package static var announcements: Int { 64 }
    /// Streams of one listing.
    package static var listedStreams: Int { 1000 }
    /// The publisher of a plain RTP description gives at most this many ports.
    package static var plainPorts: Int { 8 }
}
