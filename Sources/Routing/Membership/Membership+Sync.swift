import SwarmCore
import SwarmCrypto

/// A sync we asked for and that is not complete.
struct SyncSession: Sendable {
    enum Phase: Sendable {
        /// SYNC-REQUEST is out: which buckets differ?
        case compare
        /// PULL is out, for the members with ids above `after` up to `until` in `buckets`.
        case pull(after: NodeID, until: NodeID, buckets: UInt16)
    }

    let peer: Contact
    var phase: Phase
    var attempts = 0
    /// Answers so far; a peer whose list never ends is left.
    var answers = 0
    var retryAt: MonotonicInstant
}

extension Membership {
    /// At most this many at once: the three seeds of a join and one of the clock.
    private var sessionLimit: Int { 4 }

    mutating func runSyncs(at now: Now, into out: inout MessageOutbox) {
        retrySyncs(at: now, into: &out)
        if cell.settlesAt <= now.monotonic { settle() }
        if let due = nextJoin, due <= now.monotonic { contactSeeds(at: now, into: &out) }
        if !hints.isEmpty, lastHint + .milliseconds(100) <= now.monotonic {
            lastHint = now.monotonic
            for contact in hints { beginSync(with: contact, at: now, into: &out) }
            hints = []
        }
        guard nextSync <= now.monotonic else { return }
        nextSync = now.monotonic + generator.jittered(syncInterval, by: 0.2)
        considerCoordinate(at: now)
        for record in foreign.takeExpired(at: now.monotonic) { lose(record, at: now) }
        if fineWatch != nil, cell.deeperUntil <= now.monotonic {
            fineWatch = nil
            watch.rebuild(from: table.present)
        }
        if let contact = chooseSyncPartner(at: now) { beginSync(with: contact, at: now, into: &out) }
    }

    /// Longer while the last comparison found nothing and nobody is missed.
    private var syncInterval: Interval {
        foundNoDifference && lost.isEmpty && table.gone.isEmpty ? timing.syncInterval * 2 : timing.syncInterval
    }

    /// Mostly anybody alive; every fourth time somebody lost, so that halves of a healed partition find each other;
    /// where there are other cells, every second time one of their members, from each distance as often.
    private mutating func chooseSyncPartner(at now: Now) -> Contact? {
        let draw = generator.integer(below: 4)
        if draw == 0, let lost = chooseLost(at: now) { return lost }
        if draw <= 1, cell.bits > 0, let stranger = chooseForeign() { return stranger }
        return randomMembers(count: 1).first?.contact
    }

    private mutating func chooseForeign() -> Contact? {
        guard !foreign.members.isEmpty else { return nil }
        let distance = generator.integer(below: cell.bits)
        let own = own.contact.id
        var candidates = foreign.members.elements.filter { $0.id.sharedPrefix(with: own) == distance }
        if candidates.isEmpty { candidates = foreign.members.elements }
        return candidates[generator.integer(below: candidates.count)].record.contact
    }

    private mutating func chooseLost(at now: Now) -> Contact? {
        lost = lost.filter { now.monotonic - $0.since < LostMember.lifetime && !isPresent($0.record.id) }
        var candidates = table.gone.elements.filter { $0.status == .failed }.map(\.record)
        candidates += lost.map(\.record)
        // In a divided swarm a seed is a stranger to nearly all, and could not bear to be asked by all of them.
        let asksSeeds = foreign.members.isEmpty || generator.integer(below: 64) == 0
        let strayed = asksSeeds ? seeds.filter { !isPresent($0.id) } : []
        guard strayed.count + candidates.count > 0 else { return nil }
        let pick = generator.integer(below: strayed.count + candidates.count)
        return pick < strayed.count ? strayed[pick] : candidates[pick - strayed.count].contact
    }

    private func isPresent(_ id: NodeID) -> Bool { table.present.index(of: id) != nil }

    /// Asks up to three seeds (and former members, and the nearest of other cells) while this node is alone, again and
    /// again with backoff.
    private mutating func contactSeeds(at now: Now, into out: inout MessageOutbox) {
        var targets = seeds.filter { !isPresent($0.id) }
        if table.present.isEmpty {
            let others = foreign.nearest(to: own.contact.id, count: 3).map(\.record)
            for record in others + table.gone.elements.filter({ $0.status == .failed }).map(\.record) {
                if !targets.contains(where: { $0.id == record.id }) { targets.append(record.contact) }
            }
            nextJoin = now.monotonic + generator.jittered(joinInterval, by: 0.2)
            joinInterval = min(joinInterval * 2, timing.joinRetryMaximum)
        } else {
            nextJoin = nil
        }
        for _ in 0..<min(3, targets.count) {
            let pick = generator.integer(below: targets.count)
            beginSync(with: targets[pick], at: now, into: &out)
            targets.remove(at: pick)
        }
        if seeds.isEmpty, table.count == 0, foreign.members.isEmpty { nextJoin = nil }
    }

    // MARK: Asking

    mutating func beginSync(with contact: Contact, at now: Now, into out: inout MessageOutbox) {
        guard syncs.count < sessionLimit, !syncs.contains(where: { $0.peer.id == contact.id }) else { return }
        // A newcomer lacks nearly everything: it pulls at once.
        let phase = cell.isSettled ? SyncSession.Phase.compare : pullAll
        syncs.append(SyncSession(peer: contact, phase: phase, retryAt: now.monotonic))
        ask(syncs.count - 1, at: now, into: &out)
    }

    private var pullAll: SyncSession.Phase {
        let low = cell.isSettled ? cellBounds.low : NodeID(.zero)
        let high = cell.isSettled ? cellBounds.high : NodeID(Bytes32(.max, .max, .max, .max))
        return .pull(after: low, until: high, buckets: .max)
    }

    /// The least and the greatest id that a member of the cell can have.
    private var cellBounds: (low: NodeID, high: NodeID) {
        let mask: UInt64 = cell.bits == 0 ? .max : .max >> UInt64(cell.bits)
        let word = own.contact.id.bytes.word0
        return (NodeID(Bytes32(word & ~mask, 0, 0, 0)), NodeID(Bytes32(word | mask, .max, .max, .max)))
    }

    private mutating func ask(_ index: Int, at now: Now, into out: inout MessageOutbox) {
        syncs[index].attempts += 1
        syncs[index].retryAt = now.monotonic + .milliseconds(1000)
        switch syncs[index].phase {
        case .compare:
            out.append(to: syncs[index].peer) { writer in
                writer.append(MembershipMessageType.syncRequest)
                writer.append(cell.told)
                for hash in table.bucketHashes(own: ownRecord) { writer.append(hash) }
                writer.append(UInt8(1))
                News.alive(ownRecord).write(to: &writer)
            }
        case .pull(let after, let until, let buckets):
            let pull = digests(after: after, until: until, buckets: buckets)
            syncs[index].phase = .pull(after: after, until: pull.until, buckets: buckets)
            out.append(to: syncs[index].peer) { writer in
                writer.append(MembershipMessageType.pull)
                writer.append(cell.told)
                writer.append(after.bytes)
                writer.append(pull.until.bytes)
                writer.append(buckets)
                writer.append(UInt8(pull.digests.count))
                for digest in pull.digests { writer.append(digest) }
                writer.append(UInt8(1))
                News.alive(ownRecord).write(to: &writer)
            }
        }
    }

    /// Digests of the members in the given range, as many as one message holds, and where they end.
    private func digests(
        after: NodeID, until: NodeID, buckets: UInt16
    ) -> (digests: [UInt32], until: NodeID) {
        let room = Limits.messageBytes - 70 - 1 - News.alive(ownRecord).byteCount
        let limit = min(RoutingLimits.digestsPerPull, room / 4)
        var digests: [UInt32] = []
        var walk = MemberWalk(after: after, own: ownRecord, table)
        func isAsked(_ prefix: UInt64) -> Bool { (buckets >> UInt16(table.bucket(ofPrefix: prefix))) & 1 == 1 }
        while true {
            // All but the last that fits: that one's whole id is wanted.
            _ = walk.skip(below: until, table) { prefix, digest in
                guard isAsked(prefix) else { return true }
                guard digests.count < limit - 1 else { return false }
                digests.append(digest)
                return true
            }
            guard let step = walk.next(table), step.id <= until else { break }
            guard isAsked(step.id.bytes.word0) else { continue }
            digests.append(step.digest(own: ownRecord, table))
            if digests.count == limit { return (digests, step.id) }
        }
        return (digests, until)
    }

    private mutating func retrySyncs(at now: Now, into out: inout MessageOutbox) {
        for sync in syncs where sync.retryAt <= now.monotonic && sync.attempts >= 3 { foreign.remove(sync.peer.id) }
        syncs.removeAll { $0.retryAt <= now.monotonic && $0.attempts >= 3 }
        for index in syncs.indices where syncs[index].retryAt <= now.monotonic { ask(index, at: now, into: &out) }
    }

    mutating func receiveSyncDifference(
        _ reader: inout ByteReader, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<MembershipEvent>
    ) {
        guard let depth = reader.readUInt8(), let buckets = reader.readUInt16() else { return refusals.add(.malformed) }
        _ = greet(peer.id, at: now)
        hearDepth(depth, from: peer.id, at: now, events: &events)
        guard let index = syncs.firstIndex(where: { $0.peer.id == peer.id }), case .compare = syncs[index].phase else {
            return refusals.add(.unexpectedAnswer)
        }
        foundNoDifference = buckets == 0
        guard buckets != 0 else {
            syncs.remove(at: index)
            return
        }
        syncs[index].phase = .pull(after: cellBounds.low, until: cellBounds.high, buckets: buckets)
        syncs[index].attempts = 0
        ask(index, at: now, into: &out)
    }

    mutating func receiveSyncPage(
        _ reader: inout ByteReader, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<MembershipEvent>
    ) {
        guard let last = reader.readUInt8(), let cursor = reader.readBytes32() else { return refusals.add(.malformed) }
        _ = greet(peer.id, at: now)
        if receiveNews(&reader, from: peer, .page, at: now, into: &out, events: &events) {
            hearDepth(reader.readUInt8(), from: peer.id, at: now, events: &events)
        }
        guard last != 0, let index = syncs.firstIndex(where: { $0.peer.id == peer.id }) else { return }
        syncs[index].answers += 1
        syncs[index].attempts = 0
        if continuePull(index, NodeID(cursor)) { return ask(index, at: now, into: &out) }
        syncs.remove(at: index)
        // A newcomer that was told of nodes nearer to its cell goes on to them.
        guard !cell.isSettled, let next = foreign.nearest(to: own.contact.id, count: 1).first else { return }
        let distance = peer.id.distance(to: own.contact.id.bytes)
        if next.id.distance(to: own.contact.id.bytes) < distance {
            beginSync(with: next.record.contact, at: now, into: &out)
        }
    }

    /// Sets the next range to be pulled; false when there is none.
    private mutating func continuePull(_ index: Int, _ cursor: NodeID) -> Bool {
        // A full list of the largest descriptions: one entry a page, four pages an answer.
        let limit = Limits.members / RoutingLimits.pagesPerSync
        guard case .pull(let after, let until, let buckets) = syncs[index].phase, syncs[index].answers <= limit else {
            return false
        }
        let end = cell.isSettled ? cellBounds.high : NodeID(Bytes32(.max, .max, .max, .max))
        if cursor.bytes != .zero {
            guard cursor > after, cursor < until else { return false }
            syncs[index].phase = .pull(after: cursor, until: end, buckets: buckets)
            return true
        }
        guard until < end else { return false }
        syncs[index].phase = .pull(after: until, until: end, buckets: buckets)
        return true
    }

    // MARK: Answering

    mutating func receiveSyncRequest(
        _ reader: inout ByteReader, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<MembershipEvent>
    ) {
        guard let depth = reader.readUInt8() else { return refusals.add(.malformed) }
        var differing: UInt16 = 0
        let ours = table.bucketHashes(own: ownRecord)
        for bucket in 0..<MemberTable.buckets {
            guard let hash = reader.readUInt64() else { return refusals.add(.malformed) }
            if hash != ours[bucket] { differing |= 1 << UInt16(bucket) }
        }
        _ = receiveNews(&reader, from: peer, .pushed, at: now, into: &out, events: &events)
        _ = greet(peer.id, at: now)
        hearDepth(depth, from: peer.id, at: now, events: &events)
        guard isNeighbour(peer.id, askingAt: depth) else { return sendSample(to: peer.contact, at: now, into: &out) }
        // Buckets of another depth are other buckets.
        if depth != cell.told { differing = .max }
        out.append(to: peer.contact) { writer in
            writer.append(MembershipMessageType.syncDifference)
            writer.append(cell.told)
            writer.append(differing)
        }
    }

    /// Whether one who follows `depth` bits is to be told of this cell member by member.
    private func isNeighbour(_ id: NodeID, askingAt depth: UInt8) -> Bool {
        id.sharesPrefix(depth == CellDepth.unknown ? cell.bits : min(Int(depth), 64), with: own.contact.id)
    }

    mutating func receivePull(
        _ reader: inout ByteReader, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<MembershipEvent>
    ) {
        guard let depth = reader.readUInt8(), let after = reader.readBytes32(), let until = reader.readBytes32(),
            let buckets = reader.readUInt16(), let count = reader.readUInt8(),
            Int(count) <= RoutingLimits.digestsPerPull
        else { return refusals.add(.malformed) }
        var digests: [UInt32] = []
        digests.reserveCapacity(Int(count))
        for _ in 0..<count {
            guard let digest = reader.readUInt32() else { return refusals.add(.malformed) }
            digests.append(digest)
        }
        _ = receiveNews(&reader, from: peer, .pushed, at: now, into: &out, events: &events)
        _ = greet(peer.id, at: now)
        hearDepth(depth, from: peer.id, at: now, events: &events)
        guard isNeighbour(peer.id, askingAt: depth) else { return sendSample(to: peer.contact, at: now, into: &out) }
        let request = PullRequest(
            after: NodeID(after), until: NodeID(until), buckets: depth == cell.told ? buckets : .max, digests: digests)
        sendPages(request, to: peer.contact, into: &out)
    }

    /// Up to four pages of what is asked for, in the order of ids.
    private func sendPages(_ request: PullRequest, to contact: Contact, into out: inout MessageOutbox) {
        var answer = PullAnswer(request, own: ownRecord, table)
        for page in 1...RoutingLimits.pagesPerSync {
            sendPage(to: contact, into: &out) { writer in
                let count = answer.fill(&writer, byteLimit: Limits.messageBytes - writer.count - 1, table)
                let isLast = answer.isComplete || page == RoutingLimits.pagesPerSync
                return (count, isLast, answer.isComplete ? NodeID(.zero) : answer.reached)
            }
            if answer.isComplete { return }
        }
    }

    /// A member of another cell is told of this node, of a few of its cell, and of those nearest to itself.
    private mutating func sendSample(to contact: Contact, at now: Now, into out: inout MessageOutbox) {
        var entries = [News.sampled(ownRecord, age: 0)]
        func add(_ record: MemberRecord, age: UInt16) {
            guard record.id != contact.id, !entries.contains(where: { $0.subject == record.id }) else { return }
            entries.append(.sampled(record, age: age))
        }
        for member in foreign.nearest(to: contact.id, count: RoutingLimits.sampledNearest) {
            add(member.record, age: age(of: member, at: now))
        }
        for record in randomMembers(count: RoutingLimits.sampledOwnCell) { add(record, age: 0) }
        for _ in 0..<RoutingLimits.sampledForeign where !foreign.members.isEmpty {
            let member = foreign.members[generator.integer(below: foreign.members.count)]
            add(member.record, age: age(of: member, at: now))
        }
        var next = 0
        for page in 1...RoutingLimits.pagesPerSync where next < entries.count || page == 1 {
            sendPage(to: contact, into: &out) { writer in
                let start = next
                var room = Limits.messageBytes - writer.count - 1
                while next < entries.count, entries[next].byteCount <= room {
                    room -= entries[next].byteCount
                    entries[next].write(to: &writer)
                    next += 1
                }
                let isLast = next == entries.count || page == RoutingLimits.pagesPerSync
                return (next - start, isLast, NodeID(.zero))
            }
        }
    }

    private func age(of member: ForeignMember, at now: Now) -> UInt16 {
        UInt16(clamping: (now.monotonic - member.vouched).milliseconds / 1000)
    }

    /// One page; `body` writes entries and returns their count, whether the page is the last, and the cursor.
    private func sendPage(
        to contact: Contact, into out: inout MessageOutbox,
        _ body: (inout ByteWriter) -> (count: Int, isLast: Bool, cursor: NodeID)
    ) {
        out.append(to: contact) { writer in
            writer.append(MembershipMessageType.syncPage)
            writer.append(UInt8(0))
            writer.append(Bytes32.zero)
            writer.append(UInt8(0))
            let page = body(&writer)
            writer.append(cell.told)
            writer.patch(page.isLast ? 1 : 0, at: 1)
            for index in 0..<32 { writer.patch(page.cursor.bytes[index], at: 2 + index) }
            writer.patch(UInt8(page.count), at: 34)
        }
    }
}
