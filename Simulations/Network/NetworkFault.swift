/// Something that goes wrong in the network from one instant to another. Times are nanoseconds since the run's start.
package struct NetworkFault: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        /// Datagrams between nodes of different groups are lost; node i is of group `groups[i]`, nodes beyond the
        /// array of group 0. One way: only those from a lower group to a higher one.
        case partition(groups: [UInt8], isOneWay: Bool)
        /// Datagrams wait until the fault's end, up to `NetworkLimits.cloggedDatagrams` of them.
        case cloggedPath(from: Int, to: Int)
        /// Likewise all that a node sends and all that is sent to it.
        case cloggedNode(Int)
        /// A further share is lost between two sets.
        case loss(from: NodeSet, to: NodeSet, share: Double)
        /// A node's access link has this capacity in both directions.
        case capacity(node: Int, bitsPerSecond: Double)
        /// One-way delays between two sets are multiplied, then lengthened.
        case latency(from: NodeSet, to: NodeSet, factor: Double, addedMilliseconds: Double)
    }

    package var kind: Kind
    package var begin: UInt64
    /// The first instant without the fault.
    package var end: UInt64

    package init(_ kind: Kind, from begin: UInt64, until end: UInt64) {
        self.kind = kind
        self.begin = begin
        self.end = end
    }

    /// The first thing wrong with the fault, in one line; nil if nothing is.
    package var problem: String? {
        guard begin < end else { return "a fault ends after it begins, not at \(end) ns after \(begin) ns" }
        switch kind {
        case .partition: return nil
        case .cloggedPath, .cloggedNode:
            let limit = NetworkLimits.cloggingNanoseconds
            return end - begin > limit ? "a clogging lasts at most \(limit) ns, not \(end - begin)" : nil
        case .loss(_, _, let share):
            return (0...1).contains(share) ? nil : "a share of loss is between 0 and 1, not \(share)"
        case .capacity(_, let rate):
            let range = NetworkLimits.accessBitsPerSecond
            return range.contains(rate)
                ? nil : "a capacity is between \(range.lowerBound) and \(range.upperBound) bit/s, not \(rate)"
        case .latency(_, _, let factor, let added):
            guard (0...1_000).contains(factor) else { return "a latency's factor is between 0 and 1000, not \(factor)" }
            let limit = NetworkLimits.roundTripMilliseconds
            return (0...limit).contains(added) ? nil : "an added latency is between 0 and \(limit) ms, not \(added)"
        }
    }
}

/// Names a fault of one model.
package struct NetworkFaultID: Sendable, Hashable {
    package let number: UInt64
}

/// Some nodes, or all of them.
package struct NodeSet: Sendable, Hashable {
    /// One bit a node; nil: every node.
    private var words: [UInt64]?

    package static var all: NodeSet { NodeSet(words: nil) }

    package init(_ nodes: some Sequence<Int>) {
        var words: [UInt64] = []
        for node in nodes {
            precondition((0..<SimulationLimits.nodes).contains(node), "node \(node) of a set is beyond the limit")
            while words.count <= node / 64 { words.append(0) }
            words[node / 64] |= 1 << UInt64(node % 64)
        }
        self.words = words
    }

    private init(words: [UInt64]?) { self.words = words }

    package func contains(_ node: Int) -> Bool {
        guard let words else { return true }
        return node / 64 < words.count && words[node / 64] >> UInt64(node % 64) & 1 == 1
    }
}

/// What the active faults do to one datagram.
struct FaultEffect {
    var drop: NetworkDrop?
    var survival = 1.0
    var factor = 1.0
    var addedNanoseconds = 0.0
    var holdUntil: UInt64 = 0
    var uplinkRate: Double?
    var downlinkRate: Double?
}

/// The faults of a run, past ones forgotten. Outside the span of all of them a datagram pays for one comparison.
struct NetworkFaults {
    private struct Entry {
        let id: UInt64
        let fault: NetworkFault
        /// Datagrams a clogging holds.
        var held = 0
    }

    private var entries: [Entry] = []
    private var nextID: UInt64 = 1
    private var earliestBegin = UInt64.max
    private var latestEnd: UInt64 = 0

    /// Nil if `NetworkLimits.faults` lie ahead or are active already.
    mutating func add(_ fault: NetworkFault) -> NetworkFaultID? {
        guard entries.count < NetworkLimits.faults else { return nil }
        let id = nextID
        nextID += 1
        entries.append(Entry(id: id, fault: fault))
        updateSpan()
        return NetworkFaultID(number: id)
    }

    mutating func remove(_ id: NetworkFaultID) {
        entries.removeAll { $0.id == id.number }
        updateSpan()
    }

    mutating func removeAll() {
        entries = []
        updateSpan()
    }

    @inline(__always)
    func mayBeActive(at now: UInt64) -> Bool { now >= earliestBegin && now < latestEnd }

    mutating func effect(from: Int, to: Int, at now: UInt64) -> FaultEffect {
        var effect = FaultEffect()
        var hasPast = false
        for index in entries.indices {
            let fault = entries[index].fault
            guard now < fault.end else {
                hasPast = true
                continue
            }
            guard now >= fault.begin else { continue }
            if Self.apply(fault, from: from, to: to, &effect) {
                if entries[index].held < NetworkLimits.cloggedDatagrams {
                    entries[index].held += 1
                } else {
                    effect.drop = .clogged
                }
            }
        }
        if hasPast {
            entries.removeAll { $0.fault.end <= now }
            updateSpan()
        }
        return effect
    }

    /// True if the fault holds the datagram back.
    private static func apply(_ fault: NetworkFault, from: Int, to: Int, _ effect: inout FaultEffect) -> Bool {
        switch fault.kind {
        case .partition(let groups, let isOneWay):
            let source = from < groups.count ? groups[from] : 0
            let target = to < groups.count ? groups[to] : 0
            if isOneWay ? source < target : source != target { effect.drop = .partitioned }
        case .cloggedPath(let source, let target):
            guard source == from, target == to else { return false }
            effect.holdUntil = max(effect.holdUntil, fault.end)
            return true
        case .cloggedNode(let node):
            guard node == from || node == to else { return false }
            effect.holdUntil = max(effect.holdUntil, fault.end)
            return true
        case .loss(let sources, let targets, let share):
            if sources.contains(from), targets.contains(to) { effect.survival *= 1 - share }
        case .capacity(let node, let rate):
            if node == from { effect.uplinkRate = min(effect.uplinkRate ?? rate, rate) }
            if node == to { effect.downlinkRate = min(effect.downlinkRate ?? rate, rate) }
        case .latency(let sources, let targets, let factor, let added):
            guard sources.contains(from), targets.contains(to) else { return false }
            effect.factor *= factor
            effect.addedNanoseconds += added * 1_000_000
        }
        return false
    }

    private mutating func updateSpan() {
        earliestBegin = entries.map(\.fault.begin).min() ?? .max
        latestEnd = entries.map(\.fault.end).max() ?? 0
    }
}
