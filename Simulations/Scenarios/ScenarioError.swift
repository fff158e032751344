/// What is wrong with a scenario, in one line that says where.
package struct ScenarioError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String
    /// The command line is wrong, not a file.
    package let isUsage: Bool

    package init(_ description: String, isUsage: Bool = false) {
        self.description = description
        self.isUsage = isUsage
    }

    init(_ place: ScenarioPlace, _ problem: String) {
        self.init("\(place): \(problem)", isUsage: place.isFlag)
    }
}

/// Where a value was written: `quiet.yaml:7`, or the flag that set it.
package struct ScenarioPlace: Sendable, Hashable, CustomStringConvertible {
    package let description: String
    let isFlag: Bool

    static func line(_ line: Int, of file: String) -> ScenarioPlace {
        ScenarioPlace(description: "\(file):\(line)", isFlag: false)
    }

    static func flag(_ text: String) -> ScenarioPlace { ScenarioPlace(description: text, isFlag: true) }
}

/// The word that a mistyped one may have been meant to be.
enum Suggestion {
    /// "; did you mean 'x'?", or nothing where no word is near.
    static func text(for word: String, among words: [String]) -> String {
        let ranked = words.map { (distance: editDistance($0, word), word: $0) }
        guard let best = ranked.min(by: { $0.distance < $1.distance }), best.distance <= max(2, word.utf8.count / 3)
        else { return "" }
        return "; did you mean '\(best.word)'?"
    }

    /// Levenshtein's distance, by rows; what lies beyond 64 bytes counts for nothing.
    static func editDistance(_ a: String, _ b: String) -> Int {
        let from = Array(a.utf8.prefix(64))
        let to = Array(b.utf8.prefix(64))
        var row = Array(0...to.count)
        for (index, byte) in from.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for column in to.indices {
                let substitution = diagonal + (byte == to[column] ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(substitution, row[column] + 1, row[column + 1] + 1)
            }
        }
        return row[to.count]
    }
}
