import SwarmCore
import SwarmCrypto

/// What a `Membership` is made with.
package struct MembershipConfiguration: Sendable {
    package var contact: Contact
    package var workerPorts: [UInt16]
    package var publicURL: String
    package var region: String
    package var roles: MemberRoles
    package var freeChildSlots: UInt16
    package var timing = MembershipTiming()
    package var sizes = CellSizes()
    /// Computes the ids of contacts that peers name.
    package var suite: CryptoSuite
    /// Shares equal descriptions among the nodes of a simulation.
    package var interner: MemberInterner?

    package init(
        contact: Contact, workerPorts: [UInt16] = [], publicURL: String = "", region: String = "",
        roles: MemberRoles = [.relays, .serves], freeChildSlots: UInt16 = 0, suite: CryptoSuite = .real,
        interner: MemberInterner? = nil
    ) {
        self.contact = contact
        self.workerPorts = workerPorts
        self.publicURL = publicURL
        self.region = region
        self.roles = roles
        self.freeChildSlots = freeChildSlots
        self.suite = suite
        self.interner = interner
    }
}

/// The clocks of membership. The defaults meet: suspected within 2 s nearly always (the first of five monitors asks within
/// 0.4 s in the median), failed within 9 s, never before 6 s of silence.
package struct MembershipTiming: Sendable {
    package var probeInterval: Interval = .seconds(2)
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
    package var silence: Interval = .seconds(8)
    /// Twice as long where the last one found nothing.
    package var syncInterval: Interval = .seconds(10)
    package var joinRetryMinimum: Interval = .milliseconds(500)
    package var joinRetryMaximum: Interval = .seconds(15)
    /// How long the dead are remembered: longer than any news about them is on its way.
    package var tombstone: Interval = .seconds(120)
    /// Own load is told at most this often.
    package var descriptionInterval: Interval = .seconds(2)
    /// The own coordinate is told for the second time after this, for the third after six times as long, later every
    /// second for each member, within bounds: at rest it only trembles, and each telling costs every member some
    /// hundred bytes a few times.
    package var coordinateInterval: Interval = .seconds(10)
    package var coordinateIntervalPerMember: Interval = .milliseconds(1000)
    package var coordinateIntervalMaximum: Interval = .seconds(1800)

    package init() {}
}
