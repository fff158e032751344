import Composition
import SwarmCore

/// What a checker wants to see. It pays only for that.
package struct CheckerInterests: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static var calls: CheckerInterests { CheckerInterests(rawValue: 1) }
    package static var sendings: CheckerInterests { CheckerInterests(rawValue: 2) }
    package static var deliveries: CheckerInterests { CheckerInterests(rawValue: 4) }
    package static var tellings: CheckerInterests { CheckerInterests(rawValue: 8) }
}

/// One rule that every run keeps, whatever the network and the faults do.
///
/// The hooks of `SimulationObserver` are called at every event the checker is interested in and must be cheap; `sweep`
/// looks at the whole swarm every `CheckSuite.sweepInterval`. A checker observes and changes nothing, so that a run
/// with it and one without have the same digest. It judges honest hosts only (`SimulatedNode.isHonest`).
package protocol Checker: SimulationObserver {
    var name: String { get }
    var interests: CheckerInterests { get }
    /// Where its violations go; set by the suite.
    var log: ViolationLog? { get set }
    func sweep(_ simulation: Simulation)
}

extension Checker {
    package func called(_ node: SimulatedNode, in simulation: Simulation) {}
    package func sent(
        _ datagram: Span<UInt8>, from node: SimulatedNode, to destination: NetworkAddress, in simulation: Simulation
    ) {}
    package func delivered(
        _ datagram: Span<UInt8>, from source: NetworkAddress, to node: SimulatedNode, in simulation: Simulation
    ) {}
    package func told(_ event: SwarmEvent, by node: SimulatedNode, in simulation: Simulation) {}
    package func sweep(_ simulation: Simulation) {}

    func violate(_ text: @autoclosure () -> String, at node: SimulatedNode?, in simulation: Simulation) {
        log?.report(Violation(checker: name, node: node?.index, time: simulation.now, text: text()))
    }
}

/// The checkers of one run: one observer that hands each event to those who want it.
///
///     let checks = CheckSuite(CheckSuite.standard())
///     checks.attach(to: simulation)
///     simulation.run(for: .seconds(60))
///     checks.finish(simulation)
///     for violation in checks.violations { … }
///
/// Order of calls: `attach` before the first node starts, `finish` once at the end.
package final class CheckSuite: SimulationObserver {
    /// How often the whole swarm is looked at, in virtual time.
    package static var sweepInterval: Interval { .milliseconds(100) }

    package let log = ViolationLog()
    package let checkers: [any Checker]
    private let onCalls: [any Checker]
    private let onSendings: [any Checker]
    private let onDeliveries: [any Checker]
    private let onTellings: [any Checker]
    private var isAttached = false

    package init(_ checkers: [any Checker]) {
        self.checkers = checkers
        onCalls = checkers.filter { $0.interests.contains(.calls) }
        onSendings = checkers.filter { $0.interests.contains(.sendings) }
        onDeliveries = checkers.filter { $0.interests.contains(.deliveries) }
        onTellings = checkers.filter { $0.interests.contains(.tellings) }
        for checker in checkers { checker.log = log }
    }

    /// Every safety checker. Those that keep something per pair of nodes are bounded; see each.
    package static func standard() -> [any Checker] {
        [
            EngineChecker(), TimeChecker(), LimitChecker(), ConservationChecker(), WireChecker(), NonceChecker(),
            AmplificationChecker(), VersionChecker(), SequenceChecker(), TreeChecker(),
        ]
    }

    package func attach(to simulation: Simulation) {
        precondition(!isAttached, "a suite of checkers serves one run")
        isAttached = true
        simulation.observers.append(self)
        simulation.repeatEvery(Self.sweepInterval) { [weak self] simulation in
            guard let self else { return false }
            for checker in checkers { checker.sweep(simulation) }
            return true
        }
    }

    /// The last sweep.
    package func finish(_ simulation: Simulation) {
        for checker in checkers { checker.sweep(simulation) }
    }

    package var violations: [Violation] { log.violations }

    // MARK: SimulationObserver

    package func called(_ node: SimulatedNode, in simulation: Simulation) {
        for checker in onCalls { checker.called(node, in: simulation) }
    }

    package func sent(
        _ datagram: Span<UInt8>, from node: SimulatedNode, to destination: NetworkAddress, in simulation: Simulation
    ) {
        for checker in onSendings { checker.sent(datagram, from: node, to: destination, in: simulation) }
    }

    package func delivered(
        _ datagram: Span<UInt8>, from source: NetworkAddress, to node: SimulatedNode, in simulation: Simulation
    ) {
        for checker in onDeliveries { checker.delivered(datagram, from: source, to: node, in: simulation) }
    }

    package func told(_ event: SwarmEvent, by node: SimulatedNode, in simulation: Simulation) {
        for checker in onTellings { checker.told(event, by: node, in: simulation) }
    }
}
