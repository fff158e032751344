/// Everything an operator can set, each under one name: `--max-children` on the command line, `MAFALDA_MAX_CHILDREN`
/// in the environment, `max-children:` in the file.
package enum Setting: String, CaseIterable, Sendable {
    case dataDirectory = "data-dir"
    case swarmName = "name"
    case http
    case port
    case workers
    case join
    case maximumChildren = "max-children"
    case announce
    case publicURL = "public-url"
    case tlsCertificate = "tls-cert"
    case tlsKey = "tls-key"
    case open
    case tokens
    case tokenKey = "token-key"
    case iceServer = "ice-server"
    case logLevel = "log-level"

    package var key: String { rawValue }
    package var flag: String { "--" + rawValue }
    package var environmentName: String {
        "MAFALDA_" + rawValue.uppercased().map { $0 == "-" ? "_" : String($0) }.joined()
    }

    /// Whether several values may be given: a repeated flag, commas in the environment, a sequence in the file.
    package var isList: Bool {
        switch self {
        case .join, .announce, .iceServer: true
        default: false
        }
    }

    /// Whether a flag alone means true.
    package var isSwitch: Bool { self == .open || self == .tokens }

    /// What `--print-config` hides: the swarm secret is in it, or a password.
    package var isSecret: Bool { self == .join || self == .iceServer }

    /// The setting whose key resembles `text` most, for "did you mean".
    package static func closest(to text: String) -> Setting? {
        let ranked = allCases.map { (distance: editDistance($0.rawValue, text), setting: $0) }
        guard let best = ranked.min(by: { $0.distance < $1.distance }), best.distance <= 2 else { return nil }
        return best.setting
    }

    /// Levenshtein's distance, by rows.
    private static func editDistance(_ a: String, _ b: String) -> Int {
        let from = Array(a.utf8)
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

/// A value that does not do, in one line that names where it stands.
package struct ConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

/// Where a value came from.
package enum SettingSource: Sendable, Equatable, CustomStringConvertible {
    case flag(Setting)
    case environment(Setting)
    case file(path: String, line: Int, Setting)
    case standard

    package var description: String {
        switch self {
        case .flag(let setting): setting.flag
        case .environment(let setting): setting.environmentName
        case .file(let path, let line, let setting): "\(path):\(line): \(setting.key)"
        case .standard: "default"
        }
    }
}

/// Values as text, not yet judged, with their source.
package struct SettingValues: Sendable, Equatable {
    package var texts: [String]
    package var source: SettingSource
    package init(_ texts: [String], _ source: SettingSource) {
        self.texts = texts
        self.source = source
    }
}

/// One place values come from; `SettingLayers` puts them over each other.
package typealias SettingLayer = [Setting: SettingValues]

/// Flag, then environment, then file: the first that has a setting has it whole (lists are not joined).
package struct SettingLayers: Sendable {
    private let layers: [SettingLayer]

    package init(flags: SettingLayer = [:], environment: SettingLayer = [:], file: SettingLayer = [:]) {
        layers = [flags, environment, file]
    }

    package subscript(setting: Setting) -> SettingValues? {
        layers.lazy.compactMap { $0[setting] }.first
    }

    /// The settings among `variables`; other variables are not ours to judge (orchestrators add `MAFALDA_…` of their
    /// own). An empty variable counts as not set.
    package static func environment(_ variables: [String: String]) -> SettingLayer {
        var layer: SettingLayer = [:]
        for setting in Setting.allCases {
            guard let text = variables[setting.environmentName], !text.isEmpty else { continue }
            let texts = setting.isList ? text.split(separator: ",").map(String.init) : [text]
            layer[setting] = SettingValues(texts, .environment(setting))
        }
        return layer
    }
}
