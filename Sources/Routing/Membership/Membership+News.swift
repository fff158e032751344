import SwarmCore
import SwarmCrypto

extension Membership {
    /// Adds to what is told; urgent news is pushed within 10 ms, together with what else comes up. In a storm of news
    /// pushes keep a distance, so that more of it shares a message.
    mutating func tell(_ item: News, isUrgent: Bool, isMinor: Bool = false, at now: Now) {
        news.add(item, isUrgent: isUrgent, isMinor: isMinor)
        guard isUrgent, nextPush == nil else { return }
        let soon = now.monotonic + .milliseconds(10)
        nextPush = lastPush.map { max(soon, $0 + .milliseconds(50)) } ?? soon
    }

    /// How often one item is told: 3 × log2 of the swarm's size (SWIM §4.1).
    var tellings: Int { 3 * (Int.bitWidth - (table.present.count + 2).leadingZeroBitCount) }

    mutating func push(at now: Now, into out: inout MessageOutbox) {
        guard let due = nextPush, due <= now.monotonic else { return }
        nextPush = nil
        guard !news.urgent.isEmpty else { return }
        lastPush = now.monotonic
        for record in randomMembers(count: RoutingLimits.pushFanOut) {
            let contact = record.contact
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

    /// Reads the list that ends most messages, and acts on each entry in turn.
    mutating func receiveNews(
        _ reader: inout ByteReader, from peer: Peer, isUrgent: Bool, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<MembershipEvent>
    ) {
        guard let count = reader.readUInt8(), Int(count) <= RoutingLimits.newsEntriesPerMessage else {
            return refusals.add(.malformed)
        }
        for _ in 0..<count {
            guard let entry = reader.readLengthPrefixed(limit: RoutingLimits.descriptionBytes), entry.count > 0 else {
                return refusals.add(.malformed)
            }
            receiveEntry(entry, from: peer, isUrgent: isUrgent, at: now, into: &out, events: &events)
        }
    }

    private mutating func receiveEntry(
        _ entry: Span<UInt8>, from peer: Peer, isUrgent: Bool, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<MembershipEvent>
    ) {
        // A tag of a later version is passed over.
        guard let status = MemberStatus(rawValue: entry[0]) else { return }
        guard status == .alive else {
            guard case .status(_, let id, let version, let accuser) = NewsEntry.parse(entry, suite).entry else {
                return refusals.add(.implausible)
            }
            return applyStatus(
                status, of: id, version: version, accuser: accuser, isUrgent: isUrgent, at: now, events: &events)
        }
        let made = interner.map { $0.record(of: entry, suite) } ?? MemberRecord(entry: entry, suite)
        guard let record = made else { return refusals.add(.implausible) }
        applyAlive(record, isUrgent: isUrgent, at: now, events: &events)
        // A restarted node may speak in a version lower than the one remembered (its clock went back): tell it, so
        // that it raises its own.
        if record.id == peer.id { tellIfOutdated(peer, version: record.version, into: &out) }
    }

    /// Sends `peer` what is known of it if that is in a later version than the one it speaks in.
    func tellIfOutdated(_ peer: Peer, version: UInt64, into out: inout MessageOutbox) {
        guard let known = table.record(of: peer.id), known.version > version else { return }
        out.append(to: peer.contact) { writer in
            writer.append(MembershipMessageType.news)
            writer.append(UInt8(1))
            News.alive(known).write(to: &writer)
        }
    }

    private mutating func applyAlive(
        _ record: MemberRecord, isUrgent: Bool, at now: Now, events: inout EventBuffer<MembershipEvent>
    ) {
        let id = record.id
        guard id != own.contact.id else {
            if record.instance != own.instance || record.version > own.version {
                refute(version: record.version, at: now)
            }
            return
        }
        guard let known = table.version(of: id) else {
            guard table.setAlive(record, at: now.monotonic) else { return refusals.add(.tableFull) }
            watch.joined(id, in: table.present)
            events.append(.joined(record.contact))
            return tell(.alive(record), isUrgent: isUrgent, at: now)
        }
        guard record.version > known else {
            if record.version < known { refusals.add(.stale) }
            return
        }
        let standing = table.standing(of: id)
        let isRestart = table.record(of: id)?.instance != record.instance
        _ = table.setAlive(record, at: now.monotonic)
        if let index = probes.firstIndex(where: { $0.id == id }) {
            probes[index].isSuspected = false
            probes[index].renew(record, isRestart: isRestart)
        }
        switch standing {
        case .stranger, .gone:
            watch.joined(id, in: table.present)
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

    mutating func applyStatus(
        _ status: MemberStatus, of id: NodeID, version: UInt64, accuser: UInt64, isUrgent: Bool, at now: Now,
        events: inout EventBuffer<MembershipEvent>
    ) {
        guard id != own.contact.id else {
            if version >= own.version { refute(version: version, at: now) }
            return
        }
        guard let known = table.version(of: id), let before = table.standing(of: id).status else {
            return refusals.add(.unknownSubject)
        }
        guard version >= known else { return refusals.add(.stale) }
        if version > known || status > before {
            setStatus(status, of: id, version: version, accuser: accuser, at: now, events: &events)
        } else if status == .suspected, before == .suspected {
            guard table.addAccuser(accuser, to: id) else { return }
            renewSuspicionEnd(of: id)
        } else {
            return
        }
        tell(.status(status, id, version: version, accuser: accuser), isUrgent: isUrgent, at: now)
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
            watch.joined(id, in: table.present)
            events.append(.joined(record.contact))
        }
        guard let index = table.present.index(of: id) else { return }
        guard status != .suspected else {
            let isNew = !table.present[index].isSuspected
            table.suspect(at: index, version: version, accuser: accuser, at: now.monotonic)
            if let index = probes.firstIndex(where: { $0.id == id }) { probes[index].isSuspected = true }
            renewSuspicionEnd(of: id)
            if isNew { events.append(.suspected(id)) }
            return
        }
        table.bury(at: index, as: status, version: version, at: now.monotonic, until: tombstoneEnd)
        watch.left(id)
        probes.removeAll { $0.id == id }
        events.append(status == .left ? .left(id) : .failed(id))
        if table.present.isEmpty {
            joinInterval = timing.joinRetryMinimum
            nextJoin = now.monotonic
        }
    }

    /// When a suspicion becomes a failure. Two accusers end it sooner (Lifeguard §IV.B).
    private func suspicionEnd(of suspicion: Suspicion) -> MonotonicInstant {
        guard let probe = probes.first(where: { $0.id == suspicion.id }) else {
            return suspicion.since + timing.suspicionOfOthers
        }
        let end = suspicion.since + (suspicion.isConfirmed ? timing.suspicionConfirmed : timing.suspicionAlone)
        return probe.lastHeard.map { max(end, $0 + timing.silence) } ?? end
    }

    private mutating func renewSuspicionEnd(of id: NodeID) {
        guard let index = table.suspicions.index(of: id) else { return }
        table.setSuspicionEnd(of: id, at: suspicionEnd(of: table.suspicions[index]))
    }

    /// Somebody believes this node suspected, failed, gone, or still to be its former self.
    mutating func refute(version: UInt64, at now: Now) {
        raiseVersion(above: version)
        tell(.alive(ownRecord), isUrgent: true, at: now)
    }

    /// Ends the tombstones and suspicions that are due.
    mutating func expireMembers(at now: Now, events: inout EventBuffer<MembershipEvent>) {
        for id in table.takeExpired(at: now.monotonic) {
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
        coordinateInterval = min(
            coordinateInterval * 2, max(limit, timing.coordinateInterval * 4), timing.coordinateIntervalMaximum)
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
