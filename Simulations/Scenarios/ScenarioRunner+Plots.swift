import SwarmCore

/// Pictures of a run.
extension ScenarioRunner {
    /// Those for which there is anything to show.
    package func plots() -> [Plot] {
        [latencyPlot(), loadPlot(), bytesPlot(), treePlot].compactMap { $0 }
    }

    /// Each distribution as the share of values not above x.
    private func latencyPlot() -> Plot? {
        var gaps = Distribution()
        for gap in fabric?.gaps ?? [] { gaps.add(gap.fractionalMilliseconds) }
        let distributions = [
            ("lookup", ledger.found), ("\u{201c}not live\u{201d}", ledger.absent),
            ("publish", publications.times), ("gap", gaps),
        ]
        return LinePlot(
            name: "latency", title: "\(scenario.name): latency, seed \(scenario.seed)", xLabel: "milliseconds",
            yLabel: "share not above",
            series: distributions.map { name, values in
                LinePlot.Series(name: name, points: Self.cumulative(values))
            }
        ).plot
    }

    private static func cumulative(_ values: Distribution) -> [(x: Double, y: Double)] {
        var values = values
        let sorted = values.sorted()
        // The slowest thousandth would leave the rest no room.
        let shown = sorted.count > 1000 ? sorted.prefix(sorted.count * 999 / 1000) : sorted[...]
        return shown.enumerated().map { ($0.element, Double($0.offset + 1) / Double(sorted.count)) }
    }

    private func loadPlot() -> Plot? {
        let title = "\(scenario.name): load, seed \(scenario.seed)"
        return LinePlot(
            name: "load", title: title, xLabel: "seconds", yLabel: "datagrams per node-second; number",
            series: [
                overTime("datagrams") { $0.datagramsPerNodeSecond },
                overTime("lookup p50, ms") { $0.lookupMilliseconds },
                overTime("viewers without media") { $0.viewers > 0 ? Double($0.viewersWithoutMedia) : nil },
                overTime("busiest over mean egress") { $0.egressMaxOverMean },
            ]
        ).plot
    }

    private func bytesPlot() -> Plot? {
        LinePlot(
            name: "bytes", title: "\(scenario.name): traffic, seed \(scenario.seed)", xLabel: "seconds",
            yLabel: "bytes per node-second", series: [overTime("sent") { $0.bytesPerNodeSecond }]
        ).plot
    }

    private func overTime(_ name: String, _ value: (ScenarioSample) -> Double?) -> LinePlot.Series {
        let points = samples.compactMap { sample in
            value(sample).map { (x: Double(sample.time) / 1_000_000_000, y: $0) }
        }
        return LinePlot.Series(name: name, points: points)
    }

    /// The tree of the stream that most nodes watch, as their routes have it at the end.
    private var treePlot: Plot? {
        guard scenario.fidelity != .discovery else { return nil }
        let watched = viewersByStream()
        guard let most = watched.max(by: { $0.nodes.count < $1.nodes.count }) else { return nil }
        let stream = truth.streams[most.stream]
        var entries: [TreePlot.Entry] = []
        var known: Set<Int> = []
        for node in most.nodes {
            for (place, step) in (route(of: stream.name, from: stream.node, to: node) ?? []).enumerated() {
                guard known.insert(step).inserted else { continue }
                let parent = place == 0 ? nil : parent(of: step, in: stream.name)
                let viewers = audience.viewers.count { $0.node == step && $0.stream == most.stream && !$0.isGone }
                entries.append(TreePlot.Entry(node: step, parent: parent, viewers: viewers))
            }
        }
        return TreePlot(title: "\(scenario.name): tree of \(stream.name.text), seed \(scenario.seed)", entries: entries)
            .plot
    }
}
