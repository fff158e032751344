import SwarmCore
import SwarmCrypto

/// A sync we asked for and that is not complete.
struct SyncSession: Sendable {
    let peer: Contact
    /// The id after which the next page begins.
    var cursor: Bytes32
    var attempts: Int
    /// Answers so far; a peer whose list never ends is left.
    var answers = 0
    var retryAt: MonotonicInstant
}

extension Membership {
    /// At most this many at once: the three seeds of a join and one of the clock.
    private var sessionLimit: Int { 4 }

    mutating func runSyncs(at now: Now, into out: inout MessageOutbox) {
        retrySyncs(at: now, into: &out)
        if let due = nextJoin, due <= now.monotonic { contactSeeds(at: now, into: &out) }
        guard nextSync <= now.monotonic else { return }
        nextSync = now.monotonic + generator.jittered(timing.syncInterval, by: 0.2)
        if own.coordinate.differsNotably(from: toldCoordinate), nextDescription == nil {
            scheduleDescription(at: now)
        }
        if let contact = chooseSyncPartner() { beginSync(with: contact, at: now, into: &out) }
    }

    /// Mostly anybody alive; every fourth time somebody lost, so that halves of a healed partition find each other.
    private mutating func chooseSyncPartner() -> Contact? {
        if generator.integer(below: 4) == 0 {
            var lost = seeds.filter { member($0.id)?.status.isPresent != true }
            for member in table.members where member.status == .failed { lost.append(member.contact) }
            if !lost.isEmpty { return lost[generator.integer(below: lost.count)] }
        }
        return randomContacts(count: 1).first
    }

    /// Asks up to three seeds (and former members) while this node is alone, again and again with backoff.
    private mutating func contactSeeds(at now: Now, into out: inout MessageOutbox) {
        var targets = seeds.filter { member($0.id)?.status.isPresent != true }
        if table.presentCount == 0 {
            for member in table.members where member.status == .failed {
                if !targets.contains(where: { $0.id == member.id }) { targets.append(member.contact) }
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
        if seeds.isEmpty, table.members.isEmpty { nextJoin = nil }
    }

    mutating func beginSync(with contact: Contact, at now: Now, into out: inout MessageOutbox) {
        guard syncs.count < sessionLimit, !syncs.contains(where: { $0.peer.id == contact.id }) else { return }
        syncs.append(SyncSession(peer: contact, cursor: .zero, attempts: 0, retryAt: now.monotonic))
        requestPage(syncs.count - 1, at: now, into: &out)
    }

    private mutating func requestPage(_ index: Int, at now: Now, into out: inout MessageOutbox) {
        syncs[index].attempts += 1
        syncs[index].retryAt = now.monotonic + .milliseconds(1000)
        let session = syncs[index]
        let hashes = table.bucketHashes(own: own)
        out.append(to: session.peer) { writer in
            writer.append(MembershipMessageType.syncRequest)
            writer.append(session.cursor)
            for hash in hashes { writer.append(hash) }
            NewsList.write([NewsEntry.alive(own).encoded()], to: &writer)
        }
    }

    private mutating func retrySyncs(at now: Now, into out: inout MessageOutbox) {
        syncs.removeAll { $0.retryAt <= now.monotonic && $0.attempts >= 3 }
        for index in syncs.indices where syncs[index].retryAt <= now.monotonic {
            requestPage(index, at: now, into: &out)
        }
    }

    mutating func receiveSyncRequest(
        _ reader: inout ByteReader, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<MembershipEvent>
    ) {
        guard let cursor = reader.readBytes32() else { return refusals.add(.malformed) }
        var hashes: [UInt64] = []
        for _ in 0..<16 {
            guard let hash = reader.readUInt64() else { return refusals.add(.malformed) }
            hashes.append(hash)
        }
        receiveNews(&reader, from: peer, isUrgent: true, at: now, into: &out, events: &events)
        sendPages(after: cursor, theirHashes: hashes, to: peer.contact, into: &out)
    }

    /// Up to four pages of those buckets in which the two lists differ, in the order of ids.
    private func sendPages(
        after cursor: Bytes32, theirHashes: [UInt64], to contact: Contact, into out: inout MessageOutbox
    ) {
        var pending = differingEntries(after: cursor, theirHashes: theirHashes)[...]
        for page in 1...RoutingLimits.pagesPerSync {
            var entries: [[UInt8]] = []
            var used = 0
            var reached = cursor
            while let (id, news) = pending.first {
                let size = news.reduce(0) { $0 + $1.count + 2 }
                let count = entries.count + news.count
                guard used + size <= Limits.messageBytes - 36, count <= RoutingLimits.newsEntriesPerMessage else {
                    break
                }
                used += size
                entries += news
                reached = id.bytes
                pending.removeFirst()
            }
            let isComplete = pending.isEmpty
            let isLast = isComplete || page == RoutingLimits.pagesPerSync
            out.append(to: contact) { writer in
                writer.append(MembershipMessageType.syncPage)
                writer.append(UInt8(isLast ? 1 : 0))
                writer.append(isComplete ? .zero : reached)
                NewsList.write(entries, to: &writer)
            }
            if isLast { return }
        }
    }

    /// What fills the pages of one answer: members (and this node) with an id above `cursor`, in order.
    private func differingEntries(after cursor: Bytes32, theirHashes: [UInt64]) -> [(NodeID, [[UInt8]])] {
        let ours = table.bucketHashes(own: own)
        // Every page holds at least one entry and at most 32.
        let limit = RoutingLimits.pagesPerSync * RoutingLimits.newsEntriesPerMessage + 1
        var found: [(NodeID, [[UInt8]])] = []
        var ownIsDue = own.contact.id.bytes > cursor
        func differs(_ id: NodeID) -> Bool {
            ours[MemberTable.bucket(of: id)] != theirHashes[MemberTable.bucket(of: id)]
        }
        func addOwn() {
            ownIsDue = false
            if differs(own.contact.id) { found.append((own.contact.id, [NewsEntry.alive(own).encoded()])) }
        }
        for index in table.insertionIndex(of: NodeID(cursor))..<table.members.count {
            let member = table.members[index]
            if ownIsDue, own.contact.id < member.id { addOwn() }
            guard found.count < limit else { return found }
            if member.id.bytes > cursor, differs(member.id) { found.append((member.id, Self.entries(for: member))) }
        }
        if ownIsDue { addOwn() }
        return found
    }

    /// A member as news: present members with their description, the others by status alone.
    private static func entries(for member: Member) -> [[UInt8]] {
        var news: [[UInt8]] = []
        if member.status.isPresent { news.append(NewsEntry.alive(member.description).encoded()) }
        if member.status != .alive {
            let entry = NewsEntry.status(
                member.status, member.id, version: member.description.version, accuser: member.accusers.first ?? 0)
            news.append(entry.encoded())
        }
        return news
    }

    mutating func receiveSyncPage(
        _ reader: inout ByteReader, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<MembershipEvent>
    ) {
        guard let last = reader.readUInt8(), let cursor = reader.readBytes32() else { return refusals.add(.malformed) }
        receiveNews(&reader, from: peer, isUrgent: false, at: now, into: &out, events: &events)
        guard let index = syncs.firstIndex(where: { $0.peer.id == peer.id }) else { return }
        guard last != 0 else { return }
        syncs[index].answers += 1
        // A full list of the largest descriptions: one entry a page, four pages an answer.
        let limit = Limits.members / RoutingLimits.pagesPerSync
        if cursor == .zero || cursor <= syncs[index].cursor || syncs[index].answers > limit {
            syncs.remove(at: index)
            return
        }
        syncs[index].cursor = cursor
        syncs[index].attempts = 0
        requestPage(index, at: now, into: &out)
    }
}
