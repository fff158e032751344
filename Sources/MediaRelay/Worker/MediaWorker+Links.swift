import SwarmCore

extension MediaWorker {
    // MARK: Commands

    mutating func openLink(
        _ configuration: MediaLinkConfiguration, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<WorkerEvent>
    ) {
        guard linkHandles[configuration.handle] == nil else { return refusals.add(.handleInUse) }
        guard linkHandles.count < linkHandles.capacity,
            let slot = links.insert(MediaLink(configuration, suite: suite, at: now.monotonic))
        else {
            refusals.add(.linkLimit)
            events.append(.linkLost(configuration.handle))
            return
        }
        linkHandles.set(configuration.handle, slot)
        links[slot].sendDue(heads: layers, at: now.monotonic, into: &out)
        rearmLink(slot)
    }

    mutating func closeLink(_ slot: SlotID) {
        for attached in links[slot].incoming where streams.contains(attached.stream) {
            if streams[attached.stream].parent?.link == slot { streams[attached.stream].parent = nil }
        }
        for attached in links[slot].outgoing where streams.contains(attached.stream) {
            streams[attached.stream].children.removeAll { $0 == slot }
            streams[attached.stream].nextEgress = 0
        }
        linkHandles.remove(links[slot].handle)
        linkDeadlines.set(slot.index, to: nil)
        _ = links.remove(slot)
    }

    mutating func rearmLink(_ slot: SlotID) {
        var next = links[slot].nextDeadline
        for index in links[slot].outgoing.indices {
            for position in links[slot].outgoing[index].layers.indices {
                next = Deadline.earlier(next, links[slot].outgoing[index].layers[position].wake)
            }
        }
        linkDeadlines.set(slot.index, to: next)
    }

    /// Another parent takes over: the earlier one's packets stay welcome for a moment, identity sorts out which are new,
    /// and RESUME asks the new one for the rest.
    mutating func attachParent(
        _ stream: SlotID, link: SlotID, alias: UInt32, wanted: LayerSet, at now: Now, into out: inout Outbox
    ) {
        if let earlier = streams[stream].parent, links.contains(earlier.link) {
            for index in links[earlier.link].incoming.indices
            where links[earlier.link].incoming[index].stream == stream {
                if earlier.link == link, earlier.alias == alias {
                    links[link].incoming[index].layers = wanted
                    streams[stream].parent?.layers = wanted
                    beginResume(link: link, incoming: index, at: now, into: &out)
                    return
                }
                links[earlier.link].incoming[index].expires = now.monotonic + IncomingStream.lingering
                links[earlier.link].incoming[index].resumeDue = nil
            }
            rearmLink(earlier.link)
        }
        links[link].incoming.removeAll { $0.alias == alias }
        guard links[link].incoming.count < limits.streamsPerLink else { return refusals.add(.attachmentLimit) }
        links[link].incoming.append(IncomingStream(alias: alias, stream: stream, layers: wanted))
        streams[stream].parent = StreamState.Parent(link: link, alias: alias, layers: wanted)
        beginResume(link: link, incoming: links[link].incoming.count - 1, at: now, into: &out)
        for bit in 0..<64 {
            guard let layer = streams[stream].layers[bit], layers.contains(layer) else { continue }
            layers[layer].keyFrameSourceChanged()
            sendKeyFrameRequest(layer: layer, at: now, into: &out)
        }
    }

    mutating func detachParent(_ stream: SlotID) {
        guard let parent = streams[stream].parent else { return }
        streams[stream].parent = nil
        guard links.contains(parent.link) else { return }
        links[parent.link].incoming.removeAll { $0.stream == stream }
        rearmLink(parent.link)
    }

    mutating func attachChild(
        _ stream: SlotID, link: SlotID, alias: UInt32, wanted: LayerSet, at now: Now, into out: inout Outbox
    ) {
        if let index = links[link].outgoing.firstIndex(where: { $0.stream == stream && $0.alias == alias }) {
            links[link].outgoing[index].wanted = wanted
            setLayers(link: link, outgoing: index)
            links[link].outgoing[index].startDue = now.monotonic + OutgoingStream.startDelay
            rearmLink(link)
            return
        }
        links[link].outgoing.removeAll { $0.stream == stream || $0.alias == alias }
        guard links[link].outgoing.count < limits.streamsPerLink,
            streams[stream].children.count < limits.egressesPerStream
        else { return refusals.add(.attachmentLimit) }
        links[link].outgoing.append(
            OutgoingStream(
                alias: alias, stream: stream, epoch: streams[stream].epoch, epochTag: streams[stream].epochTag,
                wanted: wanted))
        if !streams[stream].children.contains(link) { streams[stream].children.append(link) }
        let index = links[link].outgoing.count - 1
        setLayers(link: link, outgoing: index)
        links[link].outgoing[index].startDue = now.monotonic + OutgoingStream.startDelay
        // The key frame is on its way before the child asks, unless the store already holds what it will be shown.
        for layer in links[link].outgoing[index].layers where layers.contains(layer.slot) {
            if layers[layer.slot].kind == .video, layers[layer.slot].replayStart(at: now.monotonic) == nil {
                requestKeyFrame(layer: layer.slot, at: now, into: &out)
            }
        }
        rearmLink(link)
    }

    mutating func detachChild(_ stream: SlotID, link: SlotID) {
        links[link].outgoing.removeAll { $0.stream == stream }
        streams[stream].children.removeAll { $0 == link }
        streams[stream].nextEgress = 0
        rearmLink(link)
    }

    /// Gives an outgoing stream the layers that its child wants and the stream has; those already flowing flow on.
    mutating func setLayers(link: SlotID, outgoing index: Int) {
        let attached = links[link].outgoing[index]
        guard streams.contains(attached.stream) else { return }
        var kept: [OutgoingStream.Layer] = []
        for bit in 0..<64 where attached.wanted.bits & (1 << UInt64(bit)) != 0 {
            guard let slot = streams[attached.stream].layers[bit], layers.contains(slot) else { continue }
            if let known = attached.layers.first(where: { $0.slot == slot }) {
                kept.append(known)
            } else {
                kept.append(OutgoingStream.Layer(bit: UInt8(bit), slot: slot))
            }
        }
        links[link].outgoing[index].layers = kept
        links[link].outgoing[index].epoch = streams[attached.stream].epoch
        links[link].outgoing[index].epochTag = streams[attached.stream].epochTag
    }

    /// States to the parent what we have of each layer, now and until it answers.
    mutating func beginResume(link: SlotID, incoming index: Int, at now: Now, into out: inout Outbox) {
        links[link].incoming[index].beginResume(at: now.monotonic)
        sendResumes(link: link, at: now, into: &out)
        rearmLink(link)
    }

    mutating func sendResumes(link: SlotID, at now: Now, into out: inout Outbox) {
        for index in links[link].incoming.indices {
            guard let due = links[link].incoming[index].resumeDue, due <= now.monotonic else { continue }
            let attached = links[link].incoming[index]
            guard streams.contains(attached.stream), attached.resumeAttempts < IncomingStream.resumeAttemptLimit else {
                links[link].incoming[index].resumeDue = nil
                continue
            }
            links[link].incoming[index].resumeAttempts += 1
            links[link].incoming[index].resumeDue = now.monotonic + links[link].incoming[index].resumeInterval
            let epoch = streams[attached.stream].epoch
            for bit in 0..<64 where attached.unanswered.contains(track: bit / 4, encoding: bit % 4) {
                guard let slot = streams[attached.stream].layers[bit], layers.contains(slot) else {
                    links[link].incoming[index].noteAnswered(bit: UInt8(bit))
                    continue
                }
                links[link].sendResume(
                    alias: attached.alias, bit: UInt8(bit), epoch: epoch, slot: slot, layers: layers, at: now.monotonic,
                    into: &out)
            }
        }
    }

    // MARK: Datagrams

    mutating func receiveLink(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<WorkerEvent>
    ) {
        guard datagram.count >= PacketLimits.linkHeaderBytes + PacketLimits.tagBytes else {
            return refusals.add(.malformedLinkFrame)
        }
        guard let slot = linkHandles[LinkHandle(datagram.span.loadUInt32(at: 1))], links.contains(slot) else {
            return refusals.add(.unknownLink)
        }
        let opening = links[slot].open(
            &datagram, from: source, at: now.monotonic, challengeValue: generator.next(), into: &out)
        switch opening {
        case .refused(let reason): refusals.add(reason)
        case .opened(let range, let isFirst):
            if isFirst { established(slot, at: now, into: &out, events: &events) }
            var frames = LinkFrameIterator(range)
            // One answer a datagram, however many PINGs it holds.
            var ping: UInt64?
            var challenge: UInt64?
            while let frame = frames.next(in: datagram.span) {
                if case .ping(let value) = frame { ping = value }
                if case .pathChallenge(let value) = frame { challenge = value }
                receive(frame, of: datagram.span, link: slot, from: source, at: now, into: &out, events: &events)
            }
            if let challenge {
                links[slot].send(to: source, at: now.monotonic, into: &out) {
                    $0.appendWord(LinkFrame.Kind.pathResponse, challenge)
                }
            }
            if let ping { links[slot].send(at: now.monotonic, into: &out) { $0.appendWord(LinkFrame.Kind.pong, ping) } }
            if frames.isMalformed { refusals.add(.malformedLinkFrame) }
            if let due = links[slot].loss.nextDeadline { linkDeadlines.bringForward(slot.index, to: due) }
        }
    }

    private mutating func established(
        _ slot: SlotID, at now: Now, into out: inout Outbox, events: inout EventBuffer<WorkerEvent>
    ) {
        events.append(.linkEstablished(links[slot].handle))
        // The initiator learns at once that it is heard.
        links[slot].send(at: now.monotonic, into: &out) {
            $0.appendWord(LinkFrame.Kind.ping, now.monotonic.nanoseconds)
        }
        rearmLink(slot)
    }

    private mutating func receive(
        _ frame: LinkFrame, of datagram: Span<UInt8>, link slot: SlotID, from source: NetworkAddress, at now: Now,
        into out: inout Outbox, events: inout EventBuffer<WorkerEvent>
    ) {
        switch frame {
        case .media(let media):
            if let repaired = media.repairedCounter { links[slot].noteRepaired(repaired) }
            guard let index = links[slot].incomingIndex(alias: media.alias) else {
                return refusals.add(.unknownAlias)
            }
            ingest(media, of: datagram, link: slot, incoming: index, at: now)
        case .open, .ping, .pathChallenge, .unknown, .report: break
        case .pong(let value): links[slot].pong(value, at: now.monotonic)
        case .nack(let counters): receiveNack(counters, of: datagram, link: slot, at: now, into: &out)
        case .keyFrameRequest(let alias, let bit):
            guard let attached = links[slot].outgoing.first(where: { $0.alias == alias }),
                let layer = attached.layers.first(where: { $0.bit == bit })
            else { return refusals.add(.unknownAlias) }
            requestKeyFrame(layer: layer.slot, at: now, into: &out)
        case .pathResponse(let value): links[slot].pathResponse(value, from: source)
        case .resume(let alias, let bit, let epoch, let next, let holes):
            receiveResume(
                alias: alias, bit: bit, epoch: epoch, next: next, holes: holes, of: datagram, link: slot, at: now,
                into: &out)
        case .head(let alias, let epoch, let bit, _):
            guard let index = links[slot].incomingIndex(alias: alias) else {
                return refusals.add(.unknownAlias)
            }
            let stream = links[slot].incoming[index].stream
            guard streams.contains(stream), streams[stream].epoch == epoch else { return refusals.add(.otherEpoch) }
            links[slot].incoming[index].noteAnswered(bit: bit)
        case .clock(let alias, let bit, let networkTime, let timestamp):
            receiveClock(
                alias: alias, bit: bit, networkTime: networkTime, timestamp: timestamp, link: slot, at: now, into: &out)
        case .ended(let alias):
            guard let index = links[slot].incomingIndex(alias: alias) else { return }
            let ended = links[slot].incoming.remove(at: index)
            guard streams.contains(ended.stream), streams[ended.stream].parent?.link == slot else { return }
            streams[ended.stream].parent = nil
            events.append(.parentEnded(streams[ended.stream].handle))
        }
    }

    private mutating func receiveNack(
        _ counters: Range<Int>, of datagram: Span<UInt8>, link slot: SlotID, at now: Now, into out: inout Outbox
    ) {
        var offset = counters.lowerBound
        while offset + 4 <= counters.upperBound {
            let low = datagram.loadUInt32(at: offset)
            offset += 4
            guard let (counter, content) = links[slot].takeSent(counterLow: low) else { continue }
            switch content {
            case .nothing: continue
            case .ended(let alias): links[slot].sendEnded(alias: alias, at: now.monotonic, into: &out)
            case .media(let layer, let alias, let bit, let sequence):
                guard layers.contains(layer) else { continue }
                let refusal = links[slot].repair(
                    counter: counter, sequence: sequence, slot: layer, bit: bit, alias: alias, layers: layers,
                    at: now.monotonic, into: &out)
                if let refusal { refusals.add(refusal) }
            }
        }
    }

    /// The child says what it has: its layer starts (once), and its holes are filled (each time).
    private mutating func receiveResume(
        alias: UInt32, bit: UInt8, epoch: UInt64, next: UInt64, holes: Range<Int>, of datagram: Span<UInt8>,
        link slot: SlotID, at now: Now, into out: inout Outbox
    ) {
        guard let index = links[slot].outgoingIndex(alias: alias),
            let position = links[slot].outgoing[index].layers.firstIndex(where: { $0.bit == bit })
        else { return refusals.add(.unknownAlias) }
        guard links[slot].outgoing[index].epoch == epoch else { return refusals.add(.otherEpoch) }
        let layer = links[slot].outgoing[index].layers[position].slot
        guard layers.contains(layer) else { return }
        start(link: slot, outgoing: index, layer: position, next: next, at: now, into: &out)
        var offset = holes.lowerBound
        while offset + 4 <= holes.upperBound {
            links[slot].fill(
                sequenceLow: datagram.loadUInt32(at: offset), stream: index, layer: position, layers: layers,
                at: now.monotonic, into: &out)
            offset += 4
        }
        // So the child knows that it was heard even where nothing is stored yet.
        let highest = layers[layer].store.highest
        links[slot].send(at: now.monotonic, into: &out) { writer in
            writer.appendHead(alias: alias, layer: bit, epoch: epoch, highest: highest)
        }
    }

    /// Begins a layer towards a child, once: from `next` on, or from the last key frame.
    private mutating func start(
        link slot: SlotID, outgoing index: Int, layer position: Int, next: UInt64, at now: Now, into out: inout Outbox
    ) {
        guard links[slot].outgoing[index].layers[position].subscription == nil else { return }
        let layer = links[slot].outgoing[index].layers[position].slot
        guard layers.contains(layer) else { return }
        var subscription = Subscription(layer: layer, of: layers[layer], at: now.monotonic)
        if next > 0 { subscription.resume(from: next, in: layers[layer], at: now.monotonic) }
        links[slot].outgoing[index].layers[position].subscription = subscription
        if subscription.isWaiting { requestKeyFrame(layer: layer, at: now, into: &out) }
        markDirty(links[slot].outgoing[index].stream)
    }

    /// Begins every layer whose child has not said RESUME in time.
    mutating func startOverdue(link slot: SlotID, at now: Now, into out: inout Outbox) {
        for index in links[slot].outgoing.indices {
            guard let due = links[slot].outgoing[index].startDue, due <= now.monotonic else { continue }
            // A child that has never spoken has no address to send to.
            guard links[slot].remoteAddress != nil else {
                links[slot].outgoing[index].startDue = now.monotonic + .milliseconds(500)
                continue
            }
            links[slot].outgoing[index].startDue = nil
            for position in links[slot].outgoing[index].layers.indices {
                start(link: slot, outgoing: index, layer: position, next: 0, at: now, into: &out)
            }
        }
    }

    private mutating func receiveClock(
        alias: UInt32, bit: UInt8, networkTime: UInt64, timestamp: UInt32, link slot: SlotID, at now: Now,
        into out: inout Outbox
    ) {
        guard let attached = links[slot].incoming.first(where: { $0.alias == alias }),
            streams.contains(attached.stream), let layer = streams[attached.stream].layers[Int(bit)],
            layers.contains(layer)
        else { return refusals.add(.unknownAlias) }
        layers[layer].clock = ClockMapping(networkTime: networkTime, timestamp: timestamp, learnt: now.monotonic)
        tellClock(layer: layer, at: now, into: &out)
    }
}
