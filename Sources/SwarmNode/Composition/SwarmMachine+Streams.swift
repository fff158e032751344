import DHT
import MediaRelay
import Routing
import SwarmCore

/// Streams on this node: published, fed by a parent, ended.
extension SwarmMachine {
    /// Ends a publication here: the swarm forgets the stream, its viewers and children are told.
    mutating func unpublish(
        _ name: StreamName, reason: SessionCloseReason, at now: Now, events: inout EventBuffer<SwarmEvent>
    ) {
        guard let stream = streams[name], stream.isOrigin else { return }
        routes.unpublish(name, at: now, into: &scratch.messages, events: &scratch.routeEvents)
        discovery.dht.unpublish(name, at: now, into: &scratch.messages, events: &scratch.dhtEvents)
        streams.update(name) { $0.publisher = nil }
        forget(name, reason: reason, events: &events)
    }

    /// Drops everything this node knows of the stream; whoever still waits or watches hears why.
    mutating func forget(
        _ name: StreamName, reason: SessionCloseReason, refusal: ControlRefusal = .notLive,
        events: inout EventBuffer<SwarmEvent>
    ) {
        guard let stream = streams.remove(name) else { return }
        if stream.descriptor != nil {
            events.append(.command(worker: stream.worker, .closeStream(stream.handle, reason)))
        }
        for id in sessions.ids(of: name) {
            guard let session = sessions.remove(id) else { continue }
            if session.isPlain { events.append(.closePlainPorts(worker: session.worker, id)) }
        }
        for waiter in stream.waiters { refuse(waiter.request, refusal, events: &events) }
        events.append(.notice(.streamEnded(name)))
        noticeSessions(&events)
    }

    mutating func parentAttached(
        _ name: StreamName, _ link: UInt32, _ alias: UInt32, _ layers: UInt64, _ descriptor: [UInt8], at now: Now,
        events: inout EventBuffer<SwarmEvent>
    ) {
        guard streams.open(name) != nil else {
            refusals.add(.streamsFull)
            return
        }
        adoptDescriptor(name, descriptor, events: &events)
        guard let stream = streams[name], stream.descriptor != nil else { return }
        streams.update(name) { $0.isFed = true }
        events.append(
            .command(
                worker: stream.worker,
                .attachParent(stream.handle, LinkHandle(link), alias: alias, layers: LayerSet(bits: layers))))
        events.append(.notice(.routeChanged(name)))
        answerWaiters(name, at: now, events: &events)
    }

    mutating func parentDetached(_ name: StreamName, events: inout EventBuffer<SwarmEvent>) {
        guard let stream = streams[name], !stream.isOrigin else { return }
        streams.update(name) { $0.isFed = false }
        events.append(.command(worker: stream.worker, .detachParent(stream.handle)))
        events.append(.notice(.routeChanged(name)))
    }

    /// Takes the descriptor that the parent sent and opens, or updates, the stream in its worker.
    mutating func adoptDescriptor(_ name: StreamName, _ bytes: [UInt8], events: inout EventBuffer<SwarmEvent>) {
        guard let stream = streams[name], !stream.isOrigin else { return }
        guard let descriptor = StreamDescriptor(decoding: bytes.span) else {
            refusals.add(.badDescriptor)
            return
        }
        guard descriptor != stream.descriptor else { return }
        streams.update(name) { $0.descriptor = descriptor }
        events.append(.command(worker: stream.worker, .openStream(stream.handle, descriptor)))
        events.append(.notice(.streamChanged(name)))
    }

    /// The answer of a lookup, for whoever asked: a publisher that checks its name, viewers, or the routes.
    mutating func finish(
        _ lookup: LookupID, with location: StreamLocation?, at now: Now, events: inout EventBuffer<SwarmEvent>
    ) {
        if let name = lookupsForRoutes.removeValue(forKey: lookup) {
            offerCandidates(name, location, at: now, events: &events)
        } else if let request = pending.take(lookup: lookup) {
            if finishSearch(request, location, events: &events) { return }
            finishNameCheck(request, location, at: now, events: &events)
        }
    }

    /// The DHT is too busy to ask: what waited for the answer is refused, and may come again.
    mutating func overloaded(_ lookup: LookupID, events: inout EventBuffer<SwarmEvent>) {
        if let name = lookupsForRoutes.removeValue(forKey: lookup) {
            guard routes.snapshot(of: name) == nil, let stream = streams[name] else { return }
            streams.update(name) { $0.waiters = [] }
            for waiter in stream.waiters { refuse(waiter.request, .full, events: &events) }
            if stream.viewerCount == 0, !stream.isFed { forget(name, reason: .streamEnded, events: &events) }
        } else if let request = pending.take(lookup: lookup) {
            if case .listing(let prefix)? = pending[request] {
                reply(request, .streams(localStreams(under: prefix)), events: &events)
            } else {
                refuse(request, .full, events: &events)
            }
        }
    }

    private mutating func offerCandidates(
        _ name: StreamName, _ location: StreamLocation?, at now: Now, events: inout EventBuffer<SwarmEvent>
    ) {
        let candidates = location.map { routeCandidates($0) } ?? []
        if routes.snapshot(of: name) != nil {
            routes.offer(name, candidates: candidates, at: now, into: &scratch.messages, events: &scratch.routeEvents)
        } else if let stream = streams[name], !stream.isOrigin {
            guard !candidates.isEmpty else {
                forget(name, reason: .streamEnded, events: &events)
                return
            }
            streams.update(name) { $0.isSubscribed = true }
            routes.subscribe(
                name, layers: LayerSet.all.bits, worker: stream.worker, candidates: candidates, at: now,
                into: &scratch.messages, events: &scratch.routeEvents)
        }
    }

    /// Origin and carriers with what gossip predicts: the delay from the origin through each of them to here.
    private func routeCandidates(_ location: StreamLocation) -> [RouteCandidate] {
        var candidates = [candidate(location.origin, origin: location.origin.id)]
        for carrier in location.carriers where carrier.id != location.origin.id {
            candidates.append(candidate(carrier, origin: location.origin.id))
        }
        return candidates.filter { $0.contact.id != id && isPresent($0.contact.id) }
    }

    /// Whether nobody has declared the node gone.
    func isPresent(_ node: NodeID) -> Bool { membership.member(node)?.status.isPresent ?? true }

    private func candidate(_ contact: Contact, origin: NodeID) -> RouteCandidate {
        let member = membership.member(contact.id)
        let isOrigin = contact.id == origin
        let toOrigin = isOrigin ? nil : membership.predictedRoundTrip(from: origin, to: contact.id)
        let toUs = membership.predictedRoundTrip(from: contact.id, to: id)
        let delay = ((toOrigin?.fractionalMilliseconds ?? 0) + (toUs?.fractionalMilliseconds ?? 0)) / 2
        return RouteCandidate(
            contact: member?.contact ?? contact, isOrigin: isOrigin, predictedDelayMilliseconds: delay,
            load: member?.description.load ?? 0, lossPerMille: member?.quality.lossPerMille ?? 0)
    }
}
