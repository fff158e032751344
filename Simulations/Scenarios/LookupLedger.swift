import SwarmCore

/// How lookups ended, and how long they took.
package struct LookupLedger {
    /// What became of a lookup.
    package enum Verdict: Int, CaseIterable, Sendable {
        /// The node that publishes it.
        case right
        /// Another node.
        case wrong
        /// "Not live", of a stream that is.
        case falseAbsence
        /// "Not live", of a name that is not.
        case rightAbsence
        /// No answer in time.
        case timedOut
        /// The node had too much to do.
        case refused
        /// Nothing to judge: the stream ended or the asking node died meanwhile.
        case void
    }

    package private(set) var counts = Counters<Verdict>()
    /// Milliseconds, by what was asked for.
    package private(set) var found = Distribution()
    package private(set) var absent = Distribution()
    package private(set) var asked = 0

    package init() {}

    mutating func ask() { asked += 1 }

    mutating func judge(_ verdict: Verdict, after nanoseconds: UInt64) {
        counts.add(verdict)
        let milliseconds = Double(nanoseconds) / 1_000_000
        switch verdict {
        case .right: found.add(milliseconds)
        case .rightAbsence: absent.add(milliseconds)
        default: break
        }
    }

    /// Right answers among those about streams that were live throughout; nil without any.
    package var successRatio: Double? {
        let right = Double(counts[.right])
        let judged = right + Double(counts[.wrong] + counts[.falseAbsence] + counts[.timedOut] + counts[.refused])
        return judged > 0 ? right / judged : nil
    }
}
