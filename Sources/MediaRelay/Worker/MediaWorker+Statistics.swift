import SwarmCore

extension MediaWorker {
    /// A snapshot, in order of slots: what `collectStatistics` is answered with.
    package func statistics(token: UInt64) -> WorkerStatistics {
        var snapshot = WorkerStatistics(token: token, worker: index)
        for position in 0..<publishers.slotCount {
            guard let slot = publishers.id(at: position) else { continue }
            snapshot.sessions.append(statistics(publisher: slot))
        }
        for position in 0..<viewers.slotCount {
            guard let slot = viewers.id(at: position) else { continue }
            snapshot.sessions.append(statistics(viewer: slot))
        }
        for position in 0..<links.slotCount {
            guard let slot = links.id(at: position) else { continue }
            var link = links[slot].statistics
            link.packetsLost = links[slot].loss.detected
            link.roundTrip = links[slot].roundTrip
            snapshot.links.append(link)
        }
        for position in 0..<streams.slotCount {
            guard let slot = streams.id(at: position) else { continue }
            snapshot.streams.append(statistics(stream: slot))
        }
        snapshot.refusals = refusals.all.filter { $0.count > 0 }.map { ("\($0.reason)", $0.count) }
        snapshot.refusals += edgeRefusals.all.filter { $0.count > 0 }.map { ("\($0.reason)", $0.count) }
        return snapshot
    }

    private var edgeRefusals: Counters<EdgeRefusal> {
        var sum = closedEdgeRefusals
        for position in 0..<publishers.slotCount {
            guard let slot = publishers.id(at: position), let refused = publishers[slot].edgeRefusals else {
                continue
            }
            sum.add(refused)
        }
        for position in 0..<viewers.slotCount {
            if let slot = viewers.id(at: position) { sum.add(viewers[slot].transport.refusals) }
        }
        return sum
    }

    private func handle(of stream: SlotID) -> StreamHandle {
        streams.contains(stream) ? streams[stream].handle : StreamHandle(0)
    }

    private func statistics(publisher slot: SlotID) -> WorkerStatistics.Session {
        var session = WorkerStatistics.Session(
            id: publishers[slot].id, stream: handle(of: publishers[slot].stream), isPublisher: true,
            isConnected: publishers[slot].isConnected)
        session.remoteAddress = publishers[slot].remoteAddress
        session.packetsReceived = publishers[slot].packetsReceived
        session.bytesReceived = publishers[slot].bytesReceived
        for track in publishers[slot].tracks { session.packetsLost &+= track.reception.lost }
        return session
    }

    private func statistics(viewer slot: SlotID) -> WorkerStatistics.Session {
        var session = WorkerStatistics.Session(
            id: viewers[slot].id, stream: handle(of: viewers[slot].stream), isPublisher: false,
            isConnected: viewers[slot].transport.isConnected)
        session.remoteAddress = viewers[slot].transport.remoteAddress
        session.packetsSent = viewers[slot].packetsSent
        session.bytesSent = viewers[slot].bytesSent
        for egress in viewers[slot].egresses {
            session.packetsRetransmitted &+= egress.retransmissionCount
            session.packetsLost &+= UInt64(max(0, egress.cumulativeLost))
            session.roundTrip = session.roundTrip ?? egress.roundTrip
        }
        return session
    }

    private func statistics(stream slot: SlotID) -> WorkerStatistics.Stream {
        var stream = WorkerStatistics.Stream(
            handle: streams[slot].handle, viewers: streams[slot].viewers.count,
            children: streams[slot].children.count, hasParent: streams[slot].parent != nil,
            hasPublisher: streams[slot].publisher != nil)
        for bit in 0..<64 {
            guard let layer = streams[slot].layers[bit], layers.contains(layer) else { continue }
            stream.packetsReceived &+= layers[layer].packetCount
            stream.bytesReceived &+= layers[layer].byteCount
        }
        return stream
    }
}
