import DHT
import MediaRelay
import Routing
import SwarmCore

/// Taking a publisher in.
extension SwarmMachine {
    /// A name is given to one publisher at a time: a lookup asks the swarm first, then the offer is answered.
    mutating func beginPublish(
        _ id: RequestID, _ name: StreamName, _ source: PendingRequests.PublishSource, _ delegation: Delegation?,
        at now: Now, events: inout EventBuffer<SwarmEvent>
    ) {
        guard !isDraining else { return refuse(id, .stopping, events: &events) }
        if let reason = claimFault(name, delegation, at: now) {
            return refuse(id, .notDelegated(reason), events: &events)
        }
        guard !pending.isFull, !sessions.isFull else {
            refusals.add(.sessionsFull)
            return refuse(id, .full, events: &events)
        }
        guard mayReplacePublisher(of: name, at: now) else { return refuse(id, .nameTaken, events: &events) }
        pending.add(id, .publish(name, source, delegation), deadline: now.monotonic + CompositionLimits.requestTimeout)
        pending.bind(discovery.dht.lookup(name, at: now, into: &scratch.messages, events: &scratch.dhtEvents), to: id)
    }

    /// Why nobody may publish `name` here with this delegation, in words for the publisher; nil where somebody may.
    private func claimFault(_ name: StreamName, _ delegation: Delegation?, at now: Now) -> String? {
        guard !BoundName.isImitation(name.text) else { return "the name looks like one bound to a key and is not" }
        guard BoundName.fingerprint(of: name.text) != nil else { return nil }
        guard let delegation else { return "the name is bound to a key: its delegation to this node is missing" }
        let fault = delegation.fault(
            publishing: name.text, at: self.id, wallMilliseconds: now.wallMilliseconds,
            suite: configuration.identity.suite)
        switch fault {
        case nil: return nil
        case .delegationExpired: return "the delegation has expired, or a clock is wrong"
        default: return "the delegation is not for this name at this node, or not signed by the name's key"
        }
    }

    /// The lookup of a publisher's name has ended.
    mutating func finishNameCheck(
        _ id: RequestID, _ location: StreamLocation?, at now: Now, events: inout EventBuffer<SwarmEvent>
    ) {
        guard case .publish(let name, let source, let delegation)? = pending[id] else { return }
        guard !isDraining else { return refuse(id, .stopping, events: &events) }
        // A bound name goes to whom its key gave it last, wherever it was before.
        let isTaken = delegation == nil && location.map { $0.origin.id != self.id && isPresent($0.origin.id) } ?? false
        guard !isTaken, mayReplacePublisher(of: name, at: now) else {
            return refuse(id, .nameTaken, events: &events)
        }
        let known = max(location?.epoch ?? 0, streams[name]?.descriptor?.epoch ?? 0)
        do throws(ControlRefusal) {
            // Later than every publication of the name that anybody has seen, whatever the clocks say.
            let epoch = max(now.wallMilliseconds, known + 1)
            try publish(id, name, source, delegation, epoch: epoch, at: now, events: &events)
        } catch {
            if let stream = streams[name], stream.descriptor == nil, !stream.isSubscribed { streams.remove(name) }
            refuse(id, error, events: &events)
        }
    }

    /// A publisher that has had its time to connect and has not does not hold the name: encoders come again.
    private func mayReplacePublisher(of name: StreamName, at now: Now) -> Bool {
        guard let publisher = streams[name]?.publisher, let session = sessions[publisher] else { return true }
        return !session.isConnected && !session.isPlain
            && session.created + CompositionLimits.connectTime <= now.monotonic
    }

    private mutating func publish(
        _ id: RequestID, _ name: StreamName, _ source: PendingRequests.PublishSource, _ delegation: Delegation?,
        epoch: UInt64, at now: Now, events: inout EventBuffer<SwarmEvent>
    ) throws(ControlRefusal) {
        guard let stream = streams.open(name) else {
            refusals.add(.streamsFull)
            throw .full
        }
        guard sessions.count(isPublisher: true, worker: stream.worker) < MediaLimits().publishers else { throw .full }
        switch source {
        case .offer(let offer):
            try publish(id, stream, offer: offer, delegation, epoch: epoch, at: now, events: &events)
        case .plain(let text):
            try publish(id, stream, plain: text, delegation, epoch: epoch, at: now, events: &events)
        }
    }

    /// The stream changes hands: whoever published it here, or fed it, makes room. Children and waiting viewers stay.
    private mutating func takeOver(_ name: StreamName, events: inout EventBuffer<SwarmEvent>) {
        guard let stream = streams[name], stream.descriptor != nil else { return }
        for session in sessions.ids(of: name) {
            sessions.remove(session)
            events.append(.command(worker: stream.worker, .removeSession(session, .streamEnded)))
        }
        if !stream.isOrigin { events.append(.command(worker: stream.worker, .detachParent(stream.handle))) }
        streams.update(name) {
            $0.viewerCount = 0
            $0.publisher = nil
            $0.isSubscribed = false
        }
    }

    private mutating func publish(
        _ id: RequestID, _ stream: LocalStream, offer: String, _ delegation: Delegation?, epoch: UInt64, at now: Now,
        events: inout EventBuffer<SwarmEvent>
    ) throws(ControlRefusal) {
        let session = SessionID(entropy.uint64())
        let local = makeTransport(worker: stream.worker)
        let answer: PublisherAnswer
        do throws(NegotiationError) {
            answer = try WHIPNegotiation.answer(
                offer: offer, session: session, stream: stream.handle, epoch: epoch, local: local)
        } catch {
            throw ControlRefusal(error)
        }
        let entry = SessionEntry(
            id: session, token: makeToken(), stream: stream.name, worker: stream.worker, isPublisher: true,
            isPlain: false, created: now.monotonic, entityTag: makeEntityTag(),
            localCredentials: local.credentials,
            remoteCredentials: answer.configuration.transport?.remote)
        try begin(stream, entry, answer.configuration, answer.descriptor, delegation, at: now, events: &events)
        reply(
            id, .created(CreatedSession(token: entry.token, sdp: answer.sdp, entityTag: entry.entityTag)),
            events: &events)
    }

    private mutating func publish(
        _ id: RequestID, _ stream: LocalStream, plain text: String, _ delegation: Delegation?, epoch: UInt64,
        at now: Now, events: inout EventBuffer<SwarmEvent>
    ) throws(ControlRefusal) {
        let session = SessionID(entropy.uint64())
        let description: PlainRTPDescription
        do throws(NegotiationError) {
            description = try PlainRTPDescription(parsing: text, epoch: epoch)
        } catch {
            throw ControlRefusal(error)
        }
        guard description.endpoints.count <= CompositionLimits.plainPorts else {
            throw .badOffer("at most \(CompositionLimits.plainPorts) tracks")
        }
        let entry = SessionEntry(
            id: session, token: makeToken(), stream: stream.name, worker: stream.worker, isPublisher: true,
            isPlain: true, created: now.monotonic, entityTag: makeEntityTag(),
            localCredentials: makeCredentials(), remoteCredentials: nil)
        let configuration = PublisherConfiguration(
            session: session, stream: stream.handle, transport: nil, tracks: description.tracks)
        try begin(stream, entry, configuration, description.descriptor, delegation, at: now, events: &events)
        plainRequests[session] = id
        events.append(
            .openPlainPorts(worker: stream.worker, session, addresses: description.endpoints.map(\.address)))
    }

    /// The stream exists from here on: in the worker, in the routes, in the DHT.
    private mutating func begin(
        _ stream: LocalStream, _ entry: SessionEntry, _ publisher: PublisherConfiguration,
        _ descriptor: StreamDescriptor, _ delegation: Delegation?, at now: Now,
        events: inout EventBuffer<SwarmEvent>
    ) throws(ControlRefusal) {
        guard let encoded = descriptor.encode() else {
            throw .badOffer("the tracks' parameters are too long to be told to the swarm")
        }
        takeOver(stream.name, events: &events)
        let isRouted = routes.publish(
            stream.name, epoch: descriptor.epoch, descriptor: encoded, worker: stream.worker, at: now,
            into: &scratch.messages, events: &scratch.routeEvents)
        guard isRouted else { throw .full }
        let isPublished = discovery.dht.publish(
            stream.name, epoch: descriptor.epoch, delegation: delegation, at: now, into: &scratch.messages,
            events: &scratch.dhtEvents)
        guard isPublished else {
            routes.unpublish(stream.name, at: now, into: &scratch.messages, events: &scratch.routeEvents)
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
