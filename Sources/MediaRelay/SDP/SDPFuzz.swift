import SwarmCore

/// A body for fuzzers and tests: whatever the text, it is read or refused.
package enum SDPFuzz {
    /// Reads the bytes as each kind of description there is.
    package static func parse(_ bytes: Span<UInt8>) {
        let text = String(decoding: bytes.copied(), as: UTF8.self)
        if let description = try? SessionDescription(parsing: text) {
            // What was read can be written, and what was written reads the same.
            let written = description.text
            if let again = try? SessionDescription(parsing: written) {
                precondition(again.text == written, "a description changed")
            }
        }
        _ = try? TrickleFragment(parsing: text)
        _ = try? PlainRTPDescription(parsing: text, epoch: 1)
    }
}
