import SwarmCore
import SwarmCrypto

/// How news came.
enum NewsOrigin: Sendable {
    /// On a probe or by itself: told on at once where it matters.
    case pushed
    /// In the page of a sync: a repair, told on with the next probes.
    case page
}

extension Membership {
    /// Adds to what is told; urgent news is pushed within 10 ms, together with what else comes up. In a storm of news
    /// pushes keep a distance, so that more of it shares a message.
    mutating func tell(_ item: News, isUrgent: Bool, isMinor: Bool = false, at now: Now) {
        news.add(item, turns: turns(of: item, isMinor: isMinor), isUrgent: isUrgent, at: now.monotonic)
        guard isUrgent, nextPush == nil else { return }
        let soon = now.monotonic + .milliseconds(10)
        nextPush = lastPush.map { max(soon, $0 + .milliseconds(50)) } ?? soon
    }

    /// How often one item is told: 3 × log2 of the list's size (SWIM §4.1) for a word on somebody's state. A description
    /// is longer, and the next sync repairs it; a load or a coordinate is told a few times only.
    private func turns(of item: News, isMinor: Bool) -> Int {
        let rounds = Int.bitWidth - (table.present.count + 2).leadingZeroBitCount
        guard case .status = item else { return isMinor ? max(2, rounds / 2) : rounds }
        return rounds * 3
    }

    mutating func push(at now: Now, into out: inout MessageOutbox) {
        guard let due = nextPush, due <= now.monotonic else { return }
        nextPush = nil
        guard !news.urgent.isEmpty else { return }
        lastPush = now.monotonic
        for contact in linkedMembers(count: RoutingLimits.pushFanOut) {
            var next = 0
            while next < news.urgent.count {
                let start = next
                out.append(to: contact) { writer in
                    writer.append(MembershipMessageType.news)
                    writer.append(UInt8(0))
                    let written = news.writeUrgent(from: start, byteLimit: Limits.messageBytes - 2, to: &writer)
                    writer.patch(UInt8(written.count), at: 1)
                    next = written.next
                }
                // A full outbox drops the rest, which still rides on probes.
                if next == start { break }
            }
        }
        news.urgentWasPushed()
    }

    /// Up to `count` different members, above all such as a link is open with: those we probe and those that probe us.
    /// They are chosen by hashes of their ids, so that together these relations are a random graph, in which news
    /// reaches everybody within a few hops; and a message over an open link is one datagram, to a stranger it is five.
    private mutating func linkedMembers(count: Int) -> [Contact] {
        var linked = probes.filter { !$0.isSuspected }.map(\.contact)
        for prefix in callers.prefixes where !linked.contains(where: { $0.id.prefix == prefix }) {
            let place = table.present.firstIndex(notBelow: prefix)
            guard place < table.present.count, table.present.prefixes[place] == prefix else { continue }
            linked.append(table.present[place].record.contact)
        }
        var chosen: [Contact] = []
        while chosen.count < count, !linked.isEmpty {
            chosen.append(linked.remove(at: generator.integer(below: linked.count)))
        }
        guard chosen.count < count else { return chosen }
        for record in randomMembers(count: count) where chosen.count < count {
            if !chosen.contains(where: { $0.id == record.id }) { chosen.append(record.contact) }
        }
        return chosen
    }

    /// Whether the news that somebody has joined is pushed. In a large swarm it rides on probes and syncs: nobody
    /// depends on it, and to push it costs everybody four messages.
    private var pushesJoins: Bool { table.present.count < RoutingLimits.pushedJoins }

    /// Reads the list that ends most messages, and acts on each entry in turn. False where it is malformed.
    mutating func receiveNews(
        _ reader: inout ByteReader, from peer: Peer, _ origin: NewsOrigin, at now: Now,
        into out: inout MessageOutbox, events: inout EventBuffer<MembershipEvent>
    ) -> Bool {
        guard let count = reader.readUInt8(), Int(count) <= RoutingLimits.newsEntriesPerMessage else {
            refusals.add(.malformed)
            return false
        }
        var revivals = 0
        for _ in 0..<count {
            guard let entry = reader.readLengthPrefixed(limit: RoutingLimits.entryBytes), entry.count > 0 else {
                refusals.add(.malformed)
                return false
            }
            if entry[0] == News.sampledTag {
                receiveSampled(entry, at: now)
            } else if let status = MemberStatus(rawValue: entry[0]) {
                if status != .alive {
                    receiveStatus(entry, from: peer, origin, at: now, into: &out, events: &events)
                } else if let record = record(of: entry) {
                    receiveAlive(record, from: peer, origin, &revivals, at: now, into: &out, events: &events)
                }
            }
        }
        return true
    }

    private mutating func record(of entry: Span<UInt8>) -> MemberRecord? {
        let record = interner.map { $0.record(of: entry, suite) } ?? MemberRecord(entry: entry, suite)
        if record == nil { refusals.add(.implausible) }
        return record
    }

    private mutating func receiveStatus(
        _ entry: Span<UInt8>, from peer: Peer, _ origin: NewsOrigin, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<MembershipEvent>
    ) {
        guard case .status(let status, let id, let version, let accuser) = NewsEntry.parse(entry, suite).entry else {
            return refusals.add(.implausible)
        }
        guard id == own.contact.id else {
            return applyStatus(
                status, of: id, version: version, accuser: accuser, origin, at: now, events: &events)
        }
        // Somebody believes this node suspected, failed or gone. Whoever says so is the first to hear otherwise: it may
        // be across a partition that has just healed.
        if version >= own.version { refute(version: version, at: now) }
        send(.alive(ownRecord), to: peer.contact, into: &out)
    }

    private mutating func receiveAlive(
        _ record: MemberRecord, from peer: Peer, _ origin: NewsOrigin, _ revivals: inout Int, at now: Now,
        into out: inout MessageOutbox, events: inout EventBuffer<MembershipEvent>
    ) {
        if origin == .page, revivals < RoutingLimits.revivalsPerPage, let index = table.gone.index(of: record.id),
            table.gone[index].status == .failed, table.gone[index].version >= record.version
        {
            // Alive there, failed here: it alone can settle that, by a higher version.
            revivals += 1
            sendPing(to: record.contact, .gone(.failed), at: now, into: &out)
        }
        applyAlive(record, from: peer, origin, at: now, events: &events)
        // A restarted node may speak in a version lower than the one remembered (its clock went back): tell it, so
        // that it raises its own.
        if record.id == peer.id { tellIfOutdated(peer, version: record.version, into: &out) }
    }

    private mutating func receiveSampled(_ entry: Span<UInt8>, at now: Now) {
        var reader = ByteReader(entry)
        _ = reader.readUInt8()
        guard let age = reader.readUInt16(), let record = record(of: reader.readRest()) else {
            return refusals.add(.implausible)
        }
        guard record.id != own.contact.id else { return }
        if cell.isSettled, isInCell(record.id) {
            // Of the own cell, but unknown or held failed: only itself can say that it is alive.
            if table.present.index(of: record.id) == nil { addHint(record.contact) }
            return
        }
        foreign.offer(
            record, vouched: now.monotonic - .seconds(Int64(age)), own: own.contact.id, depth: cell.bits,
            at: now.monotonic, using: &generator)
    }

    func send(_ item: News, to contact: Contact, into out: inout MessageOutbox) {
        out.append(to: contact) { writer in
            writer.append(MembershipMessageType.news)
            writer.append(UInt8(1))
            item.write(to: &writer)
        }
    }

    /// Sends `peer` what is known of it if that is in a later version than the one it speaks in.
    func tellIfOutdated(_ peer: Peer, version: UInt64, into out: inout MessageOutbox) {
        guard let known = table.record(of: peer.id), known.version > version else { return }
        send(.alive(known), to: peer.contact, into: &out)
    }

    private mutating func applyAlive(
        _ record: MemberRecord, from peer: Peer, _ origin: NewsOrigin, at now: Now,
        events: inout EventBuffer<MembershipEvent>
    ) {
        let id = record.id
        guard id != own.contact.id else {
            if record.instance != own.instance || record.version > own.version {
                refute(version: record.version, at: now)
            }
            return
        }
        guard isInCell(id) else { return noteForeign(record, from: peer, origin, at: now) }
        let isUrgent = origin == .pushed
        guard let known = table.version(of: id) else {
            guard table.setAlive(record, at: now.monotonic) else { return refusals.add(.tableFull) }
            if !foreign.members.isEmpty { foreign.remove(id) }
            watchJoined(id)
            events.append(.joined(record.contact))
            return tell(.alive(record), isUrgent: isUrgent && pushesJoins, at: now)
        }
        guard record.version > known else {
            if record.version < known { refusals.add(.stale) }
            return
        }
        let standing = table.standing(of: id)
        let isRestart = table.record(of: id)?.instance != record.instance
        _ = table.setAlive(record, at: now.monotonic)
        if let index = probeIndex(of: id) {
            probes[index].isSuspected = false
            probes[index].renew(record, isRestart: isRestart)
        }
        switch standing {
        case .stranger, .gone:
            watchJoined(id)
            events.append(.joined(record.contact))
        case .alive where isRestart, .suspected where isRestart:
            events.append(.failed(id))
            events.append(.joined(record.contact))
        case .suspected:
            events.append(.alive(id))
            events.append(.changed(id))
        case .alive:
            events.append(.changed(id))
        }
        let isNotable = standing != .alive || isRestart
        tell(.alive(record), isUrgent: isUrgent && isNotable, isMinor: !isNotable, at: now)
    }

    /// A member of another cell, from itself or from those who watch it, or a later version of one in the sample.
    private mutating func noteForeign(_ record: MemberRecord, from peer: Peer, _ origin: NewsOrigin, at now: Now) {
        guard record.id == peer.id || origin == .page || foreign.members.index(of: record.id) != nil else {
            return refusals.add(.unknownSubject)
        }
        foreign.offer(
            record, vouched: now.monotonic, own: own.contact.id, depth: cell.bits, at: now.monotonic,
            using: &generator)
    }

    mutating func applyStatus(
        _ told: MemberStatus, of id: NodeID, version: UInt64, accuser: UInt64, _ origin: NewsOrigin, at now: Now,
        events: inout EventBuffer<MembershipEvent>
    ) {
        guard let known = table.version(of: id), let before = table.standing(of: id).status else {
            if told != .suspected, let index = foreign.members.index(of: id),
                foreign.members[index].record.version <= version
            {
                return foreign.remove(id)
            }
            return refusals.add(.unknownSubject)
        }
        guard version >= known else { return refusals.add(.stale) }
        var status = told
        if told == .failed, before.isPresent {
            // Where a partition has healed, each side calls the other failed. So whoever is thought alive here has its
            // chance to refute first; in an honest failure the suspicion went ahead by seconds.
            if before == .alive { status = .suspected }
            if before == .suspected, suspicionIsYoung(id, at: now) { return }
        }
        if version > known || status > before {
            setStatus(status, of: id, version: version, accuser: accuser, at: now, events: &events)
        } else if status == .suspected, before == .suspected {
            guard table.addAccuser(accuser, to: id) else { return }
            renewSuspicionEnd(of: id, at: now)
        } else {
            return
        }
        tell(.status(status, id, version: version, accuser: accuser), isUrgent: origin == .pushed, at: now)
    }

    private func suspicionIsYoung(_ id: NodeID, at now: Now) -> Bool {
        guard let index = table.suspicions.index(of: id) else { return false }
        return now.monotonic - table.suspicions[index].since < .seconds(2)
    }

    /// Changes a member's status for the worse (or, in a later version, from gone to suspected) and says so once.
    private mutating func setStatus(
        _ status: MemberStatus, of id: NodeID, version: UInt64, accuser: UInt64, at now: Now,
        events: inout EventBuffer<MembershipEvent>
    ) {
        callers.remove(id)
        let tombstoneEnd = now.monotonic + timing.tombstone
        if let index = table.gone.index(of: id) {
            guard status == .suspected else {
                return table.changeTombstone(
                    at: index, to: status, version: version, at: now.monotonic, until: tombstoneEnd)
            }
            // News of a higher version finds the member failed: suspected is then a return.
            let record = table.gone[index].record
            _ = table.setAlive(record, at: now.monotonic)
            watchJoined(id)
            events.append(.joined(record.contact))
        }
        guard let index = table.present.index(of: id) else { return }
        guard status != .suspected else {
            let isNew = !table.present[index].isSuspected
            table.suspect(at: index, version: version, accuser: accuser, at: now.monotonic)
            if let index = probeIndex(of: id) { probes[index].isSuspected = true }
            renewSuspicionEnd(of: id, at: now)
            if isNew { events.append(.suspected(id)) }
            return
        }
        table.bury(at: index, as: status, version: version, at: now.monotonic, until: tombstoneEnd)
        watchLeft(id)
        if let index = probeIndex(of: id) { probes.remove(at: index) }
        events.append(status == .left ? .left(id) : .failed(id))
        if table.present.isEmpty {
            joinInterval = timing.joinRetryMinimum
            nextJoin = now.monotonic
            if cell.bits > 0 { becomeNewcomer(at: now) }
        }
    }

    /// When a suspicion becomes a failure. Two accusers end it sooner (Lifeguard §IV.B).
    private func suspicionEnd(of suspicion: Suspicion) -> MonotonicInstant {
        guard let index = probeIndex(of: suspicion.id) else {
            return suspicion.since + timing.suspicionOfOthers
        }
        let end = suspicion.since + (suspicion.isConfirmed ? timing.suspicionConfirmed : timing.suspicionAlone)
        return probes[index].lastHeard.map { max(end, $0 + timing.silence) } ?? end
    }

    private mutating func renewSuspicionEnd(of id: NodeID, at now: Now) {
        guard let index = table.suspicions.index(of: id) else { return }
        // A second accuser may bring the end into the past; it is for the next `advance`, which is after this one.
        let end = max(suspicionEnd(of: table.suspicions[index]), now.monotonic + .milliseconds(1))
        table.setSuspicionEnd(of: id, at: end)
    }

    /// Somebody believes this node gone, or still to be its former self.
    mutating func refute(version: UInt64, at now: Now) {
        raiseVersion(above: version)
        tell(.alive(ownRecord), isUrgent: true, at: now)
    }

    /// Ends the tombstones and suspicions that are due.
    mutating func expireMembers(at now: Now, events: inout EventBuffer<MembershipEvent>) {
        var forgotten: [MemberRecord] = []
        let due = table.takeExpired(at: now.monotonic, forgotten: &forgotten)
        for record in forgotten { lose(record, at: now) }
        for id in due {
            guard let index = table.suspicions.index(of: id) else { continue }
            let suspicion = table.suspicions[index]
            let end = suspicionEnd(of: suspicion)
            if end > now.monotonic {
                table.setSuspicionEnd(of: id, at: end)
                continue
            }
            let accuser = own.contact.id.prefix
            setStatus(.failed, of: id, version: suspicion.version, accuser: accuser, at: now, events: &events)
            tell(.status(.failed, id, version: suspicion.version, accuser: accuser), isUrgent: true, at: now)
        }
    }

    // MARK: The own description

    mutating func scheduleDescription(at now: Now) {
        nextDescription = max(now.monotonic, lastDescription + timing.descriptionInterval)
        settleDeadline()
    }

    /// Has the own coordinate told if it has moved, the more rarely the longer this node runs.
    mutating func considerCoordinate(at now: Now) {
        guard nextCoordinate <= now.monotonic, nextDescription == nil,
            own.coordinate.differsNotably(from: ownRecord.coordinate)
        else { return }
        nextCoordinate = now.monotonic + coordinateInterval
        let limit = timing.coordinateIntervalPerMember * Int64(table.present.count)
        let longest = min(max(limit, timing.coordinateInterval * 2), timing.coordinateIntervalMaximum)
        coordinateInterval = min(coordinateInterval * 6, longest)
        scheduleDescription(at: now)
    }

    mutating func tellDescription(at now: Now) {
        guard let due = nextDescription, due <= now.monotonic else { return }
        nextDescription = nil
        lastDescription = now.monotonic
        raiseVersion()
        tell(.alive(ownRecord), isUrgent: false, isMinor: true, at: now)
    }
}
