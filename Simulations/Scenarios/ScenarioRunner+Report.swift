import SwarmCore

/// What the run showed.
extension ScenarioRunner {
    /// After `timeline.end`, once: demands what is still due, judges and reckons.
    package func report() -> SimulationReport {
        let media = mediaFigures()
        let members = memberFigures()
        if let checks {
            if scenario.demandsLiveness {
                Liveness(liveTruth()).demand(
                    of: simulation, in: checks, using: generator(Simulation.Purpose.scenario, "liveness"))
            }
            checks.finish(simulation)
        }
        let figures =
            lookupFigures() + publishFigures() + trafficFigures() + balanceFigures() + pathFigures + media + members
            + otherFigures()
        return SimulationReport(
            scenario: scenario.name, nodes: scenario.nodes, seed: scenario.seed, digest: simulation.digest.text,
            simulated: Interval(nanoseconds: Int64(clamping: now)), events: simulation.traffic.events,
            machineCalls: simulation.traffic.machineCalls, violations: violations(figures), figures: figures)
    }

    private func violations(_ figures: [Figure]) -> [ScenarioViolation] {
        var found: [ScenarioViolation] = []
        if let checks {
            found = checks.violations.map {
                ScenarioViolation(rule: $0.checker, text: $0.description, time: $0.time)
            }
        } else {
            found = simulation.defects.map {
                ScenarioViolation(rule: $0.kind.rawValue, text: $0.description, time: $0.time)
            }
        }
        for expectation in scenario.expectations {
            let value = figures.first { $0.name == expectation.figure }?.value
            if let value, expectation.relation.holds(value, expectation.value) { continue }
            let wanted = "\(expectation.relation.rawValue) \(FigureText.number(expectation.value, decimals: 6))"
            let got = value.map { FigureText.number($0, decimals: 6) } ?? "not measured"
            found.append(
                ScenarioViolation(
                    rule: "expect-" + expectation.figure, text: "\(expectation.figure) is \(got), expected \(wanted)"))
        }
        return found
    }

    /// What must be findable, and what must not, now that nothing is broken.
    private func liveTruth() -> SwarmTruth {
        var all = SwarmTruth()
        let live = truth.liveStreams.filter { stream in
            let node = simulation.nodes[stream.node]
            return node.isUp && node.life == stream.life
        }
        // What ends or moves while the swarm is asked would be judged by what was.
        let lasting = live.filter { stream in
            let plan = scenario.streams[stream.workload]
            return plan.lifetime == nil && plan.moves == nil
        }
        all.streams = lasting.map { ($0.name, $0.node) }
        let names = Set(live.map(\.name))
        // One that moves may be between two nodes at this moment.
        let over = truth.streams.filter { stream in
            stream.endedAt != nil && !names.contains(stream.name) && scenario.streams[stream.workload].moves == nil
        }
        all.absent = over.map(\.name).suffix(20)
        let living = Set(simulation.nodes.compactMap { $0.host?.contact.id })
        all.dead = hosts.dead.filter { !living.contains($0.id) }
        return all
    }

    // MARK: Figures

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
            Figure("lookup_timeout_count", ledger.counts[.timedOut]),
            Figure("lookup_refused_count", ledger.counts[.refused]),
            Figure("lookup_void_count", ledger.counts[.void]),
            Figure("false_absence_count", ledger.counts[.falseAbsence]),
            Figure("absence_ms_p50", absent.quantile(0.5)), Figure("absence_ms_p99", absent.quantile(0.99)),
            Figure("absence_ratio", ledger.absenceRatio),
        ]
    }

    private func publishFigures() -> [Figure] {
        guard !truth.streams.isEmpty else { return [] }
        var times = publications.times
        var perMinute: Double?
        // Nodes that have gone took their counts with them.
        if let before, let after, truth.liveCount > 0, hosts.crashes == 0 {
            let minutes = Double(after.time - before.time) / 60_000_000_000 * Double(truth.liveCount)
            perMinute = Double(after.publishingRequests - before.publishingRequests) / minutes
        }
        return [
            Figure("streams_published", truth.streams.count), Figure("streams_live", truth.liveCount),
            Figure("publish_ms_p50", times.quantile(0.5)), Figure("publish_ms_p99", times.quantile(0.99)),
            Figure("publish_refused_count", publications.refused),
            Figure("publish_requests_per_stream_minute", perMinute),
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
        let sent = after.traffic.sent - before.traffic.sent
        let lost = after.traffic.totalLost - before.traffic.totalLost
        var figures = [
            Figure("nodes_up", after.nodesUp),
            Figure("datagrams_per_node_second", perNodeSecond(\.sent)),
            Figure("bytes_per_node_second", perNodeSecond(\.bytesSent)),
            Figure("machine_calls_per_node_second", perNodeSecond(\.machineCalls)),
            Figure("lost_ratio", sent > 0 ? Double(lost) / Double(sent) : nil),
        ]
        if !scenario.hasMembership {
            // Nothing but discovery speaks: the DHT's messages and the links that carry them.
            figures.append(Figure("dht_bytes_per_node_second", perNodeSecond(\.bytesSent)))
        }
        return figures
    }

    /// How unevenly the nodes are asked. A node that restarted counts from its restart.
    private func balanceFigures() -> [Figure] {
        guard let before, let after, ledger.asked > 0 else { return [] }
        var most: UInt64 = 0
        var sum: UInt64 = 0
        var count = 0
        for node in simulation.nodes where node.swarm != nil {
            let early = before.answers[node.index]
            let late = after.answers[node.index]
            let answers = late >= early ? late - early : late
            most = max(most, answers)
            sum += answers
            count += 1
        }
        let mean = count > 0 ? Double(sum) / Double(count) : 0
        return [
            Figure("answers_mean", mean), Figure("answers_max", most),
            Figure("answers_max_over_mean", mean > 0 ? Double(most) / mean : nil),
        ]
    }

    private func otherFigures() -> [Figure] {
        var figures = [Figure("crashes", hosts.crashes)]
        if refusedFaults > 0 { figures.append(Figure("faults_refused_count", refusedFaults)) }
        if let checks { figures.append(Figure("checker_violations", checks.log.count)) }
        if let replays { figures.append(Figure("replays", replays.replays)) }
        return figures
    }

    /// Whether everybody's view of the swarm is the truth.
    private func memberFigures() -> [Figure] {
        guard scenario.hasMembership, scenario.nodes <= 1000 else { return [] }
        let living = simulation.nodes.compactMap { $0.host?.contact.id }
        let alive = Set(living)
        let dead = hosts.dead.map(\.id).filter { !alive.contains($0) }
        var agreeing = 0
        var judged = 0
        var remembered = 0
        for node in simulation.nodes {
            guard let swarm = node.swarm else { continue }
            judged += 1
            let missing = living.contains { $0 != swarm.contact.id && !swarm.machine.knowsMember($0) }
            let ghosts = dead.count { swarm.machine.knowsMember($0) }
            remembered += ghosts
            if !missing, ghosts == 0 { agreeing += 1 }
        }
        guard judged > 0 else { return [] }
        var figures = [Figure("members_agree_ratio", Double(agreeing) / Double(judged))]
        if !dead.isEmpty {
            let pairs = Double(judged * dead.count)
            figures.append(Figure("member_forgotten_ratio", 1 - Double(remembered) / pairs))
        }
        return figures
    }
}
