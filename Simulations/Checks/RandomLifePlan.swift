import SwarmCore

/// Something that goes wrong in a random life. Times are milliseconds since the first fault may begin.
package struct LifeFault: Sendable, Hashable, CustomStringConvertible {
    package enum Kind: Sendable, Hashable {
        /// Down for good.
        case crash(Int)
        /// Down for `after` ms; then up again with its key, or as somebody new.
        case restart(Int, after: Int, keepsKey: Bool)
        /// Says goodbye, and is gone for good.
        case leave(Int)
        case pause(Int, for: Int)
        /// The wall clock jumps by so many ms.
        case wallJump(Int, by: Int)
        /// The monotonic clock runs fast (or slow) by so many millionths from now on.
        case drift(Int, ppm: Int)
        case partition(groups: [UInt8], isOneWay: Bool, for: Int)
        case clogged(Int, for: Int)
        case loss(Int, share: Double, for: Int)
        case slow(Int, bitsPerSecond: Double, for: Int)
        case far(Int, addedMilliseconds: Double, for: Int)
    }

    package var at: Int
    package var kind: Kind

    package init(at: Int, kind: Kind) {
        self.at = at
        self.kind = kind
    }

    package var description: String { "\(at) ms: \(kind)" }

    /// When it is over: the fault itself, and the way back from it.
    package var end: Int {
        switch kind {
        case .crash, .leave, .wallJump, .drift: at
        case .restart(_, let after, _): at + after
        case .pause(_, let span), .partition(_, _, let span), .clogged(_, let span), .loss(_, _, let span),
            .slow(_, _, let span), .far(_, _, let span):
            at + span
        }
    }

    /// The node it is about, if it is about one.
    package var node: Int? {
        switch kind {
        case .crash(let node), .restart(let node, _, _), .leave(let node), .pause(let node, _), .wallJump(let node, _),
            .drift(let node, _), .clogged(let node, _), .loss(let node, _, _), .slow(let node, _, _),
            .far(let node, _, _):
            node
        case .partition: nil
        }
    }
}

/// Everything that a random life consists of, drawn from one seed; a value, so that a failing one can be made smaller.
package struct LifePlan: Sendable, CustomStringConvertible {
    /// Members who break rules while the faults last, and are gone afterwards.
    package enum Insider: Int, CaseIterable, Sendable {
        case lying, silent, forgetful, dropping, forging, falseGossip, requestFlood
    }

    package var seed: UInt64
    package var nodes: Int
    package var network: NetworkConfiguration
    /// Round trips from the built-in matrix; else all nodes lie 50 ms apart.
    package var hasDistances: Bool
    package var streams: Int
    package var lookupsPerSecond: Int
    /// When new faults cease to begin, in ms.
    package var faultSpan: Int
    package var faults: [LifeFault]
    /// At the highest places, beyond `nodes`.
    package var insiders: [Insider]
    package var hasReplays: Bool
    package var hasHandshakeFlood: Bool
    /// Shows with publishers and viewers, in this fidelity.
    package var media: SimulationMedia.Fidelity?
    /// Of one node over all streams: few, so that trees grow deep, and enough for all shows.
    package var maxChildren: Int

    package var description: String {
        var lines = [
            "seed \(seed): \(nodes) nodes and \(insiders.count) insiders \(insiders), \(streams) streams, "
                + "\(lookupsPerSecond) lookups/s, distances \(hasDistances), replays \(hasReplays), "
                + "flood \(hasHandshakeFlood), media \(media.map(\.rawValue) ?? "none"), at most \(maxChildren) children",
            "network: \(network)",
        ]
        lines += faults.map(\.description)
        return lines.joined(separator: "\n")
    }

    /// Which sorts of trouble may be drawn.
    package struct Menu: Sendable {
        package var hasInsiders = true
        package var nodes = 8...50
        package init() {}
    }

    package init(seed: UInt64, menu: Menu = Menu()) {
        self.seed = seed
        var draw = SeededGenerator(seed: seed).child(0x706c_616e)
        nodes = menu.nodes.lowerBound + draw.integer(below: menu.nodes.count)
        hasDistances = draw.next() & 1 == 0
        streams = 2 + draw.integer(below: 8)
        lookupsPerSecond = 1 + draw.integer(below: 6)
        faultSpan = 20_000 + draw.integer(below: 60_000)
        network = Self.network(&draw)
        hasReplays = draw.next() & 3 != 0
        hasHandshakeFlood = draw.next() & 7 == 0
        let fidelity = draw.integer(below: 8)
        media = fidelity < 3 ? .flow : fidelity == 3 && nodes <= 16 ? .packets : nil
        maxChildren = 8 + draw.integer(below: 25)
        insiders = []
        if menu.hasInsiders {
            for _ in 0..<draw.integer(below: max(1, nodes / 10) + 1) {
                insiders.append(Insider.allCases[draw.integer(below: Insider.allCases.count)])
            }
        }
        faults = []
        for _ in 0..<(2 + draw.integer(below: 12)) { faults.append(fault(&draw)) }
        faults.sort { $0.at < $1.at }
        faults = Self.survivable(faults, nodes: nodes)
    }

    private static func network(_ draw: inout SeededGenerator) -> NetworkConfiguration {
        var network = NetworkConfiguration()
        network.jitterRatio = draw.unitInterval() * 0.4
        let loss = draw.unitInterval() * 0.02
        network.baseLoss = loss / 2...loss
        network.burstLoss = 0.05...(0.05 + draw.unitInterval() * 0.25)
        network.burstMeanMilliseconds = draw.next() & 1 == 0 ? 0 : 400
        network.duplication = draw.unitInterval() * 0.02
        network.reordering = draw.unitInterval() * 0.02
        network.bitFlips = draw.next() & 1 == 0 ? 0 : 0.001
        return network
    }

    private func fault(_ draw: inout SeededGenerator) -> LifeFault {
        let node = draw.integer(below: nodes)
        func span(_ range: ClosedRange<Int>) -> Int { range.lowerBound + draw.integer(below: range.count) }
        let kind: LifeFault.Kind
        switch draw.integer(below: 13) {
        case 0: kind = .crash(node)
        case 1, 2: kind = .restart(node, after: span(100...30_000), keepsKey: true)
        case 3: kind = .restart(node, after: span(100...30_000), keepsKey: false)
        case 4: kind = .leave(node)
        case 5: kind = .pause(node, for: span(100...12_000))
        case 6: kind = .wallJump(node, by: span(0...240_000) - 120_000)
        case 7: kind = .drift(node, ppm: span(0...2_000) - 1_000)
        case 8, 9:
            let groups = (0..<nodes).map { _ in UInt8(draw.next() & 1) }
            kind = .partition(groups: groups, isOneWay: draw.next() & 3 == 0, for: span(1_000...60_000))
        case 10: kind = .clogged(node, for: span(100...8_000))
        case 11: kind = .loss(node, share: draw.unitInterval() * 0.5, for: span(1_000...20_000))
        default:
            kind =
                draw.next() & 1 == 0
                ? .slow(node, bitsPerSecond: 50_000 + draw.unitInterval() * 200_000, for: span(1_000...15_000))
                : .far(node, addedMilliseconds: draw.unitInterval() * 400, for: span(1_000...20_000))
        }
        return LifeFault(at: draw.integer(below: faultSpan), kind: kind)
    }

    /// Leaves out what happens to a node that is down or about to leave then, and what would kill more than a third.
    private static func survivable(_ faults: [LifeFault], nodes: Int) -> [LifeFault] {
        var busyUntil: [Int: Int] = [:]
        var gone = 0
        return faults.filter { fault in
            guard let node = fault.node else { return true }
            guard busyUntil[node] ?? -1 < fault.at else { return false }
            switch fault.kind {
            case .crash, .leave:
                guard gone < nodes / 3 else { return false }
                gone += 1
                busyUntil[node] = .max
            case .restart: busyUntil[node] = fault.end + 2_000
            default: break
            }
            return true
        }
    }

    /// When all faults are over, in ms since the first may begin.
    package var lastFaultEnd: Int { max(faultSpan, faults.map(\.end).max() ?? 0) }
}
