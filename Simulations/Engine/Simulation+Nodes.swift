import Composition
import SwarmCore
import SwarmCrypto

/// Hosts: adding, starting, crashing, stalling, asking.
extension Simulation {
    /// Adds a host that is not up yet. `site` nil: the network draws one.
    @discardableResult
    package func addNode(site: Int? = nil) -> SimulatedNode {
        precondition(nodes.count < SimulationLimits.nodes, "more than \(SimulationLimits.nodes) nodes")
        let node = SimulatedNode(index: nodes.count)
        nodes.append(node)
        network.addNode(node.index, site: site)
        return node
    }

    /// What an honest node at `index` is made with in its life `life`. `identityOf` names the life whose key it has, if
    /// it is an earlier one: a node that restarts keeps its key, but draws no random number a second time.
    package func configuration(
        of index: Int, life: UInt32, identityOf keyLife: UInt32? = nil
    ) -> CompositionConfiguration {
        let generator = generator(of: index, life: life)
        var entropy = Entropy.seeded(generator.child(1))
        var identity = Identity(from: &entropy, suite: suite)
        if let keyLife, keyLife != life {
            var earlier = Entropy.seeded(self.generator(of: index, life: keyLife).child(1))
            identity = Identity(from: &earlier, suite: suite)
        }
        let address = AddressPlan.address(of: index)
        var configuration = CompositionConfiguration(
            identity: identity, secret: secret, entropy: entropy, generator: generator.child(2),
            addresses: AddressList(address), mediaHosts: AddressList(address),
            workerPorts: (0..<options.workers).map { address.port + 1 + UInt16($0) },
            fingerprint: (index < nodes.count ? nodes[index].media?.fingerprint : nil)
                ?? Bytes32(UInt64(index), 0, 0, 1),
            maxChildren: options.maxChildren)
        configuration.hasMembership = options.hasMembership
        configuration.scratch = scratch
        configuration.interner = interner
        return configuration
    }

    /// Boots an honest node on `node`'s host and lets it join through `seeds`.
    package func start(_ node: SimulatedNode, seeds: [Contact], identityOf life: UInt32? = nil) {
        if let equip { node.media = equip(node, life) }
        let configuration = configuration(of: node.index, life: node.life, identityOf: life)
        start(node, SwarmHost(configuration, at: node.clock.now(now)), seeds: seeds)
    }

    /// Boots `host`, whatever it is.
    package func start(_ node: SimulatedNode, _ host: any SimulatedHost, seeds: [Contact]) {
        precondition(node.host == nil, "node \(node.index) is up already")
        node.host = host
        traffic.machineCalls += 1
        host.start(seeds: seeds, at: node.clock.now(now), into: &out, events: &events)
        finish(node)
    }

    /// The host is gone from one instant to the next, with everything it had in memory.
    package func crash(_ node: SimulatedNode) {
        node.host = nil
        node.media?.stop()
        node.media = nil
        node.life += 1
        node.timerAt = .max
        node.pausedUntil = 0
        node.heldBack = 0
        node.replies = [:]
    }

    /// The host stalls for `interval`: nothing runs, what arrives waits in the socket.
    package func pause(_ node: SimulatedNode, for interval: Interval) {
        node.pausedUntil = max(node.pausedUntil, now + UInt64(max(0, interval.nanoseconds)))
        node.media?.pause(until: MonotonicInstant(nanoseconds: node.pausedUntil))
    }

    /// The node says goodbye to its peers and is down a moment later, as after SIGTERM.
    package func leave(_ node: SimulatedNode) {
        guard let swarm = node.swarm else { return }
        traffic.machineCalls += 1
        swarm.machine.drain(at: node.clock.now(now), into: &out, events: &events)
        finish(node)
        let life = node.life
        schedule(after: .milliseconds(300)) { simulation in
            if node.life == life { simulation.crash(node) }
        }
    }

    /// Asks `node` what its users may ask. `answer` is called when the node replies; never where it is down.
    package func ask(_ node: SimulatedNode, _ request: ControlRequest, answer: @escaping (ControlReply) -> Void) {
        guard let swarm = node.swarm else { return }
        let id = nextRequest
        nextRequest += 1
        node.replies[id] = answer
        traffic.machineCalls += 1
        swarm.machine.request(
            Composition.RequestID(id), request, at: node.clock.now(now), into: &out, events: &events)
        finish(node)
    }
}
