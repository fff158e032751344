import SwarmCore
import SwarmCrypto

/// The watch over one member.
struct Probe: Sendable {
    enum Phase: Sendable {
        /// Until the next round begins.
        case waiting
        /// A PING is out.
        case direct
        /// The PING was not answered in time; helpers try, and so do we once more.
        case indirect
    }

    let id: NodeID
    var phase = Phase.waiting
    /// End of the phase.
    var deadline: MonotonicInstant
    var roundBegan: MonotonicInstant
    /// Timestamps of the PINGs of this round.
    var timestamp: UInt64 = 0
    var earlierTimestamp: UInt64 = 0
    var helpersAsked = 0
    var helpersAnswered = 0
}

/// A PING sent on somebody else's behalf.
struct RelayedProbe: Sendable {
    let requester: Contact
    let requesterTimestamp: UInt64
    let target: NodeID
    let timestamp: UInt64
    let expires: MonotonicInstant
}

extension Membership {
    /// Recomputes whom this node monitors, at most twice a second: a change of the list costs n log n.
    mutating func updateMonitors(at now: Now) {
        guard monitorsAreStale, nextMonitorUpdate <= now.monotonic else { return }
        monitorsAreStale = false
        nextMonitorUpdate = now.monotonic + .milliseconds(500)
        var updated: [Probe] = []
        var old = 0
        for member in table.members where member.status.isPresent {
            guard
                Rendezvous.monitors(
                    own.contact.id, member.id, among: table.members, count: RoutingLimits.monitors)
            else { continue }
            while old < probes.count, probes[old].id < member.id { old += 1 }
            if old < probes.count, probes[old].id == member.id {
                updated.append(probes[old])
            } else {
                let delay = Interval(nanoseconds: Int64(generator.integer(below: 1_000_000_000)))
                updated.append(Probe(id: member.id, deadline: now.monotonic + delay, roundBegan: now.monotonic))
            }
        }
        probes = updated
    }

    mutating func runProbes(
        at now: Now, into out: inout MessageOutbox, events: inout EventBuffer<MembershipEvent>
    ) {
        for index in probes.indices where probes[index].deadline <= now.monotonic {
            switch probes[index].phase {
            case .waiting: beginRound(index, at: now, into: &out)
            case .direct: askHelpers(index, at: now, into: &out)
            case .indirect: endRoundUnanswered(index, at: now, events: &events)
            }
        }
    }

    private mutating func beginRound(_ index: Int, at now: Now, into out: inout MessageOutbox) {
        probes[index].roundBegan = now.monotonic
        guard let member = member(probes[index].id), member.status.isPresent else {
            // Gone since; the next monitor update drops the watch.
            probes[index].deadline = now.monotonic + timing.probeInterval
            return
        }
        probes[index].phase = .direct
        probes[index].timestamp = now.monotonic.nanoseconds
        probes[index].earlierTimestamp = now.monotonic.nanoseconds
        probes[index].helpersAsked = 0
        probes[index].helpersAnswered = 0
        probes[index].deadline = now.monotonic + probeTimeout(for: member)
        sendPing(to: member.contact, timestamp: now.monotonic.nanoseconds, into: &out)
    }

    /// Round trip, four deviations and 100 ms for a busy peer, within bounds; longer while our own health is in doubt.
    private func probeTimeout(for member: Member) -> Interval {
        var timeout = timing.maximumProbeTimeout
        if let roundTrip = member.quality.roundTrip {
            let wanted = roundTrip + member.quality.deviation * 4 + .milliseconds(100)
            // A path slower than the upper bound is waited for all the same, up to the probe interval.
            timeout = max(timing.minimumProbeTimeout, min(wanted, max(timing.maximumProbeTimeout, roundTrip * 2)))
        }
        return min(timeout + timeout / 4 * Int64(localHealth), timing.probeInterval)
    }

    private mutating func askHelpers(_ index: Int, at now: Now, into out: inout MessageOutbox) {
        let target = probes[index].id
        guard let place = table.index(of: target) else { return finishRound(index, at: now) }
        table.probeEnded(at: place, lost: true)
        let member = table.members[place]
        let timestamp = now.monotonic.nanoseconds
        let helpers = randomContacts(count: RoutingLimits.indirectHelpers, except: target)
        for helper in helpers {
            out.append(to: helper) { writer in
                writer.append(MembershipMessageType.indirectPing)
                writer.append(timestamp)
                writer.append(member.contact)
                NewsList.write([], to: &writer)
            }
        }
        probes[index].phase = .indirect
        probes[index].helpersAsked = helpers.count
        probes[index].timestamp = timestamp
        probes[index].deadline = now.monotonic + max(timing.maximumProbeTimeout, probeTimeout(for: member))
        sendPing(to: member.contact, timestamp: timestamp, into: &out)
    }

    private mutating func endRoundUnanswered(
        _ index: Int, at now: Now, events: inout EventBuffer<MembershipEvent>
    ) {
        let probe = probes[index]
        if probe.helpersAsked > 0, probe.helpersAnswered == 0 { localHealth = min(4, localHealth + 1) }
        finishRound(index, at: now)
        guard let member = member(probe.id), member.status.isPresent else { return }
        let version = member.description.version
        // Through the same door as news from others: counts us as an accuser and tells everybody.
        apply(
            .status(.suspected, probe.id, version: version, accuser: own.contact.id.prefix), isUrgent: true, at: now,
            events: &events)
    }

    private mutating func finishRound(_ index: Int, at now: Now) {
        probes[index].phase = .waiting
        let next = probes[index].roundBegan + generator.jittered(timing.probeInterval, by: 0.1)
        probes[index].deadline = max(next, now.monotonic + .milliseconds(50))
    }

    /// A suspect is told of it first of all, so that it can refute in its answer (Lifeguard's buddy system).
    private mutating func newsList(for id: NodeID) -> [[UInt8]] {
        var entries: [[UInt8]] = []
        if let member = member(id), member.status != .alive {
            let accuser = member.accusers.first ?? own.contact.id.prefix
            let entry = NewsEntry.status(member.status, id, version: member.description.version, accuser: accuser)
            entries.append(entry.encoded())
        }
        let limit = RoutingLimits.piggybackBytes
        entries += news.take(byteLimit: limit, tellings: tellings).prefix(RoutingLimits.newsEntriesPerMessage - 1)
        return entries
    }

    private mutating func sendPing(to contact: Contact, timestamp: UInt64, into out: inout MessageOutbox) {
        let entries = newsList(for: contact.id)
        out.append(to: contact, isIdempotent: true) { writer in
            writer.append(MembershipMessageType.ping)
            writer.append(timestamp)
            NewsList.write(entries, to: &writer)
        }
    }

    mutating func receivePing(
        _ reader: inout ByteReader, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<MembershipEvent>
    ) {
        guard let timestamp = reader.readUInt64() else { return refusals.add(.malformed) }
        // A first handshake message may be a replay: it is answered, its news is not believed.
        if peer.isConfirmed {
            receiveNews(&reader, from: peer, isUrgent: true, at: now, into: &out, events: &events)
            if table.index(of: peer.id) == nil { beginSync(with: peer.contact, at: now, into: &out) }
        }
        let entries = peer.isConfirmed ? newsList(for: peer.id) : []
        out.append(to: peer.contact) { writer in
            writer.append(MembershipMessageType.acknowledgement)
            writer.append(timestamp)
            writer.append(own.version)
            writer.append(own.load)
            own.coordinate.write(to: &writer)
            NewsList.write(entries, to: &writer)
        }
    }

    mutating func receiveAcknowledgement(
        _ reader: inout ByteReader, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<MembershipEvent>
    ) {
        guard let timestamp = reader.readUInt64(), let version = reader.readUInt64(), let load = reader.readUInt16(),
            let coordinate = Coordinate(from: &reader), load <= 1000
        else { return refusals.add(.malformed) }
        receiveNews(&reader, from: peer, isUrgent: true, at: now, into: &out, events: &events)
        finishRelayedProbes(of: peer.id, timestamp: timestamp, into: &out)
        guard let place = table.index(of: peer.id) else { return }
        if version < table.members[place].description.version {
            tellKnown(table.members[place], to: peer.contact, into: &out)
        }
        guard let index = probes.firstIndex(where: { $0.id == peer.id }), probes[index].phase != .waiting,
            timestamp == probes[index].timestamp || timestamp == probes[index].earlierTimestamp
        else { return refusals.add(.unexpectedAnswer) }
        if probes[index].phase == .direct { table.probeEnded(at: place, lost: false) }
        table.answered(at: place, after: now.monotonic - MonotonicInstant(nanoseconds: timestamp))
        table.refresh(at: place, load: load, coordinate: coordinate)
        if let median = table.members[place].quality.medianOfThree {
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
        receiveNews(&reader, from: peer, isUrgent: true, at: now, into: &out, events: &events)
        // Only members are probed, at the address we know: nobody makes us knock elsewhere.
        guard let member = member(target.id) else {
            refusals.add(.unknownSubject)
            return sendIndirectResult(to: peer.contact, timestamp: timestamp, reached: false, into: &out)
        }
        guard relayed.count < RoutingLimits.relayedProbes else { return refusals.add(.tableFull) }
        relayed.append(
            RelayedProbe(
                requester: peer.contact, requesterTimestamp: timestamp, target: target.id,
                timestamp: now.monotonic.nanoseconds, expires: now.monotonic + timing.maximumProbeTimeout * 7 / 10))
        sendPing(to: member.contact, timestamp: now.monotonic.nanoseconds, into: &out)
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
        guard let index = probes.firstIndex(where: { $0.phase == .indirect && $0.timestamp == timestamp }) else {
            return refusals.add(.unexpectedAnswer)
        }
        probes[index].helpersAnswered += 1
        guard reached != 0 else { return }
        table.heard(probes[index].id, at: now.monotonic)
        finishRound(index, at: now)
    }
}
