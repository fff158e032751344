import SwarmCore
import SwarmCrypto

/// The parent's side: admission, delegation, and telling children what changes.
extension StreamRoutes {
    mutating func receiveSubscribe(
        _ reader: inout ByteReader, from peer: Peer, mediaEpoch: UInt64?, at now: Now,
        into out: inout MessageOutbox, events: inout EventBuffer<StreamRouteEvent>
    ) {
        guard let request = SubscribeMessage(from: &reader) else { return refusals.add(.malformed) }
        guard let index = index(of: request.stream) else {
            refusals.add(.unknownSubject)
            return refuse(request.subscription, .notHere, to: peer, into: &out)
        }
        if let child = routes[index].childIndex(peer.id, request.subscription) {
            // The same request again: its ACCEPT was lost.
            if peer.isConfirmed { routes[index].children[child].isConfirmed = true }
            attachIfReady(index, child: child, events: &events)
            return sendAccept(index, child: child, into: &out)
        }
        let newer = routes[index].children.contains {
            $0.contact.id == peer.id && $0.subscription > request.subscription
        }
        guard !newer else { return refusals.add(.stale) }
        if let reason = admissionProblem(request, from: peer, route: index, at: now, into: &out) {
            return refuse(request.subscription, reason, to: peer, into: &out)
        }
        guard fanOut[peer.id] != nil || fanOut.count < maxChildren else {
            refusals.add(.full)
            return delegate(request, from: peer, route: index, at: now, into: &out)
        }
        admit(request, from: peer, mediaEpoch: mediaEpoch, route: index, at: now, into: &out, events: &events)
        settle(request.stream, at: now, into: &out, events: &events)
    }

    /// Why the sender may not become our child, apart from room.
    private mutating func admissionProblem(
        _ request: SubscribeMessage, from peer: Peer, route index: Int, at now: Now, into out: inout MessageOutbox
    ) -> RefuseReason? {
        let route = routes[index]
        guard let position = route.position else { return .busy }
        if request.leastEpoch > position.epoch { return .notHere }
        if peer.id == configuration.own.id || route.pathToParent.contains(peer.id.prefix)
            || route.parent?.contact.id == peer.id || route.nextParent?.contact.id == peer.id
        {
            refusals.add(.wouldLoop)
            return .loop
        }
        // A child needs one subscription, and a second while it changes links; more only fill our tables.
        if route.children.count(where: { $0.contact.id == peer.id }) >= RoutingLimits.edgesPerChild { return .busy }
        if Int(position.rank) + 1 >= RoutingLimits.hops { return .full }
        if let feasibility = request.feasibility, !feasibility.allows(parentAt: position) {
            refusals.add(.wouldLoop)
            let wanted = feasibility.best.number
            if wanted < .max { raiseNumber(index, epoch: feasibility.best.epoch, to: wanted + 1, at: now, into: &out) }
            return .infeasible
        }
        if childEdgeCount >= RoutingLimits.childEdges { return .full }
        if !peer.isConfirmed {
            var unconfirmed = 0
            for route in routes { unconfirmed += route.children.filter { !$0.isConfirmed }.count }
            if unconfirmed >= RoutingLimits.unconfirmedEdges { return .busy }
        }
        return nil
    }

    private mutating func admit(
        _ request: SubscribeMessage, from peer: Peer, mediaEpoch: UInt64?, route index: Int, at now: Now,
        into out: inout MessageOutbox, events: inout EventBuffer<StreamRouteEvent>
    ) {
        let worker = routes[index].worker
        let shared = links.usable(
            from: peer.id, remoteWorker: Int(request.worker), localWorker: worker, instances: request.knownLinks)
        let link: UInt32
        if let shared {
            link = shared.localConnectionID
        } else {
            guard let mediaEpoch else {
                refusals.add(.noSecret)
                return refuse(request.subscription, .busy, to: peer, into: &out)
            }
            guard !links.isFull else {
                refusals.add(.tableFull)
                return refuse(request.subscription, .full, to: peer, into: &out)
            }
            link = links.allocateID()
            let bothPreferAES = request.cipher == .aes256GCM && configuration.preferredCipher == .aes256GCM
            let plan = MediaLinkPlan(
                localConnectionID: link, remoteConnectionID: request.connectionID, peer: peer.contact,
                isInitiator: false, localWorker: worker, remoteWorker: Int(request.worker), remotePort: request.port,
                instance: request.instance, mediaEpoch: mediaEpoch,
                cipher: bothPreferAES ? .aes256GCM : .chaCha20Poly1305)
            links.insert(plan)
            events.append(.openLink(plan))
        }
        links.retain(link)
        let child = ChildEdge(
            contact: peer.contact, subscription: request.subscription, link: link, alias: request.alias,
            layers: request.layers, isConfirmed: peer.isConfirmed, hasOwnLink: shared == nil,
            expires: now.monotonic + RouteTiming.reservation, updateSerial: routes[index].updateSerial)
        routes[index].children.append(child)
        fanOut[peer.id, default: 0] += 1
        childEdgeCount += 1
        if let position = routes[index].position { told(position, route: index) }
        let place = routes[index].children.count - 1
        sendAccept(index, child: place, into: &out)
        attachIfReady(index, child: place, events: &events)
        refreshLayers(index, at: now)
    }

    private func sendAccept(_ index: Int, child: Int, into out: inout MessageOutbox) {
        let edge = routes[index].children[child]
        guard let plan = links.link(edge.link)?.plan, let advertisement = advertisement(of: index) else { return }
        let accept = AcceptMessage(
            subscription: edge.subscription, serial: routes[index].updateSerial,
            worker: UInt8(truncatingIfNeeded: plan.localWorker), port: configuration.workerPorts[plan.localWorker],
            parentConnectionID: plan.localConnectionID, childConnectionID: plan.remoteConnectionID,
            instance: plan.instance, mediaEpoch: plan.mediaEpoch, cipher: plan.cipher, advertisement: advertisement)
        out.append(to: edge.contact) { writer in accept.write(to: &writer) }
    }

    /// Names children of this stream that may have room: those with free slots and the fewest joiners sent lately first.
    private mutating func delegate(
        _ request: SubscribeMessage, from peer: Peer, route index: Int, at now: Now, into out: inout MessageOutbox
    ) {
        var order: [Int] = []
        for place in routes[index].children.indices {
            if routes[index].children[place].promisesExpire <= now.monotonic {
                routes[index].children[place].promises = 0
            }
            let child = routes[index].children[place]
            if child.isConfirmed, child.contact.id != peer.id, !child.contact.addresses.isEmpty { order.append(place) }
        }
        guard !order.isEmpty else { return refuse(request.subscription, .full, to: peer, into: &out) }
        let children = routes[index].children
        func room(_ place: Int) -> Int { Int(children[place].freeChildSlots) - children[place].promises }
        order.sort { (-room($0), $0) < (-room($1), $1) }
        let chosen = order.prefix(RoutingLimits.delegates)
        for place in chosen.prefix(RoutingLimits.asksAtOnce) {
            routes[index].children[place].promises += 1
            routes[index].children[place].promisesExpire = now.monotonic + .seconds(2)
        }
        out.append(to: peer.contact) { writer in
            writer.append(RouteMessageType.delegate)
            writer.append(request.subscription)
            writer.appendVarint(UInt64(chosen.count))
            for place in chosen { writer.append(children[place].contact) }
        }
    }

    private func refuse(_ subscription: UInt64, _ reason: RefuseReason, to peer: Peer, into out: inout MessageOutbox) {
        out.append(to: peer.contact) { writer in
            writer.append(RouteMessageType.refuse)
            writer.append(subscription)
            writer.append(reason.rawValue)
        }
    }

    mutating func receiveKeep(
        _ reader: inout ByteReader, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<StreamRouteEvent>
    ) {
        guard let keep = KeepMessage(from: &reader) else { return refusals.add(.malformed) }
        guard let index = routes.firstIndex(where: { $0.childIndex(peer.id, keep.subscription) != nil }),
            let child = routes[index].childIndex(peer.id, keep.subscription)
        else {
            refusals.add(.unknownSubject)
            return refuse(keep.subscription, .notHere, to: peer, into: &out)
        }
        let stream = routes[index].stream
        confirm(index, child: child, at: now)
        routes[index].children[child].freeChildSlots = keep.freeChildSlots
        routes[index].children[child].updateSerial = max(
            routes[index].children[child].updateSerial, min(keep.updateSerial, routes[index].updateSerial))
        if routes[index].children[child].updateSerial == routes[index].updateSerial {
            routes[index].children[child].nextUpdate = nil
        } else if routes[index].children[child].nextUpdate == nil {
            sendUpdate(index, child: child, at: now, into: &out)
        }
        out.append(to: peer.contact) { writer in
            writer.append(RouteMessageType.kept)
            writer.append(keep.subscription)
            writer.append(keep.serial)
        }
        if routes[index].children[child].layers != keep.layers {
            routes[index].children[child].layers = keep.layers
            let edge = routes[index].children[child]
            if edge.isAttached { events.append(Self.attachment(of: edge, stream: stream)) }
            refreshLayers(index, at: now)
        }
        attachIfReady(index, child: child, events: &events)
        // The newest subscription counts; an older one of the same node is a left-over.
        dropChildren(
            of: stream, where: { $0.contact.id == peer.id && $0.subscription < keep.subscription }, telling: nil,
            at: now, into: &out, events: &events)
        settle(stream, at: now, into: &out, events: &events)
    }

    mutating func confirm(_ index: Int, child: Int, at now: Now) {
        routes[index].children[child].expires = now.monotonic + RouteTiming.childLost
        guard !routes[index].children[child].isConfirmed else { return }
        routes[index].children[child].isConfirmed = true
        refreshLayers(index, at: now)
    }

    /// Starts the media once the link works and the request cannot be a replay.
    mutating func attachIfReady(_ index: Int, child: Int, events: inout EventBuffer<StreamRouteEvent>) {
        let edge = routes[index].children[child]
        guard !edge.isAttached, edge.isConfirmed, links.isEstablished(edge.link) else { return }
        routes[index].children[child].isAttached = true
        events.append(Self.attachment(of: edge, stream: routes[index].stream))
    }

    private static func attachment(of edge: ChildEdge, stream: StreamName) -> StreamRouteEvent {
        .childAttached(
            stream: stream, link: edge.link, alias: edge.alias, layers: edge.layers, child: edge.contact.id)
    }

    mutating func receiveUnsubscribe(
        _ reader: inout ByteReader, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<StreamRouteEvent>
    ) {
        guard let subscription = reader.readUInt64() else { return refusals.add(.malformed) }
        farewells.removeAll { $0.subscription == subscription && $0.contact.id == peer.id && $0.endReason != nil }
        sendEnded(subscription, .unsubscribed, to: peer.contact, into: &out)
        guard let index = routes.firstIndex(where: { $0.childIndex(peer.id, subscription) != nil }) else { return }
        let stream = routes[index].stream
        dropChildren(
            of: stream, where: { $0.contact.id == peer.id && $0.subscription == subscription }, telling: nil,
            at: now, into: &out, events: &events)
        settle(stream, at: now, into: &out, events: &events)
    }

    /// Removes children; with a reason they are told. A stream nobody needs any more is left.
    mutating func dropChildren(
        of stream: StreamName, where isGone: (ChildEdge) -> Bool, telling reason: EndReason?, at now: Now,
        into out: inout MessageOutbox, events: inout EventBuffer<StreamRouteEvent>
    ) {
        guard let index = index(of: stream) else { return }
        let gone = routes[index].children.filter(isGone)
        guard !gone.isEmpty else { return }
        routes[index].children.removeAll(where: isGone)
        for edge in gone {
            // A newer subscription over the same link keeps the worker's attachment.
            let isReplaced = routes[index].children.contains { $0.link == edge.link && $0.isAttached }
            if edge.isAttached, !isReplaced {
                events.append(.childDetached(stream: stream, link: edge.link, child: edge.contact.id))
            }
            releaseLink(edge.link, events: &events)
            childEdgeCount -= 1
            let left = fanOut[edge.contact.id, default: 1] - 1
            fanOut[edge.contact.id] = left > 0 ? left : nil
            if let reason {
                bidFarewell(
                    to: edge.contact, subscription: edge.subscription, endReason: reason, at: now, into: &out)
            }
        }
        if routes[index].children.isEmpty { routes[index].feasibility = nil }
        refreshLayers(index, at: now)
        leaveIfUnused(index, at: now, into: &out, events: &events)
    }

    // MARK: Telling children

    func advertisement(of index: Int) -> Advertisement? {
        guard let position = routes[index].position else { return nil }
        let path = routes[index].pathToParent + [configuration.own.id.prefix]
        let upstream = routes[index].parent?.advertisement.descriptor ?? []
        return Advertisement(
            position: position, path: path, descriptor: routes[index].isOrigin ? routes[index].descriptor : upstream)
    }

    private mutating func told(_ position: TreePosition, route index: Int) {
        if routes[index].feasibility == nil {
            routes[index].feasibility = Feasibility(position)
        } else {
            routes[index].feasibility?.told(position)
        }
    }

    /// Tells every child what this node's place and descriptor are now.
    mutating func advertise(_ index: Int, at now: Now, into out: inout MessageOutbox) {
        routes[index].updateSerial &+= 1
        guard !routes[index].children.isEmpty, let position = routes[index].position else { return }
        told(position, route: index)
        for child in routes[index].children.indices {
            routes[index].children[child].updateSends = 0
            sendUpdate(index, child: child, at: now, into: &out)
        }
    }

    mutating func sendUpdate(_ index: Int, child: Int, at now: Now, into out: inout MessageOutbox) {
        guard let advertisement = advertisement(of: index) else {
            // Without a parent there is nothing to tell; the next one brings a new serial.
            routes[index].children[child].nextUpdate = nil
            return
        }
        let edge = routes[index].children[child]
        let serial = routes[index].updateSerial
        let sends = edge.updateSends
        routes[index].children[child].updateSends = sends + 1
        // After the last one the child's own KEEP shows what it lacks.
        let next = now.monotonic + RouteTiming.retransmit * (1 << Int64(min(sends, 8)))
        routes[index].children[child].nextUpdate = sends + 1 < RouteTiming.updateSends ? next : nil
        out.append(to: edge.contact) { writer in
            writer.append(RouteMessageType.update)
            writer.append(edge.subscription)
            writer.append(serial)
            advertisement.write(to: &writer)
        }
    }

    // MARK: The origin's number

    /// Somebody may not take the parents on offer under the current number: the wish travels up to the origin, which
    /// raises the number; the new one travels down with UPDATE and allows everybody to choose anew (RFC 8966 §3.8.2).
    private mutating func raiseNumber(
        _ index: Int, epoch: UInt64, to wanted: UInt32, at now: Now, into out: inout MessageOutbox
    ) {
        guard let position = routes[index].position, position.epoch == epoch, position.number < wanted else { return }
        if let last = routes[index].lastRaise, now.monotonic < last + RouteTiming.raise { return }
        routes[index].lastRaise = now.monotonic
        if routes[index].isOrigin {
            // By one, whatever was wanted: nobody uses the numbers up.
            routes[index].number += 1
            return advertise(index, at: now, into: &out)
        }
        guard let parent = routes[index].parent else { return }
        out.append(to: parent.contact) { writer in
            writer.append(RouteMessageType.raise)
            writer.append(parent.subscription)
            writer.append(epoch)
            writer.append(wanted)
        }
    }

    mutating func receiveRaise(_ reader: inout ByteReader, from peer: Peer, at now: Now, into out: inout MessageOutbox)
    {
        guard let subscription = reader.readUInt64(), let epoch = reader.readUInt64(), let wanted = reader.readUInt32()
        else { return refusals.add(.malformed) }
        guard let index = routes.firstIndex(where: { $0.childIndex(peer.id, subscription) != nil }) else {
            return refusals.add(.unknownSubject)
        }
        raiseNumber(index, epoch: epoch, to: wanted, at: now, into: &out)
    }
}
