import SwarmCore
import SwarmCrypto

/// Verified records of one lookup: of each publisher and statement the newest, with what its holders say of it.
struct GatheredRecords: Sendable {
    /// An origin with the ages of its lease that holders stated, one each.
    private struct Origin: Sendable {
        var held: HeldRecord
        var ages: [(holder: NodeID, age: Interval)] = []

        var record: Record { held.record }
        var age: Interval { NameClaim.observedAge(ages.map(\.age)) }
    }

    private struct Entry: Sendable {
        var record: Record
        var age: Interval
    }

    private var origins: [Origin] = []
    private(set) var carriers: [Contact] = []
    /// The first carrier a holder named, for the cache.
    private var carrier: HeldRecord?
    private var entries: [StreamName: Entry] = [:]
    /// The addresses a node has published of itself.
    private(set) var addresses: Record?

    // MARK: Gathering

    /// Whether `record` is known in this version or a newer one: the check that saves verifying a signature twice.
    func isKnown(_ record: Record) -> Bool {
        switch record.kind {
        case .streamOrigin:
            origins.contains { $0.record.concernsSame(as: record) && $0.record.sequence >= record.sequence }
        case .streamCarrier:
            carriers.contains { $0.id == record.publisher.id }
        case .prefixEntry:
            StreamName(record.name).flatMap { entries[$0] }.map { known in
                known.record.publisher.id == record.publisher.id && known.record.sequence >= record.sequence
            } ?? false
        case .nodeAddresses:
            addresses.map { $0.sequence >= record.sequence } ?? false
        }
    }

    /// Another holder has the same version of an origin: it says how old the lease is.
    mutating func note(_ held: HeldRecord, from holder: NodeID) {
        guard held.record.kind == .streamOrigin, !held.isCopy,
            let index = origins.firstIndex(where: { $0.record == held.record })
        else { return }
        if origins[index].held.isCopy { origins[index].held = held }
        note(held.age, from: holder, at: index)
    }

    /// Takes a record that has proved itself.
    mutating func add(_ held: HeldRecord, from holder: NodeID) {
        let record = held.record
        switch record.kind {
        case .streamOrigin:
            addOrigin(held, from: holder)
        case .streamCarrier:
            guard !record.isTombstone, carriers.count < DHTLimits.carriersPerLocation else { return }
            carriers.append(record.publisher)
            if carrier == nil, !held.isCopy { carrier = held }
        case .prefixEntry:
            guard !record.isTombstone, let name = StreamName(record.name) else { return }
            guard entries[name] != nil || entries.count < DHTLimits.listedStreams else { return }
            let entry = Entry(record: record, age: held.age)
            entries[name] = entries[name].map { Self.preferred($0, entry) } ?? entry
        case .nodeAddresses:
            if !record.isTombstone { addresses = record }
        }
    }

    private mutating func addOrigin(_ held: HeldRecord, from holder: NodeID) {
        if let index = origins.firstIndex(where: { $0.record.concernsSame(as: held.record) }) {
            origins[index].held = held
        } else if origins.count < DHTLimits.originsPerKey {
            origins.append(Origin(held: held))
        } else {
            return
        }
        guard !held.isCopy else { return }
        if let index = origins.firstIndex(where: { $0.record == held.record }) {
            note(held.age, from: holder, at: index)
        }
    }

    /// One holder states one age, however often it is asked.
    private mutating func note(_ age: Interval, from holder: NodeID, at index: Int) {
        guard !origins[index].ages.contains(where: { $0.holder == holder }) else { return }
        origins[index].ages.append((holder, age))
    }

    // MARK: What comes of it

    /// The living origin. Of two with a bound name the one with the newer delegation; of two with a plain name, as after
    /// a partition, the one that all readers and the publishers themselves take (`NameClaim`).
    var origin: Record? { livingOrigin?.record }

    /// The living origin, and one carrier if a holder (not a cache) told of it: what may be offered to others.
    var copies: [HeldRecord] {
        guard let origin = livingOrigin?.held else { return [] }
        return [origin] + (carrier.map { [$0] } ?? [])
    }

    func location(of stream: StreamName, own: NodeID) -> StreamLocation? {
        guard let origin else { return nil }
        let others = carriers.filter { $0.id != origin.publisher.id && $0.id != own }
        return StreamLocation(stream: stream, origin: origin.publisher, epoch: origin.epoch, carriers: others)
    }

    var listing: [ListedStream] {
        var records = entries.mapValues(\.record)
        if let origin, let name = StreamName(origin.name), records[name] == nil { records[name] = origin }
        return records.keys.sorted().compactMap { name in
            records[name].map { ListedStream(stream: name, origin: $0.publisher, epoch: $0.epoch) }
        }
    }

    private var livingOrigin: Origin? {
        let living = origins.filter { !$0.record.isTombstone }
        guard living.count > 1 else { return living.first }
        if living.contains(where: { $0.record.delegation != nil }) {
            return living.max { a, b in Self.isOutranked(a.record, by: b.record) }
        }
        let claims = living.map { (id: $0.record.publisher.id, age: $0.age) }
        return NameClaim.preferred(claims, key: living[0].record.key).map { living[$0] }
    }

    private static func isOutranked(_ a: Record, by b: Record) -> Bool {
        guard let newer = b.delegation else { return false }
        guard let older = a.delegation else { return true }
        return newer.outranks(older, at: a.key)
    }

    private static func preferred(_ a: Entry, _ b: Entry) -> Entry {
        if a.record.publisher.id == b.record.publisher.id { return a.record.sequence >= b.record.sequence ? a : b }
        if a.record.delegation != nil || b.record.delegation != nil {
            return isOutranked(a.record, by: b.record) ? b : a
        }
        let claims = [(id: a.record.publisher.id, age: a.age), (id: b.record.publisher.id, age: b.age)]
        return NameClaim.preferred(claims, key: RecordPlace.path(a.record.name)) == 1 ? b : a
    }
}
