import SwarmCore
import SwarmCrypto

extension Membership {
    /// Brings the probes in line with the watch lists where those have changed.
    mutating func updateWatches(at now: Now) {
        if watch.isStale || fineWatch?.isStale == true, nextWatchRebuild <= now.monotonic {
            nextWatchRebuild = now.monotonic + .milliseconds(500)
            watch.rebuild(from: table.present)
            fineWatch?.rebuild(from: table.present)
        }
        guard watch.isChanged || fineWatch?.isChanged == true else { return }
        var watched = watch.takeWatched()
        for id in fineWatch?.takeWatched() ?? [] where !watched.contains(id) { watched.append(id) }
        probes.removeAll { probe in !watched.contains(probe.id) }
        for id in watched where probeIndex(of: id) == nil {
            guard let index = table.present.index(of: id) else { continue }
            let member = table.present[index]
            let delay = Interval(nanoseconds: Int64(generator.integer(below: 1_000_000_000)))
            probes.append(
                Probe(
                    member.record, isSuspected: member.isSuspected, lastHeard: lastHeard(id),
                    firstRound: now.monotonic + delay, at: now.monotonic))
        }
    }

    /// By index, as all searches on the path of a probe: a closure would be handed a copy of each.
    func probeIndex(of id: NodeID) -> Int? {
        for index in probes.indices where probes[index].id == id { return index }
        return nil
    }

    mutating func runProbes(
        at now: Now, into out: inout MessageOutbox, events: inout EventBuffer<MembershipEvent>
    ) {
        for index in probes.indices where probes[index].deadline <= now.monotonic {
            switch probes[index].phase {
            case .waiting: beginRound(index, at: now, into: &out)
            case .direct: askHelpers(index, at: now, into: &out)
            case .indirect: askOnceMore(index, at: now, into: &out)
            case .last: endRoundUnanswered(index, at: now, events: &events)
            }
        }
    }

    private mutating func beginRound(_ index: Int, at now: Now, into out: inout MessageOutbox) {
        probes[index].roundBegan = now.monotonic
        probes[index].phase = .direct
        probes[index].timestamps = InlineArray(repeating: now.monotonic.nanoseconds)
        probes[index].helpersAsked = 0
        probes[index].helpersAnswered = 0
        probes[index].deadline = now.monotonic + probeTimeout(for: probes[index].quality)
        sendPing(to: probes[index].contact, probes[index].isSuspected ? .suspected : .alive, at: now, into: &out)
    }

    /// Round trip, four deviations and 100 ms for a busy peer, within bounds; longer while our own health is in doubt.
    private func probeTimeout(for quality: LinkQuality) -> Interval {
        var timeout = timing.maximumProbeTimeout
        if let roundTrip = quality.roundTrip {
            let wanted = roundTrip + quality.deviation * 4 + .milliseconds(100)
            // A path slower than the upper bound is waited for all the same, up to the probe interval.
            timeout = max(timing.minimumProbeTimeout, min(wanted, max(timing.maximumProbeTimeout, roundTrip * 2)))
        }
        return min(timeout + timeout / 4 * Int64(localHealth), timing.probeInterval)
    }

    private mutating func askHelpers(_ index: Int, at now: Now, into out: inout MessageOutbox) {
        probes[index].quality.probeEnded(lost: true)
        let target = probes[index].contact
        let timestamp = now.monotonic.nanoseconds
        let helpers = randomMembers(count: RoutingLimits.indirectHelpers, except: target.id)
        for helper in helpers {
            out.append(to: helper.contact) { writer in
                writer.append(MembershipMessageType.indirectPing)
                writer.append(timestamp)
                writer.append(target)
                writer.append(UInt8(0))
            }
        }
        probes[index].phase = .indirect
        probes[index].helpersAsked = helpers.count
        probes[index].timestamps[1] = timestamp
        probes[index].deadline = now.monotonic + probeTimeout(for: probes[index].quality)
        sendPing(to: target, probes[index].isSuspected ? .suspected : .alive, at: now, into: &out)
    }

    private mutating func askOnceMore(_ index: Int, at now: Now, into out: inout MessageOutbox) {
        probes[index].phase = .last
        probes[index].timestamps[2] = now.monotonic.nanoseconds
        probes[index].deadline = now.monotonic + probeTimeout(for: probes[index].quality)
        sendPing(
            to: probes[index].contact, probes[index].isSuspected ? .suspected : .alive, at: now, into: &out)
    }

    private mutating func endRoundUnanswered(
        _ index: Int, at now: Now, events: inout EventBuffer<MembershipEvent>
    ) {
        let id = probes[index].id
        if probes[index].helpersAsked > 0, probes[index].helpersAnswered == 0 { localHealth = min(4, localHealth + 1) }
        finishRound(index, at: now)
        guard let version = table.version(of: id) else { return }
        // Through the same door as news from others: counts us as an accuser and tells everybody.
        applyStatus(
            .suspected, of: id, version: version, accuser: own.contact.id.prefix, .pushed, at: now,
            events: &events)
    }

    private mutating func finishRound(_ index: Int, at now: Now) {
        probes[index].phase = .waiting
        let next = probes[index].roundBegan + generator.jittered(timing.probeInterval, by: 0.1)
        probes[index].deadline = max(next, now.monotonic + .milliseconds(50))
    }

    /// What a member that is not held alive is told first of all, so that it can refute in its answer (Lifeguard's
    /// buddy system).
    func notice(for id: NodeID, _ standing: MemberTable.Standing) -> News? {
        guard let status = standing.status, status != .alive, let version = table.version(of: id) else { return nil }
        let accuser = table.suspicions.index(of: id).map { table.suspicions[$0].accuser }
        return .status(status, id, version: version, accuser: accuser ?? own.contact.id.prefix)
    }

    mutating func sendPing(
        to contact: Contact, _ standing: MemberTable.Standing, at now: Now, into out: inout MessageOutbox
    ) {
        let notice = notice(for: contact.id, standing)
        out.append(to: contact, isIdempotent: true) { writer in
            writer.append(MembershipMessageType.ping)
            writer.append(now.monotonic.nanoseconds)
            appendNews(after: notice, at: now, to: &writer)
            writer.append(cell.told)
        }
    }

    /// The news that rides on a probe.
    private mutating func appendNews(after notice: News?, at now: Now, to writer: inout ByteWriter) {
        let place = writer.count
        writer.append(UInt8(0))
        notice?.write(to: &writer)
        var count = notice == nil ? 0 : 1
        count += news.write(
            byteLimit: RoutingLimits.piggybackBytes, countLimit: RoutingLimits.newsEntriesPerMessage - count,
            at: now.monotonic, to: &writer)
        writer.patch(UInt8(count), at: place)
    }

    mutating func receivePing(
        _ reader: inout ByteReader, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<MembershipEvent>
    ) {
        guard let timestamp = reader.readUInt64() else { return refusals.add(.malformed) }
        // A first handshake message may be a replay: it is answered, its news is not believed.
        var notice: News?
        if peer.isConfirmed {
            if receiveNews(&reader, from: peer, .pushed, at: now, into: &out, events: &events) {
                hearDepth(reader.readUInt8(), from: peer.id, at: now, events: &events)
            }
            let standing = greet(peer.id, at: now)
            if standing == .stranger, isInCell(peer.id) { beginSync(with: peer.contact, at: now, into: &out) }
            notice = self.notice(for: peer.id, standing)
        }
        out.append(to: peer.contact) { writer in
            writer.append(MembershipMessageType.acknowledgement)
            writer.append(timestamp)
            writer.append(own.version)
            writer.append(own.load)
            own.coordinate.write(to: &writer)
            if peer.isConfirmed { appendNews(after: notice, at: now, to: &writer) } else { writer.append(UInt8(0)) }
            writer.append(cell.told)
        }
    }

    mutating func receiveAcknowledgement(
        _ reader: inout ByteReader, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<MembershipEvent>
    ) {
        guard let timestamp = reader.readUInt64(), let version = reader.readUInt64(), let load = reader.readUInt16(),
            let coordinate = Coordinate(from: &reader), load <= 1000
        else { return refusals.add(.malformed) }
        if receiveNews(&reader, from: peer, .pushed, at: now, into: &out, events: &events) {
            hearDepth(reader.readUInt8(), from: peer.id, at: now, events: &events)
        }
        if !relayed.isEmpty { finishRelayedProbes(of: peer.id, timestamp: timestamp, into: &out) }
        guard greet(peer.id, at: now) != .stranger else { return }
        guard let index = probeIndex(of: peer.id) else {
            tellIfOutdated(peer, version: version, into: &out)
            return refusals.add(.unexpectedAnswer)
        }
        if version != probes[index].version { tellIfOutdated(peer, version: version, into: &out) }
        guard probes[index].hasAsked(at: timestamp) else { return refusals.add(.unexpectedAnswer) }
        if probes[index].phase == .direct { probes[index].quality.probeEnded(lost: false) }
        probes[index].quality.answered(after: now.monotonic - MonotonicInstant(nanoseconds: timestamp))
        probes[index].load = load
        probes[index].coordinate = coordinate
        if let median = probes[index].quality.medianOfThree {
            own.coordinate.update(
                roundTripMilliseconds: median.fractionalMilliseconds, to: coordinate, using: &generator)
        }
        localHealth = max(0, localHealth - 1)
        finishRound(index, at: now)
    }

    mutating func receiveIndirectPing(
        _ reader: inout ByteReader, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<MembershipEvent>
    ) {
        guard let timestamp = reader.readUInt64(), let target = reader.readContact(suite) else {
            return refusals.add(.malformed)
        }
        _ = greet(peer.id, at: now)
        _ = receiveNews(&reader, from: peer, .pushed, at: now, into: &out, events: &events)
        // Only members are probed, at the address we know: nobody makes us knock elsewhere.
        guard let record = record(of: target.id) else {
            refusals.add(.unknownSubject)
            return sendIndirectResult(to: peer.contact, timestamp: timestamp, reached: false, into: &out)
        }
        guard relayed.count < RoutingLimits.relayedProbes else { return refusals.add(.tableFull) }
        relayed.append(
            RelayedProbe(
                requester: peer.contact, requesterTimestamp: timestamp, target: target.id,
                timestamp: now.monotonic.nanoseconds, expires: now.monotonic + timing.maximumProbeTimeout * 7 / 10))
        sendPing(to: record.contact, table.standing(of: target.id), at: now, into: &out)
    }

    private mutating func finishRelayedProbes(of target: NodeID, timestamp: UInt64, into out: inout MessageOutbox) {
        for probe in relayed where probe.target == target && probe.timestamp == timestamp {
            sendIndirectResult(
                to: probe.requester, timestamp: probe.requesterTimestamp, reached: true, into: &out)
        }
        relayed.removeAll { $0.target == target && $0.timestamp == timestamp }
    }

    /// The requester learns that the helper works, though the target does not answer (Lifeguard's NACK).
    mutating func expireRelayedProbes(at now: Now, into out: inout MessageOutbox) {
        guard !relayed.isEmpty else { return }
        for probe in relayed where probe.expires <= now.monotonic {
            sendIndirectResult(
                to: probe.requester, timestamp: probe.requesterTimestamp, reached: false, into: &out)
        }
        relayed.removeAll { $0.expires <= now.monotonic }
    }

    private func sendIndirectResult(
        to contact: Contact, timestamp: UInt64, reached: Bool, into out: inout MessageOutbox
    ) {
        out.append(to: contact) { writer in
            writer.append(MembershipMessageType.indirectResult)
            writer.append(timestamp)
            writer.append(UInt8(reached ? 1 : 0))
        }
    }

    mutating func receiveIndirectResult(_ reader: inout ByteReader, from peer: Peer, at now: Now) {
        guard let timestamp = reader.readUInt64(), let reached = reader.readUInt8() else {
            return refusals.add(.malformed)
        }
        _ = greet(peer.id, at: now)
        guard let index = probes.firstIndex(where: { $0.isHelped(at: timestamp) }) else {
            return refusals.add(.unexpectedAnswer)
        }
        probes[index].helpersAnswered += 1
        guard reached != 0 else { return }
        probes[index].lastHeard = now.monotonic
        finishRound(index, at: now)
    }
}

extension ByteWriter {
    /// Writes over a byte that was appended as a placeholder.
    @_lifetime(self: copy self)
    mutating func patch(_ value: UInt8, at index: Int) {
        guard index < count else { return }
        var bytes = written()
        bytes[index] = value
    }
}
