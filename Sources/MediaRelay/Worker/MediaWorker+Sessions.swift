import SwarmCore

extension MediaWorker {
    mutating func receiveSTUN(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<WorkerEvent>
    ) {
        guard let session = session(ofSTUN: datagram.span) ?? addresses[source] else {
            refusals.add(.unknownUsername)
            return
        }
        let signal: TransportSignal
        switch session {
        case .publisher(let slot):
            guard publishers.contains(slot) else { return }
            signal = publishers[slot].transport?.handleSTUN(&datagram, from: source, at: now, into: &out) ?? .none
        case .viewer(let slot):
            guard viewers.contains(slot) else { return }
            signal = viewers[slot].transport.handleSTUN(&datagram, from: source, at: now, into: &out)
        }
        handle(signal, of: session, at: now, into: &out, events: &events)
    }

    /// A check names its session by our username fragment, whatever address it comes from (RFC 8445 §7.3).
    private func session(ofSTUN datagram: Span<UInt8>) -> SessionRef? {
        guard let range = STUNMessage.localUsernameFragment(of: datagram) else { return nil }
        let fragment = datagram.extracting(range)
        guard let session = usernames[UsernameFragmentHash.of(fragment)] else { return nil }
        switch session {
        case .publisher(let slot):
            guard publishers.contains(slot), publishers[slot].accepts(username: fragment) else {
                return nil
            }
        case .viewer(let slot):
            guard viewers.contains(slot), viewers[slot].transport.accepts(username: fragment) else { return nil }
        }
        return session
    }

    mutating func receiveDTLS(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<WorkerEvent>
    ) {
        guard let session = addresses[source] else {
            refusals.add(.unknownSource)
            return
        }
        let signal: TransportSignal
        switch session {
        case .publisher(let slot):
            guard publishers.contains(slot) else { return }
            signal = publishers[slot].transport?.handleDTLS(&datagram, from: source, at: now, into: &out) ?? .none
        case .viewer(let slot):
            guard viewers.contains(slot) else { return }
            signal = viewers[slot].transport.handleDTLS(&datagram, from: source, at: now, into: &out)
        }
        handle(signal, of: session, at: now, into: &out, events: &events)
    }

    /// Acts upon what a transport said and re-arms its timer.
    mutating func handle(
        _ signal: TransportSignal, of session: SessionRef, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<WorkerEvent>
    ) {
        switch signal {
        case .none: break
        case .addressValidated(let address, let replaced):
            if let replaced, addresses[replaced] == session { addresses.remove(replaced) }
            // An address that another live session uses stays that session's: a client with credentials of its own
            // could otherwise take it over by one check from a forged source.
            if let owner = addresses[address], owner != session {
                refusals.add(.handleInUse)
            } else {
                addresses.set(address, session)
            }
        case .connected: connected(session, at: now, into: &out, events: &events)
        case .closedByPeer: close(session, reason: .closedByPeer, into: &out, events: &events)
        case .failed(let failure): close(session, reason: failure.closeReason, into: &out, events: &events)
        }
        rearm(session)
    }

    func deadline(of session: SessionRef) -> MonotonicInstant? {
        switch session {
        case .publisher(let slot): publishers.contains(slot) ? publishers[slot].nextDeadline : nil
        case .viewer(let slot): viewers.contains(slot) ? viewers[slot].nextDeadline : nil
        }
    }

    mutating func rearm(_ session: SessionRef) {
        switch session {
        case .publisher(let slot) where publishers.contains(slot):
            publisherDeadlines.set(slot.index, to: deadline(of: session))
        case .viewer(let slot) where viewers.contains(slot):
            var next = deadline(of: session)
            for index in viewers[slot].egresses.indices {
                next = Deadline.earlier(next, viewers[slot].egresses[index].wake)
            }
            viewerDeadlines.set(slot.index, to: next)
        default: break
        }
    }

    private mutating func connected(
        _ session: SessionRef, at now: Now, into out: inout Outbox, events: inout EventBuffer<WorkerEvent>
    ) {
        switch session {
        case .publisher(let slot):
            events.append(.sessionConnected(publishers[slot].id))
            for index in publishers[slot].tracks.indices {
                guard let layer = publishers[slot].tracks[index].layer, layers.contains(layer) else { continue }
                layers[layer].keyFrameSourceChanged()
                sendKeyFrameRequest(layer: layer, at: now, into: &out)
            }
        case .viewer(let slot):
            events.append(.sessionConnected(viewers[slot].id))
            subscribe(viewer: slot, at: now, into: &out)
        }
    }

    /// Puts every track of a connected viewer at the best place its layer offers; asks for a key frame where that is
    /// the next one to come.
    mutating func subscribe(viewer slot: SlotID, at now: Now, into out: inout Outbox) {
        let stream = viewers[slot].stream
        guard streams.contains(stream), viewers[slot].transport.isConnected else { return }
        for index in viewers[slot].egresses.indices {
            let bit = viewers[slot].egresses[index].track * PacketLimits.encodings
            guard bit < 64, let layer = streams[stream].layers[bit], layers.contains(layer) else {
                viewers[slot].egresses[index].subscribe(nil)
                continue
            }
            let subscription = Subscription(layer: layer, of: layers[layer], at: now.monotonic)
            viewers[slot].egresses[index].subscribe(subscription)
            if subscription.isWaiting { requestKeyFrame(layer: layer, at: now, into: &out) }
        }
        markDirty(stream)
    }

    mutating func close(
        _ session: SessionRef, reason: SessionCloseReason, into out: inout Outbox,
        events: inout EventBuffer<WorkerEvent>
    ) {
        switch session {
        case .publisher(let slot): closePublisher(slot, reason: reason, into: &out, events: &events)
        case .viewer(let slot): closeViewer(slot, reason: reason, into: &out, events: &events)
        }
    }

    mutating func closePublisher(
        _ slot: SlotID, reason: SessionCloseReason, into out: inout Outbox, events: inout EventBuffer<WorkerEvent>
    ) {
        guard publishers.contains(slot) else { return }
        publishers[slot].close(into: &out)
        if let refused = publishers[slot].edgeRefusals { closedEdgeRefusals.add(refused) }
        let session = SessionRef.publisher(slot)
        for hash in publishers[slot].usernames where usernames[hash] == session { usernames.remove(hash) }
        for index in 0..<publishers[slot].validatedAddressCount {
            let address = publishers[slot].validatedAddress(at: index)
            if addresses[address] == session { addresses.remove(address) }
        }
        let stream = publishers[slot].stream
        if streams.contains(stream), streams[stream].publisher == slot { streams[stream].publisher = nil }
        finish(publishers[slot].id, reason: reason, events: &events)
        publisherDeadlines.set(slot.index, to: nil)
        _ = publishers.remove(slot)
    }

    mutating func closeViewer(
        _ slot: SlotID, reason: SessionCloseReason, into out: inout Outbox, events: inout EventBuffer<WorkerEvent>
    ) {
        guard viewers.contains(slot) else { return }
        viewers[slot].close(into: &out)
        closedEdgeRefusals.add(viewers[slot].transport.refusals)
        let session = SessionRef.viewer(slot)
        for hash in viewers[slot].usernames where usernames[hash] == session { usernames.remove(hash) }
        for index in 0..<viewers[slot].transport.validatedAddressCount {
            let address = viewers[slot].transport.validatedAddress(at: index)
            if addresses[address] == session { addresses.remove(address) }
        }
        let stream = viewers[slot].stream
        if streams.contains(stream) {
            streams[stream].viewers.removeAll { $0 == slot }
            // Positions have moved: whoever is served twice has nothing left to send.
            streams[stream].nextEgress = 0
        }
        finish(viewers[slot].id, reason: reason, events: &events)
        viewerDeadlines.set(slot.index, to: nil)
        _ = viewers.remove(slot)
    }

    private mutating func finish(
        _ id: SessionID, reason: SessionCloseReason, events: inout EventBuffer<WorkerEvent>
    ) {
        sessionIDs.remove(id)
        events.append(.sessionClosed(id, reason))
    }
}

extension Counters {
    /// Adds every cell of `other`.
    mutating func add(_ other: Counters<Reason>) {
        for (reason, count) in other.all where count > 0 { add(reason, count) }
    }
}
