import Composition
import SwarmCore
import SwarmCrypto

/// What runs on a simulated host: an honest node, or an adversary.
package protocol SimulatedHost: AnyObject {
    var contact: Contact { get }
    /// Joins through `seeds`.
    func start(
        seeds: [Contact], at now: Now, into out: inout Outbox, events: inout EventBuffer<SwarmEvent>)
    /// A datagram to the swarm socket.
    func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<SwarmEvent>)
    func advance(to now: Now, into out: inout Outbox, events: inout EventBuffer<SwarmEvent>)
    var nextDeadline: MonotonicInstant? { get }
}

/// An honest node: the control plane that `mafalda run` drives.
package final class SwarmHost: SimulatedHost {
    package var machine: SwarmMachine
    package let contact: Contact

    package init(_ configuration: CompositionConfiguration, at now: Now) {
        contact = configuration.identity.contact(at: configuration.addresses)
        machine = SwarmMachine(configuration, at: now)
    }

    package func start(
        seeds: [Contact], at now: Now, into out: inout Outbox, events: inout EventBuffer<SwarmEvent>
    ) { machine.start(seeds: seeds, at: now, into: &out, events: &events) }

    package func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<SwarmEvent>
    ) { machine.receive(&datagram, from: source, at: now, into: &out, events: &events) }

    package func advance(to now: Now, into out: inout Outbox, events: inout EventBuffer<SwarmEvent>) {
        machine.advance(to: now, into: &out, events: &events)
    }

    package var nextDeadline: MonotonicInstant? { machine.nextDeadline }
}

/// One host of the simulation with everything the engine knows about it.
package final class SimulatedNode {
    package let index: Int
    /// Where its swarm socket is: as the world sees it, unless it is behind a NAT box.
    package let address: NetworkAddress
    package var clock = NodeClock()
    /// Nil while the host is down.
    package internal(set) var host: (any SimulatedHost)?
    /// Nil where nothing but discovery is simulated.
    package var media: (any MediaPlane)?
    /// The box it is behind: its own address is then nothing to the world, as a private one is. It outlives crashes.
    package var nat: NATTable?
    /// Stalled until then: timers fire late, datagrams wait in the socket's buffer.
    package internal(set) var pausedUntil: UInt64 = 0
    /// Raised with every crash, so that what was scheduled for an earlier life finds nobody.
    package internal(set) var life: UInt32 = 0
    /// When the timer that counts fires; `.max` without one.
    var timerAt = UInt64.max
    /// Datagrams held back by a pause.
    var heldBack = 0
    /// Answers awaited from the node, by request.
    var replies: [UInt64: (ControlReply) -> Void] = [:]

    // Totals since the start of the run.
    package internal(set) var datagramsSent: UInt64 = 0
    package internal(set) var bytesSent: UInt64 = 0
    package internal(set) var datagramsReceived: UInt64 = 0

    init(index: Int) {
        self.index = index
        address = AddressPlan.address(of: index)
    }

    package var isUp: Bool { host != nil }
    /// The honest node here, or nil.
    package var swarm: SwarmHost? { host as? SwarmHost }
}
