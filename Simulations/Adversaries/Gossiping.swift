import Routing
import SwarmCore

/// Lies about itself in gossip: claims to be idle, to have free slots, and to stand where it does not.
package final class FalseGossipConduct: Conduct {
    private var generator: SeededGenerator
    package private(set) var lies = 0

    package init(using generator: SeededGenerator) { self.generator = generator }

    /// A probe is answered with no load, full certainty, and another place each time.
    package func receive(_ message: Span<UInt8>, from peer: Peer, at now: Now, host: InsiderHost) -> Bool {
        guard message[0] == MembershipMessageType.ping, peer.isConfirmed, message.count >= 9 else { return false }
        lies += 1
        let echo = message.loadUInt64(at: 1)
        let version = host.membership.own.version
        var random = generator
        host.send(to: InsiderHost.returnContact(of: peer)) { writer in
            writer.append(MembershipMessageType.acknowledgement)
            writer.append(echo)
            writer.append(version)
            writer.append(UInt16(0))
            for _ in 0..<Coordinate.dimensions { writer.append(UInt16(truncatingIfNeeded: random.next())) }
            // The least height, and an error of a thousandth.
            writer.append(UInt16(1))
            writer.append(UInt16(1))
            writer.append(UInt8(0))
        }
        generator = random
        return true
    }
}

/// Accuses others: twice a second, one member is said to have failed.
package final class SlanderConduct: Conduct {
    private var generator: SeededGenerator
    private var next = MonotonicInstant.zero
    package private(set) var accusations = 0

    package init(using generator: SeededGenerator) { self.generator = generator }

    package var nextDeadline: MonotonicInstant? { next }

    package func advance(to now: Now, host: InsiderHost) {
        next = now.monotonic + generator.jittered(.milliseconds(500), by: 0.2)
        let members = host.membership.members.filter { $0.status.isPresent }
        guard members.count > 1 else { return }
        let victim = members[generator.integer(below: members.count)]
        let listener = members[generator.integer(below: members.count)]
        guard victim.id != listener.id else { return }
        accusations += 1
        let status: MemberStatus = generator.next() & 1 == 0 ? .suspected : .failed
        let entry = NewsEntry.status(
            status, victim.id, version: victim.description.version, accuser: generator.next())
        host.send(to: listener.contact) { writer in
            writer.append(MembershipMessageType.news)
            NewsList.write([entry.encoded()], to: &writer)
        }
    }
}
