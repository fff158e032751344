import SwarmCore
import SwarmCrypto

/// Where HTTP listens.
package struct ListenAddress: Sendable, Equatable, CustomStringConvertible {
    /// An IP address, or `localhost`.
    package var host: String
    package var port: UInt16

    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// `127.0.0.1:7780`, `[::1]:7780`, `localhost:7780`.
    package init?(text: String) {
        if let address = NetworkAddress(text: text) {
            self.init(host: address.host, port: address.port)
        } else {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, parts[0] == "localhost", let port = UInt16(parts[1]) else { return nil }
            self.init(host: "localhost", port: port)
        }
    }

    package var isLoopback: Bool {
        host == "localhost" || (NetworkAddress(host: host, port: 0)?.isLoopback ?? false)
    }

    /// As it stands in a URL; an address that means every interface is told as loopback.
    package var urlHost: String {
        guard let address = NetworkAddress(host: host, port: 0) else { return host }
        if address.isUnspecified { return address.isIPv4 ? "127.0.0.1" : "[::1]" }
        return address.isIPv4 ? host : "[\(host)]"
    }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// What a node runs with: every value judged, every default filled in.
package struct NodeConfiguration: Sendable {
    package static var defaultHTTP: ListenAddress { ListenAddress(host: "127.0.0.1", port: 7780) }
    package static var defaultPort: UInt16 { 7788 }
    /// Workers beyond this gain nothing on any machine of today and cost a port each.
    package static var workerLimit: Int { 64 }
    package static var childrenLimit: Int { 10_000 }

    /// Nil: the default place (`DataDirectory`).
    package var dataDirectory: String?
    package var swarmName: String
    package var http: ListenAddress
    /// UDP port of the swarm socket; worker i is on port + 1 + i. 0: the system chooses every port.
    package var port: UInt16
    package var workers: Int
    package var join: [JoinString]
    /// Nodes this one feeds per stream; nil: as capacity allows.
    package var maximumChildren: Int?
    /// Addresses told to clients and peers instead of those found out.
    package var announce: [String]
    /// Without a slash at its end.
    package var publicURL: String?
    package var tlsCertificate: String?
    package var tlsKey: String?
    package var isOpen: Bool
    package var requiresTokens: Bool
    package var tokenKey: String?
    package var iceServers: [ICEServer]
    package var logLevel: String

    /// The swarm secret that the join strings carry; they agree.
    package var joinSecret: Bytes32? { join.first?.secret }

    /// Whether tokens decide over HTTP.
    package var usesTokens: Bool { (requiresTokens || tokenKey != nil) && !isOpen }

    /// `http://127.0.0.1:7780`, with the port that was bound.
    package func localURL(boundPort: UInt16) -> String {
        "\(tlsCertificate == nil ? "http" : "https")://\(http.urlHost):\(boundPort)"
    }
}

extension NodeConfiguration {
    /// Judges `layers`; the first value that does not do is the error.
    package init(_ layers: SettingLayers, processors: Int) throws(ConfigurationError) {
        let read = SettingReader(layers)
        dataDirectory = try read.text(.dataDirectory)
        swarmName = try read.parsed(.swarmName, "1 to 32 letters, digits, spaces, . _ or -", Self.swarmName) ?? "home"
        http =
            try read.parsed(.http, "ADDRESS:PORT, such as 127.0.0.1:7780", ListenAddress.init(text:))
            ?? Self.defaultHTTP
        port = try read.parsed(.port, "a port, 0 to 65535", { UInt16($0) }) ?? Self.defaultPort
        let limit = Self.workerLimit
        workers =
            try read.parsed(.workers, "a number from 1 to \(limit)", { Self.number($0, 1...limit) })
            ?? min(max(1, processors), limit)
        join = try read.joinStrings()
        maximumChildren = try read.parsed(
            .maximumChildren, "a number from 0 to \(Self.childrenLimit)", { Self.number($0, 0...Self.childrenLimit) })
        announce = try read.parsedList(.announce, "an IP address") { text in
            NetworkAddress(host: text, port: 0).flatMap { $0.isUnspecified ? nil : $0.host }
        }
        publicURL = try read.parsed(.publicURL, "an http:// or https:// URL without a query", Self.baseURL)
        tlsCertificate = try read.text(.tlsCertificate)
        tlsKey = try read.text(.tlsKey)
        isOpen = try read.parsed(.open, "true or false", Self.boolean) ?? false
        requiresTokens = try read.parsed(.tokens, "true or false", Self.boolean) ?? false
        tokenKey = try read.text(.tokenKey)
        iceServers = try read.parsedList(
            .iceServer, "stun:HOST:PORT or turn:HOST:PORT;username=U;credential=C", ICEServer.init(text:))
        let levels = ["trace", "debug", "info", "notice", "warning", "error", "critical"]
        logLevel =
            try read.parsed(.logLevel, levels.joined(separator: ", "), { levels.contains($0) ? $0 : nil }) ?? "warning"
        try checkTogether()
    }

    /// What single values cannot show.
    private func checkTogether() throws(ConfigurationError) {
        if port != 0, Int(port) + workers > 65535 {
            throw ConfigurationError("--port \(port) leaves no room for \(workers) workers below 65536")
        }
        if (tlsCertificate == nil) != (tlsKey == nil) {
            throw ConfigurationError("--tls-cert and --tls-key go together")
        }
        if isOpen, requiresTokens || tokenKey != nil {
            throw ConfigurationError("--open contradicts --tokens and --token-key")
        }
        if !http.isLoopback, !isOpen, !requiresTokens, tokenKey == nil {
            throw ConfigurationError(
                "refusing to listen on \(http) for everybody: add --tokens or --token-key FILE, or say --open")
        }
    }

    private static func number(_ text: String, _ range: ClosedRange<Int>) -> Int? {
        Int(text).flatMap { range.contains($0) ? $0 : nil }
    }

    private static func boolean(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true", "yes", "on", "1": true
        case "false", "no", "off", "0": false
        default: nil
        }
    }

    private static func swarmName(_ text: String) -> String? {
        let isLegal = text.utf8.allSatisfy { byte in
            byte == UInt8(ascii: " ") || StreamName(String(UnicodeScalar(byte))) != nil || byte == UInt8(ascii: ".")
        }
        return (1...32).contains(text.utf8.count) && isLegal ? text : nil
    }

    private static func baseURL(_ text: String) -> String? {
        guard let scheme = ["https://", "http://"].first(where: text.hasPrefix) else { return nil }
        let isSafe = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && !"?#<>\"\\".utf8.contains($0) }
        let trimmed = text.hasSuffix("/") ? String(text.dropLast()) : text
        guard isSafe, trimmed.utf8.count > scheme.utf8.count, trimmed.utf8.count < 512 else { return nil }
        return trimmed.hasSuffix("/") ? nil : trimmed
    }
}

/// Reads single settings out of the layers, with one form of message for all of them.
private struct SettingReader {
    private let layers: SettingLayers

    init(_ layers: SettingLayers) { self.layers = layers }

    func text(_ setting: Setting) throws(ConfigurationError) -> String? {
        try parsed(setting, "a value that is not empty") { $0.isEmpty ? nil : $0 }
    }

    func parsed<Value>(
        _ setting: Setting, _ expected: String, _ parse: (String) -> Value?
    ) throws(ConfigurationError) -> Value? {
        guard let values = layers[setting] else { return nil }
        guard values.texts.count == 1, let value = parse(values.texts[0]) else {
            throw wrong(values, setting, expected)
        }
        return value
    }

    func parsedList<Value>(
        _ setting: Setting, _ expected: String, _ parse: (String) -> Value?
    ) throws(ConfigurationError) -> [Value] {
        guard let values = layers[setting] else { return [] }
        var list: [Value] = []
        for text in values.texts {
            guard let value = parse(text) else { throw wrong(values, setting, expected) }
            list.append(value)
        }
        return list
    }

    func joinStrings() throws(ConfigurationError) -> [JoinString] {
        guard let values = layers[.join] else { return [] }
        var list: [JoinString] = []
        for text in values.texts {
            do throws(JoinStringError) {
                list.append(try JoinString(parsing: text))
            } catch {
                throw ConfigurationError("\(values.source): \(error.description)")
            }
        }
        guard Set(list.map(\.secret)).count <= 1 else {
            throw ConfigurationError("\(values.source): the join strings are of different swarms")
        }
        return list
    }

    private func wrong(_ values: SettingValues, _ setting: Setting, _ expected: String) -> ConfigurationError {
        let shown = setting.isSecret ? "" : ", not '\(values.texts.joined(separator: ",").prefix(80))'"
        return ConfigurationError("\(values.source): expected \(expected)\(shown)")
    }
}
