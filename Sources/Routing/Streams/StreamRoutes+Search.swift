import SwarmCore
import SwarmCrypto

/// The child's side until a parent has accepted: whom to ask, and what to make of the answers.
extension StreamRoutes {
    /// Puts `candidates` in the order of asking. Among near-equals two are drawn and the less loaded is taken: on
    /// news a second old, always taking the least loaded would send everybody to the same node.
    mutating func addCandidates(_ candidates: [RouteCandidate], to index: Int, at now: Now) {
        var left: [(score: Double, candidate: RouteCandidate)] = []
        for candidate in candidates.prefix(RoutingLimits.candidates) {
            guard candidate.contact.id != configuration.own.id, !candidate.contact.addresses.isEmpty else { continue }
            left.append((Self.score(candidate), candidate))
        }
        left.sort { ($0.score, $0.candidate.contact.id) < ($1.score, $1.candidate.contact.id) }
        routes[index].search?.waiting.removeAll { !$0.isDelegated }
        routes[index].search?.asksSent = 0
        routes[index].search?.asked = [:]
        while let best = left.first {
            let near = left.prefix { $0.score <= best.score * 1.1 + 5 }.count
            var pick = generator.integer(below: near)
            let other = generator.integer(below: near)
            let first = (left[pick].candidate.load, left[pick].score)
            if (left[other].candidate.load, left[other].score) < first { pick = other }
            let chosen = left.remove(at: pick).candidate
            routes[index].search?.waiting.append(
                Search.Waiting(candidate: chosen, notBefore: now.monotonic, isDelegated: false))
        }
    }

    /// Milliseconds: predicted delay, half a millisecond per mille of loss, and up to 200 for a load beyond one half.
    static func score(_ candidate: RouteCandidate) -> Double {
        let delay = candidate.predictedDelayMilliseconds
        let excess = max(0, Double(min(candidate.load, 1000)) - 500) / 500
        let bounded = delay.isFinite ? min(max(delay, 0), 10_000) : 10_000
        return bounded + Double(candidate.lossPerMille) * 0.5 + excess * excess * 200
    }

    /// Sends what is due, asks further candidates, and says so when there are none.
    mutating func runSearch(
        _ index: Int, at now: Now, into out: inout MessageOutbox, events: inout EventBuffer<StreamRouteEvent>
    ) {
        guard routes[index].search != nil, routes[index].nextParent == nil else { return }
        resendAsks(index, at: now, into: &out)
        askMore(index, at: now, into: &out)
        guard let search = routes[index].search, search.asks.isEmpty, search.waiting.isEmpty else { return }
        guard routes[index].parent == nil else {
            // Nobody better took us; the parent we have still serves.
            routes[index].search = nil
            return
        }
        guard search.nextNeed <= now.monotonic else { return }
        routes[index].search?.nextNeed = now.monotonic + search.needInterval
        routes[index].search?.needInterval = min(search.needInterval * 2, RouteTiming.askForCandidatesMaximum)
        events.append(.needsCandidates(stream: routes[index].stream))
    }

    private mutating func resendAsks(_ index: Int, at now: Now, into out: inout MessageOutbox) {
        guard var asks = routes[index].search?.asks else { return }
        var silent: [Ask] = []
        asks.removeAll { ask in
            guard ask.next <= now.monotonic, ask.sends >= RouteTiming.subscribeSends else { return false }
            silent.append(ask)
            return true
        }
        for ask in silent {
            routes[index].search?.reason = .timedOut
            // It may have accepted, and its answer be lost.
            bidFarewell(to: ask.candidate.contact, subscription: ask.subscription, endReason: nil, at: now, into: &out)
        }
        for place in asks.indices where asks[place].next <= now.monotonic {
            sendSubscribe(asks[place], of: index, into: &out)
            asks[place].sends += 1
            asks[place].next = now.monotonic + RouteTiming.retransmit * (1 << Int64(asks[place].sends - 1))
        }
        routes[index].search?.asks = asks
    }

    private mutating func askMore(_ index: Int, at now: Now, into out: inout MessageOutbox) {
        while let search = routes[index].search, search.asks.count < search.askLimit(at: now.monotonic) {
            guard search.asksSent < RoutingLimits.asksPerSearch else {
                routes[index].search?.waiting = []
                return
            }
            guard let place = search.waiting.firstIndex(where: { $0.notBefore <= now.monotonic }) else { return }
            let candidate = search.waiting[place].candidate
            routes[index].search?.waiting.remove(at: place)
            let id = candidate.contact.id
            let isAsked = search.asks.contains { $0.candidate.contact.id == id }
            guard !isAsked, search.asked[id, default: 0] < 6, id != routes[index].parent?.contact.id else { continue }
            var ask = Ask(
                candidate: candidate, subscription: allocateSubscription(), alias: allocateAlias(),
                connectionID: links.allocateID(), instance: generator.next(), began: now.monotonic,
                next: now.monotonic + RouteTiming.retransmit)
            routes[index].search?.asked[id, default: 0] += 1
            routes[index].search?.asksSent += 1
            sendSubscribe(ask, of: index, into: &out)
            ask.sends = 1
            routes[index].search?.asks.append(ask)
        }
    }

    private func sendSubscribe(_ ask: Ask, of index: Int, into out: inout MessageOutbox) {
        let route = routes[index]
        let peer = ask.candidate.contact.id
        var known = links.instances(to: peer, from: route.worker)
        for other in routes where other.worker == route.worker {
            for proposed in other.search?.asks ?? [] where proposed.candidate.contact.id == peer {
                if proposed.subscription != ask.subscription { known.append(proposed.instance) }
            }
        }
        let message = SubscribeMessage(
            subscription: ask.subscription, stream: route.stream, leastEpoch: route.epoch, layers: route.wantedLayers,
            worker: UInt8(truncatingIfNeeded: route.worker), port: configuration.workerPorts[route.worker],
            connectionID: ask.connectionID, instance: ask.instance, alias: ask.alias,
            cipher: configuration.preferredCipher, feasibility: route.feasibility,
            knownLinks: Array(known.prefix(RoutingLimits.knownLinks)))
        out.append(to: ask.candidate.contact, isIdempotent: true) { writer in message.write(to: &writer) }
    }

    /// The route and ask that a parent's answer belongs to.
    private func findAsk(_ subscription: UInt64) -> (route: Int, ask: Int)? {
        for index in routes.indices {
            if let place = routes[index].search?.asks.firstIndex(where: { $0.subscription == subscription }) {
                return (index, place)
            }
        }
        return nil
    }

    private mutating func takeAsk(_ subscription: UInt64, from peer: Peer) -> (route: Int, ask: Ask)? {
        guard let (index, place) = findAsk(subscription) else { return nil }
        guard let ask = routes[index].search?.asks[place], ask.candidate.contact.id == peer.id else {
            refusals.add(.wrongSender)
            return nil
        }
        routes[index].search?.asks.remove(at: place)
        return (index, ask)
    }

    mutating func receiveAccept(
        _ reader: inout ByteReader, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<StreamRouteEvent>
    ) {
        guard let accept = AcceptMessage(from: &reader) else { return refusals.add(.malformed) }
        guard let (index, ask) = takeAsk(accept.subscription, from: peer) else {
            refusals.add(.unexpectedAnswer)
            // A parent that holds a place for a request given up long ago; a repeated ACCEPT is nothing to answer.
            if !isUpstream(accept.subscription, peer.id) {
                sendUnsubscribe(accept.subscription, to: peer.contact, into: &out)
            }
            return
        }
        let stream = routes[index].stream
        let problem = problem(with: accept.advertisement, for: routes[index])
        guard problem == nil, let link = adoptLink(accept, ask: ask, route: index, peer: peer, events: &events) else {
            if let problem { routes[index].search?.reason = problem }
            refusals.add(problem == nil ? .tableFull : .wouldLoop)
            bidFarewell(to: peer.contact, subscription: accept.subscription, endReason: nil, at: now, into: &out)
            return settle(stream, at: now, into: &out, events: &events)
        }
        for loser in routes[index].search?.asks ?? [] {
            let contact = loser.candidate.contact
            bidFarewell(to: contact, subscription: loser.subscription, endReason: nil, at: now, into: &out)
        }
        routes[index].search = nil
        let edge = ParentEdge(
            contact: ask.candidate.contact, subscription: accept.subscription, link: link, alias: ask.alias,
            advertisement: accept.advertisement, updateSerial: accept.serial,
            attachBy: now.monotonic + RouteTiming.attach, nextKeep: now.monotonic, lastKept: now.monotonic)
        adopt(edge, route: index, at: now, into: &out, events: &events)
        settle(stream, at: now, into: &out, events: &events)
    }

    /// Why a parent that says this may not be ours, or nil.
    func problem(with advertisement: Advertisement, for route: Route) -> RouteFailure? {
        if advertisement.position.epoch < route.epoch { return .notFound }
        if Int(advertisement.position.rank) >= RoutingLimits.hops { return .full }
        if advertisement.path.contains(configuration.own.id.prefix) { return .loop }
        guard let feasibility = route.feasibility else { return nil }
        return feasibility.allows(parentAt: advertisement.position) ? nil : .loop
    }

    /// Finds or opens the media link that `accept` names. Nil where it names one we do not have, or the table is full.
    private mutating func adoptLink(
        _ accept: AcceptMessage, ask: Ask, route index: Int, peer: Peer,
        events: inout EventBuffer<StreamRouteEvent>
    ) -> UInt32? {
        let worker = routes[index].worker
        if let known = links.link(accept.childConnectionID)?.plan {
            guard known.isInitiator, known.peer.id == peer.id, known.instance == accept.instance,
                known.localWorker == worker, known.remoteConnectionID == accept.parentConnectionID
            else { return nil }
            links.retain(accept.childConnectionID)
            return accept.childConnectionID
        }
        var isProposed = ask.connectionID == accept.childConnectionID && ask.instance == accept.instance
        // The parent may name the link proposed for another stream, whose ACCEPT is late.
        for other in routes where other.worker == worker {
            for proposed in other.search?.asks ?? [] where proposed.candidate.contact.id == peer.id {
                if proposed.connectionID == accept.childConnectionID, proposed.instance == accept.instance {
                    isProposed = true
                }
            }
        }
        guard isProposed, !links.isFull else { return nil }
        let plan = MediaLinkPlan(
            localConnectionID: accept.childConnectionID, remoteConnectionID: accept.parentConnectionID,
            peer: peer.contact, isInitiator: true, localWorker: worker, remoteWorker: Int(accept.worker),
            remotePort: accept.port, instance: accept.instance, mediaEpoch: accept.mediaEpoch, cipher: accept.cipher)
        links.insert(plan)
        links.retain(accept.childConnectionID)
        events.append(.openLink(plan))
        return accept.childConnectionID
    }

    mutating func receiveDelegate(
        _ reader: inout ByteReader, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<StreamRouteEvent>
    ) {
        guard let subscription = reader.readUInt64(),
            let count = reader.readVarint(limit: UInt64(RoutingLimits.delegates))
        else { return refusals.add(.malformed) }
        var contacts: [Contact] = []
        for _ in 0..<count {
            guard let contact = reader.readContact(configuration.suite) else { return refusals.add(.malformed) }
            contacts.append(contact)
        }
        guard let (index, ask) = takeAsk(subscription, from: peer) else { return refusals.add(.unexpectedAnswer) }
        routes[index].search?.reason = .full
        routes[index].search?.isParallel = true
        let waiting = routes[index].search?.waiting ?? []
        var delegated: [Search.Waiting] = []
        for contact in contacts where contact.id != configuration.own.id && !contact.addresses.isEmpty {
            guard !waiting.contains(where: { $0.isDelegated && $0.candidate.contact.id == contact.id }) else {
                continue
            }
            var candidate = ask.candidate
            candidate.contact = contact
            candidate.isOrigin = false
            delegated.append(Search.Waiting(candidate: candidate, notBefore: now.monotonic, isDelegated: true))
        }
        routes[index].search?.waiting.insert(contentsOf: delegated, at: 0)
        settle(routes[index].stream, at: now, into: &out, events: &events)
    }

    mutating func receiveRefuse(
        _ reader: inout ByteReader, from peer: Peer, at now: Now, into out: inout MessageOutbox,
        events: inout EventBuffer<StreamRouteEvent>
    ) {
        guard let subscription = reader.readUInt64(), let raw = reader.readUInt8() else {
            return refusals.add(.malformed)
        }
        let reason = RefuseReason(rawValue: raw) ?? .policy
        if let index = routes.firstIndex(where: { hasUpstream($0, subscription, peer.id) }) {
            // A KEEP was refused: the parent has forgotten us.
            let stream = routes[index].stream
            loseUpstream(
                index, where: { $0.subscription == subscription }, telling: false, at: now, into: &out,
                events: &events)
            return settle(stream, at: now, into: &out, events: &events)
        }
        guard let (index, ask) = takeAsk(subscription, from: peer) else { return refusals.add(.unexpectedAnswer) }
        switch reason {
        case .busy, .infeasible:
            let notBefore = now.monotonic + generator.jittered(RouteTiming.busyRetry, by: 0.3)
            routes[index].search?.waiting.append(
                Search.Waiting(candidate: ask.candidate, notBefore: notBefore, isDelegated: false))
            if reason == .infeasible { routes[index].search?.reason = .loop }
        case .notHere: break
        case .full: routes[index].search?.reason = .full
        case .loop: routes[index].search?.reason = .loop
        case .policy: routes[index].search?.reason = .policy
        }
        settle(routes[index].stream, at: now, into: &out, events: &events)
    }

    func hasUpstream(_ route: Route, _ subscription: UInt64, _ peer: NodeID) -> Bool {
        for edge in [route.parent, route.nextParent] {
            if let edge, edge.subscription == subscription, edge.contact.id == peer { return true }
        }
        return false
    }

    func isUpstream(_ subscription: UInt64, _ peer: NodeID) -> Bool {
        routes.contains { hasUpstream($0, subscription, peer) }
    }
}
