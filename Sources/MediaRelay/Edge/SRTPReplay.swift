import SwarmCore

/// What is known of the packets received from one source: the highest index and which of the last 1,024 have come
/// (RFC 3711 §3.3.1 and §3.3.2). Updated only after a packet proved authentic.
struct ReceivedSource {
    let ssrc: UInt32
    private(set) var highest: UInt64
    /// Bit `index % 1024`; bits above `highest - 1024` are valid.
    private var seen = InlineArray<16, UInt64>(repeating: 0)

    /// A source whose first authentic packet had `index`.
    init(ssrc: UInt32, index: UInt64) {
        self.ssrc = ssrc
        highest = index
        set(index)
    }

    /// The 48-bit index nearest to the highest seen whose low 16 bits are `sequence`.
    func estimateIndex(of sequence: UInt16) -> UInt64 {
        let guess = highest & ~0xffff | UInt64(sequence)
        if guess + 0x8000 < highest { return guess + 0x1_0000 }
        if guess > highest + 0x8000, guess >= 0x1_0000 { return guess - 0x1_0000 }
        return guess
    }

    /// Whether `index` has come before, or is too old to know.
    func isReplay(_ index: UInt64) -> Bool {
        if index > highest { return false }
        if highest - index >= EdgeLimits.replayWindow { return true }
        return seen[Int(index >> 6 & 15)] & 1 << (index & 63) != 0
    }

    mutating func record(_ index: UInt64) {
        if index > highest {
            if index - highest >= EdgeLimits.replayWindow {
                seen = InlineArray(repeating: 0)
            } else {
                var skipped = highest + 1
                while skipped < index {
                    seen[Int(skipped >> 6 & 15)] &= ~(1 << (skipped & 63))
                    skipped += 1
                }
            }
            highest = index
        }
        set(index)
    }

    private mutating func set(_ index: UInt64) { seen[Int(index >> 6 & 15)] |= 1 << (index & 63) }
}

/// The sources of one session, bounded. A linear search from the last hit: a session has a handful.
struct ReceivedSourceTable {
    /// Reached directly: an accessor of ours would be a coroutine with a frame on the heap where it is not inlined.
    var sources: [ReceivedSource] = []
    private var lastHit = 0

    var count: Int { sources.count }
    var isFull: Bool { sources.count >= EdgeLimits.sourcesPerSession }

    mutating func find(_ ssrc: UInt32) -> Int? {
        if lastHit < sources.count, sources[lastHit].ssrc == ssrc { return lastHit }
        for index in sources.indices where sources[index].ssrc == ssrc {
            lastHit = index
            return index
        }
        return nil
    }

    /// The caller has checked `isFull`.
    mutating func insert(_ source: ReceivedSource) { sources.append(source) }
}
