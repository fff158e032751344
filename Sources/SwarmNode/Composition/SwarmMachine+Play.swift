import DHT
import MediaRelay
import Routing
import SwarmCore

/// Taking viewers in.
extension SwarmMachine {
    /// Answers at once where the stream's descriptor is known here; otherwise the viewer waits while the stream is
    /// looked up and fetched.
    mutating func beginPlay(
        _ id: RequestID, _ name: StreamName, _ offer: String, at now: Now, events: inout EventBuffer<SwarmEvent>
    ) {
        guard !isDraining else { return refuse(id, .stopping, events: &events) }
        guard !pending.isFull, !sessions.isFull else {
            refusals.add(.sessionsFull)
            return refuse(id, .full, events: &events)
        }
        if let stream = streams[name], let descriptor = stream.descriptor, stream.isFed {
            // A stream that had been let go of, but is still carried for children, is wanted here again.
            if !stream.isOrigin, !stream.isSubscribed {
                streams.update(name) { $0.isSubscribed = true }
                routes.subscribe(
                    name, layers: LayerSet.all.bits, worker: stream.worker, candidates: [], at: now,
                    into: &scratch.messages, events: &scratch.routeEvents)
            }
            return addViewer(id, stream, descriptor, offer, at: now, events: &events)
        }
        guard let stream = streams.open(name) else {
            refusals.add(.streamsFull)
            return refuse(id, .full, events: &events)
        }
        let isFirst = stream.waiters.isEmpty && !stream.isSubscribed
        // Kept for children, and looking for a parent: the route asks for candidates itself.
        let isRouted = routes.snapshot(of: name) != nil
        streams.update(name) {
            $0.waiters.append(LocalStream.Waiter(request: id, offer: offer))
            $0.releaseAt = nil
        }
        pending.add(id, .play(name), deadline: now.monotonic + CompositionLimits.requestTimeout)
        if isRouted {
            streams.update(name) { $0.isSubscribed = true }
            routes.subscribe(
                name, layers: LayerSet.all.bits, worker: stream.worker, candidates: [], at: now,
                into: &scratch.messages,
                events: &scratch.routeEvents)
        } else if isFirst {
            let lookup = discovery.dht.lookup(name, at: now, into: &scratch.messages, events: &scratch.dhtEvents)
            lookupsForRoutes[lookup] = name
        }
    }

    /// The descriptor has come: everybody who waited for it gets an answer.
    mutating func answerWaiters(_ name: StreamName, at now: Now, events: inout EventBuffer<SwarmEvent>) {
        guard let stream = streams[name], let descriptor = stream.descriptor, !stream.waiters.isEmpty else { return }
        streams.update(name) { $0.waiters = [] }
        for waiter in stream.waiters {
            addViewer(waiter.request, stream, descriptor, waiter.offer, at: now, events: &events)
        }
    }

    private mutating func addViewer(
        _ id: RequestID, _ stream: LocalStream, _ descriptor: StreamDescriptor, _ offer: String, at now: Now,
        events: inout EventBuffer<SwarmEvent>
    ) {
        guard sessions.count(isPublisher: false, worker: stream.worker) < MediaLimits().viewers else {
            refusals.add(.sessionsFull)
            return refuse(id, .full, events: &events)
        }
        let session = SessionID(entropy.uint64())
        let local = makeTransport(worker: stream.worker)
        let answer: ViewerAnswer
        do throws(NegotiationError) {
            answer = try WHEPNegotiation.answer(
                offer: offer, descriptor: descriptor, session: session, stream: stream.handle, local: local,
                generator: &generator)
        } catch {
            streams.update(stream.name) {
                if !$0.hasLocalInterest { $0.releaseAt = now.monotonic + CompositionLimits.linger }
            }
            return refuse(id, ControlRefusal(error), events: &events)
        }
        let entry = SessionEntry(
            id: session, token: makeToken(), stream: stream.name, worker: stream.worker, isPublisher: false,
            isPlain: false, created: now.monotonic, entityTag: makeEntityTag(),
            localCredentials: local.credentials,
            remoteCredentials: answer.configuration.transport.remote)
        sessions.insert(entry)
        streams.update(stream.name) {
            $0.viewerCount += 1
            $0.releaseAt = nil
        }
        events.append(.command(worker: stream.worker, .addViewer(answer.configuration)))
        reply(
            id, .created(CreatedSession(token: entry.token, sdp: answer.sdp, entityTag: entry.entityTag)),
            events: &events)
        events.append(.notice(.streamChanged(stream.name)))
        noticeSessions(&events)
    }
}
