import MediaRelay
import SwarmCore
import SwarmCrypto

/// What a node's packet-level media is made with.
package struct PacketMediaConfiguration: Sendable {
    /// Where each worker's socket is, in the order of the composition's ports.
    package var workerAddresses: [NetworkAddress]
    /// Hosts of clients: client i of the node is at one of these addresses, with a port of its own.
    package var clientHosts: [NetworkAddress]
    package var paths: ClientPaths
    package var suite: CryptoSuite
    /// Smaller than the product's: a simulated node serves tens of viewers, and hundreds of nodes share one memory.
    package var limits: MediaLimits

    package init(
        workerAddresses: [NetworkAddress], clientHosts: [NetworkAddress], paths: ClientPaths, suite: CryptoSuite
    ) {
        precondition(!workerAddresses.isEmpty && !clientHosts.isEmpty, "no worker or no host for clients")
        self.workerAddresses = workerAddresses
        self.clientHosts = clientHosts
        self.paths = paths
        self.suite = suite
        limits = MediaLimits()
        limits.publishers = 16
        limits.viewers = 256
        limits.streams = 64
        limits.layers = 256
        limits.links = 64
        // Ten seconds of the demo clip; what is shown of a store is at most two seconds old.
        limits.videoStoreBytes = 512 * 1024
    }
}

/// A node's media at packet fidelity: the product's `MediaWorker`s and headless clients, every packet forwarded, lost and
/// repaired as it would be. For tens to hundreds of nodes.
///
/// Worker to worker goes over the engine's network; between a client and its node there is a wire of its own inside, with
/// a delay and without loss. While the engine keeps a paused node from being called, its clients stand still with it.
package final class PacketMedia: MediaPlane {
    private final class Worker {
        var machine: MediaWorker
        let address: NetworkAddress

        init(machine: consuming MediaWorker, address: NetworkAddress) {
            self.machine = machine
            self.address = address
        }
    }

    private struct Datagram {
        let from: NetworkAddress
        let to: NetworkAddress
        let bytes: [UInt8]
    }

    private let configuration: PacketMediaConfiguration
    private let generator: SeededGenerator
    private let certificate: DTLSCertificate
    private let workers: [Worker]
    private var clients: [PacketClient] = []
    private var clientAt: [NetworkAddress: Int] = [:]
    /// Between clients and workers.
    private var wire = FlowQueue<Datagram>()
    /// Takes a second of the clip at once, as a stalled publisher sends it; a fan-out that is larger goes on after a flush, by `endBatch`.
    private var scratch = Outbox(byteCapacity: 512 * 1024, datagramCapacity: 1024)
    private var workerEvents = EventBuffer<WorkerEvent>()
    private var clientEvents = EventBuffer<ClientEvent>()
    /// Called when the node dies, while its viewers can still be asked.
    package var onStop: ((PacketMedia) -> Void)?
    /// UDP payload that has left the workers, to clients and other nodes.
    private var bytesSent = 0
    private var bytesSeen: (count: Int, at: MonotonicInstant)?

    /// `generator` is this node's (and life's) own; it is never drawn from.
    package init(_ configuration: PacketMediaConfiguration, generator: SeededGenerator) {
        self.configuration = configuration
        self.generator = generator
        var draws = generator.child(1)
        let certificate = DTLSCertificate.simulated(seed: draws.next())
        self.certificate = certificate
        workers = configuration.workerAddresses.enumerated().map { index, address in
            Worker(
                machine: MediaWorker(
                    index: index, certificate: certificate, generator: generator.child(2).child(UInt64(index)),
                    limits: configuration.limits, suite: configuration.suite), address: address)
        }
    }

    package var fingerprint: Bytes32 { certificate.fingerprint }

    // MARK: The engine's calls

    package func apply(_ command: WorkerCommand, worker index: Int, at now: Now, into out: inout MediaOutput) {
        guard index < workers.count else { return }
        workers[index].machine.apply(command, at: now, into: &scratch, events: &workerEvents)
        finish(index, at: now, into: &out)
    }

    package func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, to destination: NetworkAddress, at now: Now,
        into out: inout MediaOutput
    ) {
        guard let index = workers.firstIndex(where: { $0.address == destination }) else { return }
        workers[index].machine.receive(&datagram, from: source, at: now, into: &scratch, events: &workerEvents)
        finish(index, at: now, into: &out)
    }

    /// Ends: every path inside has a delay, and a machine that has advanced has no deadline in the past.
    package func advance(to now: Now, into out: inout MediaOutput) {
        while let (_, datagram) = wire.popDue(at: now.monotonic) { deliver(datagram, at: now, into: &out) }
        for index in workers.indices {
            guard let due = workers[index].machine.nextDeadline, due <= now.monotonic else { continue }
            workers[index].machine.advance(to: now, into: &scratch, events: &workerEvents)
            finish(index, at: now, into: &out)
        }
        for client in clients {
            guard let due = client.nextDeadline, due <= now.monotonic else { continue }
            client.advance(to: now, into: &scratch, events: &clientEvents)
            flush(client, at: now)
        }
    }

    package var nextDeadline: MonotonicInstant? {
        var deadline = wire.nextDue
        for worker in workers { deadline = Deadline.earlier(deadline, worker.machine.nextDeadline) }
        for client in clients { deadline = Deadline.earlier(deadline, client.nextDeadline) }
        return deadline
    }

    package func stop() { onStop?(self) }
    package func pause(until end: MonotonicInstant) {}

    // MARK: Clients

    package func offer(_ purpose: MediaClientPurpose, at now: Now) -> MediaClientOffer {
        let id = MediaClientID(UInt32(clients.count))
        let host = configuration.clientHosts[clients.count % configuration.clientHosts.count]
        let port = UInt16(truncatingIfNeeded: 5000 + clients.count / configuration.clientHosts.count)
        let client = PacketClient(
            id: id, purpose: purpose, address: host.withPort(port), delay: configuration.paths.delay(of: id),
            generator: generator.child(3).child(UInt64(id.raw)), at: now.monotonic)
        clientAt[client.address] = clients.count
        clients.append(client)
        return MediaClientOffer(client: id, sdp: client.offer.sdp)
    }

    package func accept(
        _ answer: String, client: MediaClientID, at now: Now, into out: inout MediaOutput
    ) throws(NegotiationError) {
        try clients[Int(client.raw)].accept(answer, at: now)
    }

    package func vanish(_ client: MediaClientID, at now: Now) { clients[Int(client.raw)].vanish() }

    package func viewers(at now: Now) -> [ViewerMeasure] {
        clients.compactMap { $0.measure(at: now.monotonic) }
    }

    package func forgetGaps(at now: Now) {
        for client in clients { client.forgetGaps(at: now.monotonic) }
    }

    /// The workers' counters, in their order.
    package func statistics() -> [WorkerStatistics] { workers.map { $0.machine.statistics(token: 0) } }

    /// Datagrams that found no room on their way out: always 0 unless a machine says more in one call than it may.
    package var datagramsDropped: UInt64 { scratch.dropped + scratch.oversized }

    /// What the workers have sent since this was last asked, per second; 0 the first time.
    package func takeEgressBitsPerSecond(at now: Now) -> Double {
        let before = bytesSeen
        bytesSeen = (bytesSent, now.monotonic)
        guard let before, now.monotonic > before.at else { return 0 }
        return Double(bytesSent - before.count) * 8 / (now.monotonic - before.at).fractionalSeconds
    }

    // MARK: Inside

    private func deliver(_ datagram: Datagram, at now: Now, into out: inout MediaOutput) {
        var bytes = datagram.bytes
        var span = bytes.mutableSpan
        if let index = clientAt[datagram.to] {
            clients[index].receive(&span, from: datagram.from, at: now, into: &scratch, events: &clientEvents)
            flush(clients[index], at: now)
        } else if let index = workers.firstIndex(where: { $0.address == datagram.to }) {
            workers[index].machine.receive(
                &span, from: datagram.from, at: now, into: &scratch, events: &workerEvents)
            finish(index, at: now, into: &out)
        }
    }

    /// What the worker owes after a call: forwarded packets, its datagrams sorted by where they go, its events.
    private func finish(_ index: Int, at now: Now, into out: inout MediaOutput) {
        flush(workers[index], at: now, into: &out)
        var hasMore = true
        while hasMore {
            hasMore = workers[index].machine.endBatch(at: now, into: &scratch, events: &workerEvents)
            flush(workers[index], at: now, into: &out)
        }
        while let event = workerEvents.popFirst() { out.events.append((worker: index, event: event)) }
    }

    private func flush(_ worker: Worker, at now: Now, into out: inout MediaOutput) {
        for index in 0..<scratch.count {
            let destination = scratch.destination(of: index)
            bytesSent += scratch.entry(index).count
            if let client = clientAt[destination] {
                let datagram = Datagram(
                    from: worker.address, to: destination, bytes: scratch.bytes(of: index).copied())
                wire.push(datagram, at: now.monotonic + clients[client].delay)
            } else {
                out.datagrams.append(to: destination, copying: scratch.bytes(of: index))
                out.send(from: worker.address)
            }
        }
        scratch.removeAll()
    }

    private func flush(_ client: PacketClient, at now: Now) {
        for index in 0..<scratch.count {
            let datagram = Datagram(
                from: client.address, to: scratch.destination(of: index), bytes: scratch.bytes(of: index).copied())
            wire.push(datagram, at: now.monotonic + client.delay)
        }
        scratch.removeAll()
    }
}
