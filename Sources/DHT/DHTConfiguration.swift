import SwarmCore

/// What an operator or a test may change. The defaults are the protocol's recommendation, and nodes with different
/// values work together.
package struct DHTConfiguration: Sendable {
    /// Contacts per bucket and holders per record (Kademlia's k).
    package var bucketSize = 20
    /// Peers of one lookup that are asked and not yet late (Kademlia's α).
    package var parallelism = 3
    /// How long a record lives after a holder received it.
    package var recordLifetime = Interval.seconds(45)
    /// How often a publisher signs and stores anew: a third of the lifetime survives two lost rounds.
    package var republishInterval = Interval.seconds(15)
    /// A bucket nobody looked into for this long is refreshed by a lookup.
    package var refreshInterval = Interval.seconds(600)
    /// A contact unheard for this long is pinged before a newcomer is turned away from its bucket.
    package var probeAge = Interval.seconds(60)
    /// Failures in a row after which a contact is forgotten.
    package var failuresToForget = 3
    /// Contacts of one subnet (/24, /48) in one bucket and in the table; loopback and private addresses are exempt.
    package var subnetLimitPerBucket = 4
    package var subnetLimitInTable = 24
    /// True for a node that others cannot dial: it asks, and is entered in nobody's table.
    package var isClientOnly = false

    package init() {}

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
}
