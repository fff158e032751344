import SwarmCore

extension MediaLink {
    /// Sends what the outgoing stream at `index` owes its child, in one run.
    mutating func forward(
        stream index: Int, layers: borrowing Slab<MediaLayer>, at now: Now, into out: inout Outbox
    ) -> ForwardOutcome {
        guard remoteAddress != nil else { return .done(wake: nil) }
        var wake: MonotonicInstant?
        for position in outgoing[index].layers.indices {
            let slot = outgoing[index].layers[position].slot
            guard layers.contains(slot) else { continue }
            guard forward(stream: index, layer: position, from: layers[slot], at: now, into: &out) else {
                return .outboxFull
            }
            wake = Deadline.earlier(wake, outgoing[index].layers[position].subscription?.wake)
        }
        return .done(wake: wake)
    }

    private mutating func forward(
        stream index: Int, layer position: Int, from layer: borrowing MediaLayer, at now: Now, into out: inout Outbox
    ) -> Bool {
        guard outgoing[index].layers[position].subscription?.hasWork(in: layer, at: now.monotonic) == true else {
            return true
        }
        let slot = outgoing[index].layers[position].slot
        let bit = outgoing[index].layers[position].bit
        let alias = outgoing[index].alias
        let epochTag = outgoing[index].epochTag
        while true {
            guard out.freeDatagrams > 0, out.freeBytes >= PacketLimits.linkDatagramBytes else { return false }
            guard let packet = outgoing[index].layers[position].subscription?.next(in: layer, at: now.monotonic) else {
                return true
            }
            statistics.framesFirstSent &+= 1
            if outgoing[index].layers[position].firstSends.mark(packet.sequence) {
                statistics.framesFirstSentTwice &+= 1
            }
            sendMedia(
                packet, bytes: layer.store.bytes(of: packet), layer: slot, bit: bit, alias: alias, epochTag: epochTag,
                repairing: nil, at: now.monotonic, into: &out)
        }
    }

    /// Serves one counter of the child's NACK from the layer it was of; the reason where it can't.
    mutating func repair(
        counter: UInt64, sequence: UInt64, slot: SlotID, bit: UInt8, alias: UInt32,
        layers: borrowing Slab<MediaLayer>, at now: MonotonicInstant, into out: inout Outbox
    ) -> MediaRefusal? {
        repair(
            counter: counter, sequence: sequence, slot: slot, bit: bit, alias: alias, from: layers[slot], at: now,
            into: &out)
    }

    private mutating func repair(
        counter: UInt64, sequence: UInt64, slot: SlotID, bit: UInt8, alias: UInt32, from layer: borrowing MediaLayer,
        at now: MonotonicInstant, into out: inout Outbox
    ) -> MediaRefusal? {
        guard let index = outgoingIndex(alias: alias), let packet = layer.store.packet(sequence)
        else { return .repairNotStored }
        guard takeRepair(bytes: packet.byteCount + RepairBudget.overheadBytes, at: now) else {
            return .repairOverBudget
        }
        sendMedia(
            packet, bytes: layer.store.bytes(of: packet), layer: slot, bit: bit, alias: alias,
            epochTag: outgoing[index].epochTag, repairing: counter, at: now, into: &out)
        return nil
    }

    /// Serves one hole that a child named in RESUME.
    mutating func fill(
        sequenceLow: UInt32, stream index: Int, layer position: Int, layers: borrowing Slab<MediaLayer>,
        at now: MonotonicInstant, into out: inout Outbox
    ) {
        fill(
            sequenceLow: sequenceLow, stream: index, layer: position,
            from: layers[outgoing[index].layers[position].slot], at: now, into: &out)
    }

    private mutating func fill(
        sequenceLow: UInt32, stream index: Int, layer position: Int, from layer: borrowing MediaLayer,
        at now: MonotonicInstant, into out: inout Outbox
    ) {
        let sequence = Counter64.expand(sequenceLow, near: layer.store.highest)
        guard let packet = layer.store.packet(sequence),
            takeRepair(bytes: packet.byteCount + RepairBudget.overheadBytes, at: now)
        else { return }
        let attached = outgoing[index]
        _ = outgoing[index].layers[position].firstSends.mark(sequence)
        statistics.packetsRetransmitted &+= 1
        sendMedia(
            packet, bytes: layer.store.bytes(of: packet), layer: attached.layers[position].slot,
            bit: attached.layers[position].bit, alias: attached.alias, epochTag: attached.epochTag, repairing: nil,
            at: now, into: &out)
    }

    /// States what we have of an incoming stream's layer (RESUME): the parent sends the rest.
    mutating func sendResume(
        alias: UInt32, bit: UInt8, epoch: UInt64, slot: SlotID, layers: borrowing Slab<MediaLayer>,
        at now: MonotonicInstant, into out: inout Outbox
    ) {
        sendResume(alias: alias, bit: bit, epoch: epoch, of: layers[slot], at: now, into: &out)
    }

    private mutating func sendResume(
        alias: UInt32, bit: UInt8, epoch: UInt64, of layer: borrowing MediaLayer, at now: MonotonicInstant,
        into out: inout Outbox
    ) {
        var holes = InlineArray<48, UInt32>(repeating: 0)
        var count = 0
        let highest = layer.store.highest
        let next = layer.store.isEmpty ? 0 : highest + 1
        if !layer.store.isEmpty {
            var sequence = max(layer.firstSequence, highest > 512 ? highest - 512 : 0)
            while sequence < highest, count < 48 {
                if layer.store.packet(sequence) == nil {
                    holes[count] = UInt32(truncatingIfNeeded: sequence)
                    count += 1
                }
                sequence += 1
            }
        }
        send(at: now, into: &out) { writer in
            writer.appendResumeHead(alias: alias, layer: bit, epoch: epoch, next: next, holeCount: count)
            for index in 0..<count { writer.append(holes[index]) }
        }
    }

    /// Tells the child that the stream has ended; sent again if the datagram is lost.
    mutating func sendEnded(alias: UInt32, at now: MonotonicInstant, into out: inout Outbox) {
        if let counter = send(at: now, into: &out, { $0.appendEnded(alias: alias) }) {
            record(counter, .ended(alias: alias))
        }
    }
}
