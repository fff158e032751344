import SwarmCore
import SwarmCrypto

/// Other nodes' records held here (and this node's own, where it is among the nearest to their key), and the copies that
/// readers have offered: bounded per key, per publisher, per subnet and in total, persisted nowhere.
///
/// A life is counted from receipt on this node's clock, at most the longest lifetime of its kind, and only a higher
/// sequence renews it. A record that has died leaves its sequence behind (a tombstone its bytes too), until no copy of it
/// could pass the clock check any more: so an old copy never brings a stream back. Who comes first keeps its place:
/// nothing living is evicted for a newcomer, but for carriers, of which a spread sample is enough, and for a bound name,
/// whose owner decides.
package struct RecordStore: Sendable {
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
        /// Living copies in the cache.
        package var copies = 0

        package init(living: Int = 0, remembered: Int = 0, keys: Int = 0, copies: Int = 0) {
            self.living = living
            self.remembered = remembered
            self.keys = keys
            self.copies = copies
        }
    }

    var slots = RecordSlots()
    var cache = CopyCache()
    /// Records whose life ended, since the start.
    package private(set) var expired: UInt64 = 0
    private let own: NodeID

    /// `own` is the holder: of many carriers it keeps those nearest to itself, so that all holders together know a
    /// spread of them.
    package init(own: NodeID) { self.own = own }

    // MARK: Changing

    /// Takes a record whose signature (and delegation) has been verified. `key` is `record.key`, computed once by the
    /// caller; `source` is where it came from, nil for this node's own.
    package mutating func put(
        _ record: Record, key: Bytes32, from source: NetworkAddress? = nil, at now: Now
    ) -> Outcome {
        if let reason = Self.unfit(record, at: now) { return .refused(reason) }
        let held = slots.find(record, key: key)
        if let held {
            let old = slots[held]
            if record.sequence == old.sequence, slots.holds(record, in: held) {
                return .alreadyHeld(age: now.monotonic - old.heldSince)
            }
            guard record.sequence > old.sequence else { return .refused(.superseded) }
        }
        var beaten: Int?
        if let rival = livingRival(of: record, key: key, at: now.monotonic) {
            guard record.outranks(slots[rival].bytes, of: slots.publisher(of: rival), at: key) else {
                return slots.record(rival).map { record in
                    .nameTaken(Incumbent(record: record, age: now.monotonic - slots[rival].heldSince))
                } ?? .refused(.malformed)
            }
            beaten = rival
        }
        if held == nil { thinCarriers(for: record, key: key) }
        if let reason = roomRefusal(record, key: key, source: source, replacing: held, beating: beaten) {
            return .refused(reason)
        }
        if let beaten { end(beaten, now.monotonic) }
        cache.supersede(record, key: key)
        return .stored(age: keep(record, key: key, from: source, replacing: held, at: now.monotonic))
    }

    /// Ends the lives of everything `publisher` has stored here: membership has found it dead. Its sequences stay, so
    /// that it must say something newer to return.
    package mutating func retire(_ publisher: NodeID, at now: MonotonicInstant) {
        for slot in slots.slots(of: publisher) where !slots[slot].isDead {
            expired &+= 1
            end(slot, now)
        }
        cache.remove(publisher)
    }

    /// Ends lives that are over and forgets what need not be remembered any longer.
    package mutating func sweep(_ now: MonotonicInstant) {
        while let slot = slots.popDue(now) {
            if slots[slot].isDead {
                slots.remove(slot)
            } else {
                expired &+= 1
                end(slot, now)
            }
        }
        cache.sweep(now)
    }

    package var nextDeadline: MonotonicInstant? { Deadline.earlier(slots.nextDeadline, cache.nextDeadline) }

    // MARK: Reading

    /// The living records of `kinds` under `key`, and the tombstones of origins, so that a reader learns of the end too.
    /// Origins come first, then carriers beginning at `turn` (so that different askers get different ones), then prefix
    /// entries from `skip` on. Copies stand in where nothing of their kind lives here. `total` counts the prefix entries
    /// there are.
    package func records(
        for query: GetQuery, key: Bytes32, turn: UInt64, at now: MonotonicInstant
    ) -> (records: [HeldRecord], total: Int) {
        var found: [HeldRecord] = []
        var total = 0
        if query.kinds.contains(RecordKind.streamOrigin.mask) {
            found = living(.streamOrigin, key, now)
            if found.isEmpty { found = cache.living(.streamOrigin, key, now) }
            if found.isEmpty { found = tombstones(key) }
        }
        if query.kinds.contains(RecordKind.nodeAddresses.mask) { found += living(.nodeAddresses, key, now) }
        if query.kinds.contains(RecordKind.streamCarrier.mask) {
            var carriers = living(.streamCarrier, key, now)
            if carriers.isEmpty { carriers = cache.living(.streamCarrier, key, now) }
            if !carriers.isEmpty {
                let start = Int(turn % UInt64(carriers.count))
                found += carriers[start...] + carriers[..<start]
            }
        }
        if query.kinds.contains(RecordKind.prefixEntry.mask) {
            total = slots.entryCount(key)
            let room = max(0, query.limit - found.count)
            found += slots.entries(key, from: query.skip, limit: room).compactMap { held($0, now) }
        }
        return (Array(found.prefix(query.limit)), total)
    }

    package var counts: Counts {
        Counts(living: slots.living, remembered: slots.dead, keys: slots.placeCount, copies: cache.living)
    }

    /// What the store occupies: tables with their spare room, and the records' bytes with what an allocation costs.
    package var memoryBytes: Int { slots.memoryBytes + cache.memoryBytes }

    // MARK: Inside

    /// Rules that hold whatever else is stored.
    private static func unfit(_ record: Record, at now: Now) -> DHTRefusal? {
        guard record.lifetime >= DHTConfiguration.shortestLifetime else { return .shortLifetime }
        guard record.isSigned(near: now.wallMilliseconds, tolerance: DHTConfiguration.clockTolerance) else {
            return .clockSkew
        }
        return nil
    }

    private func living(_ kind: RecordKind, _ key: Bytes32, _ now: MonotonicInstant) -> [HeldRecord] {
        slots.list(kind, key).compactMap { held($0, now) }
    }

    private func tombstones(_ key: Bytes32) -> [HeldRecord] {
        slots.list(.streamOrigin, key).filter { slots[$0].life == .tombstone }.compactMap { slot in
            slots.record(slot).map { HeldRecord(record: $0, remaining: .zero) }
        }
    }

    private func held(_ slot: Int, _ now: MonotonicInstant) -> HeldRecord? {
        guard !slots[slot].isDead, let diesAt = slots.deadline(slot), diesAt > now, let record = slots.record(slot)
        else { return nil }
        return HeldRecord(record: record, remaining: diesAt - now, age: now - slots[slot].heldSince)
    }

    /// The living origin of another publisher: the older lease as this holder observed it.
    private func livingRival(of record: Record, key: Bytes32, at now: MonotonicInstant) -> Int? {
        guard record.kind == .streamOrigin, !record.isTombstone else { return nil }
        return slots.list(.streamOrigin, key).first { slot in
            !slots[slot].isDead && (slots.deadline(slot) ?? now) > now
                && slots.publisher(of: slot) != record.publisher.id
        }
    }

    /// Puts the record into its slot; says for how long the publisher has held the place without a gap.
    private mutating func keep(
        _ record: Record, key: Bytes32, from source: NetworkAddress?, replacing held: Int?, at now: MonotonicInstant
    ) -> Interval {
        let life = min(record.lifetime, record.kind.longestLifetime)
        let memory = DHTConfiguration.memoryOfTheDead
        let heldSince =
            held.flatMap { slot in
                !slots[slot].isDead && (slots.deadline(slot) ?? now) > now ? slots[slot].heldSince : nil
            } ?? now
        let deadline = now + (record.isTombstone ? memory : life)
        if let held {
            slots.replace(held, with: record, heldSince: heldSince, receivedAt: now, deadline: deadline)
        } else {
            makeRoom(for: record, key: key)
            slots.insert(record, key: key, subnet: Self.subnet(source), receivedAt: now, deadline: deadline)
        }
        return now - heldSince
    }

    /// A life is over: what is left is the sequence, where there is room to remember it and a copy could still pass for
    /// news.
    private mutating func end(_ slot: Int, _ now: MonotonicInstant) {
        let forgottenAt = slots[slot].receivedAt + DHTConfiguration.memoryOfTheDead
        guard forgottenAt > now, slots.canRemember(slot) else { return slots.remove(slot) }
        slots.kill(slot, until: forgottenAt)
        guard slots[slot].kind == .streamCarrier else { return }
        // Few carriers under one key are remembered, as few are kept.
        let key = slots.key(of: slot)
        let dead = slots.list(.streamCarrier, key).filter { slots[$0].isDead }
        if dead.count > DHTLimits.carriersPerKey, let oldest = slots.earliest(of: dead) { slots.remove(oldest) }
    }

    private static func limit(of kind: RecordKind) -> Int {
        switch kind {
        case .streamOrigin: DHTLimits.originsPerKey
        case .streamCarrier: DHTLimits.carriersPerKey
        case .prefixEntry: DHTLimits.prefixEntriesPerKey
        case .nodeAddresses: DHTLimits.addressesPerKey
        }
    }

    /// Loopback and private addresses are a laboratory's or an office's, where one subnet is everybody.
    private static func subnet(_ source: NetworkAddress?) -> UInt64? {
        guard let source, !source.isLoopback, !source.isPrivate else { return nil }
        return source.subnet
    }

    /// The living are bounded per key, per publisher, per subnet and in total; the dead per publisher and in total. The
    /// dead never keep the living out.
    private func roomRefusal(
        _ record: Record, key: Bytes32, source: NetworkAddress?, replacing held: Int?, beating beaten: Int?
    ) -> DHTRefusal? {
        guard slots.bytes + record.byteCount <= DHTLimits.storedBytes else { return .storeFull }
        let publisher = record.publisher.id
        if record.isTombstone { return held != nil || slots.canRemember(publisher) ? nil : .publisherFull }
        if let held, !slots[held].isDead { return nil }
        let occupied =
            record.kind == .prefixEntry
            ? slots.entryCount(key) : slots.list(record.kind, key).count { !slots[$0].isDead && $0 != beaten }
        guard occupied < Self.limit(of: record.kind) else { return .keyFull }
        guard slots.living(of: publisher) < DHTLimits.recordsPerPublisher else { return .publisherFull }
        if let subnet = Self.subnet(source), slots.living(inSubnet: subnet) >= DHTLimits.recordsPerSubnet {
            return .subnetShareFull
        }
        return slots.living < DHTLimits.records ? nil : .storeFull
    }

    /// Origins are remembered in a handful per name: beyond that, the one that would be forgotten first goes.
    private mutating func makeRoom(for record: Record, key: Bytes32) {
        guard record.kind == .streamOrigin else { return }
        let origins = slots.list(.streamOrigin, key)
        guard origins.count >= DHTLimits.originsPerKey else { return }
        if let oldest = slots.earliest(of: origins.filter { slots[$0].isDead }) { slots.remove(oldest) }
    }

    /// A full sample of carriers gives up its farthest for a nearer newcomer.
    private mutating func thinCarriers(for record: Record, key: Bytes32) {
        guard record.kind == .streamCarrier, !record.isTombstone else { return }
        let carriers = slots.list(.streamCarrier, key).filter { !slots[$0].isDead }
        guard carriers.count >= DHTLimits.carriersPerKey else { return }
        func distance(_ slot: Int) -> Bytes32 { slots.publisher(of: slot).distance(to: own.bytes) }
        guard let farthest = carriers.max(by: { distance($0) < distance($1) }),
            record.publisher.id.distance(to: own.bytes) < distance(farthest)
        else { return }
        slots.remove(farthest)
    }
}

extension Record {
    /// Whether this living origin of a bound name takes the place of the one whose bytes are `held`: the newer word of the
    /// owner wins, the id nearer to the key among equals. Plain names have no owner: nobody takes a place.
    fileprivate func outranks(_ held: [UInt8], of publisher: NodeID, at key: Bytes32) -> Bool {
        guard let delegation, let other = Record(stored: held, publisher: publisher)?.delegation else { return false }
        return delegation.outranks(other, at: key)
    }
}

extension Delegation {
    /// Which of two delegations for one name counts.
    func outranks(_ other: Delegation, at key: Bytes32) -> Bool {
        if sequence != other.sequence { return sequence > other.sequence }
        return node.distance(to: key) < other.node.distance(to: key)
    }
}
