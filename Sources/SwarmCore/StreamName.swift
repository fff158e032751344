/// A stream's name: 1–8 segments of `[A-Za-z0-9._~-]{1,64}` joined by `/`, none `.` or `..`, at most 255 bytes,
/// case-sensitive.
package struct StreamName: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let text: String

    /// Nil where `text` breaks a rule.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count <= 255 else { return nil }
        let segments = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard (1...8).contains(segments.count) else { return nil }
        for segment in segments {
            guard (1...64).contains(segment.count), segment.allSatisfy(Self.isLegal) else { return nil }
            guard !(segment.count <= 2 && segment.allSatisfy { $0 == UInt8(ascii: ".") }) else { return nil }
        }
        self.text = String(text)
    }

    package var description: String { text }

    package static func < (a: StreamName, b: StreamName) -> Bool {
        a.text.utf8.lexicographicallyPrecedes(b.text.utf8)
    }

    /// Whether this name is `prefix` or lies below it, segment by segment; the empty prefix holds every name.
    package func isUnder(_ prefix: String) -> Bool {
        prefix.isEmpty || text == prefix || text.hasPrefix(prefix.hasSuffix("/") ? prefix : prefix + "/")
    }

    private static func isLegal(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"),
            UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
