import SwarmCore

/// What a node does for the swarm. Unknown bits are kept.
package struct MemberRoles: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// Takes children of streams it does not watch itself.
    package static var relays: MemberRoles { MemberRoles(rawValue: 1) }
    /// Takes publishers and viewers.
    package static var serves: MemberRoles { MemberRoles(rawValue: 2) }
    /// Is about to leave: no new children, no redirects.
    package static var drains: MemberRoles { MemberRoles(rawValue: 4) }
}

/// A node's own account of itself. Only its owner raises `version`; everybody else repeats it.
package struct MemberDescription: Hashable, Sendable {
    package var contact: Contact
    /// Wall milliseconds at start, then one more for each change.
    package var version: UInt64
    /// Random per process: another value at a known member is a restart.
    package var instance: UInt64
    /// 0–1000 ‰ of the scarcest resource.
    package var load: UInt16
    package var freeChildSlots: UInt16
    package var roles: MemberRoles
    package var workerPorts: [UInt16]
    /// Where clients may be sent; empty when there is none.
    package var publicURL: String
    package var region: String
    package var coordinate: Coordinate
    /// Fields of a later version, relayed untouched.
    package var unknownFields: [UInt8]

    package init(
        contact: Contact, version: UInt64, instance: UInt64, load: UInt16 = 0, freeChildSlots: UInt16 = 0,
        roles: MemberRoles = [.relays, .serves], workerPorts: [UInt16] = [], publicURL: String = "",
        region: String = "", coordinate: Coordinate = .origin, unknownFields: [UInt8] = []
    ) {
        self.contact = contact
        self.version = version
        self.instance = instance
        self.load = load
        self.freeChildSlots = freeChildSlots
        self.roles = roles
        self.workerPorts = workerPorts
        self.publicURL = publicURL
        self.region = region
        self.coordinate = coordinate
        self.unknownFields = unknownFields
    }
}

/// A member's state. The raw value orders news of one version: a later case overrides an earlier one.
package enum MemberStatus: UInt8, Sendable, Hashable, Comparable {
    case alive = 0
    /// Did not answer; avoided at once, may still refute.
    case suspected = 1
    /// Silent for at least six seconds.
    case failed = 2
    /// Said that it leaves.
    case left = 3

    package static func < (a: MemberStatus, b: MemberStatus) -> Bool { a.rawValue < b.rawValue }
    /// Whether it still counts as part of the swarm.
    package var isPresent: Bool { self == .alive || self == .suspected }
}

/// What this node knows about another, put together when asked.
package struct Member: Sendable {
    /// As it last told, its load and coordinate as it last answered a probe.
    package var description: MemberDescription
    package var status: MemberStatus
    /// To within 17 ms.
    package var statusSince: MonotonicInstant
    /// The last authentic message from it to us; nil if there was none. To within 17 ms.
    package var lastHeard: MonotonicInstant?
    /// Round trip and loss, where this node probes it.
    package var quality: LinkQuality

    package var id: NodeID { description.contact.id }
    package var contact: Contact { description.contact }
}

package enum MembershipEvent: Sendable {
    /// New, back, or restarted (then `failed` came just before).
    case joined(Contact)
    case suspected(NodeID)
    /// A suspicion was refuted.
    case alive(NodeID)
    case left(NodeID)
    case failed(NodeID)
    /// Its description changed: load, addresses, coordinate.
    case changed(NodeID)
}
