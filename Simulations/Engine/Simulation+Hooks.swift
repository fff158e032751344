import Composition
import SwarmCore

/// What checkers and adversaries need of the engine beyond observing.
extension Simulation {
    /// Hands `bytes` to the swarm socket of `node` at once, as if they came from `source`: what somebody on the path, or
    /// a forger of source addresses, can do. False where the host is down or stalled.
    ///
    /// The datagram is part of the digest, but no part of the network's traffic: it was never sent through it.
    /// Observers see it delivered while `isInjecting` holds.
    @discardableResult
    package func inject(_ bytes: [UInt8], from source: NetworkAddress, to node: SimulatedNode) -> Bool {
        guard let host = node.host, node.pausedUntil <= now, !bytes.isEmpty else { return false }
        var datagram = bytes
        var span = datagram.mutableSpan
        traffic.machineCalls += 1
        digest.add(time: now, from: .max, to: UInt32(node.index), span.span)
        isInjecting = true
        for observer in observers { observer.delivered(span.span, from: source, to: node, in: self) }
        isInjecting = false
        host.receive(&span, from: source, at: node.clock.now(now), into: &out, events: &events)
        finish(node)
        return true
    }

    /// Calls `action` every `interval` from now on, until it says false.
    package func repeatEvery(_ interval: Interval, _ action: @escaping (Simulation) -> Bool) {
        schedule(after: interval) { simulation in
            if action(simulation) { simulation.repeatEvery(interval, action) }
        }
    }
}

extension SimulatedNode {
    /// Whether the checkers hold this host to the rules: it is up and no adversary.
    package var isHonest: Bool { host.map { !($0 is any AdversaryHost) } ?? false }
}

/// A host that breaks the rules on purpose: checkers judge only the others.
package protocol AdversaryHost: SimulatedHost {}
