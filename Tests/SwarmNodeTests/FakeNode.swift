import SwarmCore
import SwarmNode
import Synchronization

/// A node that answers from what a test puts in, and keeps what it was asked.
final class FakeNode: NodeControl {
    struct State {
        var failure: ControlError?
        var requests: [SessionRequest] = []
        var patches: [(session: String, match: EntityTagMatch, fragment: String)] = []
        var sessions: Set<String> = [FakeNode.session]
        var patchResult = PatchResult.accepted
        var isReady = true
        var streamsPrefix: String?
        /// Seconds by name.
        var announced: [String: Int] = [:]
    }

    static let session = String(repeating: "A", count: 43)
    static let answer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n"

    let state = Mutex(State())
    private let feed = AsyncStream.makeStream(of: NodeEvent.self, bufferingPolicy: .bufferingNewest(16))

    func failing(_ error: ControlError?) { state.withLock { $0.failure = error } }
    func send(_ event: NodeEvent) { feed.continuation.yield(event) }
    var requests: [SessionRequest] { state.withLock { $0.requests } }

    private func session(_ request: SessionRequest) throws(ControlError) -> SessionAnswer {
        let failure = state.withLock { state in
            state.requests.append(request)
            return state.failure
        }
        if let failure { throw failure }
        return SessionAnswer(session: Self.session, sdp: Self.answer, etag: "e1")
    }

    func publish(_ request: SessionRequest) async throws(ControlError) -> SessionAnswer { try session(request) }
    func play(_ request: SessionRequest) async throws(ControlError) -> SessionAnswer { try session(request) }
    func publishPlainRTP(_ request: SessionRequest) async throws(ControlError) -> SessionAnswer {
        try session(request)
    }

    func patch(session: String, ifMatch: EntityTagMatch, fragment: String) async throws(ControlError) -> PatchResult {
        let (known, result) = state.withLock { state in
            state.patches.append((session, ifMatch, fragment))
            return (state.sessions.contains(session), state.patchResult)
        }
        guard known else { throw .unknownSession }
        if case .tag(let tag) = ifMatch, tag != "e1" { throw .entityTagMismatch }
        return result
    }

    func delete(session: String) async throws(ControlError) {
        guard state.withLock({ $0.sessions.remove(session) }) != nil else { throw .unknownSession }
    }

    func node() async throws(ControlError) -> NodeReport {
        NodeReport(id: "k7f3", version: "0.1.0", swarmName: "home", isReady: true, mediaPorts: [7789])
    }
    func members() async throws(ControlError) -> [MemberReport] {
        [
            MemberReport(
                id: "k7f3", addresses: ["127.0.0.1:7788"], state: .alive, roundTripMilliseconds: 1.23456, load: 0.25,
                ageMilliseconds: 12)
        ]
    }
    func streams(prefix: String) async throws(ControlError) -> [StreamReport] {
        state.withLock { $0.streamsPrefix = prefix }
        return [StreamReport(name: "demo", origin: "k7f3", tracks: [.init(kind: "video", codec: "VP8")], viewers: 2)]
    }
    func route(stream: StreamName) async throws(ControlError) -> RouteReport? {
        guard stream.text == "live/alice" else { return nil }
        return RouteReport(stream: stream.text, origin: "a", hops: [.init(node: "a"), .init(node: "b", parent: "a")])
    }
    func metrics() async throws(ControlError) -> MetricsReport {
        MetricsReport(families: [
            .init(
                name: "mafalda_link_received_bytes", help: "Bytes \"in\".", kind: .counter,
                samples: [.init(5, labels: [.init("kind", "a\\b")])])
        ])
    }
    func discovery() async throws(ControlError) -> DiscoveryReport {
        let row = DiscoveryReport.Row(
            id: "b", addresses: ["192.0.2.1:7788"], roundTripMilliseconds: 20, silenceMilliseconds: 5, failures: 0,
            isSibling: true)
        return DiscoveryReport(estimatedNodes: 2, contacts: [row], published: ["demo"], records: 3, copies: 1)
    }
    func locate(stream: StreamName) async throws(ControlError) -> LocationReport {
        let isLive = state.withLock { $0.announced[stream.text] != nil } || stream.text == "demo"
        let origin = LocationReport.Node(id: "k7f3", addresses: ["192.0.2.2:7788"])
        return LocationReport(
            stream: stream.text, origin: isLive ? origin : nil, epoch: isLive ? 7 : 0, carriers: [],
            elapsedMilliseconds: 1.5)
    }
    func announce(stream: StreamName, seconds: Int) async throws(ControlError) {
        state.withLock { $0.announced[stream.text] = seconds }
    }
    func withdraw(stream: StreamName) async throws(ControlError) {
        state.withLock { $0.announced[stream.text] = nil }
    }
    func ping(node: NodeID) async throws(ControlError) -> PingReport {
        guard node.bytes != .zero else { throw .unknownNode }
        return PingReport(id: node.description, roundTripMilliseconds: 12.5)
    }
    func events() -> AsyncStream<NodeEvent> { feed.stream }
    var isReady: Bool { state.withLock { $0.isReady } }
}
