import SwarmCore

/// What becomes of one datagram.
package enum Transit: Sendable, Hashable {
    case dropped(NetworkDrop)
    /// Delivered at `at`, always later than the sending; once more at `copyAt`, if the network duplicated it; with bit
    /// `flippedBit` of its payload inverted, if the checksum missed that.
    case arrives(at: UInt64, copyAt: UInt64?, flippedBit: Int?)
}

/// Why the network lost a datagram.
package enum NetworkDrop: Int, CaseIterable, Sendable {
    /// Outside a burst, or by a fault that raises loss.
    case loss
    /// Within a burst.
    case burst
    /// The sender's access link, the path or the receiver's access link had no room.
    case queueFull
    case partitioned
    /// A clogging held as much as it may.
    case clogged
    /// Larger than the path's MTU.
    case tooLarge
}

/// The simulated network: distances, jitter, loss, queues and faults. No sockets, no clock, no events: the engine asks
/// what becomes of each datagram, in the order of sending.
///
/// Every random draw is a hash of seed, link, time and ordinal (`LinkDraws`), so nodes, links and faults that are added
/// shift nobody's draws, and memory grows with nodes, never with pairs. State is kept only by queues and faults.
package struct NetworkModel: Sendable {
    private struct Node: Sendable {
        let site: Int32
        /// Own part of one way.
        let accessNanoseconds: Float
        let largestPayload: Int32
        /// Place in `downlinks`, −1 without a bound.
        var downlink: Int32
        var uplink: Uplink
    }

    package let configuration: NetworkConfiguration
    package let matrix: LatencyMatrix
    private let seed: UInt64
    private let sites: [Int]
    private let access: [Double]
    private let jitter: JitterProcess
    private let loss: LossProcess
    private let rareShare: Double
    private let longestWait: UInt64
    private var nodes: [Node] = []
    private var downlinks: [Downlink] = []
    private var pathCapacities: [UInt64: Uplink] = [:]
    private var faults = NetworkFaults()
    package private(set) var drops = Counters<NetworkDrop>()
    package private(set) var delivered: UInt64 = 0

    /// `configuration.problem` must be nil.
    package init(_ configuration: NetworkConfiguration, matrix: LatencyMatrix, seed: UInt64) {
        let problem = configuration.problem
        precondition(problem == nil, "network configuration: \(problem ?? "")")
        self.configuration = configuration
        self.matrix = matrix
        self.seed = LinkDraws.mix(seed &+ 0x6e65_7477_6f72_6b73)
        var order = SeededGenerator(seed: self.seed)
        sites = (0..<matrix.siteCount).shuffled(using: &order)
        access = Elementary.normalQuantiles(1_024).map {
            configuration.accessMedianMilliseconds * Elementary.exponential(configuration.accessSigma * $0)
        }
        jitter = JitterProcess(
            ratio: configuration.jitterRatio, windowMilliseconds: configuration.jitterWindowMilliseconds)
        loss = LossProcess(configuration)
        rareShare = configuration.duplication + configuration.reordering + configuration.bitFlips
        longestWait = UInt64(configuration.queueMilliseconds * 1_000_000)
    }

    package var nodeCount: Int { nodes.count }
    package func site(of node: Int) -> Int { Int(nodes[node].site) }

    // MARK: Nodes

    /// Places the next node, whose `index` must be `nodeCount`. Without a site it gets one from the seed and its index
    /// alone: sites are taken in a seeded order, each once before any is taken twice.
    package mutating func addNode(_ index: Int, site: Int?) {
        precondition(index == nodes.count, "node \(index) added after \(nodes.count) nodes; indices are dense")
        precondition(index < SimulationLimits.nodes, "node \(index) is beyond the limit of \(SimulationLimits.nodes)")
        let place = site ?? sites[index % sites.count]
        precondition(matrix.sites.contains(place), "site \(place) of a matrix of \(matrix.siteCount)")
        let draw = LinkDraws(seed: seed, from: index, to: index)
        let way = matrix.hasAccessDelays ? access[Int(truncatingIfNeeded: draw.window(0, .access) >> 54)] : 0
        let isSmall = LinkDraws.unit(draw.window(0, .smallMTU)) < configuration.smallMTUShare
        let mtu = isSmall ? min(configuration.mtuBytes, configuration.smallMTUBytes) : configuration.mtuBytes
        nodes.append(
            Node(
                site: Int32(place), accessNanoseconds: Float(way * 500_000),
                largestPayload: Int32(mtu - NetworkLimits.headerBytes), downlink: -1, uplink: Uplink(bitsPerSecond: nil)
            ))
        setCapacity(
            of: index, uplinkBitsPerSecond: configuration.uplinkBitsPerSecond,
            downlinkBitsPerSecond: configuration.downlinkBitsPerSecond)
    }

    /// Gives a node's access link other capacities; nil is unbounded. What waits in its queues is forgotten.
    package mutating func setCapacity(of node: Int, uplinkBitsPerSecond: Double?, downlinkBitsPerSecond: Double?) {
        Self.check(uplinkBitsPerSecond)
        Self.check(downlinkBitsPerSecond)
        nodes[node].uplink = Uplink(bitsPerSecond: uplinkBitsPerSecond)
        if nodes[node].downlink >= 0 {
            downlinks[Int(nodes[node].downlink)] = Downlink(bitsPerSecond: downlinkBitsPerSecond)
        } else if downlinkBitsPerSecond != nil {
            addDownlink(node, downlinkBitsPerSecond)
        }
    }

    private mutating func addDownlink(_ node: Int, _ bitsPerSecond: Double?) {
        nodes[node].downlink = Int32(downlinks.count)
        downlinks.append(Downlink(bitsPerSecond: bitsPerSecond))
    }

    /// Gives the directed path between two nodes a capacity of its own; nil takes it away. False if
    /// `NetworkLimits.pathCapacities` are set already.
    package mutating func setPathCapacity(from: Int, to: Int, bitsPerSecond: Double?) -> Bool {
        Self.check(bitsPerSecond)
        let key = Self.pathKey(from, to)
        guard bitsPerSecond != nil else {
            pathCapacities[key] = nil
            return true
        }
        guard pathCapacities[key] != nil || pathCapacities.count < NetworkLimits.pathCapacities else { return false }
        pathCapacities[key] = Uplink(bitsPerSecond: bitsPerSecond)
        return true
    }

    private static func check(_ bitsPerSecond: Double?) {
        guard let bitsPerSecond else { return }
        let isPossible = NetworkLimits.accessBitsPerSecond.contains(bitsPerSecond)
        precondition(isPossible, "a capacity of \(bitsPerSecond) bit/s")
    }

    // MARK: Faults

    /// Schedules a fault, or begins it if its begin has passed. Nil if `NetworkLimits.faults` are pending already.
    /// `fault.problem` must be nil.
    package mutating func add(_ fault: NetworkFault) -> NetworkFaultID? {
        let problem = fault.problem
        precondition(problem == nil, "network fault: \(problem ?? "")")
        if case .capacity(let node, _) = fault.kind, nodes[node].downlink < 0 { addDownlink(node, nil) }
        return faults.add(fault)
    }

    /// Ends a fault before its time. Datagrams that a clogging held still arrive when it promised.
    package mutating func end(_ fault: NetworkFaultID) { faults.remove(fault) }

    package mutating func endAllFaults() { faults.removeAll() }

    // MARK: Datagrams

    /// What becomes of one datagram of `byteCount` bytes of UDP payload sent at `now` (ns since start, never running
    /// backwards). `ordinal` numbers the datagrams that one call of a machine sent at the same instant.
    package mutating func send(from: Int, to: Int, byteCount: Int, at now: UInt64, ordinal: UInt32) -> Transit {
        let transit = route(from: from, to: to, byteCount: byteCount, at: now, ordinal: ordinal)
        switch transit {
        case .dropped(let reason): drops.add(reason)
        case .arrives: delivered &+= 1
        }
        return transit
    }

    @inline(__always)
    private mutating func route(from: Int, to: Int, byteCount: Int, at now: UInt64, ordinal: UInt32) -> Transit {
        guard byteCount <= Int(min(nodes[from].largestPayload, nodes[to].largestPayload)) else {
            return .dropped(.tooLarge)
        }
        let effect = faults.mayBeActive(at: now) ? faults.effect(from: from, to: to, at: now) : FaultEffect()
        if let drop = effect.drop { return .dropped(drop) }
        let bytes = byteCount + NetworkLimits.headerBytes
        guard let left = depart(from, to, bytes, at: now, rate: effect.uplinkRate) else { return .dropped(.queueFull) }

        let link = LinkDraws(seed: seed, from: from, to: to)
        let draw = link.datagram(at: now, ordinal: ordinal)
        let isBursting = loss.isBursting(link, at: now)
        let lost = isBursting ? loss.burstShare(on: link) : loss.baseShare(on: link)
        if LinkDraws.unit(draw) < lost { return .dropped(isBursting ? .burst : .loss) }
        if effect.survival < 1, LinkDraws.unit(LinkDraws.derived(draw, .faultLoss)) >= effect.survival {
            return .dropped(.loss)
        }

        let factor = jitter.factor(on: link, at: now, draw: draw)
        let delay = oneWayNanoseconds(from, to) * factor * effect.factor + effect.addedNanoseconds
        var arrival = max(left, effect.holdUntil) + max(NetworkLimits.minimumDelayNanoseconds, UInt64(delay))
        let downlink = Int(nodes[to].downlink)
        if downlink >= 0 {
            guard
                let received = downlinks[downlink].admit(
                    bytes, arrivingAt: arrival, now: now, longestWait: longestWait, rate: effect.downlinkRate)
            else { return .dropped(.queueFull) }
            arrival = received
        }
        // The draw's upper half decided about loss.
        let rare = LinkDraws.lowerUnit(draw)
        guard rare < rareShare else { return .arrives(at: arrival, copyAt: nil, flippedBit: nil) }
        return rareEvent(rare, LinkDraws.derived(draw, .rare), arrival, byteCount)
    }

    /// Through the sender's access link and the path's own bound, if it has one.
    @inline(__always)
    private mutating func depart(_ from: Int, _ to: Int, _ bytes: Int, at now: UInt64, rate: Double?) -> UInt64? {
        var left = now
        if let rate {
            let own = nodes[from].uplink.nanosecondsPerByte
            nodes[from].uplink.nanosecondsPerByte = max(own, 8_000_000_000 / rate)
            let admitted = nodes[from].uplink.admit(bytes, at: now, longestWait: longestWait)
            nodes[from].uplink.nanosecondsPerByte = own
            guard let admitted else { return nil }
            left = admitted
        } else if nodes[from].uplink.nanosecondsPerByte > 0 {
            guard let admitted = nodes[from].uplink.admit(bytes, at: now, longestWait: longestWait) else { return nil }
            left = admitted
        }
        guard !pathCapacities.isEmpty else { return left }
        let key = Self.pathKey(from, to)
        guard var path = pathCapacities[key] else { return left }
        let admitted = path.admit(bytes, at: left, longestWait: longestWait)
        pathCapacities[key] = path
        return admitted
    }

    /// One of an extra delay, a copy and a flipped bit, by the place of `rare` in their shares.
    private func rareEvent(_ rare: Double, _ draw: UInt64, _ arrival: UInt64, _ byteCount: Int) -> Transit {
        let extra = UInt64(configuration.reorderingMilliseconds * 1_000_000 * LinkDraws.unit(draw))
        if rare < configuration.reordering { return .arrives(at: arrival + extra, copyAt: nil, flippedBit: nil) }
        if rare < configuration.reordering + configuration.duplication || byteCount == 0 {
            return .arrives(at: arrival, copyAt: arrival + extra, flippedBit: nil)
        }
        return .arrives(at: arrival, copyAt: nil, flippedBit: Int(draw % UInt64(byteCount * 8)))
    }

    // MARK: Truth

    /// Truth for the oracle: the round trip in ms without jitter, queues or faults. The same in both directions, even
    /// where the matrix is not: it is the sum of the two one-way delays.
    package func roundTripMilliseconds(_ a: Int, _ b: Int) -> Double {
        guard a != b else { return 0 }
        let ways =
            matrix.milliseconds(from: site(of: a), to: site(of: b))
            + matrix.milliseconds(from: site(of: b), to: site(of: a))
        return ways / 2 + Double(nodes[a].accessNanoseconds + nodes[b].accessNanoseconds) / 500_000
    }

    /// Likewise one way, in ms.
    package func oneWayMilliseconds(from: Int, to: Int) -> Double { oneWayNanoseconds(from, to) / 1_000_000 }

    @inline(__always)
    private func oneWayNanoseconds(_ from: Int, _ to: Int) -> Double {
        guard from != to else { return 0 }
        return matrix.milliseconds(from: site(of: from), to: site(of: to)) * 500_000
            + Double(nodes[from].accessNanoseconds + nodes[to].accessNanoseconds)
    }

    private static func pathKey(_ from: Int, _ to: Int) -> UInt64 {
        UInt64(truncatingIfNeeded: from) << 32 | UInt64(UInt32(truncatingIfNeeded: to))
    }
}
