import SwarmCore

/// What one run is: how many nodes, on which network, what they do and what is done to them, and what is expected.
///
/// A pure value: `ScenarioReader` makes one of a file, tests make theirs in code, `ScenarioRunner` plays it. Everything
/// that chance decides follows from `seed`.
package struct Scenario: Sendable {
    package var name: String
    /// One line about what it shows.
    package var summary = ""
    package var nodes = 20
    package var seed: UInt64 = 1
    /// The measured time. Joining and settling come before it, recovery after it.
    package var duration = Interval.seconds(60)
    /// Between the last join and the measured time; streams that exist from the start are published in its first half.
    package var settle = Interval.seconds(30)
    /// After the measured time: faults have ended, what is under way comes to its end, liveness is demanded.
    package var recovery = Interval.seconds(6)
    package var join = JoinPlan()
    /// Ciphers and signatures as in production, instead of the counted stand-in.
    package var hasRealCryptography = false
    /// False where discovery alone is measured: no gossip, nobody is watched.
    package var hasMembership = true
    /// In the order of their names.
    package var streams: [StreamWorkload] = []
    package var lookups: [LookupWorkload] = []

    package init(name: String) { self.name = name }
}

/// How the swarm comes together.
package struct JoinPlan: Sendable {
    /// The seeds are up at once; the others join one by one within this time.
    package var over = Interval.seconds(20)
    /// Nodes whose addresses are published: the first ones, which know each other.
    package var seeds = 5
    /// How many of the seeds a newcomer tries, drawn for each.
    package var contacts = 2

    package init() {}
}

/// Streams that come and go. Each is published at a node drawn for it; where that node dies, the stream is over.
package struct StreamWorkload: Sendable {
    package var name: String
    /// Published before the measured time begins, and there for good unless `lifetime` says otherwise.
    package var count = 0
    /// Further ones per second of the measured time.
    package var rate = 0.0
    /// How long a stream is published; nil: to the end of the run.
    package var lifetime: Interval?
    /// A stream whose node died is published again at another node under a new name, so that their number stays.
    package var isReplaced = false
    /// Names are NAME/room-R/N where this is positive, with N counted on and R = N mod rooms; else NAME/N.
    package var rooms = 0

    package init(name: String) { self.name = name }
}

/// Nodes that ask where streams are.
package struct LookupWorkload: Sendable {
    package enum Target: String, CaseIterable, Sendable {
        /// A stream that has been published for a while, each equally often.
        case live
        /// A name that never was.
        case absent
        /// The first stream: every node asks for the same.
        case hot
    }

    package var name: String
    package var target = Target.live
    /// Lookups per second of the measured time, at random moments.
    package var rate = 0.0
    /// Every node asks once at a random moment of this time, from the beginning of the measured one.
    package var everyNodeWithin: Interval?

    package init(name: String) { self.name = name }
}
