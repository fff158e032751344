import Composition
import DHT
import SwarmCore
import SwarmCrypto

/// A publisher's statements only grow: of each of its records the sequence never falls within one life of the node, and
/// one sequence never stands for two different bodies.
///
/// Reads PUT messages on their way, which the counted ciphers leave legible; with real ones it sees nothing. Bounded to
/// a million statements.
package final class SequenceChecker: Checker {
    private struct Statement {
        var sequence: UInt64 = 0
        var body: UInt64 = 0
    }

    /// An older PUT may leave after a newer one: it waited for a handshake (5 s at most), or is repeated for a silent
    /// holder (2 s), and meanwhile its node may have stood still, twice for 8 s at the worst. Sequences are milliseconds.
    private static var slack: UInt64 { 24_000 }

    /// A node's wall clock as its last PUT showed it, and by how much it was last set forward, and when.
    private struct Wall {
        var offset: Int64
        var leap: UInt64 = 0
        var leaptAt: UInt64 = 0
    }

    package let name = "sequences"
    package let interests: CheckerInterests = .sendings
    package weak var log: ViolationLog?
    /// By node. A PUT signed before its node's clock was set forward is older by the leap than one signed after it.
    private var walls: [Wall?] = []
    private var statements = WordTable<Statement>(limit: 1 << 20, empty: Statement())
    /// Records seen, so that a test knows that something was looked at.
    package private(set) var seen = 0

    package init() {}

    package func sent(
        _ datagram: Span<UInt8>, from node: SimulatedNode, to destination: NetworkAddress, in simulation: Simulation
    ) {
        // A transport packet of at least a PUT's type, request id and flags.
        guard datagram.count > 13 + 16 + 10, datagram[0] == 0xc4, datagram[13] == DHTMessage.Kind.put.rawValue,
            !simulation.options.hasRealCryptography, node.isHonest, let host = node.host
        else { return }
        let text = datagram.extracting(13..<(datagram.count - CryptoSuite.tagByteCount))
        guard let parsed = try? DHTMessage.parse(text, suite: simulation.suite),
            case .put(_, _, let record) = parsed.message, record.publisher.id == host.contact.id
        else { return }
        note(record, by: node, in: simulation)
    }

    /// Apart from `sent`, so that a test can show it a publisher that steps back.
    package func note(_ record: Record, by node: SimulatedNode, in simulation: Simulation) {
        seen += 1
        var key = UInt64(node.index) << 40 | UInt64(node.life) << 16 | UInt64(record.kind.rawValue) << 8
        key |= UInt64(record.depth)
        for byte in record.name.utf8 { key = (key ^ UInt64(byte)) &* 0x9e37_79b9_7f4a_7c15 }
        var body: UInt64 = 0
        for byte in record.body { body = (body ^ UInt64(byte)) &* 0x9e37_79b9_7f4a_7c15 }
        let slack = Self.slack + leap(of: node, in: simulation)
        if let before = statements[key] {
            if record.sequence < before.sequence, before.sequence - record.sequence <= slack { return }
            if record.sequence < before.sequence {
                violate(
                    "sequence of \(record.name) fell from \(before.sequence) to \(record.sequence)", at: node,
                    in: simulation)
            } else if record.sequence == before.sequence, body != before.body {
                violate("two bodies of \(record.name) under sequence \(record.sequence)", at: node, in: simulation)
            }
        }
        statements[key] = Statement(sequence: record.sequence, body: body)
    }

    /// By how many milliseconds the node's wall clock was set forward within the slack. Set back it excuses nothing.
    private func leap(of node: SimulatedNode, in simulation: Simulation) -> UInt64 {
        while walls.count <= node.index { walls.append(nil) }
        let offset = node.clock.wallOffsetMilliseconds
        var wall = walls[node.index] ?? Wall(offset: offset)
        if offset != wall.offset {
            if offset > wall.offset { (wall.leap, wall.leaptAt) = (UInt64(offset - wall.offset), simulation.now) }
            wall.offset = offset
        }
        walls[node.index] = wall
        return simulation.now - wall.leaptAt <= Self.slack * 1_000_000 ? wall.leap : 0
    }
}
