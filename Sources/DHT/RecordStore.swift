import SwarmCore

/// Other nodes' records held here (and this node's own, where it is among the nearest to their key): bounded per key, per
/// publisher and in total, persisted nowhere.
///
/// A life is counted from receipt on this node's clock, at most the longest lifetime, and only a higher sequence renews
/// it. A record that has died leaves its sequence behind (a tombstone its bytes too), until no copy of it could pass the
/// clock check any more: so an old copy never brings a stream back. Who comes first keeps its place: nothing living is
/// evicted for a newcomer, but for carriers, of which a spread sample is enough.
package struct RecordStore: Sendable {
    private struct Slot: Sendable {
        var record: Record
        /// When the statement ends; a tombstone is dead from the start.
        var diesAt: MonotonicInstant
        /// Since when this publisher has held the name without a gap, as observed here.
        var heldSince: MonotonicInstant
        /// When its sequence is forgotten too.
        var forgottenAt: MonotonicInstant
        var isDead: Bool

        func isAlive(_ now: MonotonicInstant) -> Bool { !isDead && now < diesAt }
        var deadline: MonotonicInstant { isDead ? forgottenAt : diesAt }
    }

    /// How many slots one publisher occupies.
    private struct Share: Sendable {
        var living = 0
        var dead = 0
    }

    /// What became of a record.
    package enum Outcome: Hashable, Sendable {
        /// Held now; for how long its publisher has held the place without a gap, as seen here.
        case stored(age: Interval)
        /// The same version was held already; its life is not renewed.
        case alreadyHeld(age: Interval)
        case refused(DHTRefusal)
        /// The living record of the name's holder.
        case nameTaken(Incumbent)
    }

    package struct Counts: Hashable, Sendable {
        package var living = 0
        /// Sequences and tombstones kept after the end of a record.
        package var remembered = 0
        package var keys = 0

        package init(living: Int = 0, remembered: Int = 0, keys: Int = 0) {
            self.living = living
            self.remembered = remembered
            self.keys = keys
        }
    }

    /// Per key in the order of arrival. Only ever looked up, never iterated: its order is not reproducible.
    private var slots: [Bytes32: [Slot]] = [:]
    private var shares: [NodeID: Share] = [:]
    private var living = 0
    private var dead = 0
    private var agenda = KeyAgenda()
    /// Records whose life ended, since the start.
    package private(set) var expired: UInt64 = 0

    private let own: NodeID

    /// `own` is the holder: of many carriers it keeps those nearest to itself, so that all holders together know a
    /// spread of them.
    package init(own: NodeID) { self.own = own }

    // MARK: Changing

    /// Takes a record whose signature has been verified. `key` is `record.key`, computed once by the caller.
    package mutating func put(_ record: Record, key: Bytes32, at now: Now) -> Outcome {
        if let reason = Self.unfit(record, at: now) { return .refused(reason) }
        // Taken out while it changes, so that the array is never copied.
        var held = slots.removeValue(forKey: key) ?? []
        defer { if !held.isEmpty { slots[key] = held } }
        let position = held.firstIndex { $0.record.concernsSame(as: record) }
        if let position {
            let old = held[position].record
            guard record.sequence > old.sequence else {
                guard record.sequence == old.sequence, record.body == old.body else { return .refused(.superseded) }
                return .alreadyHeld(age: now.monotonic - held[position].heldSince)
            }
        }
        if let incumbent = Self.incumbent(against: record, in: held, at: now.monotonic) { return .nameTaken(incumbent) }
        if position == nil { thinCarriers(for: record, in: &held) }
        if let reason = roomRefusal(record, in: held, replacing: position) { return .refused(reason) }
        var newcomer = Self.slot(for: record, at: now.monotonic)
        if let position {
            if held[position].isAlive(now.monotonic) { newcomer.heldSince = held[position].heldSince }
            count(held[position], -1)
            held[position] = newcomer
        } else {
            makeRoom(for: record, in: &held)
            held.append(newcomer)
        }
        count(newcomer, 1)
        agenda.schedule(key, at: newcomer.deadline)
        return .stored(age: now.monotonic - newcomer.heldSince)
    }

    /// Ends the lives of everything `publisher` has stored here: membership has found it dead. Its sequences stay, so
    /// that it must say something newer to return.
    package mutating func retire(_ publisher: NodeID, at now: MonotonicInstant) {
        guard (shares[publisher]?.living ?? 0) > 0 else { return }
        let keys = slots.filter { $0.value.contains { $0.record.publisher.id == publisher && $0.isAlive(now) } }
        for key in keys.keys.sorted() {
            var held = slots.removeValue(forKey: key) ?? []
            for index in held.indices where held[index].record.publisher.id == publisher && held[index].isAlive(now) {
                held[index].diesAt = now
            }
            slots[key] = held
            agenda.schedule(key, at: now)
        }
        sweep(now)
    }

    /// Ends lives that are over and forgets what need not be remembered any longer.
    package mutating func sweep(_ now: MonotonicInstant) {
        while let key = agenda.popDue(now) {
            var held = slots.removeValue(forKey: key) ?? []
            var kept: [Slot] = []
            for index in held.indices {
                if !held[index].isDead, held[index].diesAt <= now {
                    count(held[index], -1)
                    held[index].isDead = true
                    expired &+= 1
                    guard canRemember(held[index].record.publisher.id) else { continue }
                    count(held[index], 1)
                } else if held[index].isDead, held[index].forgottenAt <= now {
                    count(held[index], -1)
                    continue
                }
                kept.append(held[index])
            }
            guard let earliest = kept.map(\.deadline).min() else { continue }
            slots[key] = kept
            agenda.schedule(key, at: earliest)
        }
    }

    package var nextDeadline: MonotonicInstant? { agenda.earliest }

    // MARK: Reading

    /// The living records of `kinds` under `key`, and the tombstones of origins, so that a reader learns of the end too.
    /// Origins come first, then carriers beginning at `turn` (so that different askers get different ones), then prefix
    /// entries from `skip` on. `total` counts the prefix entries there are.
    package func records(
        for query: GetQuery, key: Bytes32, turn: UInt64, at now: MonotonicInstant
    ) -> (records: [HeldRecord], total: Int) {
        guard let held = slots[key] else { return ([], 0) }
        func living(_ kind: RecordKind) -> [Slot] {
            guard query.kinds.contains(kind.mask) else { return [] }
            return held.filter { $0.record.kind == kind && $0.isAlive(now) }
        }
        var found = living(.streamOrigin)
        if found.isEmpty, query.kinds.contains(RecordKind.streamOrigin.mask) {
            found = held.filter { $0.record.kind == .streamOrigin && $0.record.isTombstone }
        }
        found += living(.nodeAddresses)
        let carriers = living(.streamCarrier)
        if !carriers.isEmpty {
            let start = Int(turn % UInt64(carriers.count))
            found += carriers[start...] + carriers[..<start]
        }
        let entries = living(.prefixEntry)
        found += entries.dropFirst(query.skip)
        let records = found.prefix(query.limit).map { slot in
            HeldRecord(
                record: slot.record, remaining: max(.zero, slot.diesAt - now), age: now - slot.heldSince)
        }
        return (records, entries.count)
    }

    package var counts: Counts { Counts(living: living, remembered: dead, keys: slots.count) }

    // MARK: Inside

    /// Rules that hold whatever else is stored.
    private static func unfit(_ record: Record, at now: Now) -> DHTRefusal? {
        guard record.lifetime >= DHTConfiguration.shortestLifetime else { return .shortLifetime }
        guard record.isSigned(near: now.wallMilliseconds, tolerance: DHTConfiguration.clockTolerance) else {
            return .clockSkew
        }
        return nil
    }

    /// The living origin of another publisher: the older lease as this holder observed it.
    private static func incumbent(against record: Record, in held: [Slot], at now: MonotonicInstant) -> Incumbent? {
        guard record.kind == .streamOrigin, !record.isTombstone else { return nil }
        let slot = held.first {
            $0.record.kind == .streamOrigin && $0.isAlive(now) && $0.record.publisher.id != record.publisher.id
        }
        return slot.map { Incumbent(record: $0.record, age: now - $0.heldSince) }
    }

    private static func slot(for record: Record, at now: MonotonicInstant) -> Slot {
        let life = record.isTombstone ? .zero : min(record.lifetime, DHTConfiguration.longestLifetime)
        return Slot(
            record: record, diesAt: now + life, heldSince: now, forgottenAt: now + DHTConfiguration.memoryOfTheDead,
            isDead: record.isTombstone)
    }

    private static func limit(of kind: RecordKind) -> Int {
        switch kind {
        case .streamOrigin: DHTLimits.originsPerKey
        case .streamCarrier: DHTLimits.carriersPerKey
        case .prefixEntry: DHTLimits.prefixEntriesPerKey
        case .nodeAddresses: DHTLimits.addressesPerKey
        }
    }

    /// The living are bounded per key, per publisher and in total; the dead per publisher and in total. The dead never
    /// keep the living out.
    private func roomRefusal(_ record: Record, in held: [Slot], replacing position: Int?) -> DHTRefusal? {
        let publisher = record.publisher.id
        if record.isTombstone { return position != nil || canRemember(publisher) ? nil : .publisherFull }
        if let position, !held[position].isDead { return nil }
        let occupied = held.count { $0.record.kind == record.kind && !$0.isDead }
        guard occupied < Self.limit(of: record.kind) else { return .keyFull }
        guard (shares[publisher]?.living ?? 0) < DHTLimits.recordsPerPublisher else { return .publisherFull }
        guard living < DHTLimits.records else { return .storeFull }
        return nil
    }

    /// Origins are remembered in a handful per name: beyond that, the one that would be forgotten first goes.
    private mutating func makeRoom(for record: Record, in held: inout [Slot]) {
        guard record.kind == .streamOrigin,
            held.count(where: { $0.record.kind == .streamOrigin }) >= DHTLimits.originsPerKey
        else { return }
        let dead = held.indices.filter { held[$0].record.kind == .streamOrigin && held[$0].isDead }
        guard let oldest = dead.min(by: { held[$0].forgottenAt < held[$1].forgottenAt }) else { return }
        count(held[oldest], -1)
        held.remove(at: oldest)
    }

    /// A full sample of carriers gives up its farthest for a nearer newcomer.
    private mutating func thinCarriers(for record: Record, in held: inout [Slot]) {
        guard record.kind == .streamCarrier, !record.isTombstone else { return }
        let carriers = held.indices.filter { held[$0].record.kind == .streamCarrier && !held[$0].isDead }
        guard carriers.count >= DHTLimits.carriersPerKey else { return }
        func distance(_ index: Int) -> Bytes32 { held[index].record.publisher.id.distance(to: own.bytes) }
        guard let farthest = carriers.max(by: { distance($0) < distance($1) }),
            record.publisher.id.distance(to: own.bytes) < distance(farthest)
        else { return }
        count(held[farthest], -1)
        held.remove(at: farthest)
    }

    private func canRemember(_ publisher: NodeID) -> Bool {
        dead < DHTLimits.rememberedRecords && (shares[publisher]?.dead ?? 0) < DHTLimits.recordsPerPublisher
    }

    private mutating func count(_ slot: Slot, _ change: Int) {
        let publisher = slot.record.publisher.id
        var share = shares[publisher] ?? Share()
        if slot.isDead {
            share.dead += change
            dead += change
        } else {
            share.living += change
            living += change
        }
        shares[publisher] = share.living + share.dead > 0 ? share : nil
    }
}

/// Keys by the time something under them falls due: a binary heap with at most one entry a key.
private struct KeyAgenda: Sendable {
    private struct Item: Sendable {
        var instant: MonotonicInstant
        var key: Bytes32

        static func < (a: Item, b: Item) -> Bool { a.instant == b.instant ? a.key < b.key : a.instant < b.instant }
    }

    private var heap: [Item] = []
    /// The time each key is in the heap for. Only looked up.
    private var scheduled: [Bytes32: MonotonicInstant] = [:]

    var earliest: MonotonicInstant? { heap.first?.instant }

    /// Makes sure `key` comes up by `instant`. A key that comes up earlier stays: whoever pops it schedules it anew.
    mutating func schedule(_ key: Bytes32, at instant: MonotonicInstant) {
        if let present = scheduled[key] {
            guard instant < present else { return }
            guard let index = heap.firstIndex(where: { $0.key == key }) else { return }
            heap[index].instant = instant
            scheduled[key] = instant
            siftUp(index)
            return
        }
        scheduled[key] = instant
        heap.append(Item(instant: instant, key: key))
        siftUp(heap.count - 1)
    }

    mutating func popDue(_ now: MonotonicInstant) -> Bytes32? {
        guard let first = heap.first, first.instant <= now else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        siftDown()
        scheduled[first.key] = nil
        return first.key
    }

    private mutating func siftUp(_ start: Int) {
        var index = start
        while index > 0, heap[index] < heap[(index - 1) / 2] {
            heap.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private mutating func siftDown() {
        var index = 0
        while true {
            var smallest = index
            for child in [2 * index + 1, 2 * index + 2] where child < heap.count && heap[child] < heap[smallest] {
                smallest = child
            }
            guard smallest != index else { return }
            heap.swapAt(index, smallest)
            index = smallest
        }
    }
}
