import MediaRelay
import SwarmCore

/// Media crosses a link once, leaves no datagram behind, and comes from an origin: a checker for runs with media.
package final class MediaChecker: Checker {
    package let name = "media"
    package let interests: CheckerInterests = []
    package weak var log: ViolationLog?
    private unowned let media: SimulationMedia
    private var sweeps = 0

    /// Statistics are snapshots that cost an array a row, so every tenth sweep, each virtual second, takes them.
    private static var sweepsBetween: Int { 10 }

    package init(_ media: SimulationMedia) { self.media = media }

    package func sweep(_ simulation: Simulation) {
        sweeps += 1
        guard sweeps % Self.sweepsBetween == 1 else { return }
        let up = simulation.nodes.count { $0.isUp }
        for node in simulation.nodes where node.isHonest {
            if let plane = node.media as? PacketMedia {
                for worker in plane.statistics() {
                    for text in Self.faults(of: worker) { violate(text, at: node, in: simulation) }
                }
                if plane.datagramsDropped > 0 {
                    violate("\(plane.datagramsDropped) datagrams found no room", at: node, in: simulation)
                }
            }
            for feed in media.fabric?.feeds(of: node.index) ?? [] {
                if let text = Self.fault(of: feed, nodes: up) { violate(text, at: node, in: simulation) }
            }
        }
    }

    /// What is wrong with a worker's counters.
    package static func faults(of worker: WorkerStatistics) -> [String] {
        worker.links.filter { $0.framesFirstSentTwice > 0 }.map {
            "link \($0.handle.raw) sent \($0.framesFirstSentTwice) frames twice that were not lost"
        }
    }

    /// What is wrong with a row of the true tree: media that has passed more links than there are nodes goes round.
    package static func fault(of feed: FlowFeed, nodes: Int) -> String? {
        guard let hops = feed.hops, hops > nodes else { return nil }
        return "stream \(feed.stream.raw) has come over \(hops) links among \(nodes) nodes"
    }
}
