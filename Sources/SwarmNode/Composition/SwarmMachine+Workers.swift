import DHT
import MediaRelay
import Routing
import SwarmCore

/// What the media workers report.
extension SwarmMachine {
    /// Handles one event of media worker `worker`.
    package mutating func handle(
        _ event: WorkerEvent, from worker: Int, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<SwarmEvent>
    ) {
        switch event {
        case .sessionConnected(let id):
            guard var session = sessions[id] else { break }
            session.isConnected = true
            sessions.update(session)
            events.append(.notice(.streamChanged(session.stream)))
        case .sessionClosed(let id, let reason):
            sessionEnded(id, reason, at: now, events: &events)
        case .linkEstablished(let link):
            routes.mediaLinkEstablished(link.raw, at: now, into: &scratch.messages, events: &scratch.routeEvents)
        case .linkLost(let link):
            routes.mediaLinkLost(link.raw, at: now, into: &scratch.messages, events: &scratch.routeEvents)
        case .parentEnded:
            // Its control plane says so too (ENDED), and is repeated until answered.
            break
        case .statistics(let statistics):
            let workers = configuration.workerPorts.count
            guard let collected = pending.collect(statistics, workers: workers) else { break }
            let report = report(collected)
            for request in pending.waiting(forStatistics: statistics.token) {
                reply(request, .statistics(report), events: &events)
            }
        }
        settle(at: now, into: &out, events: &events)
    }

    /// The answer to `openPlainPorts`: whether every port of the session could be bound.
    package mutating func plainPortsOpened(
        _ id: SessionID, _ isOpen: Bool, at now: Now, into out: inout Outbox, events: inout EventBuffer<SwarmEvent>
    ) {
        guard let request = plainRequests.removeValue(forKey: id) else { return }
        guard let session = sessions[id] else { return refuse(request, .full, events: &events) }
        if pending[request] == nil {
            // Nobody waits any more, so nobody could ever end it.
            unpublish(session.stream, reason: .timedOut, at: now, events: &events)
        } else if isOpen {
            reply(
                request,
                .created(CreatedSession(token: session.token, sdp: "", entityTag: session.entityTag)),
                events: &events)
        } else {
            unpublish(session.stream, reason: .limitReached, at: now, events: &events)
            reply(request, .refused(.badOffer("a port of the description is in use on this host")), events: &events)
        }
        settle(at: now, into: &out, events: &events)
    }

    /// The share of the scarcest resource in use, 0…1; the driver measures it about once a second.
    package mutating func updateLoad(_ share: Double, at now: Now) {
        load = UInt16(clamping: Int((share.isFinite ? min(max(share, 0), 1) : 1) * 1000))
        membership.updateSelf(load: load, freeChildSlots: UInt16(clamping: routes.freeChildSlots), at: now)
        settleDeadline()
    }

    /// A session is over, whoever ended it.
    mutating func sessionEnded(
        _ id: SessionID, _ reason: SessionCloseReason, at now: Now, events: inout EventBuffer<SwarmEvent>
    ) {
        guard let session = sessions.remove(id) else { return }
        if session.isPlain { events.append(.closePlainPorts(worker: session.worker, id)) }
        if session.isPublisher {
            if streams[session.stream]?.publisher == id {
                unpublish(session.stream, reason: .streamEnded, at: now, events: &events)
            }
        } else {
            streams.update(session.stream) { stream in
                stream.viewerCount -= 1
                if !stream.hasLocalInterest { stream.releaseAt = now.monotonic + CompositionLimits.linger }
            }
            events.append(.notice(.streamChanged(session.stream)))
        }
        noticeSessions(&events)
    }

    mutating func noticeSessions(_ events: inout EventBuffer<SwarmEvent>) {
        events.append(
            .notice(.sessionsChanged(publishers: sessions.publisherCount, viewers: sessions.viewerCount)))
    }

    /// Lets go of streams that nobody here has watched for a while; the routes keep them for children.
    mutating func releaseUnwatched(at now: Now, events: inout EventBuffer<SwarmEvent>) {
        for name in streams.due(at: now.monotonic) {
            streams.update(name) { $0.releaseAt = nil }
            guard let stream = streams[name], !stream.hasLocalInterest else { continue }
            streams.update(name) { $0.isSubscribed = false }
            routes.release(name, at: now, into: &scratch.messages, events: &scratch.routeEvents)
            // Where there was a route, its `ended` is among the events too, and finds nothing left.
            if routes.snapshot(of: name) == nil { forget(name, reason: .streamEnded, events: &events) }
        }
    }
}
