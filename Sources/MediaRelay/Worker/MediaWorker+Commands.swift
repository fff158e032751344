import SwarmCore

extension MediaWorker {
    /// Applies one command of the control thread. One that names an unknown handle changes nothing. A session that
    /// cannot be taken is answered by `.sessionClosed(…, .limitReached)`.
    package mutating func apply(
        _ command: WorkerCommand, at now: Now, into out: inout Outbox, events: inout EventBuffer<WorkerEvent>
    ) {
        switch command {
        case .openStream(let handle, let descriptor): openStream(handle, descriptor, at: now, into: &out)
        case .closeStream(let handle, let reason):
            guard let slot = stream(handle) else { return }
            closeStream(slot, reason: reason, at: now, into: &out, events: &events)
        case .addPublisher(let configuration):
            var transport: EdgeTransport?
            if let transportConfiguration = configuration.transport {
                transport = EdgeTransport(
                    configuration: transportConfiguration, certificate: certificate,
                    generator: generator.child(generator.next()), at: now)
            }
            addPublisher(configuration, transport: transport, at: now, into: &out, events: &events)
        case .addViewer(let configuration):
            let transport = EdgeTransport(
                configuration: configuration.transport, certificate: certificate,
                generator: generator.child(generator.next()), at: now)
            addViewer(configuration, transport: transport, at: now, into: &out, events: &events)
        case .removeSession(let id, let reason):
            guard let session = sessionIDs[id] else { return refusals.add(.unknownHandle) }
            close(session, reason: reason, into: &out, events: &events)
        case .restartICE(let id, let local, let remote): restartICE(id, local: local, remote: remote, at: now)
        case .openLink(let configuration): openLink(configuration, at: now, into: &out, events: &events)
        case .closeLink(let handle):
            guard let slot = link(handle) else { return }
            closeLink(slot)
        case .attachParent(let handle, let linkHandle, let alias, let layers):
            guard let stream = stream(handle), let link = link(linkHandle) else { return }
            attachParent(stream, link: link, alias: alias, wanted: layers, at: now, into: &out)
        case .detachParent(let handle):
            guard let stream = stream(handle) else { return }
            detachParent(stream)
        case .attachChild(let handle, let linkHandle, let alias, let layers):
            guard let stream = stream(handle), let link = link(linkHandle) else { return }
            attachChild(stream, link: link, alias: alias, wanted: layers, at: now, into: &out)
        case .detachChild(let handle, let linkHandle):
            guard let stream = stream(handle), let link = link(linkHandle) else { return }
            detachChild(stream, link: link)
        case .collectStatistics(let token): events.append(.statistics(statistics(token: token)))
        }
    }

    private mutating func stream(_ handle: StreamHandle) -> SlotID? {
        guard let slot = streamHandles[handle], streams.contains(slot) else {
            refusals.add(.unknownHandle)
            return nil
        }
        return slot
    }

    private mutating func link(_ handle: LinkHandle) -> SlotID? {
        guard let slot = linkHandles[handle], links.contains(slot) else {
            refusals.add(.unknownHandle)
            return nil
        }
        return slot
    }

    // MARK: Streams

    private mutating func openStream(
        _ handle: StreamHandle, _ descriptor: StreamDescriptor, at now: Now, into out: inout Outbox
    ) {
        if let slot = streamHandles[handle], streams.contains(slot) {
            if streams[slot].epoch != descriptor.epoch { beginEpoch(descriptor.epoch, stream: slot) }
            addLayers(descriptor, stream: slot)
            reconnect(stream: slot, at: now, into: &out)
            return
        }
        guard streamHandles.count < streamHandles.capacity,
            let slot = streams.insert(StreamState(handle: handle, epoch: descriptor.epoch))
        else { return refusals.add(.streamLimit) }
        streamHandles.set(handle, slot)
        addLayers(descriptor, stream: slot)
    }

    /// The layers of the earlier publication go; every egress keeps its own numbers.
    private mutating func beginEpoch(_ epoch: UInt64, stream slot: SlotID) {
        streams[slot].epoch = epoch
        streams[slot].epochTag = MediaFrame.tag(ofEpoch: epoch)
        removeLayers(stream: slot)
    }

    private mutating func removeLayers(stream slot: SlotID) {
        for bit in 0..<64 {
            guard let layer = streams[slot].layers[bit] else { continue }
            layerDeadlines.set(layer.index, to: nil)
            _ = layers.remove(layer)
            streams[slot].layers[bit] = nil
        }
    }

    private mutating func addLayers(_ descriptor: StreamDescriptor, stream slot: SlotID) {
        for (track, description) in descriptor.tracks.prefix(PacketLimits.tracks).enumerated() {
            let encodings = max(1, min(description.encodings.count, PacketLimits.encodings))
            for encoding in 0..<encodings {
                let bit = track * PacketLimits.encodings + encoding
                guard streams[slot].layers[bit] == nil else { continue }
                let layer = MediaLayer(
                    stream: slot, track: track, encoding: encoding, codec: description.codec, limits: limits)
                guard let layerSlot = layers.insert(layer) else { return refusals.add(.layerLimit) }
                streams[slot].layers[bit] = layerSlot
            }
        }
    }

    /// After a change of layers: publisher, viewers, children and parent are led to the new ones.
    private mutating func reconnect(stream slot: SlotID, at now: Now, into out: inout Outbox) {
        if let publisher = streams[slot].publisher, publishers.contains(publisher) { bindLayers(publisher: publisher) }
        for viewer in streams[slot].viewers where viewers.contains(viewer) {
            let isCurrent = viewers[viewer].egresses.allSatisfy { egress in
                egress.layer.map { layers.contains($0) } ?? false
            }
            if !isCurrent { subscribe(viewer: viewer, at: now, into: &out) }
        }
        for child in streams[slot].children where links.contains(child) {
            guard let index = links[child].outgoingIndex(stream: slot) else { continue }
            setLayers(link: child, outgoing: index)
        }
        if let parent = streams[slot].parent, links.contains(parent.link),
            let index = links[parent.link].incomingIndex(alias: parent.alias)
        {
            beginResume(link: parent.link, incoming: index, at: now, into: &out)
        }
    }

    private mutating func closeStream(
        _ slot: SlotID, reason: SessionCloseReason, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<WorkerEvent>
    ) {
        for child in streams[slot].children where links.contains(child) {
            for attached in links[child].outgoing where attached.stream == slot {
                links[child].sendEnded(alias: attached.alias, at: now.monotonic, into: &out)
            }
            links[child].outgoing.removeAll { $0.stream == slot }
        }
        if let parent = streams[slot].parent, links.contains(parent.link) {
            links[parent.link].incoming.removeAll { $0.stream == slot }
        }
        if let publisher = streams[slot].publisher {
            closePublisher(publisher, reason: reason, into: &out, events: &events)
        }
        while let viewer = streams[slot].viewers.last {
            closeViewer(viewer, reason: reason, into: &out, events: &events)
        }
        removeLayers(stream: slot)
        streamHandles.remove(streams[slot].handle)
        dirtyStreams.removeAll { $0 == slot }
        _ = streams.remove(slot)
    }

    // MARK: Sessions

    private mutating func addPublisher(
        _ configuration: PublisherConfiguration, transport: consuming EdgeTransport?, at now: Now,
        into out: inout Outbox, events: inout EventBuffer<WorkerEvent>
    ) {
        guard let stream = stream(configuration.stream), sessionIDs[configuration.session] == nil else {
            refusals.add(.handleInUse)
            events.append(.sessionClosed(configuration.session, .limitReached))
            return
        }
        let session = PublisherSession(
            configuration, stream: stream, transport: transport,
            ssrc: UInt32(truncatingIfNeeded: generator.next()) | 1, at: now)
        guard sessionIDs.count < sessionIDs.capacity, let slot = publishers.insert(session) else {
            refusals.add(.sessionLimit)
            events.append(.sessionClosed(configuration.session, .limitReached))
            return
        }
        // A returning publisher takes its stream over.
        if let earlier = streams[stream].publisher {
            closePublisher(earlier, reason: .streamEnded, into: &out, events: &events)
        }
        streams[stream].publisher = slot
        sessionIDs.set(configuration.session, .publisher(slot))
        if let fragment = configuration.transport?.local.usernameFragment {
            let hash = UsernameFragmentHash.of(fragment)
            publishers[slot].usernames.append(hash)
            usernames.set(hash, .publisher(slot))
        }
        bindLayers(publisher: slot)
        if publishers[slot].isConnected, let address = publishers[slot].remoteAddress {
            addresses.set(address, .publisher(slot))
            events.append(.sessionConnected(configuration.session))
        }
        rearm(.publisher(slot))
    }

    /// A publisher with ready SRTP keys, connected at once: for tests, benches and the simulator, which have no DTLS.
    package mutating func addKeyedPublisher(
        _ configuration: PublisherConfiguration, keys: SRTPSessionKeys, remoteAddress: NetworkAddress, at now: Now,
        into out: inout Outbox, events: inout EventBuffer<WorkerEvent>
    ) {
        let transport = EdgeTransport(testKeys: keys, remoteAddress: remoteAddress, at: now)
        addPublisher(configuration, transport: transport, at: now, into: &out, events: &events)
    }

    private mutating func bindLayers(publisher slot: SlotID) {
        let stream = publishers[slot].stream
        for index in publishers[slot].tracks.indices {
            let bit = publishers[slot].tracks[index].track * PacketLimits.encodings
            let layer = bit < 64 ? streams[stream].layers[bit] : nil
            if publishers[slot].tracks[index].layer != layer { publishers[slot].tracks[index].layer = layer }
        }
    }

    private mutating func addViewer(
        _ configuration: ViewerConfiguration, transport: consuming EdgeTransport, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<WorkerEvent>
    ) {
        guard let stream = stream(configuration.stream), sessionIDs[configuration.session] == nil,
            streams[stream].viewers.count < limits.egressesPerStream
        else {
            refusals.add(.sessionLimit)
            events.append(.sessionClosed(configuration.session, .limitReached))
            return
        }
        let session = ViewerSession(
            configuration, stream: stream, transport: transport, generator: &generator, at: now)
        guard sessionIDs.count < sessionIDs.capacity, let slot = viewers.insert(session) else {
            refusals.add(.sessionLimit)
            events.append(.sessionClosed(configuration.session, .limitReached))
            return
        }
        streams[stream].viewers.append(slot)
        sessionIDs.set(configuration.session, .viewer(slot))
        let hash = UsernameFragmentHash.of(configuration.transport.local.usernameFragment)
        viewers[slot].usernames.append(hash)
        usernames.set(hash, .viewer(slot))
        if viewers[slot].transport.isConnected {
            if let address = viewers[slot].transport.remoteAddress { addresses.set(address, .viewer(slot)) }
            events.append(.sessionConnected(configuration.session))
            subscribe(viewer: slot, at: now, into: &out)
        }
        rearm(.viewer(slot))
    }

    /// A viewer with ready SRTP keys, connected at once: for tests, benches and the simulator, which have no DTLS.
    package mutating func addKeyedViewer(
        _ configuration: ViewerConfiguration, keys: SRTPSessionKeys, remoteAddress: NetworkAddress, at now: Now,
        into out: inout Outbox, events: inout EventBuffer<WorkerEvent>
    ) {
        let transport = EdgeTransport(testKeys: keys, remoteAddress: remoteAddress, at: now)
        addViewer(configuration, transport: transport, at: now, into: &out, events: &events)
    }

    private mutating func restartICE(
        _ id: SessionID, local: ICECredentials, remote: ICECredentials, at now: Now
    ) {
        guard let session = sessionIDs[id] else { return refusals.add(.unknownHandle) }
        let hash = UsernameFragmentHash.of(local.usernameFragment)
        switch session {
        case .publisher(let slot):
            publishers[slot].transport?.restart(local: local, remote: remote, at: now)
            publishers[slot].usernames.append(hash)
            while publishers[slot].usernames.count > 2 { usernames.remove(publishers[slot].usernames.removeFirst()) }
        case .viewer(let slot):
            viewers[slot].transport.restart(local: local, remote: remote, at: now)
            viewers[slot].usernames.append(hash)
            while viewers[slot].usernames.count > 2 { usernames.remove(viewers[slot].usernames.removeFirst()) }
        }
        usernames.set(hash, session)
        rearm(session)
    }
}
