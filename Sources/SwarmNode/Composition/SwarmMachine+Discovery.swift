import DHT
import SwarmCore

/// Discovery by itself, for operators (`mafalda dht …`) and for runs that measure it: no session, no media.
extension SwarmMachine {
    /// Finds out where a stream is published, without fetching it.
    mutating func beginSearch(
        _ id: RequestID, _ name: StreamName, _ kind: PendingRequests.Kind, at now: Now,
        events: inout EventBuffer<SwarmEvent>
    ) {
        guard !pending.isFull else { return refuse(id, .full, events: &events) }
        pending.add(id, kind, deadline: now.monotonic + CompositionLimits.requestTimeout)
        pending.bind(dht.lookup(name, at: now, into: &messages, events: &dhtEvents), to: id)
    }

    /// The search has ended: the answer in the words of whoever asked. False where `id` is no such request.
    mutating func finishSearch(
        _ id: RequestID, _ location: StreamLocation?, events: inout EventBuffer<SwarmEvent>
    ) -> Bool {
        switch pending[id] {
        case .locate:
            reply(id, .location(location), events: &events)
        case .trace(let name):
            reply(id, location.map { .route(distantRoute(name, $0)) } ?? .refused(.notLive), events: &events)
        default: return false
        }
        return true
    }

    private func distantRoute(_ name: StreamName, _ location: StreamLocation) -> RouteTrace {
        RouteTrace(
            stream: name, origin: location.origin.id, hops: [RouteTrace.Hop(node: location.origin.id)],
            isCarried: false, carriers: location.carriers.map(\.id))
    }

    /// Makes this node the origin of `name` in the DHT alone, or takes that back. A name that is published here in
    /// earnest is left as it is.
    mutating func announce(
        _ id: RequestID, _ name: StreamName, isWithdrawn: Bool, at now: Now, events: inout EventBuffer<SwarmEvent>
    ) {
        guard streams[name]?.isOrigin != true else { return refuse(id, .nameTaken, events: &events) }
        if isWithdrawn {
            dht.unpublish(name, at: now, into: &messages, events: &dhtEvents)
        } else {
            let epoch = now.wallMilliseconds
            guard dht.publish(name, epoch: epoch, at: now, into: &messages, events: &dhtEvents) else {
                return refuse(id, .full, events: &events)
            }
        }
        reply(id, .accepted, events: &events)
    }
}

extension SwarmMachine {
    /// Members that nobody has declared gone, this node left out.
    package var presentPeers: Int { membership.presentCount }
}
