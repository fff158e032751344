import SwarmCore

/// What a verified token allows.
package struct AccessClaims: Sendable, Equatable {
    /// Names the bearer may publish.
    package var publish: [NamePattern]
    /// Names the bearer may play.
    package var play: [NamePattern]
    /// Regions the stream must not leave; empty: everywhere.
    package var regions: [String]
    /// Unix seconds.
    package var expiresAtSeconds: UInt64
    /// `mfd1:…`: the word of the key that names are bound to, for the node the bearer publishes at.
    package var delegation: String?

    package init(
        publish: [NamePattern], play: [NamePattern], regions: [String] = [], expiresAtSeconds: UInt64,
        delegation: String? = nil
    ) {
        self.publish = publish
        self.play = play
        self.regions = regions
        self.expiresAtSeconds = expiresAtSeconds
        self.delegation = delegation
    }

    package func allows(_ verb: AccessVerb, _ stream: StreamName) -> Bool {
        let patterns =
            switch verb {
            case .publish: publish
            case .play: play
            }
        return patterns.contains { $0.matches(stream) }
    }
}

package enum AccessVerb: String, Sendable, CaseIterable {
    case publish
    case play
}

/// A stream name, or a prefix of names: `live/alice` is that one stream, `live/*` every stream below `live/`, `*`
/// every stream. The star stands only at the end, after a slash or alone.
package struct NamePattern: Sendable, Hashable, CustomStringConvertible {
    package let text: String

    /// Nil where `text` is neither a name nor a prefix.
    package init?(_ text: String) {
        if text == "*" {
            self.text = text
            return
        }
        let name = text.hasSuffix("/*") ? String(text.dropLast(2)) : text
        guard StreamName(name) != nil else { return nil }
        self.text = text
    }

    package func matches(_ stream: StreamName) -> Bool {
        if text == "*" { return true }
        guard text.hasSuffix("/*") else { return stream.text == text }
        return stream.text.utf8.starts(with: text.utf8.dropLast())
    }

    package var description: String { text }
}
