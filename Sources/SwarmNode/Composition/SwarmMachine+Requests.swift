import DHT
import MediaRelay
import Routing
import SwarmCore
import SwarmCrypto

/// What the node's users ask.
extension SwarmMachine {
    /// Takes a request in. The reply comes as an event with the same id, now or later.
    package mutating func request(
        _ id: RequestID, _ request: ControlRequest, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<SwarmEvent>
    ) {
        switch request {
        case .publish(let name, let offer, let delegation):
            beginPublish(id, name, .offer(offer), delegation, at: now, events: &events)
        case .publishPlainRTP(let name, let description, let delegation):
            beginPublish(id, name, .plain(description), delegation, at: now, events: &events)
        case .play(let name, let offer):
            beginPlay(id, name, offer, at: now, events: &events)
        case .patch(let token, let entityTag, let fragment):
            patch(id, token, entityTag, fragment, events: &events)
        case .delete(let token):
            delete(id, token, at: now, events: &events)
        case .members:
            reply(id, .members(memberSnapshots(at: now)), events: &events)
        case .member(let node):
            reply(id, .members(memberSnapshot(of: node, at: now).map { [$0] } ?? []), events: &events)
        case .streams(let prefix):
            guard !pending.isFull, pending.listingCount < CompositionLimits.listings else {
                refuse(id, .full, events: &events)
                break
            }
            let deadline = now.monotonic + CompositionLimits.requestTimeout
            pending.add(id, .listing(prefix: prefix), deadline: deadline)
            pending.bind(
                discovery.dht.list(prefix, at: now, into: &scratch.messages, events: &scratch.dhtEvents), to: id)
        case .carriedStream(let name):
            reply(id, .streams(localStreams(under: name.text).filter { $0.name == name }), events: &events)
        case .route(let name):
            if let trace = routeTrace(name) {
                reply(id, .route(trace), events: &events)
            } else {
                beginSearch(id, name, .trace(name), at: now, events: &events)
            }
        case .statistics:
            collectStatistics(id, at: now, events: &events)
        case .locate(let name):
            beginSearch(id, name, .locate(name), at: now, events: &events)
        case .announce(let name, let isWithdrawn, let lifetime):
            announce(id, name, isWithdrawn: isWithdrawn, lifetime: lifetime, at: now, events: &events)
        case .ping(let node):
            beginPing(id, node, at: now, events: &events)
        case .discovery:
            reply(id, .discovery(discoverySnapshot(at: now)), events: &events)
        }
        settle(at: now, into: &out, events: &events)
    }

    /// The node is to leave: clients and peers are told. Nothing new is taken from here on.
    package mutating func drain(at now: Now, into out: inout Outbox, events: inout EventBuffer<SwarmEvent>) {
        guard !isDraining else { return }
        isDraining = true
        for name in streams.sortedNames {
            if streams[name]?.isOrigin == true {
                unpublish(name, reason: .shuttingDown, at: now, events: &events)
            } else {
                forget(name, reason: .shuttingDown, events: &events)
                routes.release(name, at: now, into: &scratch.messages, events: &scratch.routeEvents)
            }
        }
        settle(at: now, into: &out, events: &events)
        membership.leave(at: now, into: &scratch.messages)
        settle(at: now, into: &out, events: &events)
    }

    /// Asks every worker, once for all who want to know at the same time: it costs the media threads a walk.
    private mutating func collectStatistics(
        _ id: RequestID, at now: Now, events: inout EventBuffer<SwarmEvent>
    ) {
        guard !pending.isFull else { return refuse(id, .full, events: &events) }
        let token = pending.statisticsToken
        pending.add(
            id, .statistics(token: token ?? id.raw), deadline: now.monotonic + CompositionLimits.statisticsTimeout)
        guard token == nil else { return }
        for worker in configuration.workerPorts.indices {
            events.append(.command(worker: worker, .collectStatistics(token: id.raw)))
        }
    }

    mutating func reply(_ id: RequestID, _ reply: ControlReply, events: inout EventBuffer<SwarmEvent>) {
        drop(id)
        events.append(.reply(id, reply))
    }

    /// Forgets the request, and the lookup that only it waits for.
    @discardableResult
    private mutating func drop(_ id: RequestID) -> PendingRequests.Kind? {
        if let lookup = pending.unbind(id) { discovery.dht.cancel(lookup) }
        return pending.remove(id)
    }

    mutating func refuse(_ id: RequestID, _ refusal: ControlRefusal, events: inout EventBuffer<SwarmEvent>) {
        reply(id, .refused(refusal), events: &events)
    }

    mutating func expireRequests(at now: Now, events: inout EventBuffer<SwarmEvent>) {
        for id in pending.due(at: now.monotonic) {
            switch drop(id) {
            case .play(let name):
                let obstacle = routes.snapshot(of: name)?.obstacle
                streams.update(name) { stream in
                    stream.waiters.removeAll { $0.request == id }
                    if !stream.hasLocalInterest { stream.releaseAt = now.monotonic }
                }
                refuse(id, obstacle == .full || obstacle == .tableFull ? .full : .timedOut, events: &events)
            case .listing(let prefix):
                reply(id, .streams(localStreams(under: prefix)), events: &events)
            case .statistics(let token):
                // A worker that does not answer in time is left out.
                reply(id, .statistics(report(pending.collected(token))), events: &events)
            case .ping: reply(id, .pinged(nil), events: &events)
            case .publish, .locate, .trace: refuse(id, .timedOut, events: &events)
            case nil: break
            }
        }
        releaseUnwatched(at: now, events: &events)
    }

    private mutating func delete(
        _ id: RequestID, _ token: String, at now: Now, events: inout EventBuffer<SwarmEvent>
    ) {
        guard let session = sessions.find(token: token) else {
            refuse(id, .unknownSession, events: &events)
            return
        }
        events.append(.command(worker: session.worker, .removeSession(session.id, .deleted)))
        sessionEnded(session.id, .deleted, at: now, events: &events)
        reply(id, .deleted, events: &events)
    }

    /// Trickled candidates need no action (ICE-lite learns addresses from checks); new credentials restart ICE.
    private mutating func patch(
        _ id: RequestID, _ token: String, _ entityTag: String?, _ fragment: String,
        events: inout EventBuffer<SwarmEvent>
    ) {
        guard var session = sessions.find(token: token), !session.isPlain else {
            refuse(id, .unknownSession, events: &events)
            return
        }
        if let entityTag, entityTag != session.entityTag {
            refuse(id, .entityTagMismatch, events: &events)
            return
        }
        let parsed: TrickleFragment
        do throws(NegotiationError) {
            parsed = try TrickleFragment(parsing: fragment)
        } catch {
            refuse(id, .badOffer(error.description), events: &events)
            return
        }
        guard let remote = parsed.credentials, let current = session.remoteCredentials, parsed.isRestart(of: current)
        else {
            reply(id, .accepted, events: &events)
            return
        }
        session.remoteCredentials = remote
        session.localCredentials = makeCredentials()
        session.entityTag = makeEntityTag()
        sessions.update(session)
        events.append(
            .command(
                worker: session.worker,
                .restartICE(session.id, local: session.localCredentials, remote: remote)))
        let answer = parsed.restartAnswer(
            local: LocalTransport(
                credentials: session.localCredentials, fingerprint: configuration.fingerprint,
                candidates: candidates(of: session.worker)))
        reply(id, .restarted(fragment: answer, entityTag: session.entityTag), events: &events)
    }

    // MARK: Transports

    /// Our candidates for a session of `worker`, best first.
    func candidates(of worker: Int) -> [NetworkAddress] {
        configuration.mediaHosts.map { $0.withPort(configuration.workerPorts[worker]) }
    }

    /// A fresh end of a session on `worker`.
    mutating func makeTransport(worker: Int) -> LocalTransport {
        LocalTransport(
            credentials: makeCredentials(), fingerprint: configuration.fingerprint, candidates: candidates(of: worker))
    }

    /// 48 and 192 bits of entropy in the alphabet of ice-chars.
    mutating func makeCredentials() -> ICECredentials {
        let bytes = entropy.bytes32().array
        return ICECredentials(
            usernameFragment: Base64URL.encode(Array(bytes[..<6])).iceCharacters,
            password: Base64URL.encode(Array(bytes[6..<30])).iceCharacters)
    }

    mutating func makeEntityTag() -> String { Base64URL.encode(Array(entropy.bytes32().array[..<9])) }

    mutating func makeToken() -> String { Base64URL.encode(entropy.bytes32().array) }
}

extension String {
    /// ice-char (RFC 8839 §5.4) has `+` and `/` where base64url has `-` and `_`.
    fileprivate var iceCharacters: String {
        String(map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 })
    }
}
