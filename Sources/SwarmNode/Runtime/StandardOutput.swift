import Glibc

/// Results go to standard output, unbuffered, so that a script that waits for a line gets it at once.
package enum StandardOutput {
    package static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

    package static func write(_ text: String) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            guard written > 0 else { return }
            bytes = bytes.dropFirst(written)
        }
    }

    /// Ends the process without unwinding: for an operator who asks twice.
    static func exitNow(_ status: Int32) -> Never { _exit(status) }
}
