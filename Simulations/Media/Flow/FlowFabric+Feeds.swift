import MediaRelay
import SwarmCore

/// Which media flows where.
extension FlowFabric {
    // MARK: Streams

    func openStream(_ handle: StreamHandle, _ descriptor: StreamDescriptor, node: Int, worker: Int) {
        let key = NodeKey(node: node, raw: handle.raw)
        let rate = configuration.bitsPerSecond(descriptor)
        guard let stream = streamOfHandle[key] else {
            let stream = streams.insert(
                FlowStream(handle: handle, node: node, worker: worker, epoch: descriptor.epoch, bitsPerSecond: rate))
            streamOfHandle[key] = stream
            nodes[node].streams.append(stream)
            return
        }
        let isNewEpoch = streams[stream].epoch != descriptor.epoch
        streams[stream].epoch = descriptor.epoch
        streams[stream].bitsPerSecond = rate
        // Children begin each publication anew, by RESUME; so does this node at its parent.
        if isNewEpoch { stopFeeding(stream) }
        if let parent = streams[stream].parent, links.contains(parent) {
            for index in links[parent].incoming.indices where links[parent].incoming[index].stream == stream {
                links[parent].incoming[index].resumeFrom = clock
                review(parent, alias: links[parent].incoming[index].alias)
            }
        }
        forEachChild(of: stream) { link, alias in
            if let other = links[link].other { review(other, alias: alias) }
        }
    }

    private func stopFeeding(_ stream: FlowStreamReference) {
        for link in nodes[streams[stream].node].links {
            for index in links[link].outgoing.indices where links[link].outgoing[index].stream == stream {
                links[link].outgoing[index].isStarted = false
                links[link].outgoing[index].serial &+= 1
            }
        }
    }

    func closeStream(_ stream: FlowStreamReference, reason: SessionCloseReason) {
        let node = streams[stream].node
        if let session = streams[stream].publisher { close(SessionKey(node: node, session: session), reason: reason) }
        for row in streams[stream].viewers.reversed() {
            close(SessionKey(node: node, session: viewerRows[row].session), reason: reason)
        }
        // ENDED is repeated until the child has it; here it arrives once, where the path works.
        forEachChild(of: stream) { link, alias in
            guard let other = links[link].other, let delay = oneWay(from: node, to: links[other].node) else { return }
            queue.push(.ended(other, alias: alias), at: clock + delay)
        }
        for link in nodes[node].links {
            links[link].incoming.removeAll { $0.stream == stream }
            let aliases = links[link].outgoing.filter { $0.stream == stream }.map(\.alias)
            links[link].outgoing.removeAll { $0.stream == stream }
            if let other = links[link].other { for alias in aliases { review(other, alias: alias) } }
        }
        nodes[node].streams.removeAll { $0 == stream }
        streamOfHandle[NodeKey(node: node, raw: streams[stream].handle.raw)] = nil
        streams.remove(stream)
    }

    /// The node has died: nothing is said and nothing reported.
    func abandon(_ stream: FlowStreamReference) {
        let node = streams[stream].node
        if let session = streams[stream].publisher { sessions[SessionKey(node: node, session: session)] = nil }
        for row in streams[stream].viewers {
            sessions[SessionKey(node: node, session: viewerRows[row].session)] = nil
            finish(viewer: row)
        }
        streamOfHandle[NodeKey(node: node, raw: streams[stream].handle.raw)] = nil
        streams.remove(stream)
    }

    // MARK: Attachments

    /// The worker keeps an earlier parent's media welcome for a moment, and says RESUME to the new one.
    func attachParent(_ stream: FlowStreamReference, link: FlowLinkReference, alias: UInt32) {
        if let earlier = streams[stream].parent, links.contains(earlier) {
            for index in links[earlier].incoming.indices where links[earlier].incoming[index].stream == stream {
                if earlier == link, links[link].incoming[index].alias == alias {
                    links[link].incoming[index].resumeFrom = clock
                    links[link].incoming[index].expires = nil
                    return review(link, alias: alias)
                }
                let expires = clock + FlowTimes.lingering
                links[earlier].incoming[index].expires = expires
                queue.push(.expire(earlier, alias: links[earlier].incoming[index].alias), at: expires)
            }
        }
        links[link].incoming.removeAll { $0.alias == alias }
        links[link].incoming.append(FlowIncoming(alias: alias, stream: stream, resumeFrom: clock))
        streams[stream].parent = link
        review(link, alias: alias)
    }

    func detachParent(_ stream: FlowStreamReference) {
        guard let parent = streams[stream].parent else { return }
        streams[stream].parent = nil
        if links.contains(parent) { links[parent].incoming.removeAll { $0.stream == stream } }
        reviewFeed(of: stream)
    }

    func expire(_ link: FlowLinkReference, alias: UInt32) {
        guard let index = links[link].incomingIndex(alias: alias),
            let expires = links[link].incoming[index].expires, expires <= clock
        else { return }
        forgetIncoming(links[link].incoming.remove(at: index), of: link)
    }

    /// An attachment has gone from a link's list, or goes with its link.
    func forgetIncoming(_ attached: FlowIncoming, of link: FlowLinkReference) {
        links[link].incoming.removeAll { $0.alias == attached.alias }
        guard streams.contains(attached.stream) else { return }
        let isParent = streams[attached.stream].parent == link && attached.expires == nil
        if isParent { streams[attached.stream].parent = nil }
        reviewFeed(of: attached.stream)
    }

    func parentEnded(_ link: FlowLinkReference, alias: UInt32) {
        guard let index = links[link].incomingIndex(alias: alias) else { return }
        let attached = links[link].incoming[index]
        let wasParent = streams.contains(attached.stream) && streams[attached.stream].parent == link
        forgetIncoming(attached, of: link)
        guard wasParent else { return }
        streams[attached.stream].parent = nil
        report(.parentEnded(streams[attached.stream].handle), node: links[link].node, worker: links[link].worker)
    }

    func attachChild(_ stream: FlowStreamReference, link: FlowLinkReference, alias: UInt32) {
        if links[link].outgoing.contains(where: { $0.stream == stream && $0.alias == alias }) { return }
        let replaced = links[link].outgoing.filter { $0.stream == stream || $0.alias == alias }.map(\.alias)
        links[link].outgoing.removeAll { $0.stream == stream || $0.alias == alias }
        links[link].outgoing.append(FlowOutgoing(alias: alias, stream: stream))
        queue.push(.start(link, alias: alias, serial: 0), at: clock + FlowTimes.startDelay)
        guard let other = links[link].other else { return }
        for former in replaced where former != alias { review(other, alias: former) }
        review(other, alias: alias, sentBefore: true)
    }

    func detachChild(_ stream: FlowStreamReference, link: FlowLinkReference) {
        let aliases = links[link].outgoing.filter { $0.stream == stream }.map(\.alias)
        links[link].outgoing.removeAll { $0.stream == stream }
        if let other = links[link].other { for alias in aliases { review(other, alias: alias) } }
    }

    /// Media begins to leave towards a child: it has said RESUME, or has kept silent for the start delay.
    func start(_ link: FlowLinkReference, alias: UInt32, serial: UInt32) {
        guard let index = links[link].outgoingIndex(alias: alias), links[link].outgoing[index].serial == serial,
            !links[link].outgoing[index].isStarted
        else { return }
        guard links[link].hasAddress else {
            queue.push(.start(link, alias: alias, serial: serial), at: clock + FlowTimes.startDelay)
            return
        }
        links[link].outgoing[index].isStarted = true
        if let other = links[link].other { reviewPath(of: other) }
    }

    // MARK: Feeds

    /// Looks again at one attachment from the parent's side: what the parent sends under `alias` towards the end `link`
    /// of its child, and whether the child's RESUME reaches it.
    func review(_ link: FlowLinkReference, alias: UInt32, sentBefore: Bool = false) {
        guard let index = links[link].incomingIndex(alias: alias) else { return }
        let attached = links[link].incoming[index]
        let parent = parentSide(of: link, alias: alias)
        if let (end, position) = parent, !links[end].outgoing[position].isStarted {
            scheduleResume(of: attached, at: link, to: end, position, sentBefore: sentBefore)
        }
        let hops = parent.flatMap { sentHops(from: $0.0, position: $0.1, to: link, attached) }
        guard hops != attached.sent else { return }
        links[link].incoming[index].sent = hops
        links[link].incoming[index].serial &+= 1
        queue.push(
            .feed(link, alias: alias, serial: links[link].incoming[index].serial, hops: hops),
            at: clock + links[link].delay)
    }

    private func parentSide(of link: FlowLinkReference, alias: UInt32) -> (FlowLinkReference, Int)? {
        guard let end = links[link].other, links.contains(end) else { return nil }
        return links[end].outgoingIndex(alias: alias).map { (end, $0) }
    }

    /// Hops as the child will count them, nil where nothing leaves the parent or gets through.
    private func sentHops(
        from end: FlowLinkReference, position: Int, to link: FlowLinkReference, _ attached: FlowIncoming
    ) -> UInt8? {
        let outgoing = links[end].outgoing[position]
        guard outgoing.isStarted, links[end].hasAddress, streams.contains(outgoing.stream),
            streams.contains(attached.stream), let hops = streams[outgoing.stream].hops, hops < FlowTimes.hops,
            streams[outgoing.stream].epoch == streams[attached.stream].epoch,
            oneWay(from: links[end].node, to: links[link].node) != nil
        else { return nil }
        return hops + 1
    }

    /// The first RESUME that finds the parent ready starts the stream there.
    private func scheduleResume(
        of attached: FlowIncoming, at link: FlowLinkReference, to end: FlowLinkReference, _ position: Int,
        sentBefore: Bool
    ) {
        let outgoing = links[end].outgoing[position]
        guard links[link].hasAddress, attached.expires == nil, streams.contains(outgoing.stream),
            streams.contains(attached.stream),
            streams[outgoing.stream].epoch == streams[attached.stream].epoch,
            let delay = oneWay(from: links[link].node, to: links[end].node)
        else { return }
        let earliest = sentBefore ? clock - delay : clock
        for attempt in 0..<FlowTimes.resumeAttempts {
            let left = attached.resumeFrom + FlowTimes.resumeOffset(attempt)
            guard left >= earliest else { continue }
            queue.push(.start(end, alias: attached.alias, serial: outgoing.serial), at: max(left + delay, clock))
            return
        }
    }

    func feedArrived(_ link: FlowLinkReference, alias: UInt32, serial: UInt32, hops: UInt8?) {
        guard let index = links[link].incomingIndex(alias: alias), links[link].incoming[index].applied < serial
        else { return }
        links[link].incoming[index].applied = serial
        links[link].incoming[index].hops = hops
        let stream = links[link].incoming[index].stream
        if streams.contains(stream) { reviewFeed(of: stream) }
    }

    /// Sums up what reaches a stream; a change reaches its viewers and is passed on to its children.
    func reviewFeed(of stream: FlowStreamReference) {
        let before = streams[stream].hops
        let after = arrivingHops(of: stream)
        guard before != after else { return }
        streams[stream].hops = after
        if before == nil {
            streams[stream].fedSince = clock
            for row in streams[stream].viewers { mediaReached(viewer: row) }
        } else if after == nil {
            if let since = streams[stream].fedSince { streams[stream].fed = streams[stream].fed + (clock - since) }
            streams[stream].fedSince = nil
            for row in streams[stream].viewers { mediaLeft(viewer: row) }
        }
        forEachChild(of: stream) { link, _ in
            if let other = links[link].other { reviewPath(of: other) }
        }
    }

    private func arrivingHops(of stream: FlowStreamReference) -> UInt8? {
        if streams[stream].isPublishing { return 0 }
        var least: UInt8?
        for link in nodes[streams[stream].node].links {
            for attached in links[link].incoming where attached.stream == stream {
                guard let hops = attached.hops else { continue }
                least = min(least ?? hops, hops)
            }
        }
        return least
    }

    /// Every link end by which the stream leaves its node, in order of opening.
    func forEachChild(of stream: FlowStreamReference, _ body: (FlowLinkReference, UInt32) -> Void) {
        for link in nodes[streams[stream].node].links {
            for attached in links[link].outgoing where attached.stream == stream { body(link, attached.alias) }
        }
    }
}
