/// What `--print-config` shows: the values in force as a configuration file, each with its source. Secrets are not in
/// it, so the file can be shown around; put them back before use.
package enum PrintedConfiguration {
    package static func render(_ configuration: NodeConfiguration, _ layers: SettingLayers) -> String {
        var lines: [String] = []
        for setting in Setting.allCases {
            let source = layers[setting]?.source ?? .standard
            let value = setting.isSecret ? layers[setting].map { _ in "hidden" } : effective(setting, configuration)
            let name = value.map { "\(setting.key): \($0)" } ?? "# \(setting.key):"
            let isLive = !(setting.isSecret && value != nil)
            let line = isLive ? name : "# " + name
            lines.append(line + String(repeating: " ", count: max(1, 40 - line.utf8.count)) + "# \(told(source))")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func told(_ source: SettingSource) -> String {
        if case .file(let path, let line, _) = source { return "\(path):\(line)" }
        return source.description
    }

    private static func effective(_ setting: Setting, _ configuration: NodeConfiguration) -> String? {
        switch setting {
        case .dataDirectory: configuration.dataDirectory.map(JSONWriter.quoted)
        case .swarmName: JSONWriter.quoted(configuration.swarmName)
        case .http: JSONWriter.quoted(configuration.http.description)
        case .port: configuration.port.description
        case .workers: configuration.workers.description
        case .maximumChildren: configuration.maximumChildren?.description
        case .announce:
            configuration.announce.isEmpty
                ? nil : "[" + configuration.announce.map(JSONWriter.quoted).joined(separator: ", ") + "]"
        case .publicURL: configuration.publicURL.map(JSONWriter.quoted)
        case .tlsCertificate: configuration.tlsCertificate.map(JSONWriter.quoted)
        case .tlsKey: configuration.tlsKey.map(JSONWriter.quoted)
        case .open: configuration.isOpen.description
        case .tokens: configuration.requiresTokens.description
        case .tokenKey: configuration.tokenKey.map(JSONWriter.quoted)
        case .logLevel: configuration.logLevel
        case .join, .iceServer: nil
        }
    }
}
