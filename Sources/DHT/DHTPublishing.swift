import SwarmCore
import SwarmCrypto

/// Publishing: this node's own records, round by round.
extension DHT {
    // MARK: Starting and ending

    mutating func startPublishing(_ stream: StreamName, epoch: UInt64, at now: Now) -> Bool {
        let own = publications.indices.filter {
            publications[$0].stream == stream && publications[$0].kind != .streamCarrier
        }
        guard own.isEmpty else {
            for index in own { renew(index, epoch: epoch, at: now.monotonic) }
            return true
        }
        guard streamCount < DHTLimits.publishedStreams else { return false }
        add(stream, .streamOrigin, depth: 0, prefix: stream.text, epoch: epoch)
        for depth in 0..<StreamPrefix.segmentCount(of: stream.text) {
            let prefix = StreamPrefix.of(stream.text, depth: depth)
            add(stream, .prefixEntry, depth: UInt8(clamping: depth), prefix: String(prefix), epoch: epoch)
        }
        return true
    }

    mutating func startCarrying(_ stream: StreamName, at now: Now) -> Bool {
        if let index = publications.firstIndex(where: { $0.stream == stream && $0.kind == .streamCarrier }) {
            renew(index, epoch: 0, at: now.monotonic)
            return true
        }
        guard streamCount < DHTLimits.publishedStreams else { return false }
        add(stream, .streamCarrier, depth: 0, prefix: stream.text, epoch: 0)
        return true
    }

    /// Starts the last round, of tombstones; what was never stored anywhere is dropped at once.
    mutating func withdraw(_ stream: StreamName, kinds: [RecordKind], at now: Now) {
        for index in publications.indices.reversed()
        where publications[index].stream == stream && kinds.contains(publications[index].kind) {
            guard !publications[index].isWithdrawn else { continue }
            guard publications[index].wasStored else {
                publications.remove(at: index)
                continue
            }
            publications[index].isWithdrawn = true
            requests.removeAll(for: [.store(publication: publications[index].number)])
            publications[index].phase = .queued
        }
    }

    /// Origins and carriers; prefix entries follow their origin.
    private var streamCount: Int { publications.count { $0.kind != .prefixEntry } }

    private mutating func add(
        _ stream: StreamName, _ kind: RecordKind, depth: UInt8, prefix: String, epoch: UInt64
    ) {
        let publication = Publication(
            number: nextNumber(), stream: stream, kind: kind, depth: depth, key: RecordPlace.path(prefix), epoch: epoch)
        publications.append(publication)
    }

    /// Published again, perhaps while the tombstones of the last time are on their way.
    private mutating func renew(_ index: Int, epoch: UInt64, at now: MonotonicInstant) {
        if publications[index].isWithdrawn { publications[index].heldSince = nil }
        publications[index].isWithdrawn = false
        publications[index].epoch = epoch
        publications[index].isAnnounced = false
        requests.removeAll(for: [.store(publication: publications[index].number)])
        publications[index].phase = .queued
    }

    // MARK: When a round is due

    mutating func wakePublications(_ now: MonotonicInstant) {
        for index in publications.indices {
            if let due = publications[index].nextDeadline, due <= now { publications[index].phase = .queued }
        }
    }

    /// A new neighbour of the key shall hold the record too, soon, but neighbours that come together in one round.
    mutating func hastenPublications(near id: NodeID, at now: MonotonicInstant) {
        located.removeAll()
        for index in publications.indices {
            let publication = publications[index]
            let distance = id.distance(to: publication.key)
            if publication.holders.count >= configuration.bucketSize, let farthest = publication.holders.last,
                farthest.id.distance(to: publication.key) < distance
            {
                continue
            }
            publications[index].hasten(to: max(now, publication.lastRound) + Publication.shortestPause)
        }
    }

    mutating func noteLocated(_ key: Bytes32, _ nearest: [Contact], at now: MonotonicInstant) {
        located.removeAll { $0.key == key || now - $0.at > LocatedKey.freshness }
        if located.count >= LocatedKey.limit { located.removeFirst() }
        located.append(LocatedKey(key: key, nearest: nearest, at: now))
    }

    // MARK: Rounds

    /// Starts rounds that are due and have room. True where something changed that lookups may depend on.
    mutating func movePublications(
        _ now: Now, _ out: inout MessageOutbox, _ events: inout EventBuffer<DHTEvent>
    ) -> Bool {
        guard publications.contains(where: { $0.phase == .queued }) else { return false }
        var hasMoved = false
        let queued = publications.filter { $0.phase == .queued }.map(\.number)
        for number in queued {
            guard publications.count(where: { $0.phase == .storing }) < DHTLimits.concurrentStores else { break }
            guard let index = publications.firstIndex(where: { $0.number == number }) else { continue }
            let key = publications[index].key
            if publications[index].isWithdrawn {
                startRound(number, at: publications[index].holders, now, &out, &events)
                hasMoved = true
            } else if let found = located.last(where: {
                $0.key == key && now.monotonic - $0.at <= LocatedKey.freshness
            }) {
                startRound(number, at: found.nearest, now, &out, &events)
                hasMoved = true
            } else if !lookups.contains(where: { $0.purpose == .locate && $0.search.target == key }) {
                if startUpkeep(.locate, key, now) { hasMoved = true }
            }
        }
        return hasMoved
    }

    private mutating func startRound(
        _ number: UInt64, at nearest: [Contact], _ now: Now, _ out: inout MessageOutbox,
        _ events: inout EventBuffer<DHTEvent>
    ) {
        guard let index = publications.firstIndex(where: { $0.number == number }) else { return }
        let record = sign(index, now)
        publications[index].round = Publication.Round()
        publications[index].phase = .storing
        publications[index].holders = nearest
        keep(record, index, nearest, now)
        let isClient = configuration.isClientOnly
        for peer in nearest {
            let isSent = ask(peer, .store(publication: number), at: now, into: &out) { request in
                .put(request, isClient: isClient, record)
            }
            if isSent {
                publications[index].round.outstanding += 1
                publications[index].wasStored = true
            }
        }
        if publications[index].round.outstanding == 0 { endRound(index, now, &events) }
    }

    /// The record of the next round. Its sequence is the wall clock, so that it still grows after a restart.
    private mutating func sign(_ index: Int, _ now: Now) -> Record {
        let publication = publications[index]
        let next = publication.sequence &+ 1
        let limit = now.wallMilliseconds &+ UInt64(clamping: DHTConfiguration.clockTolerance.milliseconds)
        // A clock that was far ahead and has been set right must not be followed for ever.
        let sequence = next > limit ? now.wallMilliseconds : max(next, now.wallMilliseconds)
        publications[index].sequence = sequence
        var statement = RecordStatement(
            kind: publication.kind, publisher: contact, sequence: sequence, lifetime: configuration.recordLifetime)
        statement.isTombstone = publication.isWithdrawn
        statement.epoch = publication.epoch
        statement.name = publication.stream.text
        statement.depth = publication.depth
        return Record(statement, by: identity)
    }

    /// This node always holds its own record, to answer for itself; it counts as a holder where it is among the nearest.
    private mutating func keep(_ record: Record, _ index: Int, _ nearest: [Contact], _ now: Now) {
        let key = publications[index].key
        let farthest = nearest.count < configuration.bucketSize ? nil : nearest.last?.id.distance(to: key)
        let isNear = farthest.map { identity.id.distance(to: key) < $0 } ?? true
        switch store.put(record, key: key, at: now) {
        case .stored, .alreadyHeld:
            publications[index].wasStored = true
            if isNear { publications[index].round.stored += 1 }
        case .nameTaken(let incumbent):
            publications[index].round.rivals.append(incumbent)
        case .refused(let reason):
            refusals.add(reason)
        }
    }

    mutating func putAnswered(
        _ number: UInt64, _ answer: PutAnswer, at now: Now, events: inout EventBuffer<DHTEvent>
    ) {
        guard let index = publications.firstIndex(where: { $0.number == number }),
            publications[index].phase == .storing
        else { return }
        publications[index].round.outstanding -= 1
        switch answer.result {
        case .stored:
            publications[index].round.stored += 1
        case .nameTaken:
            if let record = answer.incumbent { noteRival(Incumbent(record: record, age: answer.age), index, now) }
        case .unconfirmed, .superseded, .full, .notResponsible, .refused:
            break
        }
        if publications[index].round.outstanding == 0 { endRound(index, now, &events) }
    }

    /// A liar cannot talk a publisher out of its name: the rival's own signed record must prove it.
    private mutating func noteRival(_ incumbent: Incumbent, _ index: Int, _ now: Now) {
        let record = incumbent.record
        guard record.kind == .streamOrigin, !record.isTombstone, record.publisher.id != identity.id else {
            return refusals.add(.malformed)
        }
        if let reason = doubt(record, under: publications[index].key, now) { return refusals.add(reason) }
        publications[index].round.rivals.append(incumbent)
    }

    private mutating func endRound(_ index: Int, _ now: Now, _ events: inout EventBuffer<DHTEvent>) {
        guard !publications[index].isWithdrawn else {
            publications.remove(at: index)
            return
        }
        let stream = publications[index].stream
        if publications[index].verdict(own: identity.id, at: now.monotonic) == .lose {
            withdraw(stream, kinds: [.streamOrigin, .prefixEntry], at: now)
            return events.append(.nameTaken(stream))
        }
        let round = publications[index].round
        publications[index].lastRound = now.monotonic
        if round.stored > 0, publications[index].heldSince == nil { publications[index].heldSince = now.monotonic }
        if publications[index].kind == .streamOrigin, !publications[index].isAnnounced, round.stored > 0 {
            publications[index].isAnnounced = true
            events.append(.published(stream, holders: round.stored))
        }
        // A round that stored nothing, or met a rival that will give way, is repeated sooner.
        let isWhole = round.stored > 0 && round.rivals.isEmpty
        let pause = isWhole ? configuration.republishInterval : .seconds(2)
        publications[index].phase = .waiting(until: now.monotonic + generator.jittered(pause, by: 0.1))
    }
}
