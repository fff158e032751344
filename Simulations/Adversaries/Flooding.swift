import Composition
import DHT
import SwarmCore
import SwarmCrypto

/// Sends requests to members as fast as it likes, from a genuine link.
package final class RequestFloodConduct: Conduct {
    private let perSecond: Int
    private let targets: [Contact]
    private var generator: SeededGenerator
    private var next = MonotonicInstant.zero
    package private(set) var requests = 0

    /// In steps of 10 ms. `targets` empty: everybody in the host's own table.
    package init(perSecond: Int, targets: [Contact] = [], using generator: SeededGenerator) {
        precondition(perSecond > 0, "\(perSecond) requests a second")
        self.perSecond = perSecond
        self.targets = targets
        self.generator = generator
    }

    package var nextDeadline: MonotonicInstant? { next }

    package func advance(to now: Now, host: InsiderHost) {
        next = now.monotonic + .milliseconds(10)
        let targets = targets.isEmpty ? host.dht.table.contacts : targets
        guard !targets.isEmpty else { return }
        for _ in 0..<max(1, perSecond / 100) {
            let key = Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
            let query = GetQuery(key: key, kinds: .location)
            host.send(
                .get(RequestID(generator.next()), isClient: false, from: nil, query),
                to: targets[generator.integer(below: targets.count)])
            requests += 1
        }
    }
}

/// A flood of first handshake messages at one node, from one address or a different one each time, by somebody who
/// knows the swarm's secret (an insider: mac1 is right) or does not.
///
/// The sources are forged: answers go to whoever owns the address, or nowhere. Each message is a whole, well-formed
/// message 1 of an identity of its own.
package final class HandshakeFlood {
    package struct Plan: Sendable {
        package var perSecond = 1000
        /// Drawn from above the address plan, so that the answers reach nobody.
        package var fromManyAddresses = false
        package var knowsSecret = true
        package init() {}
    }

    private let plan: Plan
    private let secret: SwarmSecret
    private let suite: CryptoSuite
    private var generator: SeededGenerator
    private var out = Outbox(byteCapacity: 1 << 16, datagramCapacity: 16)
    private var events = EventBuffer<LinkEvent>()
    package private(set) var sent = 0

    package init(_ plan: Plan, in simulation: Simulation, using generator: SeededGenerator) {
        self.plan = plan
        self.generator = generator
        suite = simulation.suite
        let foreign = Bytes32(self.generator.next(), 0, 0, 1)
        secret = plan.knowsSecret ? simulation.secret : SwarmSecret(current: foreign)
    }

    /// Floods `victim` from now on for `interval`, in steps of 10 ms.
    package func begin(at victim: SimulatedNode, for interval: Interval, in simulation: Simulation) {
        let end = simulation.now + UInt64(interval.nanoseconds)
        simulation.repeatEvery(.milliseconds(10)) { [self] simulation in
            guard simulation.now < end else { return false }
            for _ in 0..<max(1, plan.perSecond / 100) { strike(victim, in: simulation) }
            return true
        }
    }

    private func strike(_ victim: SimulatedNode, in simulation: Simulation) {
        guard let contact = victim.host?.contact else { return }
        let now = victim.clock.now(simulation.now)
        var entropy = Entropy.seeded(generator.child(UInt64(sent)))
        let identity = Identity(from: &entropy, suite: suite)
        var links = LinkTable(
            identity: identity, secret: secret, entropy: entropy, generator: generator.child(UInt64(sent) | 1 << 40))
        let ping: [UInt8] = [DHTMessage.Kind.ping.rawValue, 0, 0, 0, 0, 0, 0, 0, 1, 1]
        links.send(ping.span, to: contact, isIdempotent: true, at: now, into: &out, events: &events)
        while events.popFirst() != nil {}
        for index in 0..<out.count {
            simulation.inject(out.bytes(of: index).copied(), from: source(), to: victim)
            sent += 1
        }
        out.removeAll()
    }

    private func source() -> NetworkAddress {
        guard plan.fromManyAddresses else { return NetworkAddress(ipv4: 0xe000_0001, port: 4242) }
        // Above 223.255.255.255, where the address plan ends, so that the answers reach nobody.
        let host = UInt32(truncatingIfNeeded: generator.next()) & 0x0fff_ffff
        return NetworkAddress(ipv4: 0xe000_0000 | host, port: UInt16(truncatingIfNeeded: generator.next()) | 1)
    }
}
