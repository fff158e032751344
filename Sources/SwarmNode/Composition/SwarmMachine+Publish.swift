import DHT
import MediaRelay
import Routing
import SwarmCore

/// Taking a publisher in.
extension SwarmMachine {
    /// A name is given to one publisher at a time: a lookup asks the swarm first, then the offer is answered.
    mutating func beginPublish(
        _ id: RequestID, _ name: StreamName, _ source: PendingRequests.PublishSource, at now: Now,
        events: inout EventBuffer<SwarmEvent>
    ) {
        guard !isDraining else { return refuse(id, .stopping, events: &events) }
        guard !pending.isFull, !sessions.isFull else {
            refusals.add(.sessionsFull)
            return refuse(id, .full, events: &events)
        }
        if let publisher = streams[name]?.publisher {
            // A publisher that never connected does not hold the name: encoders retry with a new offer.
            guard let session = sessions[publisher], !session.isConnected, !session.isPlain else {
                return refuse(id, .nameTaken, events: &events)
            }
            events.append(.command(worker: session.worker, .removeSession(session.id, .neverConnected)))
            sessionEnded(session.id, .neverConnected, at: now, events: &events)
        }
        pending.add(id, .publish(name, source), deadline: now.monotonic + CompositionLimits.requestTimeout)
        pending.bind(dht.lookup(name, at: now, into: &messages, events: &dhtEvents), to: id)
    }

    /// The lookup of a publisher's name has ended.
    mutating func finishNameCheck(
        _ id: RequestID, _ location: StreamLocation?, at now: Now, events: inout EventBuffer<SwarmEvent>
    ) {
        guard case .publish(let name, let source)? = pending[id] else { return }
        guard !isDraining else { return refuse(id, .stopping, events: &events) }
        let isTaken = location.map { isAlive($0.origin.id) } ?? false
        guard !isTaken, streams[name]?.isOrigin != true else { return refuse(id, .nameTaken, events: &events) }
        // What is left of an earlier publication elsewhere makes room for this one.
        if streams[name] != nil {
            forget(name, reason: .streamEnded, events: &events)
            routes.release(name, at: now, into: &messages, events: &routeEvents)
        }
        guard let stream = streams.open(name) else {
            refusals.add(.streamsFull)
            return refuse(id, .full, events: &events)
        }
        do throws(ControlRefusal) {
            switch source {
            case .offer(let offer): try publish(id, stream, offer: offer, at: now, events: &events)
            case .plain(let text): try publish(id, stream, plain: text, at: now, events: &events)
            }
        } catch {
            streams.remove(name)
            refuse(id, error, events: &events)
        }
    }

    /// Whether a record's origin may still hold the name: we are not it, and nobody has declared it gone.
    private func isAlive(_ origin: NodeID) -> Bool {
        guard origin != id else { return false }
        return membership.member(origin)?.status.isPresent ?? true
    }

    private mutating func publish(
        _ id: RequestID, _ stream: LocalStream, offer: String, at now: Now, events: inout EventBuffer<SwarmEvent>
    ) throws(ControlRefusal) {
        let session = SessionID(entropy.uint64())
        let local = makeTransport(worker: stream.worker)
        let answer: PublisherAnswer
        do throws(NegotiationError) {
            answer = try WHIPNegotiation.answer(
                offer: offer, session: session, stream: stream.handle, epoch: now.wallMilliseconds, local: local)
        } catch {
            throw ControlRefusal(error)
        }
        let entry = SessionEntry(
            id: session, token: makeToken(), stream: stream.name, worker: stream.worker, isPublisher: true,
            isPlain: false, entityTag: makeEntityTag(), localCredentials: local.credentials,
            remoteCredentials: answer.configuration.transport?.remote)
        try begin(stream, entry, answer.configuration, answer.descriptor, at: now, events: &events)
        reply(
            id, .created(CreatedSession(token: entry.token, sdp: answer.sdp, entityTag: entry.entityTag)),
            events: &events)
    }

    private mutating func publish(
        _ id: RequestID, _ stream: LocalStream, plain text: String, at now: Now,
        events: inout EventBuffer<SwarmEvent>
    ) throws(ControlRefusal) {
        let session = SessionID(entropy.uint64())
        let description: PlainRTPDescription
        do throws(NegotiationError) {
            description = try PlainRTPDescription(parsing: text, epoch: now.wallMilliseconds)
        } catch {
            throw ControlRefusal(error)
        }
        let entry = SessionEntry(
            id: session, token: makeToken(), stream: stream.name, worker: stream.worker, isPublisher: true,
            isPlain: true, entityTag: makeEntityTag(), localCredentials: makeCredentials(), remoteCredentials: nil)
        let configuration = PublisherConfiguration(
            session: session, stream: stream.handle, transport: nil, tracks: description.tracks)
        try begin(stream, entry, configuration, description.descriptor, at: now, events: &events)
        plainRequests[session] = id
        events.append(
            .openPlainPorts(worker: stream.worker, session, addresses: description.endpoints.map(\.address)))
    }

    /// The stream exists from here on: in the worker, in the routes, in the DHT.
    private mutating func begin(
        _ stream: LocalStream, _ entry: SessionEntry, _ publisher: PublisherConfiguration,
        _ descriptor: StreamDescriptor, at now: Now, events: inout EventBuffer<SwarmEvent>
    ) throws(ControlRefusal) {
        guard let encoded = descriptor.encode() else {
            throw .badOffer("the tracks' parameters are too long to be told to the swarm")
        }
        let isRouted = routes.publish(
            stream.name, epoch: descriptor.epoch, descriptor: encoded, worker: stream.worker, at: now,
            into: &messages, events: &routeEvents)
        guard isRouted else { throw .full }
        guard dht.publish(stream.name, epoch: descriptor.epoch, at: now, into: &messages, events: &dhtEvents) else {
            routes.unpublish(stream.name, at: now, into: &messages, events: &routeEvents)
            throw .full
        }
        sessions.insert(entry)
        streams.update(stream.name) {
            $0.publisher = entry.id
            $0.descriptor = descriptor
            $0.isFed = true
            $0.releaseAt = nil
        }
        events.append(.command(worker: stream.worker, .openStream(stream.handle, descriptor)))
        events.append(.command(worker: stream.worker, .addPublisher(publisher)))
        events.append(.notice(.streamChanged(stream.name)))
        noticeSessions(&events)
        answerWaiters(stream.name, at: now, events: &events)
    }
}

extension ControlRefusal {
    /// Codecs are a matter between the client and the stream; everything else is a fault of the offer.
    init(_ error: NegotiationError) {
        self =
            if case .noCommonCodec(_, let wanted) = error { .noCommonCodec(wanted) } else {
                .badOffer(error.description)
            }
    }
}
