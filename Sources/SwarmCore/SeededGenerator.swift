/// xoshiro256** 1.0 (Blackman and Vigna 2018): the only randomness a machine has, handed to it by its driver.
///
/// Not for keys: those come from the entropy seam of `SwarmCrypto`.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    /// Expands `seed` with SplitMix64, as the authors advise.
    package init(seed: UInt64) {
        var mixer = SplitMix64(state: seed)
        state = (mixer.next(), mixer.next(), mixer.next(), mixer.next())
    }

    /// A generator for the part named by `label`, independent of how often this one was drawn from elsewhere: derive
    /// children from a root that is never drawn from, so that adding a part shifts nobody's draws.
    package func child(_ label: UInt64) -> SeededGenerator {
        var mixer = SplitMix64(state: state.0 ^ (label &* 0x9e37_79b9_7f4a_7c15))
        return SeededGenerator(seed: mixer.next() ^ state.3)
    }

    package mutating func next() -> UInt64 {
        let result = (state.1 &* 5).rotatedLeft(by: 7) &* 9
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = state.3.rotatedLeft(by: 45)
        return result
    }

    /// Uniform in 0..<1.
    package mutating func unitInterval() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// Uniform in 0..<bound, which must be positive.
    package mutating func integer(below bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }

    /// `interval` scaled by a uniform factor in 1-fraction ..< 1+fraction: timers that must not march in step.
    package mutating func jittered(_ interval: Interval, by fraction: Double) -> Interval {
        let factor = 1 - fraction + 2 * fraction * unitInterval()
        return Interval(nanoseconds: Int64(Double(interval.nanoseconds) * factor))
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014), for seeding.
private struct SplitMix64 {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

extension UInt64 {
    fileprivate func rotatedLeft(by bits: UInt64) -> UInt64 { self << bits | self >> (64 - bits) }
}
