import SwarmCore

/// Streams that come and go. Each is published at a node drawn for it; where that node dies, the stream is over.
package struct StreamWorkload: Sendable {
    package var name: String
    /// Published before the measured time begins, and there for good unless `lifetime` says otherwise.
    package var count = 0
    /// Further ones per second of the measured time.
    package var rate = 0.0
    /// How long a stream is published; nil: to the end of the run.
    package var lifetime: Interval?
    /// A stream whose node died is published again at another node under a new name, so that their number stays.
    package var isReplaced = false
    /// Names are NAME/room-R/N where this is positive, with N counted on and R = N mod rooms; else NAME/N.
    package var rooms = 0
    /// The publisher moves to another node, under the same name, so often; nil: never.
    package var moves: Interval?

    package init(name: String) { self.name = name }
}

/// Nodes that ask where streams are.
package struct LookupWorkload: Sendable {
    package enum Target: String, CaseIterable, Sendable {
        /// A stream that has been published for a while, each equally often or by `popularity`.
        case live
        /// A name that never was.
        case absent
        /// The first stream: everybody asks for the same.
        case hot
    }

    package var name: String
    package var target = Target.live
    /// Lookups per second of the measured time, at random moments, by random nodes.
    package var rate = 0.0
    /// Every node asks once at a random moment of this time, from the beginning of the measured one.
    package var everyNodeWithin: Interval?
    /// Zipf's exponent: the stream of rank r is asked for with weight 1/rˢ. 0: all alike.
    package var popularity = 0.0

    package init(name: String) { self.name = name }
}

/// People who watch, each at a node drawn for them.
package struct ViewerWorkload: Sendable {
    package var name: String
    /// Arrive within `within` from `at` (from the beginning of the measured time; negative: while settling).
    package var count = 0
    package var at = Interval.seconds(-10)
    package var within = Interval.seconds(5)
    /// Further ones per second of the measured time.
    package var rate = 0.0
    /// How long each watches, between half and one and a half times this; nil: to the end.
    package var stay: Interval?
    /// Zipf's exponent over the streams in the order of their publication. 0: all alike.
    package var popularity = 0.0
    /// Each at a node at which nobody else watches or publishes.
    package var isApart = false

    package init(name: String) { self.name = name }
}

/// Hosts that are no honest nodes.
package struct AdversaryPlan: Sendable {
    package enum Behaviour: String, CaseIterable, Sendable {
        /// Answers lookups at once with the colluders nearest to the target; accepts and drops what is stored.
        case lie
        /// Joins and stays in tables, and answers nothing else.
        case silent
        /// Answers honestly who is near, and drops what is stored.
        case forget
        /// Loses half of everything, in and out.
        case drop
        /// Sends recorded datagrams again.
        case replay
        /// Sends records with wrong signatures, keys or names.
        case forge
        /// Asks a thousand times a second.
        case flood
        /// Claims no load, and another place each time it is asked.
        case falseLoad = "false-load"
        /// Says of one member after another that it has failed.
        case slander
        /// Lies, with an id ground next to the key of the first stream.
        case grind
        /// The same, and silent.
        case grindSilent = "grind-silent"
    }

    package var name: String
    package var behaviour = Behaviour.lie
    var isGround: Bool { behaviour == .grind || behaviour == .grindSilent }
    /// Of all nodes; the seeds stay honest.
    package var share = 0.0
    /// Beside the share.
    package var count = 0

    package init(name: String) { self.name = name }
}
