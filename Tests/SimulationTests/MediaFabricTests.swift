import MediaRelay
import Simulations
import SwarmCore
import SwarmCrypto
import Testing

/// A `FlowFabric` driven by hand: commands to nodes that are 20 ms apart, and what the workers say.
private final class FabricBench {
    struct Report: Equatable {
        var milliseconds: Int64
        var node: Int
        var text: String
    }

    private var wakes: [MonotonicInstant] = []
    private(set) var wakesServed = 0
    private(set) var reports: [Report] = []
    private var time = MonotonicInstant.zero
    private var fabric: FlowFabric?
    private var planes: [FlowMedia] = []
    private var out = MediaOutput()
    private static let tracks = [
        TrackDescription(
            codec: CodecDescription(kind: .video, name: "VP8", clockRate: 90_000, channels: 1, formatParameters: ""),
            encodings: [EncodingDescription(rid: "")], extensions: [])
    ]

    init(nodes count: Int) throws {
        var clients = ClientPaths(seed: 1)
        clients.delay = .milliseconds(5)...Interval.milliseconds(5)
        let fabric = FlowFabric(
            clients: clients, seed: 1,
            surroundings: FlowSurroundings(
                time: { [unowned self] in time }, oneWay: { _, _ in .milliseconds(20) },
                report: { [unowned self] node, _, event in
                    let at = (time - .zero).milliseconds
                    reports.append(Report(milliseconds: at, node: node, text: "\(event)"))
                },
                wake: { [unowned self] in wakes.append($0) }))
        self.fabric = fabric
        for node in 0..<count { planes.append(FlowMedia(fabric: fabric, node: node, id: Self.id(node))) }
    }

    static func id(_ node: Int) -> NodeID { NodeID(Bytes32(UInt64(node), 0, 0, 7)) }

    /// Runs everything that is due until then.
    func run(until milliseconds: Int64) {
        let end = MonotonicInstant.zero + .milliseconds(milliseconds)
        while let next = wakes.min(), next <= end {
            wakes.remove(at: wakes.firstIndex(of: next) ?? 0)
            time = max(time, next)
            wakesServed += 1
            fabric?.wake()
        }
        time = end
    }

    var isAtRest: Bool { wakes.allSatisfy { $0 <= time } }

    func apply(_ command: WorkerCommand, at node: Int) {
        let now = Now(monotonic: time, wallMilliseconds: 0)
        planes[node].apply(command, worker: 0, at: now, into: &out)
    }

    func open(_ stream: UInt32, at node: Int, epoch: UInt64 = 1) {
        apply(
            .openStream(StreamHandle(stream), StreamDescriptor(epoch: epoch, version: 1, tracks: Self.tracks)), at: node
        )
    }

    /// One end of the link that `child` opens to `parent`; its number names it at both ends.
    func openLink(_ number: UInt32, at node: Int, child: Int, parent: Int, key: UInt64 = 1) {
        let isChild = node == child
        let (up, down) = (Bytes32(key, 1, 0, 0), Bytes32(key, 2, 0, 0))
        apply(
            .openLink(
                MediaLinkConfiguration(
                    handle: LinkHandle(number), remoteConnectionID: number, peer: Self.id(isChild ? parent : child),
                    isInitiator: isChild, sendKey: isChild ? up : down, receiveKey: isChild ? down : up,
                    cipher: .aes256GCM, remoteAddress: .loopback(port: 1))), at: node)
    }

    func attach(_ number: UInt32, child: Int, parent: Int) {
        apply(.attachChild(StreamHandle(1), LinkHandle(number), alias: number, layers: .all), at: parent)
        apply(.attachParent(StreamHandle(1), LinkHandle(number), alias: number, layers: .all), at: child)
    }

    /// A whole edge of the tree, opened at both ends now.
    func connect(_ number: UInt32, child: Int, parent: Int) {
        openLink(number, at: parent, child: child, parent: parent)
        openLink(number, at: child, child: child, parent: parent)
        attach(number, child: child, parent: parent)
    }

    /// A client publishes at the node; it is connected 30 ms later.
    func publish(at node: Int) {
        open(1, at: node)
        let now = Now(monotonic: time, wallMilliseconds: 0)
        let offer = planes[node].offer(.publishing, at: now)
        apply(
            .addPublisher(
                PublisherConfiguration(
                    session: SessionID(UInt64(node) + 1), stream: StreamHandle(1), transport: transport(offer),
                    tracks: [])), at: node)
    }

    @discardableResult
    func view(at node: Int, session: UInt64) -> MediaClientID {
        let now = Now(monotonic: time, wallMilliseconds: 0)
        let offer = planes[node].offer(.playing, at: now)
        apply(
            .addViewer(
                ViewerConfiguration(
                    session: SessionID(session), stream: StreamHandle(1), transport: transport(offer), tracks: [],
                    canonicalName: "v")), at: node)
        return offer.client
    }

    private func transport(_ offer: MediaClientOffer) -> TransportConfiguration {
        let fragment = offer.sdp.split(whereSeparator: \.isNewline).first { $0.hasPrefix("a=ice-ufrag:") }
        return TransportConfiguration(
            iceRole: .lite, local: ICECredentials(usernameFragment: "node", password: "x"),
            remote: ICECredentials(
                usernameFragment: String(fragment?.dropFirst("a=ice-ufrag:".count) ?? ""), password: "x"),
            remoteFingerprint: .zero, dtlsRole: .server)
    }

    func vanish(_ client: MediaClientID, at node: Int) {
        planes[node].vanish(client, at: Now(monotonic: time, wallMilliseconds: 0))
    }

    func viewer(_ client: MediaClientID) -> ViewerMeasure? { fabric?.viewers().first { $0.client == client } }
    func hops(at node: Int) -> Int? { fabric?.feeds(of: node).first?.hops }
    func parent(of node: Int) -> Int? { fabric?.feeds(of: node).first?.parent }
    func egress(of node: Int) -> Double { fabric?.egressBitsPerSecond(of: node) ?? 0 }
    func stop(_ node: Int) { planes[node].stop() }
    func pause(_ node: Int, until milliseconds: Int64) {
        planes[node].pause(until: .zero + .milliseconds(milliseconds))
    }
    func note(_ fault: NetworkFault?) { fabric?.note(fault) }
}

@Suite struct MediaFabricTests {
    /// The child repeats OPEN each 50 ms; the parent, opened at 130 ms, hears the one that left at 150 (170), answers,
    /// and is heard at 190.
    @Test func aLinkOpensAtTheFirstRepetitionThatIsHeard() throws {
        let bench = try FabricBench(nodes: 2)
        bench.openLink(9, at: 1, child: 1, parent: 0)
        bench.run(until: 135)
        bench.openLink(9, at: 0, child: 1, parent: 0)
        bench.run(until: 4_000)
        #expect(bench.reports.map(\.milliseconds) == [170, 190])
        #expect(bench.reports.map(\.node) == [0, 1])
    }

    @Test func keysMustFit() throws {
        let bench = try FabricBench(nodes: 2)
        bench.openLink(9, at: 1, child: 1, parent: 0, key: 1)
        bench.openLink(9, at: 0, child: 1, parent: 0, key: 2)
        bench.run(until: 10_000)
        #expect(bench.reports.map(\.text).allSatisfy { $0.contains("linkLost") })
        #expect(bench.reports.map(\.milliseconds) == [5_000, 5_000])
    }

    /// Origin 0, relay 1, leaf 2: media is at the leaf one way per hop after the RESUMEs; the relay dies, and what was on
    /// its way still arrives; the leaf loses the link a second after the last of it; another parent fills in.
    @Test func aLifeOfThreeNodes() throws {
        let bench = try FabricBench(nodes: 3)
        bench.publish(at: 0)
        for node in 1..<3 { bench.open(1, at: node) }
        bench.connect(10, child: 1, parent: 0)
        bench.connect(20, child: 2, parent: 1)
        let client = bench.view(at: 2, session: 50)
        bench.run(until: 1_000)
        #expect([0, 1, 2].map { bench.hops(at: $0) } == [0, 1, 2])
        // The publisher is connected at 30; RESUMEs were heard at 20; then 20 a hop, and 5 to the client.
        #expect(bench.viewer(client)?.timeToFirstKeyFrame == .milliseconds(30 + 20 + 20 + 5))
        #expect(bench.egress(of: 1) == 1_000_000 && bench.egress(of: 2) == 1_000_000)

        bench.stop(1)
        bench.run(until: 1_019)
        #expect(bench.hops(at: 2) == 2)
        bench.run(until: 1_500)
        #expect(bench.hops(at: 2) == nil && bench.viewer(client)?.isWithoutMedia == true)
        bench.run(until: 2_100)
        let lost = try #require(bench.reports.last { $0.node == 2 && $0.text.contains("linkLost") })
        #expect((2_010...2_020).contains(lost.milliseconds))

        bench.connect(30, child: 2, parent: 0)
        bench.run(until: 3_000)
        #expect(bench.hops(at: 2) == 1 && bench.parent(of: 2) == 0)
        // Media was last at the node at 1,020; RESUME is heard at 2,120, media is back at 2,140.
        #expect(bench.viewer(client)?.longestGap == .milliseconds(1_120))
        #expect(bench.viewer(client)?.isWithoutMedia == false)
    }

    /// Two nodes that feed each other have nothing once the origin is gone: media does not come from nowhere.
    @Test func aLoopRunsDry() throws {
        let bench = try FabricBench(nodes: 3)
        bench.publish(at: 0)
        for node in 1..<3 { bench.open(1, at: node) }
        bench.connect(10, child: 1, parent: 0)
        bench.connect(20, child: 2, parent: 1)
        bench.run(until: 1_000)
        bench.connect(30, child: 1, parent: 2)
        bench.run(until: 1_500)
        #expect(bench.hops(at: 1) == 1, "the earlier parent lingers")
        bench.stop(0)
        bench.run(until: 6_000)
        #expect(bench.hops(at: 1) == nil && bench.hops(at: 2) == nil)
    }

    /// An earlier parent is welcome for two seconds: a switch costs nothing.
    @Test func aSwitchHasNoGap() throws {
        let bench = try FabricBench(nodes: 3)
        bench.publish(at: 0)
        for node in 1..<3 { bench.open(1, at: node) }
        bench.connect(10, child: 1, parent: 0)
        bench.connect(20, child: 2, parent: 1)
        let client = bench.view(at: 2, session: 50)
        bench.run(until: 1_000)
        bench.connect(30, child: 2, parent: 0)
        bench.run(until: 1_200)
        bench.apply(.detachChild(StreamHandle(1), LinkHandle(20)), at: 1)
        bench.run(until: 5_000)
        #expect(bench.hops(at: 2) == 1)
        #expect(bench.viewer(client)?.longestGap == .zero)
    }

    /// A parent of another publication feeds nothing until the child knows of it.
    @Test func epochsMustAgree() throws {
        let bench = try FabricBench(nodes: 2)
        bench.publish(at: 0)
        bench.open(1, at: 1, epoch: 5)
        bench.connect(10, child: 1, parent: 0)
        bench.run(until: 2_000)
        #expect(bench.hops(at: 1) == nil)
        bench.open(1, at: 1, epoch: 1)
        bench.run(until: 2_100)
        #expect(bench.hops(at: 1) == 1)
    }

    @Test func aPartitionClosesAndHeals() throws {
        let bench = try FabricBench(nodes: 2)
        bench.publish(at: 0)
        bench.open(1, at: 1)
        bench.connect(10, child: 1, parent: 0)
        let client = bench.view(at: 1, session: 50)
        bench.run(until: 1_000)
        bench.note(
            NetworkFault(.partition(groups: [0, 1], isOneWay: false), from: 2_000_000_000, until: 2_500_000_000))
        bench.run(until: 6_000)
        #expect(bench.viewer(client)?.longestGap == .milliseconds(500))
        #expect(!bench.reports.contains { $0.text.contains("linkLost") }, "half a second loses no link")
    }

    /// A relay that stalls for half a second keeps its place; nobody's link is lost, and its child's viewer waits as long.
    @Test func aPauseIsAGap() throws {
        let bench = try FabricBench(nodes: 2)
        bench.publish(at: 0)
        bench.open(1, at: 1)
        bench.connect(10, child: 1, parent: 0)
        let client = bench.view(at: 1, session: 50)
        bench.run(until: 1_000)
        bench.pause(0, until: 1_500)
        bench.run(until: 6_000)
        #expect(bench.viewer(client)?.longestGap == .milliseconds(500))
        #expect(!bench.reports.contains { $0.text.contains("linkLost") })
    }

    @Test func aVanishedViewerTimesOut() throws {
        let bench = try FabricBench(nodes: 1)
        bench.publish(at: 0)
        let client = bench.view(at: 0, session: 50)
        bench.run(until: 1_000)
        #expect(bench.egress(of: 0) == 1_000_000)
        bench.vanish(client, at: 0)
        bench.run(until: 30_999)
        #expect(bench.viewer(client)?.isClosed == false)
        bench.run(until: 31_001)
        #expect(bench.viewer(client)?.isClosed == true && bench.viewer(client)?.longestGap == .zero)
        #expect(bench.reports.last?.text.contains("timedOut") == true)
    }

    /// 5,000 nodes in a tree of degree eight, one viewer each: nothing is left to do once all have media, whatever time
    /// passes; the death of an inner node costs events for its subtree only.
    @Test func aTreeAtRestCostsNothing() throws {
        let count = 5_000
        let bench = try FabricBench(nodes: count)
        bench.publish(at: 0)
        for node in 1..<count {
            bench.open(1, at: node)
            bench.connect(UInt32(node), child: node, parent: (node - 1) / 8)
            bench.view(at: node, session: UInt64(node) + 1_000_000)
        }
        bench.run(until: 10_000)
        #expect((1..<count).allSatisfy { bench.hops(at: $0) != nil })
        #expect(bench.isAtRest)
        let before = bench.wakesServed
        bench.run(until: 3_600_000)
        #expect(bench.wakesServed == before)
        // Node 9 has eight children and 64 + 512 below.
        bench.stop(9)
        bench.run(until: 3_610_000)
        #expect((1..<count).count { bench.hops(at: $0) == nil } >= 8)
        #expect(bench.wakesServed - before < 700, "\(bench.wakesServed - before)")
    }
}
