/// Accepts every packet counter once, within a window behind the newest (RFC 6479). No heap.
package typealias ReplayWindow = SlidingWindow<32>

/// The window of `wordCount` × 64 counters, of which one word is always being cleared. `wordCount` is a power of two.
@usableFromInline
package struct SlidingWindow<let wordCount: Int>: Sendable {
    /// Counters further behind the newest than this are refused.
    @inlinable
    package static var width: UInt64 { UInt64(wordCount * 64 - 64) }

    @usableFromInline var words = InlineArray<wordCount, UInt64>(repeating: 0)
    /// One more than the newest accepted counter; 0 before the first.
    @usableFromInline var next: UInt64 = 0

    @inlinable
    package init() {}

    /// The newest accepted counter, or nil before the first.
    @inlinable
    package var newest: UInt64? { next == 0 ? nil : next - 1 }

    /// Whether `counter` is neither accepted before nor too old. Ask before decrypting, `accept` after.
    @inlinable
    package func isFresh(_ counter: UInt64) -> Bool {
        guard counter != .max else { return false }
        guard counter < next else { return true }
        guard next - counter <= Self.width else { return false }
        return words[place(counter >> 6)] & (1 << (counter & 63)) == 0
    }

    /// Marks `counter` and returns whether it was fresh.
    @inlinable
    package mutating func accept(_ counter: UInt64) -> Bool {
        guard isFresh(counter) else { return false }
        if counter >= next {
            // Words between the newest one and the counter's now stand for later counters.
            let first = next == 0 ? 0 : (next - 1) >> 6 + 1
            let last = counter >> 6
            if next == 0 || last >= first {
                let span = next == 0 ? UInt64(wordCount) : min(last - first + 1, UInt64(wordCount))
                for step in 0..<span { words[place(last &- step)] = 0 }
            }
            next = counter + 1
        }
        words[place(counter >> 6)] |= 1 << (counter & 63)
        return true
    }

    @inlinable
    func place(_ word: UInt64) -> Int { Int(truncatingIfNeeded: word) & (wordCount - 1) }
}
