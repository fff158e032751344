/// The random draws of one directed link, by counting instead of by state: each is a hash of (seed, from, to, time,
/// ordinal, purpose). A node, link or fault more shifts nobody's draws, and nothing is kept per pair.
///
/// The hash is SplitMix64's finaliser (Steele, Lea and Flood 2014) over a sum of odd multiples.
package struct LinkDraws {
    /// What a draw decides. Draws of different purposes are independent.
    package enum Purpose: UInt64 {
        case burst = 1
        case level, rare, faultLoss, access, smallMTU
    }

    /// Mixed from seed, sender and receiver; its bits also serve as the link's constants.
    package let key: UInt64

    package init(seed: UInt64, from: Int, to: Int) {
        let pair = UInt64(truncatingIfNeeded: from) << 32 | UInt64(UInt32(truncatingIfNeeded: to))
        key = Self.mix(seed &+ pair &* 0x9e37_79b9_7f4a_7c15)
    }

    /// The draw of one time window of this link.
    @inline(__always)
    package func window(_ number: UInt64, _ purpose: Purpose) -> UInt64 {
        Self.mix(key &+ number &* 0xd6e8_feb8_6659_fd93 &+ purpose.rawValue &* 0xa076_1d64_78bd_642f)
    }

    /// The draw of one datagram: the `ordinal`th that its sender's call sent at `now`.
    @inline(__always)
    package func datagram(at now: UInt64, ordinal: UInt32) -> UInt64 {
        Self.mix(key &+ now &* 0x9fb2_1c65_1e98_df25 &+ UInt64(ordinal) &* 0xe703_7ed1_a0b4_28db)
    }

    /// A further draw from `draw` for `purpose`.
    @inline(__always)
    package static func derived(_ draw: UInt64, _ purpose: Purpose) -> UInt64 {
        mix(draw &+ purpose.rawValue &* 0xa076_1d64_78bd_642f)
    }

    /// The upper half of `draw` as a number in 0..<1.
    @inline(__always)
    package static func unit(_ draw: UInt64) -> Double { Double(UInt32(truncatingIfNeeded: draw >> 32)) * 0x1p-32 }

    /// The lower half of `draw` as a number in 0..<1.
    @inline(__always)
    package static func lowerUnit(_ draw: UInt64) -> Double { Double(UInt32(truncatingIfNeeded: draw)) * 0x1p-32 }

    @inline(__always)
    package static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

/// Windows of time of a power of two nanoseconds: splitting an instant into number and place costs a shift and a mask.
package struct TimeWindows: Sendable {
    package let shift: UInt64
    package var nanoseconds: UInt64 { 1 << shift }
    private let mask: UInt64
    private let scale: Double

    /// The shortest windows of at least `milliseconds`.
    package init(atLeastMilliseconds milliseconds: Double) {
        var shift: UInt64 = 10
        while Double(1 << shift as UInt64) < milliseconds * 1_000_000 { shift += 1 }
        self.shift = shift
        mask = 1 << shift - 1
        scale = 1 / Double(1 << shift as UInt64)
    }

    /// The window of `now` on a link, whose windows begin at a phase of its own.
    @inline(__always)
    package func number(at now: UInt64, on link: LinkDraws) -> UInt64 { (now &+ (link.key & mask)) >> shift }

    /// Nanoseconds since that window began.
    @inline(__always)
    package func offset(at now: UInt64, on link: LinkDraws) -> UInt64 { (now &+ (link.key & mask)) & mask }

    /// `offset` as a share of the window, 0..<1.
    @inline(__always)
    package func share(of offset: UInt64) -> Double { Double(Int64(truncatingIfNeeded: offset)) * scale }
}
