/// Splitting and checking of SDP text by bytes: Swift's characters would join CR and LF, or a colon and a combining
/// accent, into one.
package enum SDPText {
    /// The non-empty pieces between separators.
    package static func fields(_ text: Substring, separator: UInt8 = UInt8(ascii: " ")) -> [Substring] {
        text.utf8.split(separator: separator).map { Substring($0) }
    }

    /// The parts before and after the first separator; nil where there is none.
    package static func halves(_ text: Substring, at separator: UInt8) -> (head: Substring, tail: Substring)? {
        guard let index = text.utf8.firstIndex(of: separator) else { return nil }
        return (text[..<index], text[text.utf8.index(after: index)...])
    }

    package static func trimmed(_ text: Substring) -> Substring {
        var bytes = text.utf8
        while let first = bytes.first, isBlank(first) { bytes = bytes.dropFirst() }
        while let last = bytes.last, isBlank(last) { bytes = bytes.dropLast() }
        return Substring(bytes)
    }

    /// RFC 8866 §9 `token`: what a mid, an encoding name or a rid may be.
    package static func isToken(_ text: Substring, limit: Int) -> Bool {
        !text.utf8.isEmpty && text.utf8.count <= limit && text.utf8.allSatisfy(isTokenByte)
    }

    /// Printable ASCII: what may be copied into another node's answer.
    package static func isPrintable(_ text: Substring, limit: Int) -> Bool {
        text.utf8.count <= limit && text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f }
    }

    package static func lowercased(_ text: Substring) -> String {
        String(decoding: text.utf8.map { $0 >= 0x41 && $0 <= 0x5a ? $0 | 0x20 : $0 }, as: UTF8.self)
    }

    package static func equalIgnoringCase(_ first: Substring, _ second: String) -> Bool {
        first.utf8.count == second.utf8.count && lowercased(first) == lowercased(second[...])
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x21, 0x23...0x27, 0x2a, 0x2b, 0x2d, 0x2e, 0x30...0x39, 0x41...0x5a, 0x5e...0x7e: true
        default: false
        }
    }
}
