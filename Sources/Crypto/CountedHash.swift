import SwarmCore

/// The 64-bit keyed hash behind `CryptoSuite.counted`: quick, well mixed at the end, and no cryptography.
///
/// Each word is multiplied by an odd number of its own and summed, so that words do not wait for one another: a changed
/// word always changes the sum, two changed ones all but always.
struct CountedHash {
    private var state: UInt64
    private var factor: UInt64

    init(seed: UInt64) {
        state = seed ^ 0x6d61_6661_6c64_6121
        // Odd, and another one for every seed: equal words after different seeds count differently.
        factor = (seed &* 0xbf58_476d_1ce4_e5b9) << 1 | 1
    }

    mutating func update(_ word: UInt64) {
        // The upper half is folded in because a product carries changes upwards only.
        state &+= (word ^ word >> 32) &* factor
        factor &+= 0x9e37_79b9_7f4a_7c16
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
        let count = bytes.count
        update(UInt64(count))
        var index = 0
        while index + 8 <= count {
            update(bytes.loadUInt64(at: index))
            index += 8
        }
        guard index < count else { return }
        if count >= 8 {
            update(bytes.loadUInt64(at: count - 8))
        } else {
            var tail: UInt64 = 1
            while index < count {
                tail = tail << 8 | UInt64(bytes[index])
                index += 1
            }
            update(tail)
        }
    }

    /// The hash so far; `lane` makes independent outputs of one state.
    func finish(lane: UInt64 = 0) -> UInt64 {
        var mixed = state ^ factor &* 0xbf58_476d_1ce4_e5b9 ^ (lane &+ 1) &* 0x94d0_49bb_1331_11eb
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
