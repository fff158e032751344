import SwarmCore

extension MediaWorker {
    /// Takes one clear RTP packet of a publisher: parsed once, identified, stored in canonical form.
    mutating func ingest(_ packet: Span<UInt8>, publisher slot: SlotID, only: Int?, at now: Now) {
        guard let header = RTPHeader(packet) else {
            refusals.add(.malformedRTP)
            return
        }
        publishers[slot].noteReceived(bytes: packet.count, at: now.monotonic)
        let (extensions, extensionCount) = Self.readExtensions(
            header, of: packet, ids: publishers[slot].ids, into: &scratch)
        if let sequence = extensions.transportSequence {
            publishers[slot].noteTransportSequence(sequence, at: now.monotonic)
        }
        guard let (index, binding) = publishers[slot].bind(header, of: packet, mid: extensions.mid, only: only) else {
            refusals.add(.unknownTrack)
            return
        }
        var payload = header.payloadRange
        var sequence: UInt64?
        switch binding {
        case .media:
            sequence = publishers[slot].tracks[index].identify(header, at: now.monotonic)
        case .retransmission:
            // Padding that probes the path has no original number (RFC 4588 §4 needs two bytes).
            guard payload.count >= 2 else { break }
            let original = packet.loadUInt16(at: payload.lowerBound)
            payload = (payload.lowerBound + 2)..<payload.upperBound
            sequence = publishers[slot].tracks[index].identifyRepair(of: original)
        case .unknownPayloadType, .unknown:
            refusals.add(.unknownPayloadType)
        }
        publisherDeadlines.bringForward(slot.index, to: publishers[slot].nextDeadline ?? .distantFuture)
        guard let sequence, let layer = publishers[slot].tracks[index].layer, layers.contains(layer) else { return }
        let stored = StoredPacket(
            sequence: sequence, timestamp: header.timestamp, arrival: now.monotonic, marker: header.marker,
            place: place(of: packet.extracting(payload), hint: extensions.place, codec: layers[layer].codec),
            extensionCount: extensionCount, payloadCount: payload.count)
        guard stored.byteCount <= PacketLimits.mediaBytes else { return refusals.add(.tooLarge) }
        let insertion = layers[layer].insert(
            stored, extensions: scratch, payload: packet.extracting(payload), at: now)
        note(insertion, layer: layer)
    }

    private static func readExtensions(
        _ header: RTPHeader, of packet: Span<UInt8>, ids: borrowing PublisherExtensionIDs, into scratch: inout ByteArena
    ) -> (IngestExtensions, Int) {
        var writer = ByteWriter(scratch.mutableBytes(in: 0..<PacketLimits.extensionBytes))
        let found = IngestExtensions.read(header, of: packet, ids: ids, canonical: &writer)
        return (found, writer.count)
    }

    /// A dependency descriptor tells frame starts where the payload's codec does not show them.
    private func place(of payload: Span<UInt8>, hint: FramePlace?, codec: PayloadCodec) -> FramePlace {
        if codec == .unknown || codec == .av1, let hint { return hint }
        return FramePlace.inspect(payload, codec: codec)
    }

    private mutating func note(_ insertion: PacketStore.Insertion, layer slot: SlotID) {
        switch insertion {
        case .stored: markDirty(layers[slot].stream)
        case .duplicate: refusals.add(.duplicatePacket)
        case .late: refusals.add(.latePacket)
        }
    }

    /// Takes a media frame of a parent. The stream's identity is the origin's; nothing is numbered anew.
    mutating func ingest(
        _ frame: MediaFrame, of datagram: Span<UInt8>, link: SlotID, incoming position: Int, at now: Now
    ) {
        let stream = links[link].incoming[position].stream
        guard streams.contains(stream), streams[stream].epochTag == frame.epochTag else {
            refusals.add(.otherEpoch)
            return
        }
        guard let slot = streams[stream].layers[Int(frame.layer)], layers.contains(slot) else {
            refusals.add(.unknownLayer)
            return
        }
        links[link].incoming[position].noteAnswered(bit: frame.layer)
        let highest = layers[slot].store.highest
        let packet = StoredPacket(
            sequence: Counter64.expand(frame.sequence, near: highest), timestamp: frame.timestamp,
            arrival: now.monotonic, marker: frame.marker, place: frame.place,
            extensionCount: frame.extensions.count, payloadCount: frame.payload.count)
        guard packet.byteCount <= PacketLimits.mediaBytes else { return refusals.add(.tooLarge) }
        // A leap that no publisher makes would leave everything honest behind it as late.
        guard highest == 0 || packet.sequence <= highest + PacketLimits.sequenceLeap else {
            return refusals.add(.malformedLinkFrame)
        }
        let insertion = layers[slot].insert(
            packet, extensions: datagram.extracting(frame.extensions), payload: datagram.extracting(frame.payload),
            at: now)
        note(insertion, layer: slot)
    }

    /// Puts the stream on `endBatch`'s list.
    mutating func markDirty(_ stream: SlotID) {
        guard streams.contains(stream), !streams[stream].isDirty else { return }
        streams[stream].isDirty = true
        dirtyStreams.append(stream)
    }

    /// Somebody cannot go on without a key frame: asks the publisher or the parent, now or when it may be asked again.
    mutating func requestKeyFrame(layer slot: SlotID, at now: Now, into out: inout Outbox) {
        guard layers.contains(slot) else { return }
        layers[slot].wantKeyFrame(at: now.monotonic)
        sendKeyFrameRequest(layer: slot, at: now, into: &out)
    }

    mutating func sendKeyFrameRequest(layer slot: SlotID, at now: Now, into out: inout Outbox) {
        let stream = layers[slot].stream
        guard streams.contains(stream) else { return }
        if let publisher = streams[stream].publisher, publishers.contains(publisher) {
            guard publishers[publisher].isConnected, !publishers[publisher].isPlain else {
                layerDeadlines.set(slot.index, to: nil)
                return
            }
            let interval = MediaLayer.publisherRequestInterval
            if layers[slot].takeKeyFrameRequest(at: now.monotonic, interval: interval) {
                _ = publishers[publisher].sendKeyFrameRequest(track: layers[slot].track, into: &out)
            }
            layerDeadlines.set(slot.index, to: layers[slot].keyFrameRequestDue(interval: interval))
        } else if let parent = streams[stream].parent, links.contains(parent.link) {
            let interval = MediaLayer.parentRequestInterval
            if layers[slot].takeKeyFrameRequest(at: now.monotonic, interval: interval) {
                let bit = UInt8(layers[slot].bit)
                links[parent.link].send(at: now.monotonic, into: &out) { writer in
                    writer.appendKeyFrameRequest(alias: parent.alias, layer: bit)
                }
            }
            layerDeadlines.set(slot.index, to: layers[slot].keyFrameRequestDue(interval: interval))
        } else {
            layerDeadlines.set(slot.index, to: nil)
        }
    }
}
