/// `GET /api/v1/dht`: this node's part of the DHT.
package struct DiscoveryReport: Sendable, Equatable {
    package struct Row: Sendable, Equatable {
        package var id: String
        package var addresses: [String]
        package var roundTripMilliseconds: Double?
        /// Since it was last heard.
        package var silenceMilliseconds: Int64
        package var failures: Int
        /// Among the nearest to this node.
        package var isSibling: Bool

        package init(
            id: String, addresses: [String], roundTripMilliseconds: Double?, silenceMilliseconds: Int64, failures: Int,
            isSibling: Bool
        ) {
            self.id = id
            self.addresses = addresses
            self.roundTripMilliseconds = roundTripMilliseconds
            self.silenceMilliseconds = silenceMilliseconds
            self.failures = failures
            self.isSibling = isSibling
        }
    }

    /// Nodes of the swarm, as the density of ids tells.
    package var estimatedNodes: Double
    /// Nearest to this node first.
    package var contacts: [Row]
    package var published: [String]
    /// Other nodes' living records held here.
    package var records: Int
    /// Cached copies for hot streams.
    package var copies: Int

    package init(estimatedNodes: Double, contacts: [Row], published: [String], records: Int, copies: Int) {
        self.estimatedNodes = estimatedNodes
        self.contacts = contacts
        self.published = published
        self.records = records
        self.copies = copies
    }

    package var json: String {
        JSONWriter.object { out in
            out.member("estimated_nodes", estimatedNodes)
            out.array("contacts", contacts) { out, row in
                out.object { out in
                    out.member("id", row.id)
                    out.array("addresses", row.addresses) { $0.string($1) }
                    out.member("rtt_ms", row.roundTripMilliseconds)
                    out.member("silence_ms", row.silenceMilliseconds)
                    out.member("failures", row.failures)
                    out.member("sibling", row.isSibling)
                }
            }
            out.array("published", published) { $0.string($1) }
            out.member("records", records)
            out.member("copies", copies)
        }
    }
}

/// `GET /api/v1/dht/records/{stream}`: what a lookup found. A name that is not live is an answer too.
package struct LocationReport: Sendable, Equatable {
    package struct Node: Sendable, Equatable {
        package var id: String
        package var addresses: [String]
        package init(id: String, addresses: [String]) {
            self.id = id
            self.addresses = addresses
        }
    }

    package var stream: String
    /// Nil: not live.
    package var origin: Node?
    package var epoch: UInt64
    package var carriers: [Node]
    package var elapsedMilliseconds: Double

    package init(stream: String, origin: Node?, epoch: UInt64, carriers: [Node], elapsedMilliseconds: Double) {
        self.stream = stream
        self.origin = origin
        self.epoch = epoch
        self.carriers = carriers
        self.elapsedMilliseconds = elapsedMilliseconds
    }

    package var json: String {
        JSONWriter.object { out in
            out.member("stream", stream)
            out.member("live", origin != nil)
            out.array("origins", origin.map { [$0] } ?? []) { $1.write(into: &$0) }
            out.member("epoch", epoch)
            out.array("carriers", carriers) { $1.write(into: &$0) }
            out.member("elapsed_ms", elapsedMilliseconds)
        }
    }
}

extension LocationReport.Node {
    fileprivate func write(into out: inout JSONWriter) {
        out.object { out in
            out.member("id", id)
            out.array("addresses", addresses) { $0.string($1) }
        }
    }
}

/// `GET /api/v1/dht/ping/{node}`.
package struct PingReport: Sendable, Equatable {
    package var id: String
    /// Nil: no answer.
    package var roundTripMilliseconds: Double?

    package init(id: String, roundTripMilliseconds: Double?) {
        self.id = id
        self.roundTripMilliseconds = roundTripMilliseconds
    }

    package var json: String {
        JSONWriter.object { out in
            out.member("id", id)
            out.member("answered", roundTripMilliseconds != nil)
            out.member("rtt_ms", roundTripMilliseconds)
        }
    }
}
