import MediaRelay
import SwarmCore

/// Opening, hearing and losing links.
extension FlowFabric {
    func openLink(_ configuration: MediaLinkConfiguration, node: Int, worker: Int) {
        let key = NodeKey(node: node, raw: configuration.handle.raw)
        guard linkOfHandle[key] == nil else { return }
        let link = links.insert(
            FlowLinkEnd(
                node: node, worker: worker, configuration: configuration, peerNode: index(of: configuration.peer),
                opened: clock, beatOrigin: clock))
        linkOfHandle[key] = link
        nodes[node].links.append(link)
        queue.push(.openTimeout(link), at: clock + FlowTimes.linkOpen)
        match(link)
    }

    /// Finds the end that the peer has opened: it must name this one, and hold the same keys the other way round.
    private func match(_ link: FlowLinkReference) {
        let own = links[link].configuration
        guard let peer = links[link].peerNode,
            let other = linkOfHandle[NodeKey(node: peer, raw: own.remoteConnectionID)]
        else { return }
        let theirs = links[other].configuration
        guard links[other].peerNode == links[link].node, theirs.remoteConnectionID == own.handle.raw,
            theirs.sendKey == own.receiveKey, theirs.receiveKey == own.sendKey, theirs.cipher == own.cipher
        else { return }
        links[link].other = other
        links[other].other = link
        // What is on its way when this end opens reaches it, as a socket that was there before would have.
        reviewPath(of: link, sentBefore: true)
        reviewPath(of: other)
    }

    /// Nobody is told: the peer hears silence.
    func closeLink(_ link: FlowLinkReference) {
        let end = links[link]
        for attached in end.incoming { forgetIncoming(attached, of: link) }
        links[link].outgoing = []
        if let other = end.other {
            for attached in links[other].incoming { review(other, alias: attached.alias) }
            links[other].other = nil
            reviewPath(of: other)
        }
        linkOfHandle[NodeKey(node: end.node, raw: end.configuration.handle.raw)] = nil
        nodes[end.node].links.removeAll { $0 == link }
        links.remove(link)
    }

    // MARK: Hearing

    /// The one-way delay of what the peer's end says, nil where it says nothing or nothing gets through.
    private func hearingDelay(of link: FlowLinkReference) -> Interval? {
        guard let other = links[link].other, links[other].hasAddress, !links[other].isLost || feeds(other) else {
            return nil
        }
        return oneWay(from: links[other].node, to: links[link].node)
    }

    /// Whether media leaves over an end: the worker forwards even over a link that it holds for lost.
    private func feeds(_ link: FlowLinkReference) -> Bool {
        links[link].outgoing.contains { attached in
            attached.isStarted && streams.contains(attached.stream) && streams[attached.stream].hops != nil
        }
    }

    /// Looks again at whether an end hears its peer, and at what flows to it. `sentBefore` where frames that left before
    /// now are heard too.
    func reviewPath(of link: FlowLinkReference, sentBefore: Bool = false) {
        let delay = hearingDelay(of: link)
        if let delay { links[link].delay = delay }
        switch (delay, links[link].isHearing) {
        case (let delay?, false): beginHearing(link, delay: delay, sentBefore: sentBefore)
        case (nil, true): endHearing(link)
        default: break
        }
        for attached in links[link].incoming { review(link, alias: attached.alias) }
    }

    private func beginHearing(_ link: FlowLinkReference, delay: Interval, sentBefore: Bool) {
        links[link].isHearing = true
        links[link].serial &+= 1
        guard let other = links[link].other else { return }
        let earliest = sentBefore ? clock - delay : clock
        let origin = links[other].beatOrigin
        let beat = interval(ofBeat: other)
        var left = origin
        if earliest > origin {
            let beats = ((earliest - origin).nanoseconds + beat.nanoseconds - 1) / beat.nanoseconds
            left = origin + beat * beats
        }
        queue.push(.hear(link, serial: links[link].serial), at: max(left + delay, clock))
    }

    private func endHearing(_ link: FlowLinkReference) {
        links[link].isHearing = false
        links[link].serial &+= 1
        guard links[link].isEstablished, !links[link].isLost else { return }
        queue.push(
            .silence(link, serial: links[link].serial), at: lastArrival(at: link) + FlowTimes.linkLost)
    }

    /// When the last frame before now reached the end: the peer's last beat, or the last packet of what it fed.
    private func lastArrival(at link: FlowLinkReference) -> MonotonicInstant {
        guard let other = links[link].other, links.contains(other), links[other].beatOrigin < clock else {
            return clock + links[link].delay
        }
        let spacing = feeds(other) ? configuration.packetSpacing : interval(ofBeat: other)
        let since = clock - links[other].beatOrigin
        return clock - Interval(nanoseconds: since.nanoseconds % spacing.nanoseconds) + links[link].delay
    }

    private func interval(ofBeat link: FlowLinkReference) -> Interval {
        links[link].isActive || !links[link].isEstablished ? FlowTimes.activeBeat : FlowTimes.idleBeat
    }

    func heard(_ link: FlowLinkReference, serial: UInt32) {
        guard links[link].serial == serial, links[link].isHearing else { return }
        guard !links[link].isEstablished || links[link].isLost else { return }
        links[link].isEstablished = true
        links[link].isLost = false
        // It answers at once, and from then on keeps the beat.
        links[link].beatOrigin = clock
        report(
            .linkEstablished(links[link].configuration.handle), node: links[link].node, worker: links[link].worker)
        if let other = links[link].other { reviewPath(of: other) }
        for attached in links[link].incoming { review(link, alias: attached.alias) }
    }

    func fellSilent(_ link: FlowLinkReference, serial: UInt32) {
        guard links[link].serial == serial, !links[link].isHearing else { return }
        lose(link)
    }

    func lose(_ link: FlowLinkReference) {
        guard !links[link].isLost else { return }
        links[link].isLost = true
        report(.linkLost(links[link].configuration.handle), node: links[link].node, worker: links[link].worker)
        if let other = links[link].other { reviewPath(of: other) }
    }
}
