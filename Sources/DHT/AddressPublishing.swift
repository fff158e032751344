import SwarmCore
import SwarmCrypto

/// This node's own addresses in the DHT: at its own id, with the neighbours that know it anyway, so that a contact that
/// carries an old address can be found again. No search, few holders, rare rounds: eight PUTs of about 250 bytes and, where
/// no link is open, eight handshakes of a thousand in 40 minutes are four bytes a second.
struct AddressBook: Sendable {
    /// Who keeps the record: enough that some are left when half of a swarm has changed.
    static var holders: Int { 8 }
    /// A third of the lifetime.
    static var pause: Interval { .seconds(2400) }
    /// Newcomers among the nearest get the record soon, those that come together in one go.
    static var newcomerPause: Interval { .seconds(10) }

    /// The record being spread; nil before the first round and after a change.
    private(set) var record: Record?
    private var lastSequence: UInt64 = 0
    private var holding: [NodeID] = []
    private var nextRound: MonotonicInstant?
    private var nextVisit: MonotonicInstant?

    var nextDeadline: MonotonicInstant? { Deadline.earlier(nextRound, nextVisit) }

    /// Somebody entered the routing table.
    mutating func noteNewcomer(at now: MonotonicInstant) {
        if nextVisit == nil { nextVisit = now + Self.newcomerPause }
    }

    mutating func noteHolder(_ id: NodeID, of sequence: UInt64) {
        guard sequence == lastSequence, !holding.contains(id) else { return }
        holding.append(id)
    }

    /// The addresses have changed: the next visit is due at once.
    mutating func expire() {
        record = nil
        nextVisit = .zero
    }

    /// Whether something is due; if so it is taken off the agenda, and a record that must be signed anew is dropped.
    mutating func isDue(_ now: MonotonicInstant) -> Bool {
        guard let due = nextDeadline, due <= now else { return false }
        if let round = nextRound, round <= now {
            record = nil
            nextRound = nil
        }
        nextVisit = nil
        return true
    }

    mutating func begin(_ record: Record, nextRound: MonotonicInstant) {
        self.record = record
        lastSequence = record.sequence
        holding = []
        self.nextRound = nextRound
    }

    func sequence(atWall milliseconds: UInt64) -> UInt64 { max(lastSequence &+ 1, milliseconds) }

    func lacks(_ id: NodeID) -> Bool { !holding.contains(id) }
}

extension DHT {
    /// Asks the neighbours of a node for the addresses it has published, for one whose contact no longer reaches it. Ends in
    /// `.reached` or `.overloaded`.
    package mutating func reach(
        _ node: NodeID, at now: Now, into out: inout MessageOutbox, events: inout EventBuffer<DHTEvent>
    ) -> LookupID {
        let id = nextLookupID()
        startReaching(node, id, now, &events)
        drive(now, &out, &events)
        return id
    }

    /// Gives the record to those of the nearest that do not have it.
    mutating func publishAddresses(_ now: Now, _ out: inout MessageOutbox) {
        guard addressBook.isDue(now.monotonic) else { return }
        guard !configuration.isClientOnly, !contact.addresses.isEmpty, !table.isEmpty else { return }
        if addressBook.record == nil {
            let statement = RecordStatement(
                kind: .nodeAddresses, publisher: contact,
                sequence: addressBook.sequence(atWall: now.wallMilliseconds),
                lifetime: DHTConfiguration.longestAddressLifetime)
            let pause = generator.jittered(AddressBook.pause, by: 0.1)
            addressBook.begin(Record(statement, by: identity), nextRound: now.monotonic + pause)
        }
        guard let record = addressBook.record else { return }
        for entry in table.closest(to: identity.id.bytes, limit: AddressBook.holders)
        where addressBook.lacks(entry.contact.id) {
            ask(entry.contact, .addresses(sequence: record.sequence), at: now, into: &out) {
                .put($0, isClient: false, record)
            }
        }
    }
}
