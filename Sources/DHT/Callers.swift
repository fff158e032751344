import SwarmCore

/// Strangers whose first request came inside a first handshake message, until their links are open: the latest few. More at
/// a time crowd each other out, which costs no more than that some are not entered in the table.
struct Callers: Sendable {
    struct Caller: Sendable {
        /// Of the id; two that share it are taken for one.
        let word0: UInt64
        let place: Coordinate?
    }

    /// A link opens within a round trip: enough for 64 a second over half a second.
    static var limit: Int { 32 }

    /// Oldest first.
    private var callers: [Caller] = []

    mutating func note(_ id: NodeID, _ place: Coordinate?) {
        callers.removeAll { $0.word0 == id.bytes.word0 }
        if callers.count == Self.limit { callers.removeFirst() }
        callers.append(Caller(word0: id.bytes.word0, place: place))
    }

    mutating func take(_ id: NodeID) -> Caller? {
        guard let index = callers.lastIndex(where: { $0.word0 == id.bytes.word0 }) else { return nil }
        return callers.remove(at: index)
    }
}
