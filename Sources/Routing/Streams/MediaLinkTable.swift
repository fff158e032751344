import SwarmCore
import SwarmCrypto

/// The media links of this node: who uses them, and which of them the workers have seen work.
///
/// A link belongs to one pair of workers and one direction of opening; every stream between the two shares it. It is
/// closed when its last user lets go.
struct MediaLinkTable: Sendable {
    struct Link: Sendable {
        let plan: MediaLinkPlan
        var users = 0
        var isEstablished = false
    }

    /// In the order of opening.
    private(set) var links: [Link] = []
    private var nextID: UInt32

    init(firstID: UInt32) { nextID = firstID }

    var isFull: Bool { links.count >= RoutingLimits.mediaLinks }

    func link(_ id: UInt32) -> Link? { links.first { $0.plan.localConnectionID == id } }

    /// An id no link has and no recent proposal had: they count up. Never 0.
    mutating func allocateID() -> UInt32 {
        repeat {
            nextID = nextID &+ 1
        } while nextID == 0 || link(nextID) != nil
        return nextID
    }

    /// A link from `remoteWorker` of `peer` (who opened it) to `localWorker` that the peer says it still has.
    func usable(from peer: NodeID, remoteWorker: Int, localWorker: Int, instances: [UInt64]) -> MediaLinkPlan? {
        links.first {
            !$0.plan.isInitiator && $0.plan.peer.id == peer && $0.plan.remoteWorker == remoteWorker
                && $0.plan.localWorker == localWorker && instances.contains($0.plan.instance)
        }?.plan
    }

    /// Instances of links from `worker` that we opened to `peer`.
    func instances(to peer: NodeID, from worker: Int) -> [UInt64] {
        links.filter { $0.plan.isInitiator && $0.plan.peer.id == peer && $0.plan.localWorker == worker }
            .map(\.plan.instance)
    }

    mutating func insert(_ plan: MediaLinkPlan) { links.append(Link(plan: plan)) }

    mutating func retain(_ id: UInt32) {
        guard let index = links.firstIndex(where: { $0.plan.localConnectionID == id }) else { return }
        links[index].users += 1
    }

    /// One user less. Returns the plan of a link that nobody uses any more and that is now gone.
    mutating func release(_ id: UInt32) -> MediaLinkPlan? {
        guard let index = links.firstIndex(where: { $0.plan.localConnectionID == id }) else { return nil }
        links[index].users -= 1
        guard links[index].users <= 0 else { return nil }
        return links.remove(at: index).plan
    }

    /// False where the link is unknown or was established before.
    mutating func establish(_ id: UInt32) -> Bool {
        guard let index = links.firstIndex(where: { $0.plan.localConnectionID == id }), !links[index].isEstablished
        else { return false }
        links[index].isEstablished = true
        return true
    }

    func isEstablished(_ id: UInt32) -> Bool { link(id)?.isEstablished ?? false }
}
