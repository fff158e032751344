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
        considerCoordinate(at: now)
        if let contact = chooseSyncPartner() { beginSync(with: contact, at: now, into: &out) }
    }

    /// Mostly anybody alive; every fourth time somebody lost, so that halves of a healed partition find each other.
    private mutating func chooseSyncPartner() -> Contact? {
        if generator.integer(below: 4) == 0, let lost = chooseLost() { return lost }
        return randomMembers(count: 1).first?.contact
    }

    private mutating func chooseLost() -> Contact? {
        let strayed = seeds.filter { !isPresent($0.id) }
        let failed = table.gone.elements.filter { $0.status == .failed }
        guard strayed.count + failed.count > 0 else { return nil }
        let pick = generator.integer(below: strayed.count + failed.count)
        return pick < strayed.count ? strayed[pick] : failed[pick - strayed.count].record.contact
    }

    private func isPresent(_ id: NodeID) -> Bool { table.present.index(of: id) != nil }

    /// Asks up to three seeds (and former members) while this node is alone, again and again with backoff.
    private mutating func contactSeeds(at now: Now, into out: inout MessageOutbox) {
        var targets = seeds.filter { !isPresent($0.id) }
        if table.present.isEmpty {
            for member in table.gone.elements where member.status == .failed {
                if !targets.contains(where: { $0.id == member.id }) { targets.append(member.record.contact) }
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
        if seeds.isEmpty, table.count == 0 { nextJoin = nil }
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
        let hashes = table.bucketHashes(own: ownRecord)
        out.append(to: session.peer) { writer in
            writer.append(MembershipMessageType.syncRequest)
            writer.append(session.cursor)
            for hash in hashes { writer.append(hash) }
            writer.append(UInt8(1))
            News.alive(ownRecord).write(to: &writer)
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
        for _ in 0..<MemberTable.buckets {
            guard let hash = reader.readUInt64() else { return refusals.add(.malformed) }
            hashes.append(hash)
        }
        receiveNews(&reader, from: peer, isUrgent: true, at: now, into: &out, events: &events)
        _ = greet(peer.id, at: now)
        let ours = table.bucketHashes(own: ownRecord)
        let differing = (0..<MemberTable.buckets).reduce(0) { ours[$1] == hashes[$1] ? $0 : $0 | (1 << $1) }
        sendPages(after: cursor, buckets: differing, to: peer.contact, into: &out)
    }

    /// Up to four pages of the buckets in the mask `buckets`, in the order of ids.
    private func sendPages(after cursor: Bytes32, buckets: Int, to contact: Contact, into out: inout MessageOutbox) {
        var walk = SyncWalk(after: NodeID(cursor), buckets: buckets, own: ownRecord, table)
        for page in 1...RoutingLimits.pagesPerSync {
            out.append(to: contact) { writer in
                writer.append(MembershipMessageType.syncPage)
                writer.append(UInt8(0))
                writer.append(Bytes32.zero)
                writer.append(UInt8(0))
                let count = walk.fill(&writer, byteLimit: Limits.messageBytes - writer.count, table)
                let isLast = walk.isComplete || page == RoutingLimits.pagesPerSync
                writer.patch(isLast ? 1 : 0, at: 1)
                if !walk.isComplete {
                    for index in 0..<32 { writer.patch(walk.reached.bytes[index], at: 2 + index) }
                }
                writer.patch(UInt8(count), at: 34)
            }
            if walk.isComplete { return }
        }
    }

    mutating func receiveSyncPage(
        _ reader: inout ByteReader, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<MembershipEvent>
    ) {
        guard let last = reader.readUInt8(), let cursor = reader.readBytes32() else { return refusals.add(.malformed) }
        receiveNews(&reader, from: peer, isUrgent: false, at: now, into: &out, events: &events)
        _ = greet(peer.id, at: now)
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

/// A walk through the members of some buckets in the order of ids, the gone and the node itself included.
struct SyncWalk {
    private let buckets: Int
    private let own: MemberRecord
    private var ownIsDue: Bool
    private var presentIndex: Int
    private var goneIndex: Int
    /// The last member that was written.
    private(set) var reached: NodeID
    private(set) var isComplete = false

    init(after cursor: NodeID, buckets: Int, own: MemberRecord, _ table: MemberTable) {
        self.buckets = buckets
        self.own = own
        ownIsDue = own.id > cursor
        reached = cursor
        presentIndex = table.present.insertionIndex(of: cursor)
        goneIndex = table.gone.insertionIndex(of: cursor)
        if presentIndex < table.present.count, table.present[presentIndex].id == cursor { presentIndex += 1 }
        if goneIndex < table.gone.count, table.gone[goneIndex].id == cursor { goneIndex += 1 }
    }

    /// Writes entries until the message or the list ends, and returns their count.
    mutating func fill(_ writer: inout ByteWriter, byteLimit: Int, _ table: MemberTable) -> Int {
        var count = 0
        var room = byteLimit
        while true {
            let present = presentIndex < table.present.count ? table.present[presentIndex] : nil
            let gone = goneIndex < table.gone.count ? table.gone[goneIndex] : nil
            guard let id = nearest(present?.id, gone?.id) else {
                isComplete = true
                return count
            }
            if (buckets >> table.bucket(of: id)) & 1 == 1 {
                let news = entries(id, present, gone, table)
                let size = news.first.byteCount + (news.second?.byteCount ?? 0)
                guard size <= room, count + 2 <= RoutingLimits.newsEntriesPerMessage else { return count }
                room -= size
                count += news.second == nil ? 1 : 2
                news.first.write(to: &writer)
                news.second?.write(to: &writer)
            }
            reached = id
            if id == own.id { ownIsDue = false }
            if id == present?.id { presentIndex += 1 }
            if id == gone?.id { goneIndex += 1 }
        }
    }

    private func nearest(_ present: NodeID?, _ gone: NodeID?) -> NodeID? {
        var nearest = ownIsDue ? own.id : nil
        for id in [present, gone] {
            guard let id else { continue }
            nearest = nearest.map { min($0, id) } ?? id
        }
        return nearest
    }

    /// A member as news: present members with their description, the others by status alone.
    private func entries(
        _ id: NodeID, _ present: PresentMember?, _ gone: GoneMember?, _ table: MemberTable
    ) -> (first: News, second: News?) {
        if let present, present.id == id {
            guard present.isSuspected, let index = table.suspicions.index(of: id) else {
                return (.alive(present.record), nil)
            }
            let suspicion = table.suspicions[index]
            let status = News.status(.suspected, id, version: suspicion.version, accuser: suspicion.accuser)
            return (.alive(present.record), status)
        }
        if let gone, gone.id == id {
            return (.status(gone.status, id, version: gone.version, accuser: 0), nil)
        }
        return (.alive(own), nil)
    }
}
