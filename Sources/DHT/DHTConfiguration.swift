import SwarmCore

/// What an operator or a test may change. The defaults are the protocol's recommendation, and nodes with different
/// values work together.
package struct DHTConfiguration: Sendable {
    /// Contacts per bucket and holders per record (Kademlia's k), at most 20.
    package var bucketSize = 20
    /// Siblings, the nodes nearest to this one that are all known, in multiples of k: at most 2.
    package var siblingFactor = 2
    /// Peers of one lookup of the DHT's own upkeep that are asked and not yet late (Kademlia's α).
    package var parallelism = 3
    /// The same for lookups that somebody waits for.
    package var hurriedParallelism = 6
    /// The same once they are wide: nearly all that is left is asked at once.
    package var wideParallelism = 64
    /// Own peers that a lookup which claims absence or names holders asks whatever it learns, and the names it follows of
    /// each answer.
    package var seedsFollowed = 40
    package var namesFollowed = 2
    /// The names that a node follows which enters the swarm: whom it meets then decides who is in its table.
    package var namesFollowedAtJoin = 8
    /// Nodes that an answer names at least, where it knows them; more only within the region asked about.
    package var namesToLeadOn = 8
    /// How many nodes of a key's region a lookup has to know to begin with them alone, and how many it then asks at once.
    package var fewestToOpen = 2
    package var openedAtOnce = 3
    /// Known holders that a publisher asks, whatever it learns, who else is near.
    package var holdersAsked = 8
    /// How many nodes nearest to a random point are asked in order to be known by them, and how often at the least.
    package var exploredWidth = 8
    package var longestExplorationPause = Interval.seconds(300)
    /// With a usual round trip from this on, everything that a lookup may need is asked at once.
    package var farRoundTrip = Interval.milliseconds(80)
    /// How long a record lives after a holder received it.
    package var recordLifetime = Interval.seconds(45)
    /// How often a publisher signs and stores anew: a third of the lifetime survives two lost rounds.
    package var republishInterval = Interval.seconds(15)
    /// A contact unheard for this long is pinged, where nodes live long; sooner where they do not.
    package var refreshInterval = Interval.seconds(900)
    /// A contact unheard for this long, and for what the upkeep allows, is pinged before a newcomer is turned away from
    /// its bucket.
    package var probeAge = Interval.seconds(60)
    /// Failures in a row after which a contact is forgotten.
    package var failuresToForget = 3
    /// In one bucket at most one contact in this time gives its place to a nearer one.
    package var swapInterval = Interval.seconds(10)
    /// And one in this time to a guest. Nodes that everybody joins through tell what they know to all; only if that changes
    /// fast enough does not everybody come to know the same.
    package var guestInterval = Interval.seconds(1)
    /// Contacts of one subnet (/24, /48) in one bucket and in the table; loopback and private addresses are exempt.
    package var subnetLimitPerBucket = 4
    package var subnetLimitInTable = 24
    /// True for a node that others cannot dial: it asks, and is entered in nobody's table.
    package var isClientOnly = false

    package init() {}

    package var siblings: Int { siblingFactor * bucketSize }
    /// Contacts of a bucket that may be chosen for being near, those that may be guests, and those that keep the place
    /// they have had from the first.
    package var chosenPerBucket: Int { bucketSize / 4 }
    package var guestsPerBucket: Int { bucketSize * 3 / 5 }
    package var settledPerBucket: Int { bucketSize - chosenPerBucket - guestsPerBucket }

    /// The longest lifetime a holder grants to records of streams, and the shortest it accepts.
    package static var longestLifetime: Interval { .seconds(60) }
    /// The longest for a node's own addresses: three times the 40 minutes between two rounds.
    package static var longestAddressLifetime: Interval { .seconds(7200) }
    package static var shortestLifetime: Interval { .seconds(1) }
    /// How far a signer's wall clock may be from the reader's.
    package static var clockTolerance: Interval { .seconds(300) }
    /// How long the sequence of a dead record is remembered: a copy of it may carry a clock 5 minutes ahead and stays
    /// acceptable for 5 minutes after that; the rest covers its lifetime.
    package static var memoryOfTheDead: Interval { .seconds(690) }
    /// The longest silence after which a contact is still named to others.
    package static var longestTrust: Interval { .seconds(3600) }
}
