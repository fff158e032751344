import SwarmCore

/// The swarm over one interval of a run.
package struct ScenarioSample: Sendable {
    /// Nanoseconds since the start, at the interval's end.
    package var time: UInt64
    package var nodesUp: Int
    /// Within the interval.
    package var datagramsPerNodeSecond: Double
    package var bytesPerNodeSecond: Double
    package var lookupMilliseconds: Double?
    package var liveStreams: Int
    package var viewers: Int
    package var viewersWithoutMedia: Int
    /// Egress of the busiest node over the mean of all; nil without media.
    package var egressMaxOverMean: Double?

    /// One line of JSON.
    package var line: String {
        let members: [(String, String)] = [
            ("kind", "\"sample\""), ("t_ms", FigureText.number(Double(time) / 1_000_000)),
            ("nodes_up", String(nodesUp)),
            ("datagrams_per_node_second", FigureText.number(datagramsPerNodeSecond)),
            ("bytes_per_node_second", FigureText.number(bytesPerNodeSecond)),
            ("lookup_ms_p50", FigureText.number(lookupMilliseconds)), ("live_streams", String(liveStreams)),
            ("viewers", String(viewers)), ("viewers_without_media", String(viewersWithoutMedia)),
            ("egress_max_over_mean", FigureText.number(egressMaxOverMean)),
        ]
        return "{" + members.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}"
    }
}

extension ScenarioRunner {
    private static var mostSamples: UInt64 { 2000 }

    /// Every second, or less often in runs that are longer than `mostSamples` of them.
    func scheduleSamples() {
        let step = max(1_000_000_000, timeline.end / Self.mostSamples)
        sample(after: step, since: nil)
    }

    private func sample(after step: UInt64, since last: SimulationTraffic?) {
        let begun = now
        let time = now + step
        guard time <= timeline.end else { return }
        simulation.schedule(at: time) { [unowned self] _ in
            take(since: last ?? SimulationTraffic(), begun)
            sample(after: step, since: simulation.traffic)
        }
    }

    private func take(since last: SimulationTraffic, _ begun: UInt64) {
        let nodesUp = simulation.nodes.count { $0.isUp }
        let nodeSeconds = max(1, Double(nodesUp)) * Double(now - begun) / 1_000_000_000
        var found = ledger.takeInterval()
        var sample = ScenarioSample(
            time: now, nodesUp: nodesUp,
            datagramsPerNodeSecond: Double(simulation.traffic.sent - last.sent) / nodeSeconds,
            bytesPerNodeSecond: Double(simulation.traffic.bytesSent - last.bytesSent) / nodeSeconds,
            lookupMilliseconds: found.quantile(0.5), liveStreams: truth.liveCount, viewers: 0, viewersWithoutMedia: 0)
        if !audience.viewers.isEmpty {
            let measures = livingViewers()
            sample.viewers = measures.count
            sample.viewersWithoutMedia = measures.count { $0.timeToFirstKeyFrame == nil || $0.isWithoutMedia }
        }
        sample.egressMaxOverMean = addEgress()
        samples.append(sample)
    }

    /// Adds what every node sends of media now to the books; the busiest over the mean.
    private func addEgress() -> Double? {
        guard let media else { return nil }
        var sum = 0.0
        var most = 0.0
        var count = 0
        for node in simulation.nodes where node.isUp && node.media != nil {
            let egress = media.egressBitsPerSecond(of: node)
            if timeline.isMeasured(now) { egressSums[node.index] += egress }
            sum += egress
            most = max(most, egress)
            count += 1
        }
        return sum > 0 ? most * Double(count) / sum : nil
    }

    /// Sessions that have not ended, of nodes that are up.
    func livingViewers() -> [ViewerMeasure] {
        simulation.nodes.flatMap { node in
            (node.media?.viewers(at: node.clock.now(now)) ?? []).filter { !$0.isClosed }
        }
    }
}
