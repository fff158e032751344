import Yams

/// A scenario's text as a tree in which every value knows where it was written.
///
/// Files that include others are laid over them, flags over both; only then is anything judged, so that a message
/// always names the place whose value counts.
struct ScenarioNode: Sendable, Hashable {
    struct Entry: Sendable, Hashable {
        let key: String
        let place: ScenarioPlace
        var value: ScenarioNode
    }

    indirect enum Content: Sendable, Hashable {
        case scalar(String)
        case list([ScenarioNode])
        case mapping([Entry])
    }

    let place: ScenarioPlace
    var content: Content

    // MARK: Reading

    /// More is no scenario.
    private static var maximumBytes: Int { 256 << 10 }
    private static var maximumDepth: Int { 8 }

    /// `file` serves the messages.
    init(yaml text: String, file: String) throws(ScenarioError) {
        guard text.utf8.count <= Self.maximumBytes else {
            throw ScenarioError("\(file): more than \(Self.maximumBytes) bytes")
        }
        let root: Yams.Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch {
            throw ScenarioError(Self.syntaxError(error, file: file))
        }
        guard let root else {
            self.init(place: .line(1, of: file), content: .mapping([]))
            return
        }
        try self.init(root, file: file, depth: 0)
        guard case .mapping = content else { throw ScenarioError(place, "expected \"key: value\" lines") }
    }

    init(place: ScenarioPlace, content: Content) {
        self.place = place
        self.content = content
    }

    private init(_ node: Yams.Node, file: String, depth: Int) throws(ScenarioError) {
        place = .line(node.mark?.line ?? 1, of: file)
        guard depth <= Self.maximumDepth else { throw ScenarioError(place, "nested too deeply") }
        if let scalar = node.scalar {
            content = .scalar(scalar.string)
        } else if let sequence = node.sequence {
            var elements: [ScenarioNode] = []
            for element in sequence { elements.append(try ScenarioNode(element, file: file, depth: depth + 1)) }
            content = .list(elements)
        } else if let mapping = node.mapping {
            var entries: [Entry] = []
            for (key, value) in mapping {
                let place = ScenarioPlace.line(key.mark?.line ?? 1, of: file)
                guard let word = key.scalar?.string else { throw ScenarioError(place, "a key must be a word") }
                let value = try ScenarioNode(value, file: file, depth: depth + 1)
                entries.append(Entry(key: word, place: place, value: value))
            }
            content = .mapping(entries)
        } else {
            throw ScenarioError(place, "aliases are not understood")
        }
    }

    private static func syntaxError(_ error: any Error, file: String) -> String {
        switch error {
        case YamlError.scanner(_, let problem, let mark, _), YamlError.parser(_, let problem, let mark, _),
            YamlError.composer(_, let problem, let mark, _):
            "\(file):\(mark.line): \(problem)"
        case YamlError.duplicatedKeysInMapping(let duplicates, let context):
            "\(file):\(context.mark.line): a key stands twice: " + duplicates.joined(separator: ", ")
        default: "\(file): not YAML"
        }
    }

    // MARK: Composing

    var entries: [Entry] {
        if case .mapping(let entries) = content { return entries }
        return []
    }

    subscript(key: String) -> ScenarioNode? { entries.first { $0.key == key }?.value }

    /// This tree with `other` laid over it: mappings are joined key by key, anything else is replaced.
    func overlaid(with other: ScenarioNode) -> ScenarioNode {
        guard case .mapping(var entries) = content, case .mapping(let others) = other.content else { return other }
        for entry in others {
            if let index = entries.firstIndex(where: { $0.key == entry.key }) {
                entries[index] = Entry(
                    key: entry.key, place: entry.place, value: entries[index].value.overlaid(with: entry.value))
            } else {
                entries.append(entry)
            }
        }
        return ScenarioNode(place: other.place, content: .mapping(entries))
    }

    /// This tree with one scalar set at `path`; mappings on the way are made.
    func setting(_ path: [String], to text: String, place: ScenarioPlace) throws(ScenarioError) -> ScenarioNode {
        guard let key = path.first else { return ScenarioNode(place: place, content: .scalar(text)) }
        guard case .mapping(var entries) = content else {
            throw ScenarioError(place, "'\(key)' is no part of a single value")
        }
        let index = entries.firstIndex { $0.key == key }
        let old = index.map { entries[$0].value } ?? ScenarioNode(place: place, content: .mapping([]))
        let value = try old.setting(Array(path.dropFirst()), to: text, place: place)
        let entry = Entry(key: key, place: place, value: value)
        if let index { entries[index] = entry } else { entries.append(entry) }
        return ScenarioNode(place: self.place, content: .mapping(entries))
    }

    /// This tree without the entry `name` of any section in `sections`; nil where there is none.
    func removing(_ name: String, from sections: [String]) -> ScenarioNode? {
        guard case .mapping(var entries) = content else { return nil }
        var wasFound = false
        for index in entries.indices where sections.contains(entries[index].key) {
            guard case .mapping(let inner) = entries[index].value.content else { continue }
            let rest = inner.filter { $0.key != name }
            guard rest.count < inner.count else { continue }
            wasFound = true
            entries[index].value.content = .mapping(rest)
        }
        return wasFound ? ScenarioNode(place: place, content: .mapping(entries)) : nil
    }
}
