/// Accepts every packet counter once, within a window behind the newest (RFC 6479). No heap.
package struct ReplayWindow: Sendable {
    /// Counters further behind the newest than this are refused: one word of the ring is always being cleared.
    package static var width: UInt64 { 2048 - 64 }

    private var words = InlineArray<32, UInt64>(repeating: 0)
    /// One more than the newest accepted counter; 0 before the first.
    private var next: UInt64 = 0

    package init() {}

    /// The newest accepted counter, or nil before the first.
    package var newest: UInt64? { next == 0 ? nil : next - 1 }

    /// Whether `counter` is neither accepted before nor too old. Ask before decrypting, `accept` after.
    package func isFresh(_ counter: UInt64) -> Bool {
        guard counter != .max else { return false }
        guard counter < next else { return true }
        guard next - counter <= Self.width else { return false }
        return words[Int(counter >> 6 & 31)] & (1 << (counter & 63)) == 0
    }

    /// Marks `counter` and returns whether it was fresh.
    package mutating func accept(_ counter: UInt64) -> Bool {
        guard isFresh(counter) else { return false }
        if counter >= next {
            // Words between the newest one and the counter's now stand for later counters.
            let first = next == 0 ? 0 : (next - 1) >> 6 + 1
            let last = counter >> 6
            if next == 0 || last >= first {
                let span = next == 0 ? 32 : min(last - first + 1, 32)
                for step in 0..<span { words[Int((last &- step) & 31)] = 0 }
            }
            next = counter + 1
        }
        words[Int(counter >> 6 & 31)] |= 1 << (counter & 63)
        return true
    }
}
