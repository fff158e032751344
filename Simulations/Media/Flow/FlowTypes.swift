import MediaRelay
import SwarmCore

/// What media costs and how it is paced where only rates are carried.
package struct FlowConfiguration: Sendable {
    package var videoBitsPerSecond: Double = 1_000_000
    package var audioBitsPerSecond: Double = 64_000
    /// Payload bits of one packet, for turning rates into packet counts: 1,100 bytes of video.
    package var bitsPerPacket: Double = 8_800
    /// Between two packets of a stream: how far before a failure the last packet left, at most. Opus speaks each 20 ms.
    package var packetSpacing = Interval.milliseconds(10)

    package init() {}

    /// What one viewer or child of the stream costs its node.
    package func bitsPerSecond(_ descriptor: StreamDescriptor) -> Double {
        var sum = 0.0
        for track in descriptor.tracks {
            sum += track.codec.kind == .video ? videoBitsPerSecond : audioBitsPerSecond
        }
        return sum
    }
}

/// The real worker's times that the fabric keeps to (`MediaLink`, `IncomingStream`, `OutgoingStream`, `EdgeLimits`).
/// The worker's own are not visible outside its module; `MediaFidelityTests` fails if the two drift apart.
enum FlowTimes {
    static var activeBeat: Interval { .milliseconds(50) }
    static var idleBeat: Interval { .milliseconds(300) }
    static var linkLost: Interval { .seconds(1) }
    static var linkOpen: Interval { .seconds(5) }
    static var lingering: Interval { .seconds(2) }
    /// A child that never said RESUME is started after this.
    static var startDelay: Interval { .milliseconds(500) }
    static var consent: Interval { EdgeLimits.consentTimeout }
    /// RESUME attempts leave at 0, 20, 60, 120, 200 ms and then each 100 ms.
    static var resumeAttempts: Int { 60 }
    static func resumeOffset(_ attempt: Int) -> Interval {
        let early: [Int64] = [0, 20, 60, 120, 200]
        return .milliseconds(attempt < 5 ? early[attempt] : 200 + 100 * Int64(attempt - 4))
    }
    /// Gaps that are kept for quoting: 8 MB. Every viewer's longest is kept beside.
    static var gaps: Int { 1_000_000 }
    /// A path longer than this is a loop: its members feed each other what no origin sends.
    static var hops: UInt8 { 64 }
}

typealias FlowLinkReference = FlowTable<FlowLinkEnd>.Reference
typealias FlowStreamReference = FlowTable<FlowStream>.Reference

/// A simulated node as the fabric knows it.
struct FlowNode {
    var isUp = false
    var pausedUntil: MonotonicInstant?
    /// Raised at each start: what was under way to or from an earlier life is void.
    var life: UInt32 = 0
    /// In order of opening.
    var links: [FlowLinkReference] = []
    var streams: [FlowStreamReference] = []
    /// Numbers in `FlowFabric.viewerRows`, of this life and earlier ones.
    var viewerRows: [Int] = []
    /// What became due while the node was paused.
    var held: [FlowEvent] = []
    var capacityBitsPerSecond: Double?
}

/// One end of a media link.
struct FlowLinkEnd {
    let node: Int
    let worker: Int
    let configuration: MediaLinkConfiguration
    /// Nil where the peer is no node of the simulation.
    let peerNode: Int?
    let opened: MonotonicInstant
    /// The peer's end, once both have opened it with fitting keys.
    var other: FlowLinkReference?
    /// Keep-alives leave at this instant and each beat after it.
    var beatOrigin: MonotonicInstant
    var isEstablished = false
    var isLost = false
    /// Frames of the peer arrive here, or the first is on its way.
    var isHearing = false
    /// Of the hearing or silence under way; another one voids it.
    var serial: UInt32 = 0
    /// One way from the peer, when it last got through.
    var delay = Interval.zero
    var incoming: [FlowIncoming] = []
    var outgoing: [FlowOutgoing] = []

    var hasAddress: Bool { configuration.isInitiator || isEstablished }
    var isActive: Bool { !incoming.isEmpty || !outgoing.isEmpty }

    func incomingIndex(alias: UInt32) -> Int? { incoming.firstIndex { $0.alias == alias } }
    func outgoingIndex(alias: UInt32) -> Int? { outgoing.firstIndex { $0.alias == alias } }
}

/// A stream that comes over a link.
struct FlowIncoming {
    let alias: UInt32
    let stream: FlowStreamReference
    /// When RESUME was first said; attempts follow `FlowTimes.resumeOffset`.
    var resumeFrom: MonotonicInstant
    /// Another parent has taken over; until then what still comes is welcome.
    var expires: MonotonicInstant?
    /// Hops of the media that arrives, origin 0; nil where none does.
    var hops: UInt8?
    /// What the parent's side has last sent on its way, which arrives a delay later under this serial.
    var sent: UInt8?
    var serial: UInt32 = 0
    /// The newest serial that has arrived; delays change, and what is older comes too late.
    var applied: UInt32 = 0
}

/// A stream that leaves over a link.
struct FlowOutgoing {
    let alias: UInt32
    let stream: FlowStreamReference
    /// The child has said RESUME, or the start delay is over.
    var isStarted = false
    var serial: UInt32 = 0
}

/// One stream at one node.
struct FlowStream {
    let handle: StreamHandle
    let node: Int
    let worker: Int
    var epoch: UInt64
    var bitsPerSecond: Double
    var publisher: SessionID?
    var isPublishing = false
    /// The link of the present parent.
    var parent: FlowLinkReference?
    /// Numbers in `FlowFabric.viewerRows`.
    var viewers: [Int] = []
    /// Distance from the origin of the media that is here, nil where there is none.
    var hops: UInt8?
    var fedSince: MonotonicInstant?
    /// Time with media before `fedSince`.
    var fed = Interval.zero
}

/// A viewer's row, kept after its end.
struct FlowViewer {
    let client: MediaClientID
    let session: SessionID
    let node: Int
    let stream: FlowStreamReference
    let offered: MonotonicInstant
    let delay: Interval
    var connected: MonotonicInstant?
    var firstMedia: MonotonicInstant?
    var withoutMediaSince: MonotonicInstant?
    /// Since when the present run of media lasts, as the viewer sees it.
    var servedSince: MonotonicInstant?
    var served = Interval.zero
    var longestGap = Interval.zero
    var closed: MonotonicInstant?
    /// The client is gone, and the session does not know.
    var hasVanished = false
}

/// What the fabric waits for.
enum FlowEvent {
    /// The first frame of the peer, or the first after silence, reaches an end.
    case hear(FlowLinkReference, serial: UInt32)
    /// An end has heard nothing for too long.
    case silence(FlowLinkReference, serial: UInt32)
    case openTimeout(FlowLinkReference)
    /// RESUME reaches a parent, or its start delay is over.
    case start(FlowLinkReference, alias: UInt32, serial: UInt32)
    /// Media with these hops, or its end, reaches a child.
    case feed(FlowLinkReference, alias: UInt32, serial: UInt32, hops: UInt8?)
    case expire(FlowLinkReference, alias: UInt32)
    /// ENDED reaches a child.
    case ended(FlowLinkReference, alias: UInt32)
    /// A client's handshake is done at its worker.
    case connect(node: Int, life: UInt32, SessionID)
    /// A client that vanished has been silent for the consent time-out.
    case consentLost(node: Int, life: UInt32, SessionID)
    case resume(node: Int)
    /// A fault begins or ends.
    case paths
}

/// What faults of the network mean where only rates are carried.
enum FlowFaults {
    /// The delay of a path under the faults that are active; nil where nothing gets through for now.
    static func delay(
        _ undisturbed: Interval, from: Int, to: Int, _ faults: [NetworkFault], at now: MonotonicInstant
    ) -> Interval? {
        var milliseconds = undisturbed.fractionalMilliseconds
        for fault in faults where fault.begin <= now.nanoseconds && now.nanoseconds < fault.end {
            switch fault.kind {
            case .partition(let groups, let isOneWay):
                let source = from < groups.count ? groups[from] : 0
                let target = to < groups.count ? groups[to] : 0
                if isOneWay ? source < target : source != target { return nil }
            case .cloggedPath(from, to), .cloggedNode(from), .cloggedNode(to): return nil
            case .latency(let sources, let targets, let factor, let added):
                if sources.contains(from), targets.contains(to) { milliseconds = milliseconds * factor + added }
            case .loss(let sources, let targets, let share):
                if share >= 1, sources.contains(from), targets.contains(to) { return nil }
            case .cloggedPath, .cloggedNode, .capacity: break
            }
        }
        return Interval(nanoseconds: Int64(milliseconds * 1_000_000))
    }
}

/// What the fabric asks of the engine. Node numbers are the simulation's, times too.
package struct FlowSurroundings {
    package var time: () -> MonotonicInstant
    /// One way from a node to another in an undisturbed network; nil where there is no way. Whether the nodes are up and
    /// what faults do the fabric knows itself.
    package var oneWay: (Int, Int) -> Interval?
    /// A worker of the node tells its composition.
    package var report: (_ node: Int, _ worker: Int, WorkerEvent) -> Void
    /// `FlowFabric.wake` is to be called at this time.
    package var wake: (MonotonicInstant) -> Void

    package init(
        time: @escaping () -> MonotonicInstant, oneWay: @escaping (Int, Int) -> Interval?,
        report: @escaping (_ node: Int, _ worker: Int, WorkerEvent) -> Void,
        wake: @escaping (MonotonicInstant) -> Void
    ) {
        self.time = time
        self.oneWay = oneWay
        self.report = report
        self.wake = wake
    }
}
