import DHT
import MediaRelay
import Routing
import SwarmCore
import SwarmCrypto

/// What one machine learns is told to the others that need it.
extension SwarmMachine {
    mutating func handle(_ event: MembershipEvent, at now: Now, events: inout EventBuffer<SwarmEvent>) {
        switch event {
        case .joined(let contact):
            discovery.dht.observe(contact, roundTrip: links.roundTrip(to: contact.id), at: now, into: &scratch.messages)
            events.append(.notice(.memberChanged(contact.id)))
        case .suspected(let id), .alive(let id), .changed(let id):
            events.append(.notice(.memberChanged(id)))
        case .failed(let id), .left(let id):
            discovery.dht.remove(id, at: now)
            routes.peerFailed(id, at: now, into: &scratch.messages, events: &scratch.routeEvents)
            // A restarted member has failed and joined in one breath, over the session it has just opened.
            if membership.member(id)?.status.isPresent != true { links.forget(id) }
            events.append(.notice(.memberRemoved(id)))
        }
    }

    mutating func handle(_ event: DHTEvent, at now: Now, events: inout EventBuffer<SwarmEvent>) {
        switch event {
        case .found(let lookup, let location):
            finish(lookup, with: location, at: now, events: &events)
        case .notFound(let lookup):
            finish(lookup, with: nil, at: now, events: &events)
        case .overloaded(let lookup):
            overloaded(lookup, events: &events)
        case .listing(let lookup, let listed):
            guard let request = pending.take(lookup: lookup) else { return }
            finishListing(request, listed, events: &events)
        case .nameTaken(let name):
            loseName(name, at: now, events: &events)
        case .published(let name, let holders):
            events.append(.notice(.streamPublished(name, holders: holders)))
        case .pinged(let lookup, let roundTrip):
            pinged(lookup, roundTrip, at: now, events: &events)
        case .reached(let lookup, let contact):
            reached(lookup, contact, at: now, events: &events)
        case .bootstrapped:
            break
        }
    }

    mutating func handle(_ event: StreamRouteEvent, at now: Now, events: inout EventBuffer<SwarmEvent>) {
        switch event {
        case .openLink(let plan):
            openLink(plan, events: &events)
        case .closeLink(let link, let worker):
            events.append(.command(worker: worker, .closeLink(LinkHandle(link))))
        case .parentAttached(let name, let link, let alias, let layers, let descriptor, _):
            parentAttached(name, link, alias, layers, descriptor, at: now, events: &events)
        case .parentDetached(let name):
            parentDetached(name, events: &events)
        case .childAttached(let name, let link, let alias, let layers, _):
            guard let stream = streams[name] else { return }
            events.append(
                .command(
                    worker: stream.worker,
                    .attachChild(stream.handle, LinkHandle(link), alias: alias, layers: LayerSet(bits: layers))))
            events.append(.notice(.routeChanged(name)))
        case .childDetached(let name, let link, _):
            guard let stream = streams[name] else { return }
            events.append(.command(worker: stream.worker, .detachChild(stream.handle, LinkHandle(link))))
            events.append(.notice(.routeChanged(name)))
        case .descriptorChanged(let name, let descriptor, _):
            adoptDescriptor(name, descriptor, events: &events)
        case .ended(let name):
            routeEnded(name, .notLive, events: &events)
        case .failed(let name, let reason):
            routeEnded(name, reason == .full || reason == .tableFull ? .full : .notLive, events: &events)
        case .needsCandidates(let name):
            let lookup = discovery.dht.lookup(name, at: now, into: &scratch.messages, events: &scratch.dhtEvents)
            lookupsForRoutes[lookup] = name
        case .carrying(let name, let isCarried):
            if isCarried {
                // A full table only means that others do not find us; what we carry goes on.
                _ = discovery.dht.announceCarrier(name, at: now, into: &scratch.messages, events: &scratch.dhtEvents)
            } else {
                discovery.dht.withdrawCarrier(name, at: now, into: &scratch.messages, events: &scratch.dhtEvents)
            }
        }
    }

    /// Derives the two keys of an agreed media link and hands it to the worker that it belongs to.
    private mutating func openLink(_ plan: MediaLinkPlan, events: inout EventBuffer<SwarmEvent>) {
        guard
            let secret = links.mediaSecret(with: plan.peer.id, epoch: plan.mediaEpoch),
            let address = links.address(of: plan.peer.id) ?? plan.peer.addresses.first
        else {
            refusals.add(.missingMediaSecret)
            return
        }
        let (initiator, responder) = plan.isInitiator ? (id, plan.peer.id) : (plan.peer.id, id)
        let (initiatorWorker, responderWorker) =
            plan.isInitiator ? (plan.localWorker, plan.remoteWorker) : (plan.remoteWorker, plan.localWorker)
        let keys = MediaKeys.derive(
            secret: secret, instance: plan.instance, initiatorID: initiator,
            initiatorWorker: UInt16(clamping: initiatorWorker), responderID: responder,
            responderWorker: UInt16(clamping: responderWorker))
        let (send, receive) =
            plan.isInitiator
            ? (keys.initiatorToResponder, keys.responderToInitiator)
            : (keys.responderToInitiator, keys.initiatorToResponder)
        let link = MediaLinkConfiguration(
            handle: LinkHandle(plan.localConnectionID), remoteConnectionID: plan.remoteConnectionID,
            peer: plan.peer.id, isInitiator: plan.isInitiator, sendKey: send, receiveKey: receive,
            cipher: plan.cipher, remoteAddress: address.withPort(plan.remotePort))
        events.append(.command(worker: plan.localWorker, .openLink(link)))
    }

    /// A route is gone. What has begun anew since (a publisher here, another subscription) is not concerned.
    private mutating func routeEnded(
        _ name: StreamName, _ refusal: ControlRefusal, events: inout EventBuffer<SwarmEvent>
    ) {
        guard routes.snapshot(of: name) == nil, streams[name]?.isOrigin != true else { return }
        forget(name, reason: .streamEnded, refusal: refusal, events: &events)
    }

    /// The other publisher of a plain name holds it by the older lease: ours gets a clean goodbye.
    private mutating func loseName(_ name: StreamName, at now: Now, events: inout EventBuffer<SwarmEvent>) {
        guard streams[name]?.isOrigin == true else { return }
        unpublish(name, reason: .streamEnded, at: now, events: &events)
    }
}
