import SwarmCore

/// Something that is done to the swarm during the measured time, once or again and again.
package struct FaultPlan: Sendable {
    package enum Kind: Sendable, Hashable {
        /// Hosts are gone from one instant to the next.
        case crash(Return)
        /// Hosts say goodbye and are gone.
        case leave(Return)
        /// Hosts stall: nothing runs, what arrives waits in their sockets.
        case pause
        /// Clocks are off: the wall clock by a constant, the monotonic one by a rate.
        case skew(wall: Interval, driftPPM: Int64)
        /// The targets are cut off from the others; one way: what they send is still heard by the others.
        case partition(isOneWay: Bool)
        /// Everything to and from the targets waits until the end.
        case clog
        /// A further share of what the targets send and receive is lost.
        case loss(Double)
        /// What the targets send and receive takes longer.
        case latency(factor: Double, added: Interval)
        /// The targets' access links have this capacity.
        case capacity(bitsPerSecond: Double)
        /// Every target lives for a session drawn anew each time, then another node takes its place.
        case churn(sessions: LifetimeDistribution, downtime: ClosedRange<Interval>)
    }

    /// How a host that went down comes back.
    package struct Return: Sendable, Hashable {
        package enum Identity: String, CaseIterable, Sendable {
            /// Not at all.
            case never
            /// As a stranger, with a new key.
            case fresh
            /// With its key and nothing else: what a data directory keeps.
            case same
        }

        package var identity = Identity.never
        /// How long it is down.
        package var after = Interval.seconds(5)

        package init(_ identity: Identity = .never, after: Interval = .seconds(5)) {
            self.identity = identity
            self.after = after
        }
    }

    /// Among whom the targets are drawn.
    package enum Group: String, CaseIterable, Sendable {
        /// All but the seeds.
        case others
        case any
        case seeds
        /// Nodes at which a stream is published.
        case publishers
        /// Nodes that feed others and publish nothing.
        case relays
        /// The same, those first on which most viewers hang.
        case busiest
    }

    package var name: String
    package var kind: Kind
    /// From the beginning of the measured time; may be negative.
    package var at = Interval.zero
    /// Again and again at this distance, to the end of the measured time; nil: once.
    package var every: Interval?
    /// How long what can end lasts.
    package var lasts = Interval.seconds(10)
    package var group = Group.others
    /// Share of the group that is hit, and so many more.
    package var share = 0.0
    package var count = 0

    package init(name: String, _ kind: Kind) {
        self.name = name
        self.kind = kind
    }
}
