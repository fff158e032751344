import SwarmCore
import SwarmCrypto

extension Membership {
    /// Adds to what is told; urgent news is pushed within 10 ms, together with what else comes up.
    mutating func tell(_ entry: NewsEntry, isUrgent: Bool, isMinor: Bool = false, at now: Now) {
        news.add(entry, isUrgent: isUrgent, isMinor: isMinor)
        if isUrgent, nextPush == nil { nextPush = now.monotonic + .milliseconds(10) }
    }

    /// How often one item is told: 3 × log2 of the swarm's size (SWIM §4.1).
    var tellings: Int { 3 * (Int.bitWidth - (table.presentCount + 2).leadingZeroBitCount) }

    mutating func push(at now: Now, into out: inout MessageOutbox) {
        guard let due = nextPush, due <= now.monotonic else { return }
        nextPush = nil
        guard news.hasUrgent else { return }
        let messages = news.takeUrgent(byteLimit: Limits.messageBytes - 2)
        for contact in randomContacts(count: RoutingLimits.pushFanOut) {
            for entries in messages {
                out.append(to: contact) { writer in
                    writer.append(MembershipMessageType.news)
                    NewsList.write(entries, to: &writer)
                }
            }
        }
    }

    mutating func receiveNews(
        _ reader: inout ByteReader, from peer: Peer, isUrgent: Bool, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<MembershipEvent>
    ) {
        guard let entries = NewsList.read(from: &reader, suite, refusals: &refusals) else {
            return refusals.add(.malformed)
        }
        for entry in entries { apply(entry, isUrgent: isUrgent, at: now, events: &events) }
        answerOutdatedSelf(in: entries, from: peer, into: &out)
    }

    /// A restarted node may speak in a version lower than the one remembered (its clock went back): tell it, so that
    /// it raises its own.
    private func answerOutdatedSelf(in entries: [NewsEntry], from peer: Peer, into out: inout MessageOutbox) {
        for case .alive(let description) in entries where description.contact.id == peer.id {
            guard let known = member(peer.id), known.description.version > description.version else { return }
            tellKnown(known, to: peer.contact, into: &out)
        }
    }

    func tellKnown(_ known: Member, to contact: Contact, into out: inout MessageOutbox) {
        out.append(to: contact) { writer in
            writer.append(MembershipMessageType.news)
            NewsList.write([NewsEntry.alive(known.description).encoded()], to: &writer)
        }
    }

    mutating func apply(
        _ entry: NewsEntry, isUrgent: Bool, at now: Now, events: inout EventBuffer<MembershipEvent>
    ) {
        switch entry {
        case .alive(let description): applyAlive(description, isUrgent: isUrgent, at: now, events: &events)
        case .status(let status, let id, let version, let accuser):
            applyStatus(
                status, of: id, version: version, accuser: accuser, isUrgent: isUrgent, at: now, events: &events)
        }
    }

    private mutating func applyAlive(
        _ description: MemberDescription, isUrgent: Bool, at now: Now, events: inout EventBuffer<MembershipEvent>
    ) {
        let id = description.contact.id
        guard id != own.contact.id else {
            if description.instance != own.instance || description.version > own.version {
                refute(version: description.version, at: now)
            }
            return
        }
        guard let index = table.index(of: id) else {
            guard table.insert(description, at: now.monotonic) else { return refusals.add(.tableFull) }
            events.append(.joined(description.contact))
            monitorsAreStale = true
            return tell(.alive(description), isUrgent: isUrgent, at: now)
        }
        let known = table.members[index]
        guard description.version > known.description.version else {
            if description.version < known.description.version { refusals.add(.stale) }
            return
        }
        let isRestart = known.description.instance != description.instance
        table.revive(at: index, with: description, at: now.monotonic)
        if !known.status.isPresent {
            events.append(.joined(description.contact))
            monitorsAreStale = true
        } else if isRestart {
            events.append(.failed(id))
            events.append(.joined(description.contact))
        } else {
            if known.status == .suspected { events.append(.alive(id)) }
            events.append(.changed(id))
        }
        let isNotable = known.status != .alive || isRestart
        tell(.alive(description), isUrgent: isUrgent && isNotable, isMinor: !isNotable, at: now)
    }

    private mutating func applyStatus(
        _ status: MemberStatus, of id: NodeID, version: UInt64, accuser: UInt64, isUrgent: Bool, at now: Now,
        events: inout EventBuffer<MembershipEvent>
    ) {
        guard id != own.contact.id else {
            if version >= own.version { refute(version: version, at: now) }
            return
        }
        guard let index = table.index(of: id) else { return refusals.add(.unknownSubject) }
        let known = table.members[index]
        guard version >= known.description.version else { return refusals.add(.stale) }
        let isNews = version > known.description.version || status > known.status
        if isNews {
            table.setVersion(version, at: index)
            setStatus(status, of: id, accuser: accuser, at: now, events: &events)
        } else if status == .suspected, known.status == .suspected {
            guard table.addAccuser(accuser, at: index) else { return }
            table.setExpiry(of: id, at: suspicionEnd(of: table.members[index]))
        } else {
            return
        }
        tell(.status(status, id, version: version, accuser: accuser), isUrgent: isUrgent, at: now)
    }

    /// Changes a member's status for the worse and says so once.
    mutating func setStatus(
        _ status: MemberStatus, of id: NodeID, accuser: UInt64, at now: Now,
        events: inout EventBuffer<MembershipEvent>
    ) {
        guard let index = table.index(of: id) else { return }
        let before = table.members[index].status
        switch status {
        case .alive: return
        case .suspected:
            table.setStatus(.suspected, at: index, expires: nil, instant: now.monotonic)
            _ = table.addAccuser(accuser, at: index)
            table.setExpiry(of: id, at: suspicionEnd(of: table.members[index]))
            // News of a higher version may find the member failed: suspected is then a return.
            if before == .alive { events.append(.suspected(id)) }
            if !before.isPresent {
                events.append(.joined(table.members[index].contact))
                events.append(.suspected(id))
                monitorsAreStale = true
            }
        case .failed, .left:
            table.setStatus(status, at: index, expires: now.monotonic + timing.tombstone, instant: now.monotonic)
            guard before.isPresent else { return }
            events.append(status == .left ? .left(id) : .failed(id))
            monitorsAreStale = true
            if table.presentCount == 0 {
                joinInterval = timing.joinRetryMinimum
                nextJoin = now.monotonic
            }
        }
    }

    /// When a suspicion becomes a failure. Two accusers end it sooner (Lifeguard §IV.B).
    func suspicionEnd(of member: Member) -> MonotonicInstant {
        guard probes.contains(where: { $0.id == member.id }) else {
            return member.statusSince + timing.suspicionOfOthers
        }
        let wait = member.accusers.count >= 2 ? timing.suspicionConfirmed : timing.suspicionAlone
        guard let heard = member.lastHeard else { return member.statusSince + wait }
        return max(member.statusSince + wait, heard + timing.silence)
    }

    /// Somebody believes this node suspected, failed, gone, or still to be its former self.
    mutating func refute(version: UInt64, at now: Now) {
        raiseVersion(above: version)
        tell(.alive(own), isUrgent: true, at: now)
    }

    mutating func expireSuspicions(at now: Now, events: inout EventBuffer<MembershipEvent>) {
        let due = table.expiries.filter { $0.at <= now.monotonic }
        for expiry in due {
            guard let member = member(expiry.id) else { continue }
            switch member.status {
            case .alive: table.setExpiry(of: expiry.id, at: nil)
            case .failed, .left: table.remove(expiry.id)
            case .suspected:
                let end = suspicionEnd(of: member)
                if end > now.monotonic {
                    table.setExpiry(of: expiry.id, at: end)
                    continue
                }
                setStatus(.failed, of: expiry.id, accuser: own.contact.id.prefix, at: now, events: &events)
                let version = member.description.version
                tell(
                    .status(.failed, expiry.id, version: version, accuser: own.contact.id.prefix), isUrgent: true,
                    at: now)
            }
        }
    }

    mutating func scheduleDescription(at now: Now) {
        nextDescription = max(now.monotonic, lastDescription + timing.descriptionInterval)
    }

    mutating func tellDescription(at now: Now) {
        guard let due = nextDescription, due <= now.monotonic else { return }
        nextDescription = nil
        lastDescription = now.monotonic
        toldCoordinate = own.coordinate
        raiseVersion()
        tell(.alive(own), isUrgent: false, isMinor: true, at: now)
    }
}
