import SwarmCore
import SwarmCrypto

/// The child's side once a parent has accepted.
extension StreamRoutes {
    mutating func adopt(
        _ edge: ParentEdge, route index: Int, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<StreamRouteEvent>
    ) {
        if routes[index].parent == nil {
            install(edge, route: index, at: now, into: &out, events: &events)
            if links.isEstablished(edge.link) { parentEstablished(index, at: now, events: &events) }
        } else {
            routes[index].nextParent = edge
            if links.isEstablished(edge.link) { promoteNextParent(index, at: now, into: &out, events: &events) }
        }
    }

    /// Makes `edge` the parent, tells the worker and our own children.
    private mutating func install(
        _ edge: ParentEdge, route index: Int, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<StreamRouteEvent>
    ) {
        let advertisement = edge.advertisement
        routes[index].parent = edge
        routes[index].epoch = advertisement.position.epoch
        events.append(
            .parentAttached(
                stream: routes[index].stream, link: edge.link, alias: edge.alias, layers: routes[index].wantedLayers,
                descriptor: advertisement.descriptor, epoch: advertisement.position.epoch))
        advertise(index, at: now, into: &out)
    }

    /// The parent's media link works.
    mutating func parentEstablished(_ index: Int, at now: Now, events: inout EventBuffer<StreamRouteEvent>) {
        routes[index].parent?.isEstablished = true
        routes[index].seekingSince = nil
        guard !routes[index].isCarrying else { return }
        routes[index].isCarrying = true
        events.append(.carrying(stream: routes[index].stream, true))
    }

    mutating func stopCarrying(_ index: Int, events: inout EventBuffer<StreamRouteEvent>) {
        guard routes[index].isCarrying else { return }
        routes[index].isCarrying = false
        events.append(.carrying(stream: routes[index].stream, false))
    }

    /// Make-before-break: the next parent's link works, the old parent is left.
    mutating func promoteNextParent(
        _ index: Int, at now: Now, into out: inout MessageOutbox, events: inout EventBuffer<StreamRouteEvent>
    ) {
        guard let next = routes[index].nextParent else { return }
        routes[index].nextParent = nil
        // Decided again with what both have said since: the condition must hold at the moment of switching.
        guard problem(with: next.advertisement, for: routes[index]) == nil else {
            refusals.add(.wouldLoop)
            bidFarewell(to: next.contact, subscription: next.subscription, endReason: nil, at: now, into: &out)
            return releaseLink(next.link, events: &events)
        }
        let old = routes[index].parent
        install(next, route: index, at: now, into: &out, events: &events)
        if links.isEstablished(next.link) { parentEstablished(index, at: now, events: &events) }
        if let old {
            bidFarewell(to: old.contact, subscription: old.subscription, endReason: nil, at: now, into: &out)
            releaseLink(old.link, events: &events)
        }
    }

    /// Gives up those of parent and next parent that `isLost` names. Without a parent the search begins anew; children
    /// are held meanwhile.
    mutating func loseUpstream(
        _ index: Int, where isLost: (ParentEdge) -> Bool, telling: Bool, at now: Now,
        into out: inout MessageOutbox, events: inout EventBuffer<StreamRouteEvent>
    ) {
        if let next = routes[index].nextParent, isLost(next) {
            routes[index].nextParent = nil
            if telling {
                bidFarewell(to: next.contact, subscription: next.subscription, endReason: nil, at: now, into: &out)
            }
            releaseLink(next.link, events: &events)
        }
        guard let lost = routes[index].parent, isLost(lost) else { return }
        routes[index].parent = nil
        if telling {
            bidFarewell(to: lost.contact, subscription: lost.subscription, endReason: nil, at: now, into: &out)
        }
        events.append(.parentDetached(stream: routes[index].stream))
        releaseLink(lost.link, events: &events)
        if routes[index].seekingSince == nil { routes[index].seekingSince = now.monotonic }
        if routes[index].nextParent != nil {
            promoteNextParent(index, at: now, into: &out, events: &events)
        }
        if routes[index].parent == nil, routes[index].search == nil {
            routes[index].search = Search(now: now.monotonic)
        }
    }

    /// Leaves parents and candidates, for good.
    mutating func detachUpstream(
        _ index: Int, at now: Now, into out: inout MessageOutbox, events: inout EventBuffer<StreamRouteEvent>
    ) {
        for ask in routes[index].search?.asks ?? [] {
            let contact = ask.candidate.contact
            bidFarewell(to: contact, subscription: ask.subscription, endReason: nil, at: now, into: &out)
        }
        routes[index].search = nil
        routes[index].seekingSince = nil
        for edge in [routes[index].nextParent, routes[index].parent] {
            guard let edge else { continue }
            bidFarewell(to: edge.contact, subscription: edge.subscription, endReason: nil, at: now, into: &out)
        }
        if routes[index].parent != nil { events.append(.parentDetached(stream: routes[index].stream)) }
        for edge in [routes[index].nextParent, routes[index].parent] {
            if let edge { releaseLink(edge.link, events: &events) }
        }
        routes[index].nextParent = nil
        routes[index].parent = nil
    }

    /// Tells the parent at once when children and viewers together want other layers than before.
    mutating func refreshLayers(_ index: Int, at now: Now) {
        guard let parent = routes[index].parent else { return }
        routes[index].parent?.keepSerial = parent.keepSerial &+ 1
        routes[index].parent?.nextKeep = now.monotonic
    }

    mutating func runKeeps(
        _ index: Int, at now: Now, into out: inout MessageOutbox, events: inout EventBuffer<StreamRouteEvent>
    ) {
        loseUpstream(
            index,
            where: { edge in
                edge.lastKept + RouteTiming.keepLost <= now.monotonic
                    || (!edge.isEstablished && edge.attachBy <= now.monotonic)
            }, telling: true, at: now, into: &out, events: &events)
        let layers = routes[index].wantedLayers
        if var edge = routes[index].parent, edge.nextKeep <= now.monotonic {
            sendKeep(&edge, layers: layers, at: now, into: &out)
            routes[index].parent = edge
        }
        if var edge = routes[index].nextParent, edge.nextKeep <= now.monotonic {
            sendKeep(&edge, layers: layers, at: now, into: &out)
            routes[index].nextParent = edge
        }
    }

    private func sendKeep(_ edge: inout ParentEdge, layers: UInt64, at now: Now, into out: inout MessageOutbox) {
        let keep = KeepMessage(
            subscription: edge.subscription, serial: edge.keepSerial, layers: layers,
            updateSerial: edge.updateSerial, freeChildSlots: UInt16(clamping: freeChildSlots))
        edge.nextKeep = now.monotonic + RouteTiming.keepRetry
        out.append(to: edge.contact) { writer in keep.write(to: &writer) }
    }

    mutating func receiveKept(_ reader: inout ByteReader, from peer: Peer, at now: Now) {
        guard let subscription = reader.readUInt64(), let serial = reader.readUInt32() else {
            return refusals.add(.malformed)
        }
        guard let index = routes.firstIndex(where: { hasUpstream($0, subscription, peer.id) }) else {
            return refusals.add(.unexpectedAnswer)
        }
        let next = now.monotonic + generator.jittered(RouteTiming.keep, by: 0.1)
        if var edge = routes[index].parent, edge.subscription == subscription {
            edge.lastKept = now.monotonic
            if edge.keepSerial == serial { edge.nextKeep = next }
            routes[index].parent = edge
        } else if var edge = routes[index].nextParent, edge.subscription == subscription {
            edge.lastKept = now.monotonic
            if edge.keepSerial == serial { edge.nextKeep = next }
            routes[index].nextParent = edge
        }
    }

    mutating func receiveUpdate(
        _ reader: inout ByteReader, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<StreamRouteEvent>
    ) {
        guard let subscription = reader.readUInt64(), let serial = reader.readUInt32(),
            let advertisement = Advertisement(from: &reader)
        else { return refusals.add(.malformed) }
        guard let index = routes.firstIndex(where: { hasUpstream($0, subscription, peer.id) }) else {
            refusals.add(.unknownSubject)
            return sendUnsubscribe(subscription, to: peer.contact, into: &out)
        }
        let stream = routes[index].stream
        if routes[index].nextParent?.subscription == subscription {
            guard serial > routes[index].nextParent?.updateSerial ?? .max else { return refusals.add(.stale) }
            routes[index].nextParent?.updateSerial = serial
            routes[index].nextParent?.advertisement = advertisement
            routes[index].nextParent?.nextKeep = now.monotonic
        } else if let parent = routes[index].parent {
            // Confirmed even when it is old news: the parent repeats what it believes lost.
            routes[index].parent?.nextKeep = now.monotonic
            if serial > parent.updateSerial {
                routes[index].parent?.updateSerial = serial
                applyUpdate(advertisement, route: index, at: now, into: &out, events: &events)
            } else {
                refusals.add(.stale)
            }
        }
        settle(stream, at: now, into: &out, events: &events)
    }

    private mutating func applyUpdate(
        _ advertisement: Advertisement, route index: Int, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<StreamRouteEvent>
    ) {
        guard let before = routes[index].parent?.advertisement, before != advertisement else { return }
        guard problem(with: advertisement, for: routes[index]) == nil else {
            refusals.add(.wouldLoop)
            return loseUpstream(index, where: { _ in true }, telling: true, at: now, into: &out, events: &events)
        }
        routes[index].parent?.advertisement = advertisement
        routes[index].epoch = advertisement.position.epoch
        if before.descriptor != advertisement.descriptor || before.position.epoch != advertisement.position.epoch {
            events.append(
                .descriptorChanged(
                    stream: routes[index].stream, descriptor: advertisement.descriptor,
                    epoch: advertisement.position.epoch))
        }
        advertise(index, at: now, into: &out)
    }

    mutating func receiveEnded(
        _ reader: inout ByteReader, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<StreamRouteEvent>
    ) {
        guard let subscription = reader.readUInt64(), let raw = reader.readUInt8() else {
            return refusals.add(.malformed)
        }
        let reason = EndReason(rawValue: raw) ?? .upstreamLost
        if reason == .unsubscribed {
            farewells.removeAll { $0.subscription == subscription && $0.contact.id == peer.id && $0.endReason == nil }
            return
        }
        sendUnsubscribe(subscription, to: peer.contact, into: &out)
        guard let index = routes.firstIndex(where: { hasUpstream($0, subscription, peer.id) }) else { return }
        let stream = routes[index].stream
        if reason == .unpublished, routes[index].parent?.subscription == subscription {
            loseUpstream(index, where: { _ in true }, telling: false, at: now, into: &out, events: &events)
            events.append(.ended(stream: stream))
            return removeRoute(index, telling: .unpublished, at: now, into: &out, events: &events)
        }
        loseUpstream(
            index, where: { $0.subscription == subscription }, telling: false, at: now, into: &out, events: &events)
        settle(stream, at: now, into: &out, events: &events)
    }
}
