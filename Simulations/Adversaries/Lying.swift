import DHT
import SwarmCore
import SwarmCrypto

/// Nodes that work together and know each other.
package final class Collusion {
    /// Sorted by id.
    private var members: [Contact] = []

    package init() {}

    package func join(_ contact: Contact) {
        guard !members.contains(where: { $0.id == contact.id }) else { return }
        members.append(contact)
        members.sort { $0.id < $1.id }
    }

    package var count: Int { members.count }
    package func contains(_ id: NodeID) -> Bool { members.contains { $0.id == id } }

    /// The colluders nearest to `key`, nearest first.
    package func closest(to key: Bytes32, limit: Int) -> [Contact] {
        let sorted = members.sorted { $0.id.distance(to: key) < $1.id.distance(to: key) }
        return Array(sorted.prefix(limit))
    }
}

/// Lies in lookups: answers at once, names the colluders nearest to the target as the nearest nodes there are, says
/// that it has stored what it drops, and never has a record.
///
/// `victims` nil: everybody is lied to; else only those, and all others see an honest node (an eclipse is tried on a
/// joiner while nobody else notices).
package final class LyingConduct: Conduct {
    package enum Style: Sendable {
        /// Answers with lies.
        case lying
        /// Takes requests and says nothing; answers only what keeps it in tables (PING).
        case silent
        /// Answers honestly which nodes are near, drops what is stored, and never has a record: hard to tell from an
        /// honest node that a record has not reached yet.
        case forgetful
    }

    private let collusion: Collusion
    private let style: Style
    private let victims: Set<NodeID>?
    /// Requests that were lied to.
    package private(set) var lies = 0

    package init(_ collusion: Collusion, _ style: Style = .lying, victims: Set<NodeID>? = nil) {
        self.collusion = collusion
        self.style = style
        self.victims = victims
    }

    package func receive(_ message: Span<UInt8>, from peer: Peer, at now: Now, host: InsiderHost) -> Bool {
        guard (0x10...0x2f).contains(message[0]), victims?.contains(peer.id) ?? true else { return false }
        // Colluders do not waste time on each other, and need each other's truth.
        guard !collusion.contains(peer.id) else { return false }
        guard let parsed = try? DHTMessage.parse(message, suite: host.identity.suite) else { return false }
        switch parsed.message {
        case .findNode(let request, _, _, let target):
            return lie(to: peer, host) {
                .contacts(request, from: .origin, $0.map { NearContact($0) })
            } about: {
                target
            }
        case .get(let request, _, _, let query):
            return lie(to: peer, host) {
                .values(request, from: .origin, total: 0, [], closer: $0.map { NearContact($0) })
            } about: {
                query.near ?? query.key
            }
        case .put(let request, _, _), .offerCopy(let request, _, _):
            lies += 1
            if style != .silent {
                host.send(
                    .putResult(request, .stored, age: .zero, incumbent: nil), to: InsiderHost.returnContact(of: peer))
            }
            return true
        case .ping, .pong, .contacts, .values, .putResult:
            return false
        }
    }

    private func lie(
        to peer: Peer, _ host: InsiderHost, _ answer: ([Contact]) -> DHTMessage, about key: () -> Bytes32
    ) -> Bool {
        lies += 1
        switch style {
        case .silent: break
        case .lying:
            let named = collusion.closest(to: key(), limit: DHTLimits.contactsPerAnswer)
            host.send(answer(named.filter { $0.id != peer.id }), to: InsiderHost.returnContact(of: peer))
        case .forgetful:
            let entries = host.dht.table.closest(to: key(), limit: DHTLimits.contactsPerAnswer, trusted: true).map(
                \.contact)
            let named = entries.filter { $0.id != peer.id }
            host.send(answer(named), to: InsiderHost.returnContact(of: peer))
        }
        return true
    }
}

/// Loses a share of everything, in and out, whatever it is.
package final class DroppingConduct: Conduct {
    private let share: Double
    private var generator: SeededGenerator

    /// `share` in 0…1.
    package init(share: Double, using generator: SeededGenerator) {
        precondition((0...1).contains(share), "a share of \(share)")
        self.share = share
        self.generator = generator
    }

    package func permits(_ message: Span<UInt8>, to peer: Contact) -> Bool { generator.unitInterval() >= share }
    package func admits(_ datagram: Span<UInt8>) -> Bool { generator.unitInterval() >= share }
}
