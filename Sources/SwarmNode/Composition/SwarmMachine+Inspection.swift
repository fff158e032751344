import DHT
import Routing
import SwarmCore

/// What reports read of a node. Nothing here changes anything.
extension SwarmMachine {
    /// What the DHT did since the node started.
    package var dhtTraffic: Counters<DHTTraffic> { discovery.dht.traffic }

    /// Nodes that this one feeds, over all streams.
    package var childCount: Int { routes.maxChildren - routes.freeChildSlots }
}
