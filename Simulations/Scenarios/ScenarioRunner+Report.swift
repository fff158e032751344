import SwarmCore

/// What the run showed.
extension ScenarioRunner {
    /// After `timeline.end`.
    package func report() -> SimulationReport {
        for defect in simulation.defects {
            violations.append(
                ScenarioViolation(rule: defect.kind.rawValue, text: defect.description, time: defect.time))
        }
        return SimulationReport(
            scenario: scenario.name, nodes: scenario.nodes, seed: scenario.seed, digest: simulation.digest.text,
            simulated: Interval(nanoseconds: Int64(clamping: now)), events: simulation.traffic.events,
            machineCalls: simulation.traffic.machineCalls, violations: violations,
            figures: lookupFigures() + trafficFigures())
    }

    private func lookupFigures() -> [Figure] {
        guard ledger.asked > 0 else { return [] }
        var found = ledger.found
        var absent = ledger.absent
        return [
            Figure("lookups", ledger.asked),
            Figure("lookup_ms_p50", found.quantile(0.5)), Figure("lookup_ms_p90", found.quantile(0.9)),
            Figure("lookup_ms_p99", found.quantile(0.99)), Figure("lookup_ms_max", found.maximum),
            Figure("lookup_success_ratio", ledger.successRatio),
            Figure("lookup_wrong_count", ledger.counts[.wrong]),
            Figure("false_absence_count", ledger.counts[.falseAbsence]),
            Figure("lookup_timeout_count", ledger.counts[.timedOut]),
            Figure("absence_ms_p50", absent.quantile(0.5)), Figure("absence_ms_p99", absent.quantile(0.99)),
        ]
    }

    private func trafficFigures() -> [Figure] {
        guard let before, let after else { return [] }
        let seconds = Double(after.time - before.time) / 1_000_000_000
        let nodeSeconds = seconds * Double(before.nodesUp + after.nodesUp) / 2
        guard nodeSeconds > 0 else { return [] }
        func perNodeSecond(_ counter: (SimulationTraffic) -> UInt64) -> Double {
            Double(counter(after.traffic) - counter(before.traffic)) / nodeSeconds
        }
        return [
            Figure("nodes_up", after.nodesUp),
            Figure("datagrams_per_node_second", perNodeSecond(\.sent)),
            Figure("bytes_per_node_second", perNodeSecond(\.bytesSent)),
            Figure("measured_events_per_node_second", perNodeSecond(\.events)),
            Figure("machine_calls_per_node_second", perNodeSecond(\.machineCalls)),
            Figure("lost_ratio", lostRatio(before.traffic, after.traffic)),
        ]
    }

    private func lostRatio(_ before: SimulationTraffic, _ after: SimulationTraffic) -> Double? {
        let sent = after.sent - before.sent
        return sent > 0 ? Double(after.totalLost - before.totalLost) / Double(sent) : nil
    }
}
