import SwarmCore

/// One stream on this worker: where it comes from and who gets it.
struct StreamState: ~Copyable {
    struct Parent: Sendable {
        var link: SlotID
        var alias: UInt32
        var layers: LayerSet
    }

    let handle: StreamHandle
    var epoch: UInt64
    var epochTag: UInt8
    /// The layer of each bit of a `LayerSet`.
    var layers = InlineArray<64, SlotID?>(repeating: nil)
    var publisher: SlotID?
    var parent: Parent?
    /// Slots of `viewers`, in order of arrival.
    var viewers: [SlotID] = []
    /// Links with an outgoing attachment of this stream.
    var children: [SlotID] = []
    /// Something arrived or became due since the last complete `endBatch`.
    var isDirty = false
    /// Where `endBatch` goes on after the outbox was full: viewers first, then children.
    var nextEgress = 0

    init(handle: StreamHandle, epoch: UInt64) {
        self.handle = handle
        self.epoch = epoch
        epochTag = MediaFrame.tag(ofEpoch: epoch)
    }
}

/// What a datagram's source address belongs to.
enum SessionRef: Sendable, Equatable {
    case publisher(SlotID)
    case viewer(SlotID)
}
