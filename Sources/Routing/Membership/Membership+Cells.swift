import SwarmCore

/// Which part of the swarm this node follows.
extension Membership {
    func isInCell(_ id: NodeID) -> Bool { id.sharesPrefix(cell.bits, with: own.contact.id) }

    /// Members that this node's cell would have at `depth`, itself included.
    private func cellCount(at depth: Int) -> Int {
        guard depth > cell.bits else { return table.present.count + 1 }
        return table.present.range(ofPrefix: own.contact.id, bits: depth).count + 1
    }

    /// Divides a list that has grown too long, and joins a cell that has been too small for a while with its sibling.
    mutating func considerDepth(at now: Now, events: inout EventBuffer<MembershipEvent>) {
        while table.present.count >= sizes.limit(at: cell.bits), cell.bits < CellDepth.maximum, isDivisible {
            setDepth(sizes.deeper(than: cell.bits), at: now, events: &events)
        }
        guard cell.bits > 0, table.present.count + 1 < sizes.minimum else { return cell.smallSince = nil }
        let since = cell.smallSince ?? now.monotonic
        cell.smallSince = since
        guard now.monotonic - since >= CellDepth.patience else { return }
        setDepth(sizes.shallower(than: cell.bits), at: now, events: &events)
    }

    /// Whether all parts would be large enough to stay by themselves: everybody has the same list, and so decides the
    /// same. A list of twice the limit is divided however it lies: somebody has chosen ids.
    private var isDivisible: Bool {
        let next = sizes.deeper(than: cell.bits)
        guard table.present.count + 1 < 2 * sizes.limit(at: cell.bits) else { return true }
        var start = own.contact.id.bytes.word0 & ~(UInt64.max >> UInt64(cell.bits))
        if cell.bits == 0 { start = 0 }
        for part in 0..<(1 << (next - cell.bits)) {
            let prefix = start | UInt64(part) << UInt64(64 - next)
            let id = NodeID(Bytes32(prefix, 0, 0, 0))
            let isOwn = id.sharesPrefix(next, with: own.contact.id)
            let count = table.present.range(ofPrefix: id, bits: next).count + (isOwn ? 1 : 0)
            if count < sizes.deeperWins { return false }
        }
        return true
    }

    /// `peer` has said how finely it divides. A newcomer believes it; others follow it where both depths are sensible,
    /// so that a region agrees on one.
    mutating func hearDepth(
        _ told: UInt8?, from peer: NodeID, at now: Now, events: inout EventBuffer<MembershipEvent>
    ) {
        guard let told, told != CellDepth.unknown, told <= CellDepth.maximum else { return }
        let depth = Int(told)
        guard cell.isSettled else {
            if depth > cell.bits { setDepth(depth, at: now, events: &events) }
            if peer.sharesPrefix(depth, with: own.contact.id) { settle() }
            return
        }
        guard depth != cell.bits, peer.sharesPrefix(min(depth, cell.bits), with: own.contact.id) else { return }
        if depth > cell.bits {
            cell.deeperHeard = max(depth, cell.deeperUntil > now.monotonic ? cell.deeperHeard : 0)
            cell.deeperUntil = now.monotonic + .seconds(30)
            if fineWatch?.depth != cell.deeperHeard {
                fineWatch = WatchList(own: own.contact.id, depth: cell.deeperHeard, table: table.present)
            }
            let next = sizes.deeper(than: cell.bits)
            if peer.sharesPrefix(next, with: own.contact.id), cellCount(at: next) >= sizes.deeperWins {
                setDepth(next, at: now, events: &events)
            }
        } else if table.present.count + 1 < sizes.shallowerWins,
            cell.changed.map({ now.monotonic - $0 >= CellDepth.patience }) ?? true
        {
            setDepth(sizes.shallower(than: cell.bits), at: now, events: &events)
        }
    }

    mutating func settle() {
        cell.isSettled = true
        cell.settlesAt = .distantFuture
    }

    private mutating func setDepth(_ depth: Int, at now: Now, events: inout EventBuffer<MembershipEvent>) {
        let isDeeper = depth > cell.bits
        cell.bits = depth
        cell.changed = now.monotonic
        cell.smallSince = nil
        fineWatch = nil
        callers = Callers()
        // Those outside the new cell are not dead: they go without a word, a few of them into the sample.
        for record in table.setDepth(depth, own: own.contact.id) {
            foreign.offer(
                record, vouched: now.monotonic, own: own.contact.id, depth: depth, at: now.monotonic,
                using: &generator)
        }
        if !isDeeper {
            for record in foreign.takeCell(of: own.contact.id, depth: depth) {
                guard table.setAlive(record, at: now.monotonic) else { break }
                events.append(.joined(record.contact))
                addHint(record.contact)
            }
        }
        watch = WatchList(own: own.contact.id, depth: depth, table: table.present)
    }

    // MARK: Watches

    mutating func watchJoined(_ id: NodeID) {
        watch.joined(id, in: table.present)
        fineWatch?.joined(id, in: table.present)
    }

    mutating func watchLeft(_ id: NodeID) {
        watch.left(id)
        fineWatch?.left(id)
    }

    // MARK: Hints

    /// Contacts that the owner knows from elsewhere and that may be near, such as its neighbours in the DHT. Members of
    /// the own cell that are not held alive are asked for what they know at the next `advance`. Repeatable.
    package mutating func meet(_ contacts: [Contact], at now: Now) {
        for contact in contacts where isInCell(contact.id) && table.present.index(of: contact.id) == nil {
            addHint(contact)
        }
        settleDeadline()
    }

    mutating func addHint(_ contact: Contact) {
        guard contact.id != own.contact.id, !contact.addresses.isEmpty, hints.count < RoutingLimits.hints,
            !hints.contains(where: { $0.id == contact.id })
        else { return }
        hints.append(contact)
    }

    // MARK: The lost

    /// `record` failed or strayed and is about to be forgotten: asked now and then whether it is back.
    mutating func lose(_ record: MemberRecord, at now: Now) {
        let member = LostMember(record: record, since: now.monotonic)
        if lost.count < RoutingLimits.lostMembers {
            lost.append(member)
        } else {
            lost[generator.integer(below: lost.count)] = member
        }
    }
}

/// A member nobody has heard of for long.
struct LostMember: Sendable {
    let record: MemberRecord
    let since: MonotonicInstant

    /// A partition of an hour heals by itself; after that it takes a seed.
    static var lifetime: Interval { .seconds(3600) }
}
