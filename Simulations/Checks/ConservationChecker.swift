import Composition
import SwarmCore

/// Datagrams neither vanish nor come from nowhere: sent and duplicated are delivered, lost for a counted reason, or on
/// their way; and what the engine counts is what was seen.
package final class ConservationChecker: Checker {
    package let name = "conservation"
    package let interests: CheckerInterests = [.calls, .sendings, .deliveries]
    package weak var log: ViolationLog?
    private var sent: UInt64?
    private var delivered: UInt64 = 0

    package init() {}

    package func sent(
        _ datagram: Span<UInt8>, from node: SimulatedNode, to destination: NetworkAddress, in simulation: Simulation
    ) {
        begin(simulation, sent: 1)
        sent? += 1
    }

    package func delivered(
        _ datagram: Span<UInt8>, from source: NetworkAddress, to node: SimulatedNode, in simulation: Simulation
    ) {
        guard !simulation.isInjecting else { return }
        begin(simulation, delivered: 1)
        delivered += 1
    }

    package func called(_ node: SimulatedNode, in simulation: Simulation) {
        begin(simulation)
        let traffic = simulation.traffic
        if sent != traffic.sent || delivered != traffic.delivered {
            violate(
                "\(sent ?? 0) sent and \(delivered) delivered were seen, \(traffic.sent) and \(traffic.delivered) counted",
                at: node, in: simulation)
        }
        let inFlight = UInt64(simulation.datagramsInFlight)
        if traffic.sent + traffic.duplicated != traffic.delivered + traffic.totalLost + inFlight {
            violate(
                "\(traffic.sent) sent, \(traffic.duplicated) copied; \(traffic.delivered) delivered, "
                    + "\(traffic.totalLost) lost, \(inFlight) on their way", at: node, in: simulation)
        }
    }

    /// Takes the engine's counts as they stand when the checker first looks.
    private func begin(_ simulation: Simulation, sent: UInt64 = 0, delivered: UInt64 = 0) {
        guard self.sent == nil else { return }
        self.sent = simulation.traffic.sent - sent
        self.delivered = simulation.traffic.delivered - delivered
    }
}
