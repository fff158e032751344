import Composition
import EventLoop
import MediaRelay
import SwarmCore

/// `/metrics`: base units, labels from bounded sets (worker index, direction, reason).
enum MetricFamilies {
    static func families(of node: NodeStatistics) -> [MetricsReport.Family] {
        gauges(node) + sessionCounters(node.workers) + linkCounters(node.workers) + [refusals(node)]
    }

    private static func gauges(_ node: NodeStatistics) -> [MetricsReport.Family] {
        [
            gauge("mafalda_members", "Live members of the swarm other than this node.", Double(node.peers)),
            gauge("mafalda_streams", "Streams published or carried here.", Double(node.streams)),
            gauge("mafalda_publishers", "Sessions that send to this node.", Double(node.publishers)),
            gauge("mafalda_viewers", "Sessions this node sends to.", Double(node.viewers)),
            gauge("mafalda_children", "Nodes fed by this node, over all streams.", Double(node.children)),
            gauge("mafalda_load_ratio", "Share of the scarcest resource in use.", node.load),
            gauge(
                "mafalda_resident_memory_bytes", "Resident memory of the process.",
                Double(ProcessResources.residentBytes)),
            gauge("mafalda_open_descriptors", "Open file descriptors.", Double(ProcessResources.openDescriptors)),
        ]
    }

    private static func sessionCounters(_ workers: [WorkerStatistics]) -> [MetricsReport.Family] {
        [
            perWorker("mafalda_session_received_packets", "RTP packets of open sessions' publishers.", workers) {
                $0.sessions.reduce(0) { $0 + $1.packetsReceived }
            },
            perWorker("mafalda_session_received_bytes", "RTP bytes of open sessions' publishers.", workers) {
                $0.sessions.reduce(0) { $0 + $1.bytesReceived }
            },
            perWorker("mafalda_session_sent_packets", "RTP packets to open sessions' viewers.", workers) {
                $0.sessions.reduce(0) { $0 + $1.packetsSent }
            },
            perWorker("mafalda_session_sent_bytes", "RTP bytes to open sessions' viewers.", workers) {
                $0.sessions.reduce(0) { $0 + $1.bytesSent }
            },
        ]
    }

    private static func linkCounters(_ workers: [WorkerStatistics]) -> [MetricsReport.Family] {
        [
            perWorker("mafalda_link_received_bytes", "Bytes of open media links from other nodes.", workers) {
                $0.links.reduce(0) { $0 + $1.bytesReceived }
            },
            perWorker("mafalda_link_sent_bytes", "Bytes of open media links to other nodes.", workers) {
                $0.links.reduce(0) { $0 + $1.bytesSent }
            },
            perWorker("mafalda_link_lost_packets", "Packets of open media links that never came.", workers) {
                $0.links.reduce(0) { $0 + $1.packetsLost }
            },
        ]
    }

    private static func refusals(_ node: NodeStatistics) -> MetricsReport.Family {
        var samples = node.refusals.map {
            MetricsReport.Sample(Double($0.count), labels: [.init("reason", $0.reason)])
        }
        var media: [String: UInt64] = [:]
        for worker in node.workers {
            for (reason, count) in worker.refusals { media["media.\(reason)", default: 0] += count }
        }
        samples += media.keys.sorted().map {
            MetricsReport.Sample(Double(media[$0] ?? 0), labels: [.init("reason", $0)])
        }
        return .init(
            name: "mafalda_refused_arrivals", help: "Arrivals refused, by reason.", kind: .counter, samples: samples)
    }

    private static func gauge(_ name: String, _ help: String, _ value: Double) -> MetricsReport.Family {
        .init(name: name, help: help, kind: .gauge, samples: [.init(value)])
    }

    /// Sums over open sessions and links fall when one closes, so they are gauges to OpenMetrics.
    private static func perWorker(
        _ name: String, _ help: String, _ workers: [WorkerStatistics], _ value: (WorkerStatistics) -> UInt64
    ) -> MetricsReport.Family {
        .init(
            name: name, help: help, kind: .gauge,
            samples: workers.map { .init(Double(value($0)), labels: [.init("worker", String($0.worker))]) })
    }
}
