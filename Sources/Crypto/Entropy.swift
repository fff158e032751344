import CSodium
import SwarmCore

/// Where keys come from: the operating system, or a seed in the simulator and the tests.
package struct Entropy: Sendable {
    private enum Source: Sendable {
        case system
        case seeded(SeededGenerator)
    }

    private var source: Source

    /// The operating system's generator, by libsodium.
    package static var system: Entropy { Entropy(source: .system) }

    /// Reproducible, and worthless as a secret: for the simulator and tests only.
    package static func seeded(_ generator: SeededGenerator) -> Entropy { Entropy(source: .seeded(generator)) }

    package mutating func uint64() -> UInt64 {
        switch source {
        case .system:
            Sodium.prepare()
            return UInt64(randombytes_random()) << 32 | UInt64(randombytes_random())
        case .seeded(var generator):
            let value = generator.next()
            source = .seeded(generator)
            return value
        }
    }

    package mutating func bytes32() -> Bytes32 { Bytes32(uint64(), uint64(), uint64(), uint64()) }

    package mutating func fill(_ bytes: inout MutableSpan<UInt8>) {
        var word: UInt64 = 0
        for index in 0..<bytes.count {
            if index & 7 == 0 { word = uint64() }
            bytes[index] = UInt8(truncatingIfNeeded: word)
            word >>= 8
        }
    }
}
