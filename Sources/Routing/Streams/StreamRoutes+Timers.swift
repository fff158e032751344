import SwarmCore
import SwarmCrypto

/// The machine's verbs, its timers, and how routes end.
extension StreamRoutes {
    package mutating func receive(
        _ message: Span<UInt8>, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<StreamRouteEvent>
    ) {
        receive(message, from: peer, mediaEpoch: nil, at: now, into: &out, events: &events)
    }

    /// `mediaEpoch` names the newest secret that the control link shares with `peer`; without one no new media link can
    /// be agreed on, and a SUBSCRIBE that needs one is answered "busy".
    package mutating func receive(
        _ message: Span<UInt8>, from peer: Peer, mediaEpoch: UInt64?, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<StreamRouteEvent>
    ) {
        var reader = ByteReader(message)
        guard let type = reader.readUInt8() else { return refusals.add(.malformed) }
        if type == RouteMessageType.subscribe {
            return receiveSubscribe(&reader, from: peer, mediaEpoch: mediaEpoch, at: now, into: &out, events: &events)
        }
        guard peer.isConfirmed else { return refusals.add(.unconfirmed) }
        switch type {
        case RouteMessageType.accept: receiveAccept(&reader, from: peer, at: now, into: &out, events: &events)
        case RouteMessageType.delegate: receiveDelegate(&reader, from: peer, at: now, into: &out, events: &events)
        case RouteMessageType.refuse: receiveRefuse(&reader, from: peer, at: now, into: &out, events: &events)
        case RouteMessageType.unsubscribe:
            receiveUnsubscribe(&reader, from: peer, at: now, into: &out, events: &events)
        case RouteMessageType.keep: receiveKeep(&reader, from: peer, at: now, into: &out, events: &events)
        case RouteMessageType.kept: receiveKept(&reader, from: peer, at: now)
        case RouteMessageType.update: receiveUpdate(&reader, from: peer, at: now, into: &out, events: &events)
        case RouteMessageType.ended: receiveEnded(&reader, from: peer, at: now, into: &out, events: &events)
        case RouteMessageType.raise: receiveRaise(&reader, from: peer, at: now, into: &out)
        default: refusals.add(.unknownType)
        }
    }

    package var nextDeadline: MonotonicInstant? {
        var deadline: MonotonicInstant?
        for route in routes { deadline = Deadline.earlier(deadline, route.deadline) }
        for farewell in farewells { deadline = Deadline.earlier(deadline, farewell.next) }
        return deadline
    }

    package mutating func advance(
        to now: Now, into out: inout MessageOutbox, events: inout EventBuffer<StreamRouteEvent>
    ) {
        for stream in streams {
            guard let index = index(of: stream), let due = routes[index].deadline, due <= now.monotonic else {
                continue
            }
            dropChildren(
                of: stream, where: { $0.expires <= now.monotonic }, telling: .linkLost, at: now, into: &out,
                events: &events)
            resendUpdates(of: stream, at: now, into: &out)
            settle(stream, at: now, into: &out, events: &events)
        }
        resendFarewells(at: now, into: &out)
    }

    private mutating func resendUpdates(of stream: StreamName, at now: Now, into out: inout MessageOutbox) {
        guard let index = index(of: stream) else { return }
        for child in routes[index].children.indices {
            guard let due = routes[index].children[child].nextUpdate, due <= now.monotonic else { continue }
            sendUpdate(index, child: child, at: now, into: &out)
        }
    }

    /// Brings a route forward after anything happened to it: gives up, refreshes, searches.
    mutating func settle(
        _ stream: StreamName, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<StreamRouteEvent>
    ) {
        guard let index = index(of: stream), !routes[index].isOrigin else { return }
        runKeeps(index, at: now, into: &out, events: &events)
        if let since = routes[index].seekingSince, since + RouteTiming.giveUp <= now.monotonic {
            let reason = routes[index].search?.reason ?? .timedOut
            if routes[index].parent != nil { detachUpstream(index, at: now, into: &out, events: &events) }
            events.append(.failed(stream: stream, reason: reason))
            return removeRoute(index, telling: .upstreamLost, at: now, into: &out, events: &events)
        }
        runSearch(index, at: now, into: &out, events: &events)
    }

    /// Leaves a stream that is neither published nor watched here and has no children.
    mutating func leaveIfUnused(
        _ index: Int, at now: Now, into out: inout MessageOutbox, events: inout EventBuffer<StreamRouteEvent>
    ) {
        let route = routes[index]
        guard !route.isOrigin, !route.hasLocalInterest, route.children.isEmpty else { return }
        events.append(.ended(stream: route.stream))
        removeRoute(index, telling: .upstreamLost, at: now, into: &out, events: &events)
    }

    /// Forgets the route: parents and children are told, links let go.
    mutating func removeRoute(
        _ index: Int, telling reason: EndReason, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<StreamRouteEvent>
    ) {
        let stream = routes[index].stream
        detachUpstream(index, at: now, into: &out, events: &events)
        stopCarrying(index, events: &events)
        // As if published here, so that losing the last child does not remove it a second time.
        routes[index].isOrigin = true
        dropChildren(of: stream, where: { _ in true }, telling: reason, at: now, into: &out, events: &events)
        if let index = self.index(of: stream) { routes.remove(at: index) }
    }

    // MARK: Farewells

    /// Sends UNSUBSCRIBE (no reason) or ENDED, and repeats it until answered.
    mutating func bidFarewell(
        to contact: Contact, subscription: UInt64, endReason: EndReason?, at now: Now, into out: inout MessageOutbox
    ) {
        if farewells.count >= RoutingLimits.farewells { farewells.removeFirst() }
        farewells.append(
            Farewell(
                contact: contact, subscription: subscription, endReason: endReason, sends: 1,
                next: now.monotonic + RouteTiming.retransmit))
        sendFarewell(farewells[farewells.count - 1], into: &out)
    }

    private mutating func resendFarewells(at now: Now, into out: inout MessageOutbox) {
        farewells.removeAll { $0.next <= now.monotonic && $0.sends >= RouteTiming.farewellSends }
        for index in farewells.indices where farewells[index].next <= now.monotonic {
            farewells[index].next = now.monotonic + RouteTiming.retransmit * (1 << Int64(farewells[index].sends))
            farewells[index].sends += 1
            sendFarewell(farewells[index], into: &out)
        }
    }

    private func sendFarewell(_ farewell: Farewell, into out: inout MessageOutbox) {
        if let reason = farewell.endReason {
            sendEnded(farewell.subscription, reason, to: farewell.contact, into: &out)
        } else {
            sendUnsubscribe(farewell.subscription, to: farewell.contact, into: &out)
        }
    }

    func sendUnsubscribe(_ subscription: UInt64, to contact: Contact, into out: inout MessageOutbox) {
        out.append(to: contact) { writer in
            writer.append(RouteMessageType.unsubscribe)
            writer.append(subscription)
        }
    }

    func sendEnded(_ subscription: UInt64, _ reason: EndReason, to contact: Contact, into out: inout MessageOutbox) {
        out.append(to: contact) { writer in
            writer.append(RouteMessageType.ended)
            writer.append(subscription)
            writer.append(reason.rawValue)
        }
    }
}
