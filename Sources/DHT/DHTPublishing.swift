import SwarmCore
import SwarmCrypto

/// Publishing: this node's own records, round by round.
extension DHT {
    // MARK: Starting and ending

    mutating func startPublishing(
        _ stream: StreamName, epoch: UInt64, delegation: Delegation?, at now: Now
    ) -> Bool {
        if let reason = claimFault(stream, delegation, now) {
            refusals.add(reason)
            return false
        }
        let isBound = BoundName.fingerprint(of: stream.text) != nil
        let delegation = isBound ? delegation : nil
        let own = publications.indices.filter {
            publications[$0].stream == stream && publications[$0].kind != .streamCarrier
        }
        guard own.isEmpty else {
            for index in own { renew(index, epoch: epoch, delegation: delegation) }
            return true
        }
        guard streamCount < DHTLimits.publishedStreams else { return false }
        add(stream, .streamOrigin, depth: 0, prefix: stream.text, epoch: epoch, delegation)
        for depth in 0..<StreamPrefix.segmentCount(of: stream.text) {
            let prefix = StreamPrefix.of(stream.text, depth: depth)
            add(stream, .prefixEntry, depth: UInt8(clamping: depth), prefix: String(prefix), epoch: epoch, delegation)
        }
        return true
    }

    mutating func startCarrying(_ stream: StreamName, at now: Now) -> Bool {
        if let index = publications.firstIndex(where: { $0.stream == stream && $0.kind == .streamCarrier }) {
            renew(index, epoch: 0, delegation: nil)
            return true
        }
        guard streamCount < DHTLimits.publishedStreams else { return false }
        add(stream, .streamCarrier, depth: 0, prefix: stream.text, epoch: 0, nil)
        return true
    }

    /// Why this node may not publish under the name: what every holder would say.
    private func claimFault(_ stream: StreamName, _ delegation: Delegation?, _ now: Now) -> DHTRefusal? {
        guard !BoundName.isImitation(stream.text) else { return .badName }
        guard BoundName.fingerprint(of: stream.text) != nil else { return nil }
        guard let delegation else { return .noDelegation }
        return delegation.fault(
            publishing: stream.text, at: identity.id, wallMilliseconds: now.wallMilliseconds, suite: identity.suite)
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
            requests.removeAll(for: publications[index].puts)
            publications[index].phase = .queued
        }
    }

    /// Origins and carriers; prefix entries follow their origin.
    private var streamCount: Int { publications.count { $0.kind != .prefixEntry } }

    private mutating func add(
        _ stream: StreamName, _ kind: RecordKind, depth: UInt8, prefix: String, epoch: UInt64,
        _ delegation: Delegation?
    ) {
        let publication = Publication(
            number: nextNumber(), stream: stream, kind: kind, depth: depth, key: RecordPlace.path(prefix), epoch: epoch,
            delegation: delegation)
        publications.append(publication)
    }

    /// Published again, perhaps while the tombstones of the last time are on their way.
    private mutating func renew(_ index: Int, epoch: UInt64, delegation: Delegation?) {
        publications[index].isWithdrawn = false
        publications[index].epoch = epoch
        publications[index].delegation = delegation
        publications[index].isAnnounced = false
        requests.removeAll(for: publications[index].puts)
        publications[index].phase = .queued
    }

    // MARK: When a round is due

    mutating func wakePublications(_ now: MonotonicInstant) {
        for index in publications.indices {
            if let due = publications[index].nextDeadline, due <= now { publications[index].phase = .queued }
        }
    }

    /// A newcomer near the key of a record becomes one more holder, and gets it at once; the others have it until the next
    /// round.
    mutating func supply(_ newcomer: Contact, at now: Now, into out: inout MessageOutbox) {
        addressBook.noteNewcomer(at: now.monotonic)
        var keys: Set<Bytes32> = []
        for index in located.indices where located[index].welcome(newcomer, k: configuration.bucketSize) {
            keys.insert(located[index].key)
        }
        guard !keys.isEmpty else { return }
        let isClient = configuration.isClientOnly
        for index in publications.indices where keys.contains(publications[index].key) {
            guard publications[index].addHolder(newcomer, atMost: 2 * configuration.bucketSize) else { continue }
            let record = sign(index, now)
            ask(newcomer, .supply(publication: publications[index].number), at: now, into: &out) { request in
                .put(request, isClient: isClient, record)
            }
        }
    }

    /// A new holder between two rounds has answered. Whether a name is lost is judged by a round only: soon, where it says so.
    mutating func supplyAnswered(_ number: UInt64, _ answer: PutAnswer, by peer: NodeID, at now: MonotonicInstant) {
        guard let index = publicationIndex(number) else { return }
        switch answer.result {
        case .nameTaken:
            publications[index].hasten(to: max(now, publications[index].lastRound) + Publication.shortestPause)
        case .notResponsible, .refused:
            forgetHolder(peer, of: publications[index].key)
        case .stored, .unconfirmed, .superseded, .full:
            break
        }
    }

    mutating func noteLocated(_ key: Bytes32, _ nearest: [Contact], at now: MonotonicInstant) {
        located.removeAll { $0.key == key || now - $0.at > LocatedKey.longestMemory }
        if located.count >= LocatedKey.limit { located.removeFirst() }
        located.append(LocatedKey(key: key, nearest: nearest, at: now))
    }

    /// Some of the known holders have named newcomers; nil where they were not heard, and all are to be looked for anew.
    mutating func noteRelocated(_ key: Bytes32, _ nearest: [Contact]?, at now: MonotonicInstant) {
        guard let index = located.lastIndex(where: { $0.key == key }) else { return }
        guard let nearest else {
            located.remove(at: index)
            return
        }
        located[index].renew(nearest, at: now)
    }

    /// Those that have not failed since, in random order.
    mutating func knownHolders(of key: Bytes32) -> [Contact] {
        guard let known = located.last(where: { $0.key == key }) else { return [] }
        return known.nearest.shuffled(using: &generator)
    }

    /// `peer` is gone, or is no holder any more. The others go on as long as three quarters of them are left, then ask each
    /// other; when half are gone all are looked for anew.
    private mutating func forgetHolder(_ peer: NodeID, of key: Bytes32) {
        guard let index = located.lastIndex(where: { $0.key == key }) else { return }
        located[index].nearest.removeAll { $0.id == peer }
        if located[index].isLost { located.remove(at: index) }
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
            guard let index = publicationIndex(number) else { continue }
            let key = publications[index].key
            if publications[index].isWithdrawn {
                startRound(number, at: publications[index].possibleHolders(now.monotonic), now, &out, &events)
                hasMoved = true
                continue
            }
            let found = located.last { $0.key == key && !$0.isOld(now.monotonic) }
            if let found, found.isFresh(now.monotonic) {
                startRound(number, at: found.nearest, now, &out, &events)
                hasMoved = true
            } else if !lookups.contains(where: { $0.purpose.isForHolders && $0.search.target == key }) {
                if startUpkeep(found == nil ? .locate : .relocate, key, now) { hasMoved = true }
            }
        }
        return hasMoved
    }

    private mutating func startRound(
        _ number: UInt64, at nearest: [Contact], _ now: Now, _ out: inout MessageOutbox,
        _ events: inout EventBuffer<DHTEvent>
    ) {
        guard let index = publicationIndex(number) else { return }
        let record = sign(index, now)
        publications[index].begin(
            at: nearest, lifetime: configuration.recordLifetime, atMost: 2 * configuration.bucketSize,
            now: now.monotonic)
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
        publications[index].round.asked = publications[index].round.outstanding
        if publications[index].round.outstanding == 0 { endRound(index, now, &events) }
    }

    /// Where a publication stands in the list, which is in the order of numbers.
    private func publicationIndex(_ number: UInt64) -> Int? {
        var low = 0
        var high = publications.count
        while low < high {
            let middle = (low + high) / 2
            if publications[middle].number < number { low = middle + 1 } else { high = middle }
        }
        return low < publications.count && publications[low].number == number ? low : nil
    }

    /// The record of the next round. Its sequence is the wall clock, so that it still grows after a restart.
    private mutating func sign(_ index: Int, _ now: Now) -> Record {
        let publication = publications[index]
        // Of all this node has signed, so that a name published again after the clock went back still grows.
        let next = max(publication.sequence, lastSequence) &+ 1
        let limit = now.wallMilliseconds &+ UInt64(clamping: DHTConfiguration.clockTolerance.milliseconds)
        // A clock that was far ahead and has been set right must not be followed for ever.
        let sequence = next > limit ? now.wallMilliseconds : max(next, now.wallMilliseconds)
        publications[index].sequence = sequence
        lastSequence = sequence
        var statement = RecordStatement(
            kind: publication.kind, publisher: contact, sequence: sequence, lifetime: configuration.recordLifetime)
        statement.isTombstone = publication.isWithdrawn
        statement.epoch = publication.epoch
        statement.name = publication.stream.text
        statement.depth = publication.depth
        statement.delegation = publication.delegation
        return Record(statement, by: identity)
    }

    /// This node always holds its own record, to answer for itself; it counts as a holder where it is among the nearest.
    private mutating func keep(_ record: Record, _ index: Int, _ nearest: [Contact], _ now: Now) {
        let key = publications[index].key
        let farthest = nearest.count < configuration.bucketSize ? nil : nearest.last?.id.distance(to: key)
        let isNear = farthest.map { identity.id.distance(to: key) < $0 } ?? true
        switch store.put(record, key: key, at: now) {
        case .stored(let age), .alreadyHeld(let age):
            publications[index].wasStored = true
            guard isNear else { return }
            publications[index].round.stored += 1
            publications[index].round.ages.append(age)
        case .nameTaken(let incumbent):
            publications[index].round.rivals.append(incumbent)
        case .refused(let reason):
            refusals.add(reason)
        }
    }

    mutating func putAnswered(
        _ number: UInt64, _ answer: PutAnswer, by peer: NodeID, at now: Now, events: inout EventBuffer<DHTEvent>
    ) {
        guard let index = publicationIndex(number), publications[index].phase == .storing else { return }
        publications[index].round.outstanding -= 1
        switch answer.result {
        case .stored:
            publications[index].round.stored += 1
            publications[index].round.ages.append(answer.age)
        case .nameTaken:
            if let record = answer.incumbent { noteRival(Incumbent(record: record, age: answer.age), index, now) }
        case .notResponsible, .refused:
            forgetHolder(peer, of: publications[index].key)
        case .unconfirmed, .superseded, .full:
            break
        }
        if publications[index].round.outstanding == 0 {
            endRound(index, now, &events)
        } else if publications[index].round.isWellStored {
            announce(index, &events)
        }
    }

    /// Tells the owner once that the stream can be found. The slowest holders are not waited for.
    private mutating func announce(_ index: Int, _ events: inout EventBuffer<DHTEvent>) {
        let publication = publications[index]
        guard publication.kind == .streamOrigin, !publication.isAnnounced, !publication.isWithdrawn else { return }
        publications[index].isAnnounced = true
        events.append(.published(publication.stream, holders: publication.round.stored))
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
        let verdict = publications[index].judge(own: identity.id, at: now.monotonic)
        guard verdict != .lose else {
            withdraw(stream, kinds: [.streamOrigin, .prefixEntry], at: now)
            return events.append(.nameTaken(stream))
        }
        publications[index].lastRound = now.monotonic
        if publications[index].round.stored > 0 { announce(index, &events) }
        let pause = publications[index].pause(after: verdict, regular: configuration.republishInterval)
        publications[index].phase = .waiting(until: now.monotonic + generator.jittered(pause, by: 0.1))
    }
}
