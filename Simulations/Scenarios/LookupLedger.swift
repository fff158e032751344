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
        /// No verdict about a name that is not live, or none in time.
        case absenceWithheld
        /// No verdict: the node had too much to do, or heard too little.
        case refused
        /// Nothing to judge: the stream ended or the asking node died meanwhile.
        case void

        package var text: String { "\(self)" }
    }

    package private(set) var counts = Counters<Verdict>()
    /// Milliseconds, by what was found.
    package private(set) var found = Distribution()
    package private(set) var absent = Distribution()
    package private(set) var asked = 0
    private var open: Set<Int> = []
    /// Found since the last `takeInterval`.
    private var recent = Distribution()

    package init() {}

    /// The number of a lookup that begins.
    mutating func ask() -> Int {
        asked += 1
        open.insert(asked)
        return asked
    }

    func isOpen(_ id: Int) -> Bool { open.contains(id) }

    /// Ends it; a second end counts for nothing.
    mutating func judge(_ id: Int, _ verdict: Verdict, after nanoseconds: UInt64) {
        guard open.remove(id) != nil else { return }
        counts.add(verdict)
        let milliseconds = Double(nanoseconds) / 1_000_000
        switch verdict {
        case .right:
            found.add(milliseconds)
            recent.add(milliseconds)
        case .rightAbsence: absent.add(milliseconds)
        default: break
        }
    }

    /// What was found since this was asked last.
    mutating func takeInterval() -> Distribution {
        defer { recent = Distribution() }
        return recent
    }

    /// Right answers among those about streams that were live throughout; nil without any.
    package var successRatio: Double? {
        let right = Double(counts[.right])
        let judged = right + Double(counts[.wrong] + counts[.falseAbsence] + counts[.timedOut] + counts[.refused])
        return judged > 0 ? right / judged : nil
    }

    package var absenceRatio: Double? {
        let right = Double(counts[.rightAbsence])
        let judged = right + Double(counts[.absenceWithheld])
        return judged > 0 ? right / judged : nil
    }
}
