import SwarmCore

/// The 64-bit keyed hash behind `CryptoSuite.counted`: quick, well mixed, and no cryptography.
struct CountedHash {
    private var state: UInt64
    private var length: UInt64 = 0

    init(seed: UInt64) { state = seed ^ 0x6d61_6661_6c64_6121 }

    mutating func update(_ word: UInt64) {
        state = (state ^ word) &* 0x9e37_79b9_7f4a_7c15
        state ^= state >> 29
        length &+= 8
    }

    mutating func update(_ value: Bytes32) {
        update(value.word0)
        update(value.word1)
        update(value.word2)
        update(value.word3)
    }

    mutating func update(_ value: Bytes64) {
        update(value.first)
        update(value.second)
    }

    mutating func update(_ bytes: Span<UInt8>) {
        var index = 0
        while index + 8 <= bytes.count {
            update(bytes.loadUInt64(at: index))
            index += 8
        }
        var tail: UInt64 = 1
        while index < bytes.count {
            tail = tail << 8 | UInt64(bytes[index])
            index += 1
        }
        update(tail)
        update(UInt64(bytes.count))
    }

    /// The hash so far; `lane` makes independent outputs of one state.
    func finish(lane: UInt64 = 0) -> UInt64 {
        var mixed = state ^ length &* 0xbf58_476d_1ce4_e5b9 ^ (lane &+ 1) &* 0x94d0_49bb_1331_11eb
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    func finish32(lane: UInt64 = 0) -> Bytes32 {
        let base = lane &* 8
        return Bytes32(finish(lane: base), finish(lane: base + 1), finish(lane: base + 2), finish(lane: base + 3))
    }

    func finish64(lane: UInt64 = 0) -> Bytes64 {
        Bytes64(finish32(lane: lane &* 2), finish32(lane: lane &* 2 + 1))
    }
}
