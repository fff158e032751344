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

/// What this node knows about another.
package struct Member: Sendable {
    package var description: MemberDescription
    package var status: MemberStatus
    package var statusSince: MonotonicInstant
    /// The last authentic message from it to us; nil if there was none.
    package var lastHeard: MonotonicInstant?
    /// Round trip and loss, where this node probes it.
    package var quality: LinkQuality
    /// First eight bytes of the ids of those who suspect it; at most two are kept.
    package var accusers: [UInt64]

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

/// The clocks of membership. The defaults meet: suspected within 2 s, failed within 8 s, never before 6 s of silence.
package struct MembershipTiming: Sendable {
    package var probeInterval: Interval = .seconds(1)
    /// Bounds of the wait for an acknowledgement, direct and then indirect.
    package var minimumProbeTimeout: Interval = .milliseconds(250)
    package var maximumProbeTimeout: Interval = .milliseconds(500)
    /// A monitor's wait from suspicion to failure, with one accuser and with two.
    package var suspicionAlone: Interval = .milliseconds(5500)
    package var suspicionConfirmed: Interval = .milliseconds(4500)
    /// Those who do not monitor the suspect wait this long for its monitors' word.
    package var suspicionOfOthers: Interval = .seconds(15)
    /// A monitor fails nobody whom it has heard within this time. One probe interval more than the six seconds promised,
    /// since another monitor may have been the last to hear.
    package var silence: Interval = .seconds(7)
    package var syncInterval: Interval = .seconds(10)
    package var joinRetryMinimum: Interval = .milliseconds(500)
    package var joinRetryMaximum: Interval = .seconds(15)
    /// How long the dead are remembered: longer than any news about them is on its way.
    package var tombstone: Interval = .seconds(120)
    /// Own load and coordinates are told at most this often.
    package var descriptionInterval: Interval = .seconds(2)

    package init() {}
}
