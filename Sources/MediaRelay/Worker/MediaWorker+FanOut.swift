import SwarmCore

extension MediaWorker {
    /// Forwards what the batch brought: each egress outside, its packets inside, so that one destination's packets are
    /// consecutive in `out`. True when the outbox filled up: send it, empty it and call again.
    package mutating func endBatch(
        at now: Now, into out: inout Outbox, events: inout EventBuffer<WorkerEvent>
    ) -> Bool {
        while !dirtyStreams.isEmpty {
            let stream = dirtyStreams[dirtyStreams.count - 1]
            guard streams.contains(stream) else {
                dirtyStreams.removeLast()
                continue
            }
            guard forward(stream: stream, at: now, into: &out) else { return true }
            streams[stream].isDirty = false
            streams[stream].nextEgress = 0
            dirtyStreams.removeLast()
        }
        return false
    }

    /// Serves the stream's egresses from where the last call stopped; false when the outbox has no room.
    private mutating func forward(stream: SlotID, at now: Now, into out: inout Outbox) -> Bool {
        // A deadline that does not lie ahead would keep the driver from sleeping.
        let soonest = now.monotonic + .milliseconds(1)
        while true {
            let position = streams[stream].nextEgress
            let viewerCount = streams[stream].viewers.count
            let outcome: ForwardOutcome
            if position < viewerCount {
                let slot = streams[stream].viewers[position]
                guard viewers.contains(slot) else {
                    streams[stream].nextEgress += 1
                    continue
                }
                outcome = viewers[slot].forward(layers: layers, at: now, into: &out)
                if case .done(let wake?) = outcome { viewerDeadlines.bringForward(slot.index, to: max(wake, soonest)) }
                if let due = viewers[slot].reportDue { viewerDeadlines.bringForward(slot.index, to: due) }
            } else if position - viewerCount < streams[stream].children.count {
                let slot = streams[stream].children[position - viewerCount]
                guard links.contains(slot), let index = links[slot].outgoingIndex(stream: stream)
                else {
                    streams[stream].nextEgress += 1
                    continue
                }
                outcome = links[slot].forward(stream: index, layers: layers, at: now, into: &out)
                if case .done(let wake?) = outcome { linkDeadlines.bringForward(slot.index, to: max(wake, soonest)) }
            } else {
                return true
            }
            if case .outboxFull = outcome { return false }
            streams[stream].nextEgress += 1
        }
    }
}
