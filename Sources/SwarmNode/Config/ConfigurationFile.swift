import Yams

/// A configuration file: YAML, one mapping of setting names to scalars, or to sequences of scalars where a setting
/// takes several.
package enum ConfigurationFile {
    /// More is no configuration.
    private static var maximumBytes: Int { 256 << 10 }

    package static func read(path: String) throws(ConfigurationError) -> SettingLayer {
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try PosixFile.read(path, limit: maximumBytes)
        } catch {
            throw ConfigurationError(error.description)
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ConfigurationError("\(path): not UTF-8 text")
        }
        return try parse(text, path: path)
    }

    /// `path` serves the messages: `path:LINE: …`.
    package static func parse(_ text: String, path: String) throws(ConfigurationError) -> SettingLayer {
        let root: Yams.Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch {
            throw ConfigurationError(syntaxError(error, path: path))
        }
        guard let root else { return [:] }
        guard let mapping = root.mapping else {
            throw ConfigurationError("\(path):\(line(of: root)): expected \"key: value\" lines")
        }
        var layer: SettingLayer = [:]
        for (keyNode, valueNode) in mapping {
            let line = line(of: keyNode)
            guard let key = keyNode.scalar?.string else {
                throw ConfigurationError("\(path):\(line): a key must be a word")
            }
            guard let setting = Setting(rawValue: key) else {
                let hint = Setting.closest(to: key).map { "; did you mean '\($0.key)'?" } ?? ""
                throw ConfigurationError("\(path):\(line): unknown key '\(key)'\(hint)")
            }
            layer[setting] = SettingValues(
                try texts(of: valueNode, for: setting, path: path), .file(path: path, line: line, setting))
        }
        return layer
    }

    private static func texts(
        of node: Yams.Node, for setting: Setting, path: String
    ) throws(ConfigurationError) -> [String] {
        if let scalar = node.scalar { return [scalar.string] }
        let place = "\(path):\(line(of: node)): \(setting.key)"
        guard setting.isList, let sequence = node.sequence else {
            throw ConfigurationError(
                "\(place): expected \(setting.isList ? "a value or a list of values" : "one value")")
        }
        var texts: [String] = []
        for element in sequence {
            guard let scalar = element.scalar else { throw ConfigurationError("\(place): expected a list of values") }
            texts.append(scalar.string)
        }
        return texts
    }

    private static func line(of node: Yams.Node) -> Int { node.mark?.line ?? 1 }

    private static func syntaxError(_ error: any Error, path: String) -> String {
        switch error {
        case YamlError.scanner(_, let problem, let mark, _), YamlError.parser(_, let problem, let mark, _),
            YamlError.composer(_, let problem, let mark, _):
            "\(path):\(mark.line): \(problem)"
        case YamlError.duplicatedKeysInMapping(let duplicates, _):
            "\(path): a key stands twice: " + duplicates.joined(separator: ", ")
        default: "\(path): not YAML"
        }
    }
}
