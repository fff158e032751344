import SwarmCore

/// One mapping of a scenario's tree while it is read: hands out values by key, remembers which keys it was asked for,
/// and complains about the others.
///
/// A value written as a range, `5s..40s`, is drawn from the scenario's seed and the value's own path, so that one value
/// more or less shifts nobody's draws; words in a choice, `kept | lost`, likewise.
struct ScenarioSection {
    let node: ScenarioNode
    /// `faults.crash.`; empty at the top.
    let path: String
    private let draws: SeededGenerator
    private var asked: [String] = []

    /// `draws` is never drawn from; each value takes a child of it.
    init(_ node: ScenarioNode, path: String, draws: SeededGenerator) throws(ScenarioError) {
        guard case .mapping = node.content else {
            let name = path.isEmpty ? "a scenario" : "'\(path.dropLast())'"
            throw ScenarioError(node.place, "\(name) is \"key: value\" lines")
        }
        self.node = node
        self.path = path
        self.draws = draws
    }

    /// The mapping under `key`; nil where there is none.
    mutating func section(_ key: String) throws(ScenarioError) -> ScenarioSection? {
        asked.append(key)
        guard let node = node[key] else { return nil }
        return try ScenarioSection(node, path: path + key + ".", draws: draws)
    }

    /// The mappings under `key` by their names, in the order they were written. One that is `none` was taken out.
    mutating func named(_ key: String) throws(ScenarioError) -> [(name: String, section: ScenarioSection)] {
        if case .scalar("none")? = node[key]?.content {
            asked.append(key)
            return []
        }
        guard let outer = try section(key) else { return [] }
        var found: [(name: String, section: ScenarioSection)] = []
        for entry in outer.node.entries {
            if case .scalar("none") = entry.value.content { continue }
            guard Self.isName(entry.key) else {
                throw ScenarioError(entry.place, "'\(entry.key)' is no name: letters, digits and hyphens, at most 32")
            }
            found.append(
                (
                    entry.key,
                    try ScenarioSection(entry.value, path: "\(path)\(key).\(entry.key).", draws: draws)
                ))
        }
        return found
    }

    /// Names end up in stream names and on command lines.
    private static func isName(_ text: String) -> Bool {
        (1...32).contains(text.utf8.count)
            && text.unicodeScalars.allSatisfy { ("a"..."z").contains($0) || ("0"..."9").contains($0) || $0 == "-" }
    }

    // MARK: Values

    mutating func text(_ key: String) throws(ScenarioError) -> String? {
        asked.append(key)
        guard let value = node[key] else { return nil }
        guard case .scalar(let text) = value.content else {
            throw ScenarioError(value.place, "'\(key)' expected one value")
        }
        return text
    }

    mutating func list(_ key: String) throws(ScenarioError) -> [(text: String, place: ScenarioPlace)] {
        asked.append(key)
        guard let value = node[key] else { return [] }
        if case .scalar(let text) = value.content { return [(text, value.place)] }
        guard case .list(let elements) = value.content else {
            throw ScenarioError(value.place, "'\(key)' expected a list of words")
        }
        var words: [(text: String, place: ScenarioPlace)] = []
        for element in elements {
            guard case .scalar(let text) = element.content else {
                throw ScenarioError(element.place, "'\(key)' expected a list of words")
            }
            words.append((text, element.place))
        }
        return words
    }

    /// `expected` completes "expected …".
    mutating func parsed<Value>(
        _ key: String, _ expected: String, _ parse: (String) -> Value?
    ) throws(ScenarioError) -> Value? {
        guard let text = try text(key) else { return nil }
        guard let value = parse(text) else { throw wrong(key, expected) }
        return value
    }

    mutating func flag(_ key: String) throws(ScenarioError) -> Bool? {
        try word(key, among: ["true", "yes", "on", "false", "no", "off"]).flatMap(ScenarioValue.boolean)
    }

    /// One of `words`, or drawn from several of them: `kept | lost`.
    mutating func word(_ key: String, among words: [String]) throws(ScenarioError) -> String? {
        guard let text = try text(key) else { return nil }
        let choices = text.split(separator: "|").map { $0.trimmed }
        for choice in choices where !words.contains(choice) {
            throw wrong(
                key, "one of " + words.joined(separator: ", "), hint: Suggestion.text(for: choice, among: words))
        }
        guard !choices.isEmpty else { throw wrong(key, "one of " + words.joined(separator: ", ")) }
        var generator = generator(of: key)
        return choices.count == 1 ? choices[0] : choices[generator.integer(below: choices.count)]
    }

    mutating func interval(_ key: String, from least: Interval? = .zero) throws(ScenarioError) -> Interval? {
        guard let ends = try ends(key, "a time like 10s or 250ms", ScenarioValue.interval) else { return nil }
        if let least, ends.lowerBound < least { throw wrong(key, "a time that is not below \(least.text)") }
        let width = (ends.upperBound - ends.lowerBound).nanoseconds
        return ends.lowerBound
            + Interval(nanoseconds: Int64(drawn(key, ends.lowerBound < ends.upperBound) * Double(width)))
    }

    mutating func integer(_ key: String, in range: ClosedRange<Int>) throws(ScenarioError) -> Int? {
        let expected = "a number from \(range.lowerBound) to \(range.upperBound)"
        guard let ends = try ends(key, expected, { Int($0) }) else { return nil }
        guard range.contains(ends.lowerBound), range.contains(ends.upperBound) else { throw wrong(key, expected) }
        guard ends.lowerBound < ends.upperBound else { return ends.lowerBound }
        var generator = generator(of: key)
        return Int.random(in: ends, using: &generator)
    }

    mutating func share(_ key: String) throws(ScenarioError) -> Double? {
        try drawnNumber(key, "a share like 1%", ScenarioValue.share)
    }

    mutating func rate(_ key: String) throws(ScenarioError) -> Double? {
        try drawnNumber(key, "a rate like 50/s", ScenarioValue.rate)
    }

    mutating func bitRate(_ key: String) throws(ScenarioError) -> Double? {
        try drawnNumber(key, "a rate like 10Mbit/s", ScenarioValue.bitRate)
    }

    mutating func number(_ key: String, in range: ClosedRange<Double>) throws(ScenarioError) -> Double? {
        let expected =
            "a number from \(FigureText.number(range.lowerBound)) to \(FigureText.number(range.upperBound))"
        let value = try drawnNumber(key, expected, ScenarioValue.number)
        if let value, !range.contains(value) { throw wrong(key, expected) }
        return value
    }

    mutating func partsPerMillion(_ key: String, in range: ClosedRange<Double>) throws(ScenarioError) -> Double? {
        let value = try drawnNumber(key, "parts per million like 100ppm", ScenarioValue.partsPerMillion)
        if let value, !range.contains(value) {
            throw wrong(key, "\(Int(range.lowerBound))ppm to \(Int(range.upperBound))ppm")
        }
        return value
    }

    /// Both ends of a range that is not drawn from: `0.1%..1%`, or one value for both.
    mutating func shares(_ key: String) throws(ScenarioError) -> ClosedRange<Double>? {
        try ends(key, "a share like 1%, or a range of them", ScenarioValue.share)
    }

    mutating func intervals(_ key: String) throws(ScenarioError) -> ClosedRange<Interval>? {
        guard let ends = try ends(key, "a time like 10s, or a range of them", ScenarioValue.interval) else {
            return nil
        }
        if ends.lowerBound < .zero { throw wrong(key, "times that are not negative") }
        return ends
    }

    // MARK: Complaints

    /// The place of `key`'s value, or of the section where it is not given.
    func place(of key: String) -> ScenarioPlace { node[key]?.place ?? node.place }

    func problem(_ key: String, _ text: String) -> ScenarioError { ScenarioError(place(of: key), "'\(key)' \(text)") }

    private func wrong(_ key: String, _ expected: String, hint: String = "") -> ScenarioError {
        guard let value = node[key], case .scalar(let text) = value.content else {
            return problem(key, "expected \(expected)")
        }
        return problem(key, "is \"\(text.prefix(60))\", expected \(expected)\(hint)")
    }

    /// Complains about keys that nobody asked for.
    func finish() throws(ScenarioError) {
        for entry in node.entries where !asked.contains(entry.key) {
            let hint = Suggestion.text(for: entry.key, among: asked)
            let inside = path.isEmpty ? "" : " in '\(path.dropLast())'"
            throw ScenarioError(entry.place, "unknown key '\(entry.key)'\(inside)\(hint)")
        }
    }

    // MARK: Draws

    private func generator(of key: String) -> SeededGenerator { draws.child(Label.of(path + key)) }

    /// Uniform in 0..<1, or 0 where there is nothing to draw.
    private func drawn(_ key: String, _ isRange: Bool) -> Double {
        var generator = generator(of: key)
        return isRange ? generator.unitInterval() : 0
    }

    private mutating func drawnNumber(
        _ key: String, _ expected: String, _ parse: (String) -> Double?
    ) throws(ScenarioError) -> Double? {
        guard let ends = try ends(key, expected, parse) else { return nil }
        return ends.lowerBound + drawn(key, ends.lowerBound < ends.upperBound) * (ends.upperBound - ends.lowerBound)
    }

    private mutating func ends<Value: Comparable>(
        _ key: String, _ expected: String, _ parse: (String) -> Value?
    ) throws(ScenarioError) -> ClosedRange<Value>? {
        guard let text = try text(key) else { return nil }
        let parts = Self.split(text)
        let values = parts.compactMap(parse)
        guard values.count == parts.count, let first = values.first, let last = values.last, first <= last else {
            throw wrong(key, expected)
        }
        return first...last
    }

    /// The two sides of `..`, or the whole.
    private static func split(_ text: String) -> [String] {
        let characters = Array(text)
        guard
            let dots = characters.indices.dropLast().first(where: { characters[$0] == "." && characters[$0 + 1] == "." }
            )
        else { return [text.trimmed] }
        return [String(characters[..<dots]).trimmed, String(characters[(dots + 2)...]).trimmed]
    }
}

/// Numbers for names: FNV-1a.
enum Label {
    static func of(_ name: String) -> UInt64 {
        name.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}

extension StringProtocol {
    /// Without spaces at its ends.
    var trimmed: String {
        var rest = self[...]
        while rest.first == " " { rest = rest.dropFirst() }
        while rest.last == " " { rest = rest.dropLast() }
        return String(rest)
    }
}

extension Interval {
    /// `250ms`, `10s`, `90s`: as scenario files have it.
    package var text: String {
        let milliseconds = fractionalMilliseconds
        let isWhole = milliseconds / 1000 == (milliseconds / 1000).rounded()
        return isWhole
            ? FigureText.number(milliseconds / 1000) + "s" : FigureText.number(milliseconds, decimals: 6) + "ms"
    }
}
