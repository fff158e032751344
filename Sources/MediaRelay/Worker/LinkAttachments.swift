import SwarmCore

/// A stream whose media arrives over a link.
struct IncomingStream: Sendable {
    let alias: UInt32
    let stream: SlotID
    var layers: LayerSet
    /// Set when another parent has taken over: what is still under way is welcome until then.
    var expires: MonotonicInstant?
    /// While a layer is unanswered, RESUME is repeated.
    var resumeDue: MonotonicInstant?
    var resumeAttempts = 0
    /// Layers for which neither HEAD nor media has come since RESUME.
    private(set) var unanswered = LayerSet.none

    /// A parent that never answers is the control thread's matter; we stop asking.
    static var resumeAttemptLimit: Int { 60 }
    /// The parent's control thread may attach the child a moment after the link is up, so the first repetitions are
    /// quick: 20, 40, 60 … 100 ms.
    var resumeInterval: Interval { .milliseconds(Int64(min(5, max(1, resumeAttempts))) * 20) }
    static var lingering: Interval { .seconds(2) }

    init(alias: UInt32, stream: SlotID, layers: LayerSet) {
        self.alias = alias
        self.stream = stream
        self.layers = layers
    }

    mutating func beginResume(at now: MonotonicInstant) {
        unanswered = layers
        resumeAttempts = 0
        resumeDue = now
    }

    mutating func noteAnswered(bit: UInt8) {
        guard resumeDue != nil, bit < 64 else { return }
        unanswered.bits &= ~(1 << UInt64(bit))
        if unanswered.isEmpty { resumeDue = nil }
    }
}

/// A stream whose media leaves over a link.
struct OutgoingStream: Sendable {
    struct Layer: Sendable {
        let bit: UInt8
        let slot: SlotID
        /// Nil until the child's RESUME says from where.
        var subscription: Subscription?
        var firstSends = FirstSendWindow()
        var wake: MonotonicInstant? { subscription?.wake }
    }

    let alias: UInt32
    let stream: SlotID
    var epoch: UInt64
    var epochTag: UInt8
    var wanted: LayerSet
    var layers: [Layer] = []
    /// When layers start from the last key frame although no RESUME came for them.
    var startDue: MonotonicInstant?
    static var startDelay: Interval { .milliseconds(500) }

    var isReplaying: Bool { layers.contains { $0.wake != nil } }
}

/// Which sequences of one layer were first-sent on a link: proves that media crosses it once. Not a filter: a second
/// first-send leaves and is counted.
struct FirstSendWindow: Sendable {
    private var words = InlineArray<16, UInt64>(repeating: 0)
    private var highest: UInt64?
    private static var width: UInt64 { 1024 }

    /// Marks `sequence`; true where it had been marked. Beyond the window nothing is claimed.
    mutating func mark(_ sequence: UInt64) -> Bool {
        if let highest {
            if sequence > highest {
                var cleared = sequence - highest >= Self.width ? sequence - Self.width : highest
                while cleared < sequence {
                    cleared += 1
                    clear(cleared)
                }
                self.highest = sequence
            } else if highest - sequence >= Self.width {
                return false
            }
        } else {
            highest = sequence
        }
        let word = Int(sequence >> 6 & 15)
        let bit: UInt64 = 1 << (sequence & 63)
        let seen = words[word] & bit != 0
        words[word] |= bit
        return seen
    }

    private mutating func clear(_ sequence: UInt64) { words[Int(sequence >> 6 & 15)] &= ~(1 << (sequence & 63)) }
}

/// What a link datagram of ours carried, so that a loss is made good from the layer's store.
struct SentRecord: Sendable {
    enum Content: Sendable {
        case nothing
        case media(layer: SlotID, alias: UInt32, bit: UInt8, sequence: UInt64)
        case ended(alias: UInt32)
    }

    var counter: UInt64 = .max
    var content = Content.nothing
}
