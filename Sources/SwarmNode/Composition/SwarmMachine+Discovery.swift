import DHT
import SwarmCore

/// Discovery by itself, for operators (`mafalda dht …`) and for runs that measure it: no session, no media.
extension SwarmMachine {
    /// Finds out where a stream is published, without fetching it.
    mutating func beginLocate(
        _ id: RequestID, _ name: StreamName, at now: Now, events: inout EventBuffer<SwarmEvent>
    ) {
        guard !pending.isFull else { return refuse(id, .full, events: &events) }
        pending.add(id, .locate(name), deadline: now.monotonic + CompositionLimits.requestTimeout)
        pending.bind(dht.lookup(name, at: now, into: &messages, events: &dhtEvents), to: id)
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
