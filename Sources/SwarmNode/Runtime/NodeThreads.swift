import Composition
import EventLoop
import MediaRelay
import SwarmCore
import SwarmCrypto

/// The node's own threads: one control thread, one pinned thread per media worker. HTTP has its own elsewhere.
final class NodeThreads: Sendable {
    let id: NodeID
    let swarmPort: UInt16
    let mediaPorts: [UInt16]
    /// Where peers reach the swarm socket, best first.
    let addresses: AddressList
    private let control: LoopThread
    private let workers: [LoopThread]
    private let gate: ControlGate
    private let notices = NoticeBoard()
    private let drainRequest: DrainRequest

    /// Binds every UDP port, then starts every thread. Throws `EventLoopError` or `DTLSError`, one line each.
    init(
        _ configuration: NodeConfiguration, identity: Identity, secret: SwarmSecret, directory: DataDirectory
    ) throws {
        let now = SystemClock.now()
        var entropy = Entropy.system
        let generator = SeededGenerator(seed: entropy.uint64())
        let certificate = try DTLSCertificate(at: now)
        let swarmSocket = try DatagramSocket(bind: .wildcard(port: configuration.port), whenFull: .hold)
        let hosts = AdvertisedHosts(configuration)
        id = identity.id
        swarmPort = swarmSocket.localAddress.port
        let swarmAddresses = hosts.swarm(port: swarmPort)
        addresses = swarmAddresses

        let wakeup = ControlWakeup()
        let channels = (0..<configuration.workers).map { _ in WorkerChannel() }
        var threads: [LoopThread] = []
        var ports: [UInt16] = []
        for (index, channel) in channels.enumerated() {
            let port = configuration.port == 0 ? 0 : configuration.port + 1 + UInt16(index)
            let socket = try DatagramSocket(bind: .wildcard(port: port), whenFull: .drop)
            ports.append(socket.localAddress.port)
            let worker = MediaWorker(
                index: index, certificate: certificate, generator: generator.child(UInt64(100 + index)))
            threads.append(
                try LoopThread(
                    name: "media-\(index)", core: index % max(1, ProcessResources.processorCount),
                    driver: WorkerDriver(worker: worker, socket: socket, channel: channel, control: wakeup)))
        }
        workers = threads
        mediaPorts = ports

        let machine = SwarmMachine(
            CompositionConfiguration(
                identity: identity, secret: secret, entropy: entropy, generator: generator,
                addresses: swarmAddresses, mediaHosts: hosts.media, workerPorts: ports,
                fingerprint: certificate.fingerprint,
                maxChildren: configuration.maximumChildren ?? Self.defaultMaximumChildren,
                publicURL: configuration.publicURL ?? "", localHosts: hosts.local), at: now)
        let gate = ControlGate(wakeup: wakeup)
        let drainRequest = DrainRequest(wakeup: wakeup)
        self.gate = gate
        self.drainRequest = drainRequest
        control = try LoopThread(
            name: "control",
            driver: ControlDriver(
                machine: machine, socket: swarmSocket, seeds: Self.seeds(configuration, directory),
                channels: channels, workerWakeups: threads.map(\.wakeup), gate: gate, notices: notices,
                drainRequest: drainRequest, now: now))
        wakeup.bind(control.wakeup)
    }

    /// Half a gigabit of 2 Mb/s streams is 250 copies; 32 leaves room for viewers, and trees of 32 need two levels for
    /// a thousand nodes.
    private static var defaultMaximumChildren: Int { 32 }

    func handle(ready: Flag, swarmName: String) -> NodeHandle {
        NodeHandle(
            gate: gate, notices: notices, identity: id, swarmName: swarmName, addresses: addresses,
            swarmPort: swarmPort, mediaPorts: mediaPorts, ready: ready, draining: drainRequest)
    }

    /// Live members other than this node, each by its best address.
    func peers() async -> [JoinString.Peer] {
        guard case .members(let members) = await gate.ask(.members) else { return [] }
        return members.filter { !$0.isSelf && $0.state == .alive }.compactMap { member in
            member.addresses.first.map { JoinString.Peer(key: member.key, address: $0) }
        }
    }

    /// Says goodbye to clients and peers; returns when the control thread has ended.
    func drain() async {
        drainRequest.request()
        await withCheckedContinuation { continuation in
            // Joining blocks, so it gets a thread of its own rather than one of the tasks'.
            Task.detached { [control] in
                control.join()
                continuation.resume()
            }
        }
    }

    /// Ends every thread and closes every socket.
    func stop() {
        control.stopAndJoin()
        for worker in workers { worker.stopAndJoin() }
        gate.close()
        notices.close()
    }

    /// Whoever the join strings name, then the peers of the last run.
    private static func seeds(_ configuration: NodeConfiguration, _ directory: DataDirectory) -> [Contact] {
        var contacts = configuration.join.flatMap(\.contacts)
        for peer in (try? directory.loadPeers()) ?? [] where !contacts.contains(where: { $0.key == peer.key }) {
            contacts.append(CryptoSuite.real.contact(peer.key, AddressList(peer.address)))
        }
        return contacts
    }
}

extension NetworkAddress {
    /// Every interface, both families.
    static func wildcard(port: UInt16) -> NetworkAddress { NetworkAddress(high: 0, low: 0, port: port) }
}

/// Which of the host's addresses are told to peers and to clients.
struct AdvertisedHosts {
    /// The host's own, loopback excluded: a contact with one of them is on this machine.
    let local: [NetworkAddress]
    private let announced: [NetworkAddress]
    private let clientsAreLocal: Bool

    init(_ configuration: NodeConfiguration) {
        local = LocalAddresses.all()
        announced = configuration.announce.compactMap { NetworkAddress(host: $0, port: 0) }
        clientsAreLocal = configuration.http.isLoopback && configuration.publicURL == nil
    }

    /// For peers: what was announced, else the host's addresses, and loopback last, for a second node on one machine.
    func swarm(port: UInt16) -> AddressList {
        let hosts = announced.isEmpty ? Array(local.prefix(AddressList.capacity - 1)) + [.loopback(port: 0)] : announced
        return AddressList(hosts.map { $0.withPort(port) })
    }

    /// For clients: while HTTP listens on loopback only, they are on this machine, and some take only the first
    /// candidate.
    var media: AddressList {
        if !announced.isEmpty { return AddressList(announced) }
        let loopback = NetworkAddress.loopback(port: 0)
        return AddressList(clientsAreLocal ? [loopback] + local : local + [loopback])
    }
}
