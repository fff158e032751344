import SwarmCore

/// Who monitors whom: the five nodes with the highest rendezvous weight (Thaler and Ravishankar 1998) for the watched
/// node. Everybody computes the same answer from the same member list, and a change of the list moves few watches.
enum Rendezvous {
    /// Weight of `monitor` for `subject`: uniform, and independent for each pair.
    static func weight(of monitor: NodeID, for subject: NodeID) -> UInt64 {
        mix(monitor.bytes.word0 ^ mix(subject.bytes.word1 &+ 0x9e37_79b9_7f4a_7c15))
    }

    /// Whether fewer than `count` of `others` outweigh `monitor`. Stops as soon as it is decided, so that walking a
    /// member list of n costs about n log n weights.
    static func monitors(_ monitor: NodeID, _ subject: NodeID, among others: [Member], count: Int) -> Bool {
        let mine = weight(of: monitor, for: subject)
        var heavier = 0
        for other in others where other.status.isPresent && other.id != subject && other.id != monitor {
            let theirs = weight(of: other.id, for: subject)
            if theirs > mine || (theirs == mine && other.id < monitor) {
                heavier += 1
                if heavier >= count { return false }
            }
        }
        return true
    }

    /// The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
    static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
