import SwarmCore
import SwarmCrypto

/// The tables under `RecordStore`: slots of records, found by statement, by place, by publisher and by deadline without
/// walking over others. It keeps the books and knows no rules.
///
/// A record is kept as the bytes that were signed, once; whoever asks gets it parsed. Per record and at twenty characters
/// of name that is 150 bytes of record, about 40 of allocation and 270 of tables (`RecordStoreTests` prints the sum).
struct RecordSlots: Sendable {
    enum Life: UInt8, Sendable {
        case living
        /// Over; only the sequence is left.
        case dead
        /// Taken back; the bytes are kept to tell readers.
        case tombstone
    }

    struct Slot: Sendable {
        /// Body and signature as received; empty when dead.
        var bytes: [UInt8] = []
        var sequence: UInt64 = 0
        var receivedAt = MonotonicInstant.zero
        /// Since when this publisher has held the name without a gap, as observed here.
        var heldSince = MonotonicInstant.zero
        fileprivate var statement: UInt64 = 0
        fileprivate var place: Int32 = -1
        fileprivate var publisher: Int32 = -1
        /// Of prefix entries the number in their place's order of arrival, of others the next slot of kind and place.
        fileprivate var link: Int32 = -1
        fileprivate var nextOfPublisher: Int32 = -1
        fileprivate var previousOfPublisher: Int32 = -1
        var kind = RecordKind.streamOrigin
        var life = Life.living

        var isDead: Bool { life != .living }
    }

    /// A key under which records lie.
    private struct Place: Sendable {
        var key = Bytes32.zero
        /// Living prefix entries in the order of arrival.
        var entries: [Int32] = []
        /// The first slot of each short list, dead ones included; -1 for none.
        var origins: Int32 = -1
        var carriers: Int32 = -1
        var addresses: Int32 = -1
        var nextEntry: Int32 = 0
        var slotCount: Int32 = 0
    }

    private struct Publisher: Sendable {
        var id = NodeID(.zero)
        /// Where its first record came from; nil where that is not counted.
        var subnet: UInt64?
        var living: Int32 = 0
        var dead: Int32 = 0
        var first: Int32 = -1
    }

    private var table = SlotTable<Slot>()
    private var statements = HashChains()
    private var deadlines = DeadlineHeap()
    private var places = SlotTable<Place>()
    private var placeChains = HashChains()
    private var publishers = SlotTable<Publisher>()
    private var publisherChains = HashChains()
    /// Living records by subnet. Only looked up.
    private var subnets: [UInt64: Int] = [:]
    private(set) var living = 0
    private(set) var dead = 0
    /// Bytes of all records held.
    private(set) var bytes = 0

    // MARK: Finding

    subscript(slot: Int) -> Slot { table[slot] }

    /// The slot of the same statement: kind, publisher, name and depth.
    func find(_ record: Record, key: Bytes32) -> Int? {
        guard let place = placeIndex(key), let publisher = publisherIndex(record.publisher.id) else { return nil }
        let statement = record.statementNumber
        var candidate = statements.first(Self.hash(place, publisher, record.kind, statement))
        while let slot = candidate {
            let found = table[slot]
            if found.place == place, found.publisher == publisher, found.kind == record.kind,
                found.statement == statement
            {
                return slot
            }
            candidate = statements.following(slot)
        }
        return nil
    }

    /// The slots of a kind under a key, dead ones included, oldest first: a handful. Not for prefix entries.
    func list(_ kind: RecordKind, _ key: Bytes32) -> [Int] {
        guard let place = placeIndex(key) else { return [] }
        var found: [Int] = []
        var slot = head(of: kind, at: place)
        while slot >= 0 {
            found.append(Int(slot))
            slot = table[Int(slot)].link
        }
        return found
    }

    func entryCount(_ key: Bytes32) -> Int { placeIndex(key).map { places[Int($0)].entries.count } ?? 0 }

    func entries(_ key: Bytes32, from skip: Int, limit: Int) -> [Int] {
        guard let place = placeIndex(key) else { return [] }
        return places[Int(place)].entries.dropFirst(skip).prefix(limit).map { Int($0) }
    }

    func slots(of publisher: NodeID) -> [Int] {
        guard let index = publisherIndex(publisher) else { return [] }
        var found: [Int] = []
        var slot = publishers[Int(index)].first
        while slot >= 0 {
            found.append(Int(slot))
            slot = table[Int(slot)].nextOfPublisher
        }
        return found
    }

    func record(_ slot: Int) -> Record? { Record(stored: table[slot].bytes, publisher: publisher(of: slot)) }
    func publisher(of slot: Int) -> NodeID { publishers[Int(table[slot].publisher)].id }
    func key(of slot: Int) -> Bytes32 { places[Int(table[slot].place)].key }
    func deadline(_ slot: Int) -> MonotonicInstant? { deadlines.instant(of: slot) }
    func living(of publisher: NodeID) -> Int { publisherIndex(publisher).map { Int(publishers[Int($0)].living) } ?? 0 }
    func living(inSubnet subnet: UInt64) -> Int { subnets[subnet] ?? 0 }
    var placeCount: Int { places.count }
    var nextDeadline: MonotonicInstant? { deadlines.earliest }

    func earliest(of slots: [Int]) -> Int? {
        slots.min { (deadlines.instant(of: $0) ?? .zero) < (deadlines.instant(of: $1) ?? .zero) }
    }

    /// Whether the slot holds exactly these bytes.
    func holds(_ record: Record, in slot: Int) -> Bool {
        let held = table[slot].bytes
        guard held.count == record.body.count + Signature.byteCount else { return false }
        return held.span.extracting(0..<record.body.count).elementsEqual(record.body.span)
    }

    /// Whether one more dead record of its publisher is remembered.
    func canRemember(_ publisher: NodeID) -> Bool {
        guard dead < DHTLimits.rememberedRecords else { return false }
        return publisherIndex(publisher).map { publishers[Int($0)].dead < Int32(DHTLimits.recordsPerPublisher) } ?? true
    }
    func canRemember(_ slot: Int) -> Bool { canRemember(publisher(of: slot)) }

    var memoryBytes: Int {
        let tables = table.memoryBytes + statements.memoryBytes + deadlines.memoryBytes
        let owners = places.memoryBytes + placeChains.memoryBytes + publishers.memoryBytes + publisherChains.memoryBytes
        // An array's header is 32 bytes; an allocator adds 8 and rounds up to 16.
        return tables + owners + subnets.capacity * 20 + bytes + table.count * 40
    }

    // MARK: Changing

    mutating func insert(
        _ record: Record, key: Bytes32, subnet: UInt64?, receivedAt: MonotonicInstant, deadline: MonotonicInstant
    ) {
        let place = enterPlace(key)
        let publisher = enterPublisher(record.publisher.id, subnet: subnet)
        var slot = Slot()
        slot.bytes = record.storedBytes
        slot.sequence = record.sequence
        slot.receivedAt = receivedAt
        slot.heldSince = receivedAt
        slot.statement = record.statementNumber
        slot.place = place
        slot.publisher = publisher
        slot.kind = record.kind
        slot.life = record.isTombstone ? .tombstone : .living
        slot.nextOfPublisher = publishers[Int(publisher)].first
        let index = table.insert(slot)
        if slot.nextOfPublisher >= 0 { table[Int(slot.nextOfPublisher)].previousOfPublisher = Int32(index) }
        publishers[Int(publisher)].first = Int32(index)
        statements.insert(index, hash: Self.hash(place, publisher, record.kind, slot.statement))
        deadlines.set(index, deadline)
        places[Int(place)].slotCount += 1
        bytes += slot.bytes.count
        count(index, 1)
        link(index)
    }

    mutating func replace(
        _ slot: Int, with record: Record, heldSince: MonotonicInstant, receivedAt: MonotonicInstant,
        deadline: MonotonicInstant
    ) {
        let newLife = record.isTombstone ? Life.tombstone : .living
        if table[slot].life != newLife { change(slot, to: newLife) }
        bytes += record.body.count + Signature.byteCount - table[slot].bytes.count
        table[slot].bytes = record.storedBytes
        table[slot].sequence = record.sequence
        table[slot].heldSince = heldSince
        table[slot].receivedAt = receivedAt
        deadlines.set(slot, deadline)
    }

    /// Leaves only the sequence, until `forgottenAt`.
    mutating func kill(_ slot: Int, until forgottenAt: MonotonicInstant) {
        change(slot, to: .dead)
        bytes -= table[slot].bytes.count
        table[slot].bytes = []
        deadlines.set(slot, forgottenAt)
    }

    mutating func remove(_ slot: Int) {
        unlink(slot)
        count(slot, -1)
        bytes -= table[slot].bytes.count
        deadlines.remove(slot)
        statements.remove(slot)
        let removed = table[slot]
        let publisher = Int(removed.publisher)
        if removed.previousOfPublisher >= 0 {
            table[Int(removed.previousOfPublisher)].nextOfPublisher = removed.nextOfPublisher
        } else {
            publishers[publisher].first = removed.nextOfPublisher
        }
        if removed.nextOfPublisher >= 0 {
            table[Int(removed.nextOfPublisher)].previousOfPublisher = removed.previousOfPublisher
        }
        if publishers[publisher].first < 0 {
            publisherChains.remove(publisher)
            publishers.remove(publisher, leaving: Publisher())
        }
        let place = Int(removed.place)
        places[place].slotCount -= 1
        if places[place].slotCount == 0 {
            placeChains.remove(place)
            places.remove(place, leaving: Place())
        }
        table.remove(slot, leaving: Slot())
    }

    /// Takes the earliest slot off the agenda, if it is due: whoever asked gives it a new deadline or removes it.
    mutating func popDue(_ now: MonotonicInstant) -> Int? { deadlines.popDue(now) }

    // MARK: Inside

    private static func hash(_ place: Int32, _ publisher: Int32, _ kind: RecordKind, _ statement: UInt64) -> UInt32 {
        var hasher = Hasher()
        hasher.combine(place)
        hasher.combine(publisher)
        hasher.combine(kind.rawValue)
        hasher.combine(statement)
        return UInt32(truncatingIfNeeded: hasher.finalize())
    }

    private func placeIndex(_ key: Bytes32) -> Int32? {
        var candidate = placeChains.first(key.chainHash)
        while let index = candidate {
            if places[index].key == key { return Int32(index) }
            candidate = placeChains.following(index)
        }
        return nil
    }

    private func publisherIndex(_ id: NodeID) -> Int32? {
        var candidate = publisherChains.first(id.bytes.chainHash)
        while let index = candidate {
            if publishers[index].id == id { return Int32(index) }
            candidate = publisherChains.following(index)
        }
        return nil
    }

    private mutating func enterPlace(_ key: Bytes32) -> Int32 {
        if let present = placeIndex(key) { return present }
        var place = Place()
        place.key = key
        let index = places.insert(place)
        placeChains.insert(index, hash: key.chainHash)
        return Int32(index)
    }

    private mutating func enterPublisher(_ id: NodeID, subnet: UInt64?) -> Int32 {
        if let present = publisherIndex(id) { return present }
        var publisher = Publisher()
        publisher.id = id
        publisher.subnet = subnet
        let index = publishers.insert(publisher)
        publisherChains.insert(index, hash: id.bytes.chainHash)
        return Int32(index)
    }

    private mutating func change(_ slot: Int, to life: Life) {
        let leavesList = table[slot].kind == .prefixEntry && (life == .living) == table[slot].isDead
        if leavesList { unlink(slot) }
        count(slot, -1)
        table[slot].life = life
        count(slot, 1)
        if leavesList { link(slot) }
    }

    private mutating func count(_ slot: Int, _ change: Int) {
        let index = Int(table[slot].publisher)
        if table[slot].isDead {
            publishers[index].dead += Int32(change)
            dead += change
            return
        }
        publishers[index].living += Int32(change)
        living += change
        guard let subnet = publishers[index].subnet else { return }
        let total = (subnets[subnet] ?? 0) + change
        subnets[subnet] = total > 0 ? total : nil
    }

    private func head(of kind: RecordKind, at place: Int32) -> Int32 {
        switch kind {
        case .streamOrigin: places[Int(place)].origins
        case .streamCarrier: places[Int(place)].carriers
        case .nodeAddresses: places[Int(place)].addresses
        case .prefixEntry: -1
        }
    }

    private mutating func setHead(of kind: RecordKind, at place: Int32, _ slot: Int32) {
        switch kind {
        case .streamOrigin: places[Int(place)].origins = slot
        case .streamCarrier: places[Int(place)].carriers = slot
        case .nodeAddresses: places[Int(place)].addresses = slot
        case .prefixEntry: break
        }
    }

    /// Enters the slot at the end of its place's list. Dead prefix entries are in no list.
    private mutating func link(_ slot: Int) {
        let (kind, place) = (table[slot].kind, table[slot].place)
        guard kind != .prefixEntry else {
            guard !table[slot].isDead else { return }
            if places[Int(place)].nextEntry == .max { renumberEntries(Int(place)) }
            table[slot].link = places[Int(place)].nextEntry
            places[Int(place)].nextEntry += 1
            places[Int(place)].entries.append(Int32(slot))
            return
        }
        table[slot].link = -1
        var last = head(of: kind, at: place)
        guard last >= 0 else { return setHead(of: kind, at: place, Int32(slot)) }
        while table[Int(last)].link >= 0 { last = table[Int(last)].link }
        table[Int(last)].link = Int32(slot)
    }

    private mutating func unlink(_ slot: Int) {
        let (kind, place) = (table[slot].kind, table[slot].place)
        guard kind != .prefixEntry else {
            guard !table[slot].isDead, let index = entryPosition(of: slot, at: Int(place)) else { return }
            places[Int(place)].entries.remove(at: index)
            return
        }
        let next = table[slot].link
        var previous = head(of: kind, at: place)
        guard previous != Int32(slot) else { return setHead(of: kind, at: place, next) }
        while table[Int(previous)].link != Int32(slot) { previous = table[Int(previous)].link }
        table[Int(previous)].link = next
    }

    /// After two thousand million entries under one key the numbers start again.
    private mutating func renumberEntries(_ place: Int) {
        for (number, slot) in places[place].entries.enumerated() { table[Int(slot)].link = Int32(number) }
        places[place].nextEntry = Int32(places[place].entries.count)
    }

    /// The entries are sorted by their numbers.
    private func entryPosition(of slot: Int, at place: Int) -> Int? {
        let number = table[slot].link
        var low = 0
        var high = places[place].entries.count
        while low < high {
            let middle = (low + high) / 2
            if table[Int(places[place].entries[middle])].link < number { low = middle + 1 } else { high = middle }
        }
        return low < places[place].entries.count && places[place].entries[low] == Int32(slot) ? low : nil
    }
}

extension Record {
    /// Body and signature in one piece.
    var storedBytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(body.count + Signature.byteCount)
        bytes += body
        bytes += signature.bytes.array
        return bytes
    }

    /// Reads `storedBytes` of a record that was valid when it was stored.
    init?(stored bytes: [UInt8], publisher: NodeID) {
        let body = bytes.count - Signature.byteCount
        guard body > 0 else { return nil }
        var reader = ByteReader(bytes.span.extracting(body..<bytes.count))
        guard let signature = reader.readSignature() else { return nil }
        do throws(DHTRefusal) {
            try self.init(body: bytes.span.extracting(0..<body), signature: signature, publisher: publisher)
        } catch {
            return nil
        }
    }

    /// Tells one publisher's prefix entries under one key apart (FNV-1a of the name); the other kinds have one there. Who
    /// makes two of its own names collide has one entry the fewer.
    fileprivate var statementNumber: UInt64 {
        guard kind == .prefixEntry else { return 0 }
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        return hash
    }
}
