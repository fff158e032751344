import SwarmCore

/// One packet of a layer in its canonical form: what crosses the swarm unchanged. Its bytes are canonical extensions
/// (id, length, value; ids of `HeaderExtension`) followed by the payload.
package struct StoredPacket: Sendable {
    package var sequence: UInt64
    package var timestamp: UInt32
    package var arrival: MonotonicInstant
    package var marker: Bool
    package var place: FramePlace
    package var extensionCount: Int
    package var payloadCount: Int
    /// Bytes ever written before this packet's.
    fileprivate var position: UInt64

    package init(
        sequence: UInt64, timestamp: UInt32, arrival: MonotonicInstant, marker: Bool, place: FramePlace,
        extensionCount: Int, payloadCount: Int
    ) {
        self.sequence = sequence
        self.timestamp = timestamp
        self.arrival = arrival
        self.marker = marker
        self.place = place
        self.extensionCount = extensionCount
        self.payloadCount = payloadCount
        position = 0
    }

    fileprivate static var none: StoredPacket {
        StoredPacket(
            sequence: .max, timestamp: 0, arrival: .zero, marker: false,
            place: FramePlace(startsFrame: false, startsKeyFrame: false), extensionCount: 0, payloadCount: 0)
    }

    package var byteCount: Int { extensionCount + payloadCount }
}

/// The recent packets of one layer: the only retransmission cache, shared by every viewer and link.
///
/// A ring of bytes holds what arrived, in order of arrival; a ring of entries finds a packet by its sequence in one
/// step; a ring of arrivals lets each egress keep a cursor. Nothing is evicted by hand: an entry is alive while the
/// byte ring has not come round to it. A sequence enters at most once in the store's life, which is what lets a
/// viewer's packets be encrypted again under the same index without ever meeting other content.
package struct PacketStore: ~Copyable {
    package enum Insertion { case stored, duplicate, late }

    private var arena: ByteArena
    private var entries: [StoredPacket]
    private var arrivals: [UInt64]
    private let mask: UInt64
    private let byteCapacity: Int
    private var writePosition: UInt64 = 0
    private var isOpen = false
    /// Packets ever stored; the cursor of an egress that has sent everything.
    package private(set) var arrivalCount: UInt64 = 0
    /// The highest sequence stored, 0 before the first packet.
    package private(set) var highest: UInt64 = 0

    /// Memory is taken when the first packet arrives. `packetCapacity` must be a power of two.
    package init(byteCapacity: Int, packetCapacity: Int) {
        precondition(packetCapacity > 0 && packetCapacity & (packetCapacity - 1) == 0, "\(packetCapacity) packets")
        precondition(byteCapacity >= 2 * PacketLimits.mediaBytes, "store of \(byteCapacity) bytes")
        arena = ByteArena(capacity: 1)
        entries = []
        arrivals = []
        mask = UInt64(packetCapacity - 1)
        self.byteCapacity = byteCapacity
    }

    package var isEmpty: Bool { arrivalCount == 0 }
    package var packetCapacity: UInt64 { mask + 1 }

    /// Whether `insert` would take this sequence.
    package func admission(of sequence: UInt64) -> Insertion {
        guard isOpen else { return .stored }
        if highest > mask, sequence < highest - mask { return .late }
        return entries[Int(sequence & mask)].sequence == sequence ? .duplicate : .stored
    }

    /// Stores a packet whose canonical extensions and payload are given, unless it was stored before or is too old.
    package mutating func insert(
        _ packet: StoredPacket, extensions: Span<UInt8>, payload: Span<UInt8>
    ) -> Insertion {
        if !isOpen { open() }
        let admission = admission(of: packet.sequence)
        guard admission == .stored else { return admission }
        let count = extensions.count + payload.count
        var offset = Int(writePosition % UInt64(byteCapacity))
        if offset + count > byteCapacity {
            // A packet never straddles the end: it starts the next round.
            writePosition += UInt64(byteCapacity - offset)
            offset = 0
        }
        var entry = packet
        entry.extensionCount = extensions.count
        entry.payloadCount = payload.count
        entry.position = writePosition
        var target = arena.mutableBytes(in: offset..<(offset + count))
        target.copy(extensions, to: 0)
        target.copy(payload, to: extensions.count)
        writePosition += UInt64(count)
        entries[Int(packet.sequence & mask)] = entry
        arrivals[Int(arrivalCount & mask)] = packet.sequence
        arrivalCount += 1
        highest = max(highest, packet.sequence)
        return .stored
    }

    /// The packet, while its bytes are still there.
    package func packet(_ sequence: UInt64) -> StoredPacket? {
        guard isOpen else { return nil }
        let entry = entries[Int(sequence & mask)]
        guard entry.sequence == sequence, writePosition - entry.position <= UInt64(byteCapacity) else { return nil }
        return entry
    }

    /// The sequence of the `arrival`-th packet stored, or nil once the ring has come round.
    package func sequence(ofArrival arrival: UInt64) -> UInt64? {
        guard arrival < arrivalCount, arrivalCount - arrival <= mask + 1 else { return nil }
        return arrivals[Int(arrival & mask)]
    }

    /// Canonical extensions, then payload, of a packet that `packet(_:)` just returned.
    @_lifetime(borrow self)
    package func bytes(of packet: StoredPacket) -> Span<UInt8> {
        let offset = Int(packet.position % UInt64(byteCapacity))
        return arena.bytes(in: offset..<(offset + packet.byteCount))
    }

    private mutating func open() {
        isOpen = true
        arena = ByteArena(capacity: byteCapacity)
        entries = Array(repeating: .none, count: Int(mask) + 1)
        arrivals = Array(repeating: 0, count: Int(mask) + 1)
    }
}
