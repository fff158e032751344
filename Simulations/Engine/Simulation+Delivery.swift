import Composition
import MediaRelay
import SwarmCore

/// Datagrams between hosts, and messages between a host's threads.
extension Simulation {
    /// Sends what the control plane of `node` wrote.
    func flush(_ node: SimulatedNode) {
        for index in 0..<out.count {
            send(out.bytes(of: index), node, from: node.address, to: out.destination(of: index), ordinal: index)
        }
        out.removeAll()
    }

    func flushMedia(_ node: SimulatedNode) {
        media.send(from: node.address)
        for index in 0..<media.datagrams.count {
            send(
                media.datagrams.bytes(of: index), node, from: media.sources[index],
                to: media.datagrams.destination(of: index), ordinal: index)
        }
    }

    private func send(
        _ bytes: Span<UInt8>, _ node: SimulatedNode, from source: NetworkAddress, to destination: NetworkAddress,
        ordinal: Int
    ) {
        traffic.sent += 1
        traffic.bytesSent += UInt64(bytes.count)
        node.datagramsSent += 1
        node.bytesSent += UInt64(bytes.count)
        for observer in observers { observer.sent(bytes, from: node, to: destination, in: self) }
        guard let to = AddressPlan.index(of: destination), to < nodes.count else { return traffic.lose(.noSuchHost) }
        var source = source
        if node.nat != nil, to != node.index {
            guard let outside = node.nat?.outbound(source: source, to: destination, at: now) else {
                return traffic.lose(.filtered)
            }
            source = outside
        }
        let header = PacketHeader(
            from: UInt32(node.index), to: UInt32(to), source: source, destination: destination, byteCount: bytes.count)
        let transit = network.send(
            from: node.index, to: to, byteCount: bytes.count, at: now, ordinal: UInt32(truncatingIfNeeded: ordinal))
        switch transit {
        case .dropped: traffic.lose(.network)
        case .arrives(let time, let copy, let flippedBit):
            queue.push(at: time, .datagram, park(bytes, header, flippedBit))
            guard let copy else { return }
            traffic.duplicated += 1
            queue.push(at: copy, .datagram, park(bytes, header, nil))
        }
    }

    private func park(_ bytes: Span<UInt8>, _ header: PacketHeader, _ flippedBit: Int?) -> UInt32 {
        let place = packets.insert(bytes, header)
        datagramsInFlight += 1
        guard let flippedBit else { return place }
        packets.withBytes(place) { bytes, _ in
            let bit = flippedBit % (bytes.count * 8)
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
        }
        return place
    }

    /// A datagram has arrived.
    func deliver(_ place: UInt32) {
        let header = packets.header(place)
        let node = nodes[Int(header.to)]
        guard let host = node.host else { return discard(place, .hostDown) }
        if node.pausedUntil > now {
            guard node.heldBack < SimulationLimits.heldBack else { return discard(place, .bufferFull) }
            node.heldBack += 1
            return queue.push(at: node.pausedUntil, .datagram, place)
        }
        node.heldBack = 0
        var destination = header.destination
        if node.nat != nil, header.from != header.to {
            guard let inside = node.nat?.inbound(from: header.source, to: destination, at: now) else {
                return discard(place, .filtered)
            }
            destination = inside
        }
        let isMedia = destination != node.address
        guard !isMedia || node.media != nil else { return discard(place, .noSuchPort) }
        traffic.delivered += 1
        traffic.machineCalls += 1
        node.datagramsReceived += 1
        let local = node.clock.now(now)
        packets.withBytes(place) { bytes, header in
            digest.add(time: now, from: header.from, to: header.to, bytes.span)
            for observer in observers {
                observer.delivered(bytes.span, from: header.source, to: node, in: self)
            }
            if isMedia {
                node.media?.receive(
                    &bytes, from: header.source, to: destination, at: local, into: &media)
            } else {
                host.receive(&bytes, from: header.source, at: local, into: &out, events: &events)
            }
        }
        release(place)
        if isMedia { finishMedia(node) } else { finish(node) }
    }

    private func discard(_ place: UInt32, _ reason: SimulationTraffic.Loss) {
        traffic.lose(reason)
        release(place)
    }

    private func release(_ place: UInt32) {
        packets.remove(place)
        datagramsInFlight -= 1
    }

    // MARK: Threads

    func hop(_ node: SimulatedNode, _ content: ThreadHop.Content) {
        let hop = ThreadHop(node: node.index, life: node.life, content: content)
        queue.push(at: now + UInt64(options.hop.nanoseconds), .hop, hops.park(hop))
    }

    func land(_ place: UInt32) {
        guard let hop = hops.take(place) else { return }
        let node = nodes[hop.node]
        guard node.life == hop.life, node.isUp else { return }
        guard node.pausedUntil <= now else {
            return queue.push(at: node.pausedUntil, .hop, hops.park(hop))
        }
        traffic.machineCalls += 1
        let local = node.clock.now(now)
        switch hop.content {
        case .command(let worker, let command):
            node.media?.apply(command, worker: worker, at: local, into: &media)
            finishMedia(node)
        case .report(let worker, let event):
            node.swarm?.machine.handle(event, from: worker, at: local, into: &out, events: &events)
            finish(node)
        }
    }
}
