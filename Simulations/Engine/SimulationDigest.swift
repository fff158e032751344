import SwarmCore

/// A fingerprint of a run: every delivered datagram with its time, ends and bytes, in order. Two runs with equal
/// digests did the same. Quick and well mixed; no defence against anybody.
package struct SimulationDigest: Sendable {
    private var state: UInt64 = 0x6d61_6661_6c64_6121
    package private(set) var datagrams: UInt64 = 0

    package init() {}

    package mutating func add(time: UInt64, from: UInt32, to: UInt32, _ bytes: Span<UInt8>) {
        datagrams += 1
        mix(time)
        mix(UInt64(from) << 32 | UInt64(to))
        mix(UInt64(bytes.count))
        unsafe bytes.withUnsafeBytes { raw in
            var index = 0
            while index + 8 <= raw.count {
                mix(unsafe raw.loadUnaligned(fromByteOffset: index, as: UInt64.self).littleEndian)
                index += 8
            }
            var tail: UInt64 = 0
            while index < raw.count {
                tail = tail << 8 | UInt64(unsafe raw[index])
                index += 1
            }
            mix(tail)
        }
    }

    package mutating func add(_ word: UInt64) { mix(word) }

    /// 16 hexadecimal digits.
    package var text: String {
        let digits = String(state, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    private mutating func mix(_ word: UInt64) {
        state = (state ^ word) &* 0x9e37_79b9_7f4a_7c15
        state ^= state >> 29
    }
}
