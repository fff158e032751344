import SwarmCore

/// One client's WebRTC connection, or one plain RTP source. Random, chosen by the control thread, never reused.
package struct SessionID: Hashable, Comparable, Sendable {
    package let raw: UInt64
    package init(_ raw: UInt64) { self.raw = raw }
    package static func < (a: SessionID, b: SessionID) -> Bool { a.raw < b.raw }
}

/// A stream within one node: chosen by the control thread, meaningless elsewhere.
package struct StreamHandle: Hashable, Comparable, Sendable {
    package let raw: UInt32
    package init(_ raw: UInt32) { self.raw = raw }
    package static func < (a: StreamHandle, b: StreamHandle) -> Bool { a.raw < b.raw }
}

/// A media link within one worker. Its raw value is the connection id that the peer's packets carry, so it is unique
/// in the node.
package struct LinkHandle: Hashable, Comparable, Sendable {
    package let raw: UInt32
    package init(_ raw: UInt32) { self.raw = raw }
    package static func < (a: LinkHandle, b: LinkHandle) -> Bool { a.raw < b.raw }
}

/// A set of layers of one stream: bit `track * 4 + encoding`, so at most 16 tracks of at most 4 encodings.
package struct LayerSet: Hashable, Sendable {
    package var bits: UInt64
    package init(bits: UInt64) { self.bits = bits }
    package static var none: LayerSet { LayerSet(bits: 0) }
    package static var all: LayerSet { LayerSet(bits: .max) }

    package func contains(track: Int, encoding: Int) -> Bool { bits & (1 << UInt64(track * 4 + encoding)) != 0 }
    package mutating func insert(track: Int, encoding: Int) { bits |= 1 << UInt64(track * 4 + encoding) }
    package func union(_ other: LayerSet) -> LayerSet { LayerSet(bits: bits | other.bits) }
    package var isEmpty: Bool { bits == 0 }
}
