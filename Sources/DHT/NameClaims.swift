import SwarmCore

/// Who has a plain name when two nodes claim it, as after a partition: the older lease as the holders observed it; of
/// leases that began at about the same time, the id nearer to the name's key. Publishers and readers use the same
/// arithmetic on the same observations, so that all come to one winner.
///
/// Ages reach the two publishers and the readers over different ways and differ by a little. A hard limit between "older"
/// and "equal" would let both lose, or both stay, whenever the true difference lies on it. Hence the node with the
/// farther id must be older by 2 s to stay, and the one with the nearer id gives way only to a lease that is older by 3 s:
/// as long as two views differ by less than half a second no pair loses both, and the pair between the limits, which
/// keeps both, is decided for the nearer id after three rounds.
package enum NameClaim {
    /// What the farther id must be ahead by.
    package static var lead: Interval { .seconds(2) }
    /// What the nearer id gives way to.
    package static var deficit: Interval { .seconds(3) }
    /// Where readers draw the line: between the two.
    package static var readersLead: Interval { .milliseconds(2500) }
    /// Rounds after which a pair between the limits is decided for the nearer id.
    package static var roundsToDecide: Int { 3 }
    /// Rounds after which the number of holders decides, whatever else is said: where the two publishers have met
    /// different holders.
    package static var roundsToCount: Int { 6 }

    /// One age from those that several holders state: the highest but for the top quarter, which may lie; the others see
    /// less than the truth where they are young themselves.
    package static func observedAge(_ ages: [Interval]) -> Interval {
        guard !ages.isEmpty else { return .zero }
        return ages.sorted()[ages.count - 1 - ages.count / 4]
    }

    /// Whether the holder of an age gives way to a rival.
    package static func givesWay(
        own: (id: NodeID, age: Interval), to rival: (id: NodeID, age: Interval), key: Bytes32, round: Int
    ) -> Bool {
        guard own.id.distance(to: key) > rival.id.distance(to: key) else { return rival.age > own.age + deficit }
        if rival.age + lead > own.age { return true }
        // Between the limits both would stay.
        return round >= roundsToDecide && rival.age + deficit + .seconds(1) > own.age
    }

    /// The index of the claim that a reader who sees several believes; nil for none.
    package static func preferred(_ claims: [(id: NodeID, age: Interval)], key: Bytes32) -> Int? {
        guard let oldest = claims.map(\.age).max() else { return nil }
        return claims.indices.filter { claims[$0].age + readersLead >= oldest }
            .min { claims[$0].id.distance(to: key) < claims[$1].id.distance(to: key) }
    }
}
