import MediaRelay
import SwarmCore

/// Publishers and viewers.
extension FlowFabric {
    func addPublisher(_ configuration: PublisherConfiguration, node: Int, worker: Int) {
        let key = SessionKey(node: node, session: configuration.session)
        guard sessions[key] == nil, let stream = streamOfHandle[NodeKey(node: node, raw: configuration.stream.raw)]
        else { return report(.sessionClosed(configuration.session, .limitReached), node: node, worker: worker) }
        if let earlier = streams[stream].publisher {
            close(SessionKey(node: node, session: earlier), reason: .streamEnded)
        }
        streams[stream].publisher = configuration.session
        sessions[key] = .publisher(stream)
        expectClient(client(of: configuration.transport), key)
    }

    func addViewer(_ configuration: ViewerConfiguration, node: Int, worker: Int) {
        let key = SessionKey(node: node, session: configuration.session)
        guard sessions[key] == nil, let stream = streamOfHandle[NodeKey(node: node, raw: configuration.stream.raw)]
        else { return report(.sessionClosed(configuration.session, .limitReached), node: node, worker: worker) }
        let client = client(of: configuration.transport) ?? MediaClientID(.max)
        let row = viewerRows.count
        viewerRows.append(
            FlowViewer(
                client: client, session: configuration.session, node: node, stream: stream,
                offered: Int(client.raw) < offered.count ? offered[Int(client.raw)] : clock,
                delay: clientDelay(of: client)))
        streams[stream].viewers.append(row)
        nodes[node].viewerRows.append(row)
        sessions[key] = .viewer(row)
        expectClient(client, key)
    }

    private func client(of transport: TransportConfiguration?) -> MediaClientID? {
        transport.flatMap { FlowOffers.client(ofUsername: $0.remote.usernameFragment) }
    }

    /// The answer reaches the client; then ICE's check and its answer, ClientHello, the server's flight and the client's
    /// second, after which the worker has the keys: six times the way.
    private func expectClient(_ client: MediaClientID?, _ key: SessionKey) {
        guard let client else { return }
        queue.push(
            .connect(node: key.node, life: nodes[key.node].life, key.session), at: clock + clientDelay(of: client) * 6)
    }

    func connected(_ key: SessionKey) {
        switch sessions[key] {
        case .publisher(let stream):
            report(.sessionConnected(key.session), node: key.node, worker: streams[stream].worker)
            streams[stream].isPublishing = true
            reviewFeed(of: stream)
        case .viewer(let row):
            viewerRows[row].connected = clock
            let stream = viewerRows[row].stream
            report(.sessionConnected(key.session), node: key.node, worker: streams[stream].worker)
            if streams[stream].hops != nil { mediaReached(viewer: row) }
        case nil: break
        }
    }

    /// The client is gone without a word.
    func vanish(_ client: MediaClientID, from node: Int) {
        begin()
        for row in nodes[node].viewerRows where viewerRows[row].client == client && viewerRows[row].closed == nil {
            mediaLeft(viewer: row)
            viewerRows[row].withoutMediaSince = nil
            viewerRows[row].hasVanished = true
            queue.push(
                .consentLost(node: node, life: nodes[node].life, viewerRows[row].session), at: clock + FlowTimes.consent
            )
        }
        askForWake()
    }

    func close(_ key: SessionKey, reason: SessionCloseReason) {
        guard let session = sessions.removeValue(forKey: key) else { return }
        let stream: FlowStreamReference
        switch session {
        case .publisher(let published):
            stream = published
            streams[stream].publisher = nil
            streams[stream].isPublishing = false
            reviewFeed(of: stream)
        case .viewer(let row):
            stream = viewerRows[row].stream
            streams[stream].viewers.removeAll { $0 == row }
            finish(viewer: row)
        }
        report(.sessionClosed(key.session, reason), node: key.node, worker: streams[stream].worker)
    }

    // MARK: What viewers see

    /// Media is at the viewer's node: it arrives one way later.
    func mediaReached(viewer row: Int) {
        guard viewerRows[row].connected != nil, !viewerRows[row].hasVanished, viewerRows[row].closed == nil else {
            return
        }
        let seen = clock + viewerRows[row].delay
        viewerRows[row].servedSince = seen
        if viewerRows[row].firstMedia == nil { viewerRows[row].firstMedia = seen }
        guard let since = viewerRows[row].withoutMediaSince else { return }
        viewerRows[row].withoutMediaSince = nil
        let gap = seen - since
        viewerRows[row].longestGap = max(viewerRows[row].longestGap, gap)
        if gaps.count < FlowTimes.gaps { gaps.append(gap) }
    }

    func mediaLeft(viewer row: Int) {
        guard let since = viewerRows[row].servedSince else { return }
        let seen = clock + viewerRows[row].delay
        viewerRows[row].servedSince = nil
        viewerRows[row].withoutMediaSince = seen
        viewerRows[row].served = viewerRows[row].served + (seen - since)
    }

    /// The session is over: what it lacked at its end was not a gap but the end.
    func finish(viewer row: Int) {
        mediaLeft(viewer: row)
        viewerRows[row].withoutMediaSince = nil
        viewerRows[row].closed = clock
    }

    // MARK: Measures

    /// Every viewer's measure, in the order in which they were taken in.
    package func viewers() -> [ViewerMeasure] {
        begin()
        return viewerRows.indices.map { measure(viewer: $0) }
    }

    /// Those of one node.
    package func viewers(of node: Int) -> [ViewerMeasure] {
        begin()
        guard node < nodes.count else { return [] }
        return nodes[node].viewerRows.map { measure(viewer: $0) }
    }

    func measure(viewer row: Int) -> ViewerMeasure {
        let viewer = viewerRows[row]
        var served = viewer.served
        if let since = viewer.servedSince, since < clock { served = served + (clock - since) }
        let gapSoFar = viewer.withoutMediaSince.map { max($0, clock) - $0 } ?? .zero
        let rate = streams.contains(viewer.stream) ? streams[viewer.stream].bitsPerSecond : 0
        return ViewerMeasure(
            client: viewer.client,
            timeToConnect: viewer.connected.map { $0 + viewer.delay - viewer.offered },
            timeToFirstKeyFrame: viewer.firstMedia.map { $0 - viewer.offered },
            longestGap: max(viewer.longestGap, gapSoFar), isWithoutMedia: viewer.withoutMediaSince != nil,
            packetsReceived: packets(rate, served), packetsLost: 0, packetsDuplicate: 0,
            isClosed: viewer.closed != nil)
    }

    /// Forgets the gaps so far, so that what follows is measured from here.
    package func forgetGaps() {
        begin()
        gaps = []
        for row in viewerRows.indices {
            viewerRows[row].longestGap = .zero
            if viewerRows[row].withoutMediaSince != nil { viewerRows[row].withoutMediaSince = clock }
        }
    }

    private func packets(_ bitsPerSecond: Double, _ time: Interval) -> UInt64 {
        UInt64(max(0, bitsPerSecond * time.fractionalSeconds / configuration.bitsPerPacket))
    }

    /// What a node sends now: each stream it has, to every connected viewer and every child that has begun.
    package func egressBitsPerSecond(of node: Int) -> Double {
        guard node < nodes.count else { return 0 }
        var sum = 0.0
        for stream in nodes[node].streams where streams[stream].hops != nil {
            var receivers = streams[stream].viewers.count { viewerRows[$0].servedSince != nil }
            for link in nodes[node].links {
                receivers += links[link].outgoing.count { $0.stream == stream && $0.isStarted }
            }
            sum += streams[stream].bitsPerSecond * Double(receivers)
        }
        return sum
    }

    /// Egress over capacity, above 1 where the node has promised too much; 0 without a capacity.
    package func utilisation(of node: Int) -> Double {
        guard node < nodes.count else { return 0 }
        return nodes[node].capacityBitsPerSecond.map { egressBitsPerSecond(of: node) / $0 } ?? 0
    }

    /// The node's streams as trees know them, in order of opening: for the oracle.
    package func feeds(of node: Int) -> [FlowFeed] {
        guard node < nodes.count else { return [] }
        return nodes[node].streams.map { reference in
            let stream = streams[reference]
            let parent = stream.parent.flatMap { links.contains($0) ? links[$0].peerNode : nil }
            return FlowFeed(
                stream: stream.handle, parent: parent, hops: stream.hops.map { Int($0) },
                viewers: stream.viewers.count)
        }
    }

    func statistics(token: UInt64, node: Int, worker: Int) -> WorkerStatistics {
        var snapshot = WorkerStatistics(token: token, worker: worker)
        for reference in nodes[node].streams where streams[reference].worker == worker {
            let stream = streams[reference]
            if let session = stream.publisher {
                snapshot.sessions.append(
                    WorkerStatistics.Session(
                        id: session, stream: stream.handle, isPublisher: true, isConnected: stream.isPublishing))
            }
            for row in stream.viewers {
                var session = WorkerStatistics.Session(
                    id: viewerRows[row].session, stream: stream.handle, isPublisher: false,
                    isConnected: viewerRows[row].connected != nil)
                session.packetsSent = measure(viewer: row).packetsReceived
                session.roundTrip = viewerRows[row].delay * 2
                snapshot.sessions.append(session)
            }
            var children = 0
            forEachChild(of: reference) { _, _ in children += 1 }
            var row = WorkerStatistics.Stream(
                handle: stream.handle, viewers: stream.viewers.count, children: children,
                hasParent: stream.parent != nil, hasPublisher: stream.publisher != nil)
            let fed = stream.fed + (stream.fedSince.map { clock - $0 } ?? .zero)
            row.packetsReceived = packets(stream.bitsPerSecond, fed)
            row.bytesReceived = UInt64(max(0, stream.bitsPerSecond * fed.fractionalSeconds / 8))
            snapshot.streams.append(row)
        }
        for reference in nodes[node].links where links[reference].worker == worker {
            let link = links[reference]
            var row = WorkerStatistics.Link(
                handle: link.configuration.handle, peer: link.configuration.peer,
                isEstablished: link.isEstablished && !link.isLost)
            row.roundTrip = link.isEstablished ? link.delay * 2 : nil
            snapshot.links.append(row)
        }
        return snapshot
    }
}

/// One stream at one node: a row of the true tree.
package struct FlowFeed: Sendable, Hashable {
    package let stream: StreamHandle
    /// The node at the other end of the present parent's link.
    package let parent: Int?
    /// Links from the origin to here of the media that arrives, 0 at the origin, nil where none arrives.
    package let hops: Int?
    package let viewers: Int
}
