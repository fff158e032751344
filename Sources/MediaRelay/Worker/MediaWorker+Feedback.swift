import SwarmCore

extension MediaWorker {
    /// Takes a publisher's RTCP: its clocks and its goodbye.
    mutating func receiveRTCP(
        _ datagram: Span<UInt8>, publisher slot: SlotID, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<WorkerEvent>
    ) {
        var packets = RTCPIterator()
        while let packet = packets.next(in: datagram) {
            switch packet.type {
            case RTCPPacket.senderReport:
                guard let report = SenderReport(datagram.extracting(packet.body)),
                    let index = publishers[slot].track(ofSSRC: report.ssrc)
                else { continue }
                publishers[slot].tracks[index].received(report, at: now.monotonic)
                guard let layer = publishers[slot].tracks[index].layer, layers.contains(layer) else { continue }
                layers[layer].clock = ClockMapping(
                    networkTime: report.networkTime, timestamp: report.timestamp, learnt: now.monotonic)
                tellClock(layer: layer, at: now, into: &out)
            case RTCPPacket.bye:
                var offset = packet.body.lowerBound
                for _ in 0..<packet.count where offset + 4 <= packet.body.upperBound {
                    let ssrc = datagram.loadUInt32(at: offset)
                    if let index = publishers[slot].track(ofSSRC: ssrc) {
                        publishers[slot].tracks[index].receivedBye(ssrc: ssrc)
                    }
                    offset += 4
                }
            default: continue
            }
        }
        if packets.isMalformed { refusals.add(.malformedRTCP) }
        if publishers[slot].hasEnded {
            closePublisher(slot, reason: .closedByPeer, into: &out, events: &events)
        }
    }

    /// Takes a viewer's RTCP: reports, requests for packets and for key frames, and its view of the path.
    mutating func receiveRTCP(
        _ datagram: Span<UInt8>, viewer slot: SlotID, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<WorkerEvent>
    ) {
        var packets = RTCPIterator()
        while let packet = packets.next(in: datagram) {
            switch packet.type {
            case RTCPPacket.senderReport, RTCPPacket.receiverReport:
                let first = packet.body.lowerBound + (packet.type == RTCPPacket.senderReport ? 24 : 4)
                guard first <= packet.body.upperBound else { continue }
                receiveReports(
                    datagram.extracting(first..<packet.body.upperBound), count: Int(packet.count), viewer: slot, at: now
                )
            case RTCPPacket.transportFeedback, RTCPPacket.payloadFeedback:
                guard let message = FeedbackMessage(packet, in: datagram) else { continue }
                receive(message, in: datagram, viewer: slot, at: now, into: &out)
            default: continue
            }
        }
        if packets.isMalformed { refusals.add(.malformedRTCP) }
    }

    private mutating func receiveReports(_ blocks: Span<UInt8>, count: Int, viewer slot: SlotID, at now: Now) {
        for index in 0..<count {
            guard let block = ReportBlock(blocks, at: index * ReportBlock.byteCount) else { return }
            guard let egress = viewers[slot].egress(ofSSRC: block.ssrc) else { continue }
            viewers[slot].egresses[egress].received(block, at: now.monotonic)
        }
    }

    private mutating func receive(
        _ message: FeedbackMessage, in datagram: Span<UInt8>, viewer slot: SlotID, at now: Now, into out: inout Outbox
    ) {
        switch message {
        case .nack(let media, let items):
            guard let egress = viewers[slot].egress(ofSSRC: media) else { return }
            repair(items, of: datagram, viewer: slot, egress: egress, at: now, into: &out)
        case .pictureLoss(let media): keyFrameWanted(ssrc: media, viewer: slot, at: now, into: &out)
        case .fullIntraRequest(let items):
            var offset = items.lowerBound
            while offset + 8 <= items.upperBound {
                keyFrameWanted(ssrc: datagram.loadUInt32(at: offset), viewer: slot, at: now, into: &out)
                offset += 8
            }
        case .transport(let body):
            let bytes = datagram.extracting(body)
            guard var reader = TransportFeedbackReader(bytes) else {
                refusals.add(.malformedRTCP)
                return
            }
            var received: UInt64 = 0
            var lost: UInt64 = 0
            while let (_, arrival) = reader.next(in: bytes) {
                if arrival == nil { lost += 1 } else { received += 1 }
            }
            viewers[slot].noteFeedback(received: received, lost: lost)
        case .estimatedMaximumBitrate(let bitsPerSecond): viewers[slot].noteEstimatedBitrate(bitsPerSecond)
        }
    }

    private mutating func repair(
        _ items: Range<Int>, of datagram: Span<UInt8>, viewer slot: SlotID, egress: Int, at now: Now,
        into out: inout Outbox
    ) {
        guard let layer = viewers[slot].egresses[egress].layer, layers.contains(layer) else { return }
        var offset = items.lowerBound
        while offset + 4 <= items.upperBound {
            let item = NackItem(packetID: datagram.loadUInt16(at: offset), mask: datagram.loadUInt16(at: offset + 2))
            offset += 4
            for step in 0...16 {
                guard let sequence = item.sequence(at: step) else { continue }
                let refusal = viewers[slot].repair(
                    viewerSequence: sequence, egress: egress, slot: layer, layers: layers, at: now, into: &out)
                if let refusal { refusals.add(refusal) }
            }
        }
    }

    private mutating func keyFrameWanted(ssrc: UInt32, viewer slot: SlotID, at now: Now, into out: inout Outbox) {
        guard let egress = viewers[slot].egress(ofSSRC: ssrc),
            let layer = viewers[slot].egresses[egress].layer
        else { return }
        requestKeyFrame(layer: layer, at: now, into: &out)
    }

    /// Tells every child the origin's clock for a layer; repeated with each sender report, so a loss is healed by the
    /// next.
    mutating func tellClock(layer slot: SlotID, at now: Now, into out: inout Outbox) {
        let stream = layers[slot].stream
        guard streams.contains(stream), let clock = layers[slot].clock else { return }
        // Sender reports come about once a second; a flood of them is not multiplied.
        if let told = layers[slot].clockToldAt, now.monotonic < told + .milliseconds(200) { return }
        layers[slot].clockToldAt = now.monotonic
        let elapsed = now.monotonic - clock.learnt
        let networkTime = clock.networkTime &+ NetworkTime.units(elapsed)
        let timestamp = clock.timestamp &+ NetworkTime.ticks(elapsed, rate: layers[slot].clockRate)
        let bit = UInt8(layers[slot].bit)
        for child in streams[stream].children where links.contains(child) {
            guard let attached = links[child].outgoing.first(where: { $0.stream == stream }) else { continue }
            links[child].send(at: now.monotonic, into: &out) { writer in
                writer.appendClock(alias: attached.alias, layer: bit, networkTime: networkTime, timestamp: timestamp)
            }
        }
    }
}
