import CSodium
import SwarmCore
import Synchronization

/// Which cryptography a part runs on. Handed down from whoever composes a node, so that the simulator can run
/// thousands of nodes without spending its time in curve arithmetic.
///
/// `.real` is the cryptography of PROTOCOL.md. `.counted` keeps every size and every refusal (a changed byte or a
/// wrong key still fails, by a 64-bit keyed tag), hides nothing, stops nobody, and adds up what the real thing would
/// have cost.
package struct CryptoSuite: Sendable {
    package enum Kind: Sendable { case real, counted }

    package var kind: Kind { cost == nil ? .real : .counted }
    /// Nil for the real thing: one word is all a suite is.
    private let cost: CostCell?

    /// The cryptography of PROTOCOL.md.
    package static let real = CryptoSuite(cost: nil)

    /// A stand-in of equal sizes with a cost counter of its own; copies of the value share the counter, which is exact
    /// as long as one thread uses them (a simulation is one thread).
    package static func counted() -> CryptoSuite { CryptoSuite(cost: CostCell()) }

    /// What the real operations would have cost so far, in nanoseconds of one core; always 0 for `.real`.
    package var costNanoseconds: UInt64 { cost?.nanoseconds.load(ordering: .relaxed) ?? 0 }

    var isCounted: Bool { cost != nil }

    func charge(_ operation: CryptoOperation) {
        guard let cost else { return }
        // Not an atomic addition: that would cost more than the operation it stands for.
        let sum = cost.nanoseconds.load(ordering: .relaxed) &+ operation.nanoseconds
        cost.nanoseconds.store(sum, ordering: .relaxed)
    }
}

/// An operation that `CryptoSuite.counted` prices.
enum CryptoOperation {
    case agreement, signature, verification, sealing, opening

    /// Medians of one core of the reference machine (ARCHITECTURE.md, "Measured"), control-message sizes.
    var nanoseconds: UInt64 {
        switch self {
        case .agreement: 40_000
        case .signature: 25_000
        case .verification: 60_000
        case .sealing, .opening: 1_300
        }
    }
}

private final class CostCell: Sendable {
    let nanoseconds = Atomic<UInt64>(0)
}

/// libsodium's one-time set-up: it chooses the processor's fastest code and opens the entropy source.
enum Sodium {
    private static let isReady = sodium_init() >= 0

    static func prepare() { precondition(isReady, "libsodium could not be initialised") }
}
