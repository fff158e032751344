import Composition
import SwarmCore

/// Figures of media: who is served, how long they lacked it, over which ways and at whose cost.
extension ScenarioRunner {
    /// At the end of the run.
    func mediaFigures() -> [Figure] {
        guard scenario.fidelity != .discovery, !audience.viewers.isEmpty else { return [] }
        var served = 0
        var judged = 0
        var refused = 0
        var answer = Distribution()
        var start = Distribution()
        var longest = Distribution()
        var duplicates: UInt64 = 0
        var lost: UInt64 = 0
        var received: UInt64 = 0
        let measures = simulation.nodes.map { node in node.media?.viewers(at: node.clock.now(now)) ?? [] }
        for viewer in audience.viewers {
            if viewer.isRefused { refused += 1 }
            if let time = viewer.answerMilliseconds { answer.add(time) }
            let measure = measures[viewer.node].first { $0.client == viewer.client }
            if let measure {
                if let time = measure.timeToFirstKeyFrame { start.add(time.fractionalMilliseconds) }
                if viewer.isOrphaned { longest.add(measure.longestGap.fractionalMilliseconds) }
                duplicates += measure.packetsDuplicate
                lost += measure.packetsLost
                received += measure.packetsReceived
            }
            guard isJudged(viewer) else { continue }
            judged += 1
            if let measure, measure.timeToFirstKeyFrame != nil, !measure.isWithoutMedia { served += 1 }
        }
        var figures = [
            Figure("viewers", audience.viewers.count), Figure("viewers_refused_count", refused),
            Figure("viewers_served_ratio", judged > 0 ? Double(served) / Double(judged) : nil),
            Figure("viewers_with_media_ratio", meanWithMedia),
            Figure("answer_ms_p50", answer.quantile(0.5)), Figure("answer_ms_p99", answer.quantile(0.99)),
            Figure("start_ms_p50", start.quantile(0.5)), Figure("start_ms_p99", start.quantile(0.99)),
        ]
        // At flow fidelity every loss of the way is a gap; packet by packet a gap is known by the relay that died.
        var gaps = longest
        if let fabric {
            gaps = Distribution()
            for gap in fabric.gaps { gaps.add(gap.fractionalMilliseconds) }
        }
        figures += [
            Figure("gaps", gaps.count), Figure("gap_ms_p50", gaps.quantile(0.5)),
            Figure("gap_ms_p99", gaps.quantile(0.99)), Figure("gap_ms_max", gaps.maximum),
        ]
        if scenario.fidelity == .packets {
            figures += [
                Figure("packets_received", received), Figure("packets_lost", lost),
                Figure("packets_duplicate", duplicates),
            ]
        }
        return figures + egressFigures()
    }

    /// Viewers that somebody should serve: still there, of a node that lives, of a stream that goes on, and not just
    /// come.
    private func isJudged(_ viewer: Viewer) -> Bool {
        let stream = truth.streams[viewer.stream]
        return !viewer.isGone && simulation.nodes[viewer.node].life == viewer.life && stream.endedAt == nil
            && viewer.arrivedAt + UInt64(Self.grace.nanoseconds) <= now
    }

    /// Over the samples of the measured time.
    private var meanWithMedia: Double? {
        var sum = 0.0
        var count = 0
        for sample in samples where timeline.isMeasured(sample.time) && sample.viewers > 0 {
            sum += 1 - Double(sample.viewersWithoutMedia) / Double(sample.viewers)
            count += 1
        }
        return count > 0 ? sum / Double(count) : nil
    }

    /// Each node's egress in the mean over the measured time; nodes that were down for a part of it count less.
    private func egressFigures() -> [Figure] {
        let sums = simulation.nodes.indices.filter { simulation.nodes[$0].isUp }.map { egressSums[$0] }
        let total = sums.reduce(0, +)
        guard total > 0, let most = sums.max() else { return [] }
        let moments = Double(max(1, samples.count { timeline.isMeasured($0.time) }))
        var figures = [Figure("utilisation_max_over_mean", most * Double(sums.count) / total)]
        if let capacity = scenario.network.uplinkBitsPerSecond {
            figures += [
                Figure("utilisation_max_ratio", most / moments / capacity),
                Figure("utilisation_mean_ratio", total / moments / Double(sums.count) / capacity),
            ]
        }
        return figures
    }

    // MARK: Paths

    /// The swarm's ways to its viewers beside the direct ones, the best with one relay, and a central tree.
    func judgePaths() -> [Figure] {
        guard scenario.fidelity != .discovery, !audience.viewers.isEmpty else { return [] }
        let oracle = Oracle(nodeCount: simulation.nodes.count) { [unowned self] in
            simulation.network.roundTripMilliseconds($0, $1)
        }
        var actual = Distribution()
        var direct = Distribution()
        var optimal = Distribution()
        var central = Distribution()
        var hopCounts = Distribution()
        let up = simulation.nodes.indices.filter { simulation.nodes[$0].isUp }
        for (place, nodes) in viewersByStream() {
            let stream = truth.streams[place]
            for node in nodes where node != stream.node {
                guard let way = route(of: stream.name, from: stream.node, to: node) else { continue }
                actual.add(zip(way, way.dropFirst()).reduce(0.0) { $0 + oracle.roundTrip($1.0, $1.1) })
                hopCounts.add(Double(way.count - 1))
                direct.add(oracle.roundTrip(stream.node, node))
                optimal.add(2 * oracle.bestDelay(stream.node, node, relays: up).milliseconds)
            }
            guard nodes.contains(where: { $0 != stream.node }) else { continue }
            let tree = oracle.greedyTree(
                origin: stream.node, members: nodes.filter { $0 != stream.node },
                degree: simulation.options.maxChildren)
            for delay in tree.delays.dropFirst() { central.add(2 * delay) }
        }
        return [
            Figure("paths", actual.count), Figure("path_rtt_ms_mean", actual.mean),
            Figure("path_rtt_ms_direct_mean", direct.mean), Figure("path_rtt_ms_optimal_mean", optimal.mean),
            Figure("path_rtt_ms_central_tree_mean", central.mean), Figure("path_hops_mean", hopCounts.mean),
            Figure("path_hops_max", hopCounts.maximum),
        ]
    }

    /// Nodes behind which somebody watches, by stream, both in their order.
    func viewersByStream() -> [(stream: Int, nodes: [Int])] {
        var nodes: [Int: Set<Int>] = [:]
        for viewer in audience.viewers where isJudged(viewer) && viewer.client != nil {
            nodes[viewer.stream, default: []].insert(viewer.node)
        }
        return nodes.keys.sorted().map { ($0, (nodes[$0] ?? []).sorted()) }
    }

    /// The nodes from the origin to `node` as the nodes' own routes have it; nil where they do not lead there.
    func route(of stream: StreamName, from origin: Int, to node: Int) -> [Int]? {
        var way = [node]
        while let last = way.last, last != origin {
            guard way.count <= 64, let parent = parent(of: last, in: stream) else { return nil }
            way.append(parent)
        }
        return way.reversed()
    }

    /// The node that feeds `node`, as it has it.
    func parent(of node: Int, in stream: StreamName) -> Int? {
        guard let parent = simulation.nodes[node].swarm?.machine.route(of: stream)?.parent else { return nil }
        guard let index = hosts.nodes[parent], simulation.nodes[index].host?.contact.id == parent else { return nil }
        return index
    }
}
