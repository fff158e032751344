import DHT
import SwarmCore
import SwarmCrypto

/// Forges records: whoever asks for a stream is given records of it that are false in one of several ways, and holders
/// are asked to store such.
package final class ForgingConduct: Conduct {
    package enum Forgery: Int, CaseIterable, Sendable {
        /// In somebody else's name, signed with the forger's own key.
        case foreignSignature
        /// A genuine-looking record whose signature has a flipped bit.
        case brokenSignature
        /// Honestly signed, of another name than was asked for.
        case otherName
        /// Honestly signed, with a time of signing an hour ahead.
        case futureSequence
        /// In somebody else's name, with the victim's key and a signature of zeros.
        case noSignature
    }

    private let streams: [StreamName]
    private var generator: SeededGenerator
    private var next: MonotonicInstant?
    package private(set) var forged = 0

    /// `streams` are the names whose holders are pestered.
    package init(_ streams: [StreamName], using generator: SeededGenerator) {
        self.streams = streams
        self.generator = generator
        next = streams.isEmpty ? nil : .zero
    }

    package var nextDeadline: MonotonicInstant? { next }

    package func receive(_ message: Span<UInt8>, from peer: Peer, at now: Now, host: InsiderHost) -> Bool {
        guard message[0] == DHTMessage.Kind.get.rawValue,
            let parsed = try? DHTMessage.parse(message, suite: host.identity.suite),
            case .get(let request, _, _, let query) = parsed.message,
            let stream = streams.first(where: { RecordPlace.path($0.text) == query.key })
        else { return false }
        let records = Forgery.allCases.compactMap { forge($0, stream, at: now, host: host) }
        host.send(
            .values(
                request, from: .origin, total: 0, records.map { HeldRecord(record: $0, remaining: .seconds(30)) },
                closer: []),
            to: InsiderHost.returnContact(of: peer))
        return true
    }

    /// Twice a second, one holder is asked to store one forgery.
    package func advance(to now: Now, host: InsiderHost) {
        next = now.monotonic + generator.jittered(.milliseconds(500), by: 0.2)
        let stream = streams[generator.integer(below: streams.count)]
        let forgery = Forgery.allCases[generator.integer(below: Forgery.allCases.count)]
        let holders = host.dht.table.closest(to: RecordPlace.path(stream.text), limit: 8).map(\.contact)
        guard !holders.isEmpty, let record = forge(forgery, stream, at: now, host: host) else { return }
        let holder = holders[generator.integer(below: holders.count)]
        host.send(.put(RequestID(generator.next()), isClient: false, record), to: holder)
    }

    private func forge(_ forgery: Forgery, _ stream: StreamName, at now: Now, host: InsiderHost) -> Record? {
        forged += 1
        let others = host.dht.table.closest(to: host.identity.id.bytes, limit: 20).map(\.contact)
        let victim = others.isEmpty ? host.contact : others[generator.integer(below: others.count)]
        let isForeign = forgery == .foreignSignature || forgery == .noSignature
        var statement = RecordStatement(
            kind: .streamOrigin, publisher: isForeign ? victim : host.contact,
            sequence: now.wallMilliseconds + (forgery == .futureSequence ? 3_600_000 : 0), lifetime: .seconds(45))
        statement.name = forgery == .otherName ? stream.text + "x" : stream.text
        statement.epoch = now.wallMilliseconds
        let record = Record(statement, by: host.identity)
        switch forgery {
        case .foreignSignature, .otherName, .futureSequence: return record
        case .brokenSignature:
            var bytes = record.signature.bytes
            bytes.first.word0 ^= 1
            return try? Record(body: record.body.span, signature: Signature(bytes), suite: host.identity.suite)
        case .noSignature:
            return try? Record(body: record.body.span, signature: Signature(.zero), suite: host.identity.suite)
        }
    }
}
