import SwarmCore

/// A scenario in words: what a run prints before it begins.
package enum ScenarioText {
    package static func summary(of plan: Scenario) -> String {
        var lines = [
            "\(plan.name): \(plan.about)",
            "  seed \(plan.seed), \(plan.nodes) nodes on \(plan.matrix), fidelity \(plan.fidelity.rawValue), "
                + "crypto \(plan.hasRealCryptography ? "real" : "counted"), membership \(plan.hasMembership ? "on" : "off"), "
                + "checks \(plan.hasChecks ? "on" : "off")",
            "  join \(plan.join.over.text), settle \(plan.settle.text), measure \(plan.duration.text), "
                + "recover \(plan.recovery.text)",
            "  network: jitter \(FigureText.short(plan.network.jitterRatio)), loss \(range(plan.network.baseLoss))"
                + (plan.network.burstMeanMilliseconds > 0
                    ? ", bursts of \(FigureText.short(plan.network.burstMeanMilliseconds)) ms" : ""),
        ]
        for stream in plan.streams {
            lines.append("  streams \(stream.name): \(stream.count), and \(rate(stream.rate))")
        }
        for lookup in plan.lookups {
            let every = lookup.everyNodeWithin.map { ", every node within \($0.text)" } ?? ""
            lines.append("  lookups \(lookup.name): of \(lookup.target.rawValue), \(rate(lookup.rate))\(every)")
        }
        for viewer in plan.viewers {
            lines.append("  viewers \(viewer.name): \(viewer.count), and \(rate(viewer.rate))")
        }
        for fault in plan.faults { lines.append("  fault \(fault.name): \(text(of: fault))") }
        for adversary in plan.adversaries {
            lines.append(
                "  adversaries \(adversary.name): \(adversary.behaviour.rawValue), "
                    + amount(adversary.share, adversary.count))
        }
        return lines.joined(separator: "\n")
    }

    private static func text(of fault: FaultPlan) -> String {
        let every = fault.every.map { ", again every \($0.text)" } ?? ""
        return "\(kind(fault.kind)) of \(amount(fault.share, fault.count)) of \(fault.group.rawValue), at "
            + "\(fault.at.text)\(every)"
    }

    private static func kind(_ kind: FaultPlan.Kind) -> String {
        switch kind {
        case .crash(let back): "crash (\(back.identity.rawValue) back)"
        case .leave(let back): "goodbye (\(back.identity.rawValue) back)"
        case .pause: "pause"
        case .skew(let wall, let drift): "clock \(wall.text) off, \(drift) ppm"
        case .partition(let isOneWay): isOneWay ? "one-way partition" : "partition"
        case .clog: "clog"
        case .loss(let share): "loss \(FigureText.short(share * 100)) %"
        case .latency(let factor, let added): "latency × \(FigureText.short(factor)) + \(added.text)"
        case .capacity(let rate): "capacity \(FigureText.short(rate / 1000)) kbit/s"
        case .churn(let sessions, _): "churn (\(sessions))"
        }
    }

    private static func amount(_ share: Double, _ count: Int) -> String {
        share > 0 ? "\(FigureText.short(share * 100)) %" + (count > 0 ? " and \(count)" : "") : "\(count)"
    }

    private static func rate(_ rate: Double) -> String { "\(FigureText.short(rate)) per second" }

    private static func range(_ range: ClosedRange<Double>) -> String {
        let low = FigureText.short(range.lowerBound * 100)
        let high = FigureText.short(range.upperBound * 100)
        return low == high ? "\(low) %" : "\(low) to \(high) %"
    }
}
