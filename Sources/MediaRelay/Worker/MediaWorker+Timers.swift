import SwarmCore

/// What a worker waits for.
private enum MediaTimer {
    /// A publisher's transport, NACKs, transport-wide feedback, receiver reports, or a plain source's silence.
    case publisher
    /// A viewer's transport, sender reports or paced replay.
    case viewer
    /// A key frame that was asked for has not come.
    case keyFrame
    /// A link's keep-alive, NACKs, pings, RESUMEs, paced replay, or its end.
    case link
}

extension MediaWorker {
    package mutating func advance(
        to now: Now, into out: inout Outbox, events: inout EventBuffer<WorkerEvent>
    ) {
        run(.publisher, at: now, into: &out, events: &events)
        run(.viewer, at: now, into: &out, events: &events)
        run(.keyFrame, at: now, into: &out, events: &events)
        run(.link, at: now, into: &out, events: &events)
    }

    private mutating func run(
        _ timer: MediaTimer, at now: Now, into out: inout Outbox, events: inout EventBuffer<WorkerEvent>
    ) {
        switch timer {
        case .publisher:
            guard publisherDeadlines.earliest <= now.monotonic else { return }
            advancePublishers(to: now, into: &out, events: &events)
        case .viewer:
            guard viewerDeadlines.earliest <= now.monotonic else { return }
            advanceViewers(to: now, into: &out, events: &events)
        case .keyFrame:
            guard layerDeadlines.earliest <= now.monotonic else { return }
            advanceLayers(to: now, into: &out)
        case .link:
            guard linkDeadlines.earliest <= now.monotonic else { return }
            advanceLinks(to: now, into: &out, events: &events)
        }
    }

    private mutating func advancePublishers(
        to now: Now, into out: inout Outbox, events: inout EventBuffer<WorkerEvent>
    ) {
        var index = 0
        while let due = publisherDeadlines.takeDue(from: index, at: now.monotonic) {
            index = due + 1
            guard let slot = publishers.id(at: due) else { continue }
            if publishers[slot].isPlain {
                if now.monotonic >= publishers[slot].lastPlainArrival + PublisherSession.plainTimeout {
                    closePublisher(slot, reason: .timedOut, into: &out, events: &events)
                    continue
                }
            } else {
                publishers[slot].sendFeedback(at: now, into: &out)
                let signal = publishers[slot].transport?.advance(to: now, into: &out) ?? .none
                handle(signal, of: .publisher(slot), at: now, into: &out, events: &events)
            }
            rearm(.publisher(slot))
            Self.keepInFuture(&publisherDeadlines, slot: UInt32(due), now: now.monotonic)
        }
        publisherDeadlines.refreshEarliest()
    }

    private mutating func advanceViewers(
        to now: Now, into out: inout Outbox, events: inout EventBuffer<WorkerEvent>
    ) {
        var index = 0
        while let due = viewerDeadlines.takeDue(from: index, at: now.monotonic) {
            index = due + 1
            guard let slot = viewers.id(at: due) else { continue }
            viewers[slot].sendReports(layers: layers, at: now, into: &out)
            let signal = viewers[slot].transport.advance(to: now, into: &out)
            handle(signal, of: .viewer(slot), at: now, into: &out, events: &events)
            guard viewers.contains(slot) else { continue }
            if viewers[slot].isReplaying { markDirty(viewers[slot].stream) }
            rearm(.viewer(slot))
            Self.keepInFuture(&viewerDeadlines, slot: UInt32(due), now: now.monotonic)
        }
        viewerDeadlines.refreshEarliest()
    }

    private mutating func advanceLayers(to now: Now, into out: inout Outbox) {
        var index = 0
        while let due = layerDeadlines.takeDue(from: index, at: now.monotonic) {
            index = due + 1
            guard let slot = layers.id(at: due) else { continue }
            sendKeyFrameRequest(layer: slot, at: now, into: &out)
            Self.keepInFuture(&layerDeadlines, slot: UInt32(due), now: now.monotonic)
        }
        layerDeadlines.refreshEarliest()
    }

    private mutating func advanceLinks(
        to now: Now, into out: inout Outbox, events: inout EventBuffer<WorkerEvent>
    ) {
        var index = 0
        while let due = linkDeadlines.takeDue(from: index, at: now.monotonic) {
            index = due + 1
            guard let slot = links.id(at: due) else { continue }
            if links[slot].checkLost(at: now.monotonic) { events.append(.linkLost(links[slot].handle)) }
            links[slot].incoming.removeAll { $0.expires.map { $0 <= now.monotonic } ?? false }
            sendResumes(link: slot, at: now, into: &out)
            startOverdue(link: slot, at: now, into: &out)
            links[slot].sendDue(heads: layers, at: now.monotonic, into: &out)
            for position in links[slot].outgoing.indices where links[slot].outgoing[position].isReplaying {
                markDirty(links[slot].outgoing[position].stream)
            }
            rearmLink(slot)
            Self.keepInFuture(&linkDeadlines, slot: UInt32(due), now: now.monotonic)
        }
        linkDeadlines.refreshEarliest()
    }

    /// After `advance` no deadline may remain in the past: what could not be done now (the outbox was full, a replay
    /// waits for `endBatch`) is tried again in a millisecond.
    private static func keepInFuture(_ table: inout DeadlineTable, slot: UInt32, now: MonotonicInstant) {
        if table.isDue(slot, at: now) { table.set(slot, to: now + .milliseconds(1)) }
    }
}
