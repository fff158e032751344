import Composition
import DHT
import EventLoop
import MediaRelay
import SwarmCore

/// The running node as HTTP sees it.
final class NodeHandle: NodeControl {
    let gate: ControlGate
    private let notices: NoticeBoard
    private let identity: NodeID
    private let swarmName: String
    private let addresses: [String]
    private let swarmPort: UInt16
    private let mediaPorts: [UInt16]
    private let startedAt: MonotonicInstant
    private let ready: Flag
    private let draining: DrainRequest

    init(
        gate: ControlGate, notices: NoticeBoard, identity: NodeID, swarmName: String, addresses: AddressList,
        swarmPort: UInt16, mediaPorts: [UInt16], ready: Flag, draining: DrainRequest
    ) {
        self.gate = gate
        self.notices = notices
        self.identity = identity
        self.swarmName = swarmName
        self.addresses = addresses.map(\.description)
        self.swarmPort = swarmPort
        self.mediaPorts = mediaPorts
        self.ready = ready
        self.draining = draining
        startedAt = SystemClock.now().monotonic
    }

    var isReady: Bool { ready.isSet && !draining.isRequested }

    // MARK: Sessions

    func publish(_ request: SessionRequest) async throws(ControlError) -> SessionAnswer {
        let delegation = try Self.delegation(of: request)
        let wanted = ControlRequest.publish(request.stream, offer: request.offer, delegation: delegation)
        return try Self.session(await gate.ask(wanted))
    }

    func play(_ request: SessionRequest) async throws(ControlError) -> SessionAnswer {
        try Self.session(await gate.ask(.play(request.stream, offer: request.offer)))
    }

    func publishPlainRTP(_ request: SessionRequest) async throws(ControlError) -> SessionAnswer {
        let delegation = try Self.delegation(of: request)
        let wanted = ControlRequest.publishPlainRTP(
            request.stream, description: request.offer, delegation: delegation)
        return try Self.session(await gate.ask(wanted))
    }

    private static func delegation(of request: SessionRequest) throws(ControlError) -> Delegation? {
        guard let text = request.delegation else { return nil }
        guard let delegation = Delegation(text: text) else { throw .forbidden("the delegation is malformed") }
        return delegation
    }

    func patch(
        session: String, ifMatch: EntityTagMatch, fragment: String
    ) async throws(ControlError) -> PatchResult {
        let tag: String? = if case .tag(let text) = ifMatch { text } else { nil }
        switch await gate.ask(.patch(session: session, entityTag: tag, fragment: fragment)) {
        case .accepted: return .accepted
        case .restarted(let fragment, let entityTag): return .restarted(fragment: fragment, etag: entityTag)
        case let other: throw Self.error(other)
        }
    }

    func delete(session: String) async throws(ControlError) {
        let reply = await gate.ask(.delete(session: session))
        guard case .deleted = reply else { throw Self.error(reply) }
    }

    private static func session(_ reply: ControlReply) throws(ControlError) -> SessionAnswer {
        guard case .created(let created) = reply else { throw error(reply) }
        return SessionAnswer(session: created.token, sdp: created.sdp, etag: created.entityTag)
    }

    static func error(_ reply: ControlReply) -> ControlError {
        guard case .refused(let refusal) = reply else { return .failed("the node gave an unexpected answer") }
        return switch refusal {
        case .badOffer(let text): .badOffer(text)
        case .unsupportedMedia(let text): .unsupportedMedia(text)
        case .noCommonCodec(let names): .noCommonCodec(available: names)
        case .notLive: .notLive
        case .nameTaken: .nameTaken
        case .full: .full(retryAfterSeconds: 2)
        case .unknownSession: .unknownSession
        case .notDelegated(let reason): .forbidden(reason)
        case .unknownNode: .unknownNode
        case .entityTagMismatch: .entityTagMismatch
        case .timedOut: .timeout
        case .stopping: .stopping
        }
    }

    // MARK: Reports

    func members() async throws(ControlError) -> [MemberReport] {
        let reply = await gate.ask(.members)
        guard case .members(let members) = reply else { throw Self.error(reply) }
        return members.map(Self.report)
    }

    func streams(prefix: String) async throws(ControlError) -> [StreamReport] {
        let reply = await gate.ask(.streams(prefix: prefix))
        guard case .streams(let streams) = reply else { throw Self.error(reply) }
        return streams.map(Self.report)
    }

    func route(stream: StreamName) async throws(ControlError) -> RouteReport? {
        let reply = await gate.ask(.route(stream))
        switch reply {
        case .route(let trace): return Self.report(trace)
        case .refused(.notLive): return nil
        default: throw Self.error(reply)
        }
    }

    func node() async throws(ControlError) -> NodeReport {
        let statistics = try await statistics()
        var report = NodeReport(
            id: identity.description, version: MafaldaVersion.text, swarmName: swarmName, isReady: isReady)
        report.isDraining = draining.isRequested
        report.uptimeMilliseconds = (SystemClock.now().monotonic - startedAt).milliseconds
        report.peers = statistics.peers
        report.addresses = addresses
        report.mediaPorts = mediaPorts
        report.swarmPort = swarmPort
        report.streams = statistics.streams
        report.publishers = statistics.publishers
        report.viewers = statistics.viewers
        report.children = statistics.children
        report.load = statistics.load
        for worker in statistics.workers {
            report.sessions += worker.sessions.map { Self.report($0, worker: worker.worker, names: statistics.names) }
            report.links += worker.links.map { Self.report($0, worker: worker.worker) }
        }
        return report
    }

    func metrics() async throws(ControlError) -> MetricsReport {
        MetricsReport(families: MetricFamilies.families(of: try await statistics()))
    }

    private func statistics() async throws(ControlError) -> NodeStatistics {
        let reply = await gate.ask(.statistics)
        guard case .statistics(let statistics) = reply else { throw Self.error(reply) }
        return statistics
    }

    func events() -> AsyncStream<NodeEvent> {
        let notices = notices.subscribe()
        let (stream, continuation) = AsyncStream.makeStream(
            of: NodeEvent.self, bufferingPolicy: .bufferingNewest(RuntimeLimits.noticesPerReader))
        let task = Task { [self] in
            for await notice in notices {
                guard let event = await event(of: notice) else { continue }
                continuation.yield(event)
            }
            continuation.finish()
        }
        continuation.onTermination = { _ in task.cancel() }
        return stream
    }

    /// A notice names what changed; its reader wants to see it.
    private func event(of notice: SwarmNotice) async -> NodeEvent? {
        switch notice {
        case .memberChanged(let id):
            guard case .members(let members) = await gate.ask(.member(id)) else { return nil }
            return members.first.map { .memberChanged(Self.report($0)) }
        case .memberRemoved(let id): return .memberRemoved(id: id.description)
        case .streamChanged(let name):
            guard case .streams(let streams) = await gate.ask(.carriedStream(name)) else { return nil }
            return streams.first.map { .streamChanged(Self.report($0)) }
        case .streamPublished: return nil
        case .streamEnded(let name): return .streamEnded(name: name.text)
        case .routeChanged(let name): return .routeChanged(stream: name.text)
        case .sessionsChanged(let publishers, let viewers):
            return .sessionsChanged(publishers: publishers, viewers: viewers)
        }
    }
}
