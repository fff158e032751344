/// A rule that a run has broken.
package struct Violation: Sendable, Hashable, CustomStringConvertible {
    /// The checker's name: lower case, hyphens.
    package let checker: String
    /// The node it was seen at; nil where it concerns the whole swarm.
    package let node: Int?
    /// Nanoseconds since the start of the run.
    package let time: UInt64
    /// What happened, with the values that show it.
    package let text: String

    package init(checker: String, node: Int?, time: UInt64, text: String) {
        self.checker = checker
        self.node = node
        self.time = time
        self.text = text
    }

    /// One line.
    package var description: String {
        let place = node.map { " at node \($0)" } ?? ""
        return "\(checker)\(place), \(time / 1_000_000) ms: \(text)"
    }
}

/// The violations of one run. The first of each checker at each node explains the rest, so only that one is kept; all
/// are counted.
package final class ViolationLog {
    /// Violations kept: enough to see a pattern, few enough to read.
    private static var kept: Int { 64 }

    private struct Place: Hashable {
        let checker: String
        let node: Int?
    }

    private var seen: Set<Place> = []
    package private(set) var violations: [Violation] = []
    package private(set) var count = 0

    package init() {}

    package var isEmpty: Bool { count == 0 }

    package func report(_ violation: Violation) {
        count += 1
        guard violations.count < Self.kept,
            seen.insert(Place(checker: violation.checker, node: violation.node)).inserted
        else { return }
        violations.append(violation)
    }
}
