import Composition
import EventLoop
import SwarmCore

/// The DHT as operators see it.
extension NodeHandle {
    func discovery() async throws(ControlError) -> DiscoveryReport {
        let reply = await gate.ask(.discovery)
        guard case .discovery(let snapshot) = reply else { throw Self.error(reply) }
        return DiscoveryReport(
            estimatedNodes: snapshot.estimatedNodes,
            contacts: snapshot.rows.map { row in
                DiscoveryReport.Row(
                    id: row.id.description, addresses: row.addresses.map(\.description),
                    roundTripMilliseconds: row.roundTrip?.fractionalMilliseconds,
                    silenceMilliseconds: row.silence.milliseconds, failures: row.failures, isSibling: row.isSibling)
            },
            published: snapshot.published.map(\.text), records: snapshot.records.living,
            copies: snapshot.records.copies)
    }

    func locate(stream: StreamName) async throws(ControlError) -> LocationReport {
        let begun = SystemClock.now().monotonic
        let reply = await gate.ask(.locate(stream))
        guard case .location(let location) = reply else { throw Self.error(reply) }
        func node(_ contact: Contact) -> LocationReport.Node {
            LocationReport.Node(id: contact.id.description, addresses: contact.addresses.map(\.description))
        }
        return LocationReport(
            stream: stream.text, origin: location.map { node($0.origin) }, epoch: location?.epoch ?? 0,
            carriers: (location?.carriers ?? []).map(node),
            elapsedMilliseconds: (SystemClock.now().monotonic - begun).fractionalMilliseconds)
    }

    func announce(stream: StreamName, seconds: Int) async throws(ControlError) {
        let reply = await gate.ask(.announce(stream, isWithdrawn: false, lifetime: .seconds(Int64(seconds))))
        guard case .accepted = reply else { throw Self.error(reply) }
    }

    func withdraw(stream: StreamName) async throws(ControlError) {
        let reply = await gate.ask(.announce(stream, isWithdrawn: true))
        guard case .accepted = reply else { throw Self.error(reply) }
    }

    func ping(node: NodeID) async throws(ControlError) -> PingReport {
        let reply = await gate.ask(.ping(node))
        guard case .pinged(let roundTrip) = reply else { throw Self.error(reply) }
        return PingReport(id: node.description, roundTripMilliseconds: roundTrip?.fractionalMilliseconds)
    }
}
