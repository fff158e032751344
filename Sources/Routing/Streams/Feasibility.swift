import SwarmCore

/// Where a node stands in a stream's tree, as it tells its children.
package struct TreePosition: Hashable, Sendable {
    /// Which publication: a publisher that returns starts a new one.
    package var epoch: UInt64
    /// Issued by the origin, raised when somebody needs a parent it may not take under the current one.
    package var number: UInt32
    /// Hops from the origin.
    package var rank: UInt8

    package init(epoch: UInt64, number: UInt32, rank: UInt8) {
        self.epoch = epoch
        self.number = number
        self.rank = rank
    }

    /// Whether this position belongs to a newer tree than `other`'s.
    package func isNewer(than other: TreePosition) -> Bool {
        epoch != other.epoch ? epoch > other.epoch : number > other.number
    }
}

/// The best position a node has told its children under the newest number: the feasibility distance of Babel
/// (RFC 8966 §3.5.1). A node that may only take parents strictly better than that can never take one of its own
/// descendants, however old the news it decides on.
package struct Feasibility: Hashable, Sendable {
    package private(set) var best: TreePosition

    package init(_ position: TreePosition) { best = position }

    /// The feasibility condition.
    package func allows(parentAt position: TreePosition) -> Bool {
        if position.isNewer(than: best) { return true }
        return position.epoch == best.epoch && position.number == best.number && position.rank < best.rank
    }

    /// Remembers what is told now.
    package mutating func told(_ position: TreePosition) {
        if position.isNewer(than: best) {
            best = position
        } else if position.epoch == best.epoch, position.number == best.number {
            best.rank = min(best.rank, position.rank)
        }
    }
}
