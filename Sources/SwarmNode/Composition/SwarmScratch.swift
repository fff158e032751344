import DHT
import Routing
import SwarmCore
import SwarmCrypto

/// What the machines of a composition say during one call; empty between calls.
///
/// So the nodes of a simulation may share one: what a call writes then lies where the call before wrote, in the
/// processor's cache, and ten thousand nodes do not hold ten thousand empty buffers. It belongs to one thread, the one
/// that drives all machines that were handed it.
// Unchecked, because the compiler cannot see this: a machine and its scratch are driven by one thread, and move to it
// together before the first call. A lock would be taken at every datagram.
package final class SwarmScratch: @unchecked Sendable {
    var messages = MessageOutbox()
    var linkEvents = EventBuffer<LinkEvent>()
    var dhtEvents = EventBuffer<DHTEvent>()
    var memberEvents = EventBuffer<MembershipEvent>()
    var routeEvents = EventBuffer<StreamRouteEvent>()

    package init() {}
}
