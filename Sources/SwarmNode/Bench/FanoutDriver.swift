import EventLoop
import MediaRelay
import SwarmCore
import Synchronization

/// Where the worker's thread says what it has spent, when it is woken for that.
final class FanoutMeter: Sendable {
    /// Readings taken; the rest belongs to the last of them.
    let readings = Atomic<Int>(0)
    let cpuNanoseconds = Atomic<Int64>(0)
    let datagramsSent = Atomic<UInt64>(0)
    let trainsSent = Atomic<UInt64>(0)
    let drops = Atomic<UInt64>(0)
}

/// What a viewer session needs, made before the thread starts.
struct FanoutViewer: Sendable {
    let configuration: ViewerConfiguration
    let keys: SRTPSessionKeys
    let address: NetworkAddress
}

/// One media worker as a node drives it: its own socket and one plain RTP source's.
struct FanoutDriver: ~Copyable, LoopDriver {
    private var worker: MediaWorker
    private var unopened: DatagramSocket?
    private var unopenedSource: DatagramSocket?
    private var socket: SocketID?
    private let commands: [WorkerCommand]
    private let viewers: [FanoutViewer]
    private let session: SessionID
    private let meter: FanoutMeter
    /// As large as the node's own (`RuntimeLimits`).
    private var out = Outbox(byteCapacity: 4 * 1024 * 1024, datagramCapacity: 4096)
    private var events = EventBuffer<WorkerEvent>()

    init(
        worker: consuming MediaWorker, socket: consuming DatagramSocket, source: consuming DatagramSocket,
        commands: [WorkerCommand], viewers: [FanoutViewer], session: SessionID, meter: FanoutMeter
    ) {
        self.worker = worker
        unopened = consume socket
        unopenedSource = consume source
        self.commands = commands
        self.viewers = viewers
        self.session = session
        self.meter = meter
    }

    mutating func start(on loop: EventLoop, at now: Now) {
        guard let opened = unopened.take(), let source = unopenedSource.take() else { return }
        socket = try? loop.add(opened)
        _ = try? loop.add(source)
        for command in commands { worker.apply(command, at: now, into: &out, events: &events) }
        for viewer in viewers {
            worker.addKeyedViewer(
                viewer.configuration, keys: viewer.keys, remoteAddress: viewer.address, at: now, into: &out,
                events: &events)
        }
        finish(at: now, on: loop)
    }

    mutating func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, on socket: SocketID, at now: Now
    ) {
        if socket == self.socket {
            worker.receive(&datagram, from: source, at: now, into: &out, events: &events)
        } else {
            worker.receivePlainRTP(
                datagram.span, session: session, track: 0, from: source, at: now, into: &out, events: &events)
        }
    }

    mutating func endBatch(at now: Now, on loop: EventLoop) { finish(at: now, on: loop) }

    mutating func deadlineReached(at now: Now, on loop: EventLoop) {
        worker.advance(to: now, into: &out, events: &events)
        finish(at: now, on: loop)
    }

    /// Reads the meter.
    mutating func wokenUp(at now: Now, on loop: EventLoop) {
        if let socket, let statistics = loop.statistics(of: socket) {
            meter.datagramsSent.store(statistics.datagramsSent, ordering: .relaxed)
            meter.trainsSent.store(statistics.trainsSent, ordering: .relaxed)
            meter.drops.store(statistics.drops.total, ordering: .relaxed)
        }
        meter.cpuNanoseconds.store(SystemClock.threadCPU().nanoseconds, ordering: .relaxed)
        meter.readings.add(1, ordering: .releasing)
    }

    var nextDeadline: MonotonicInstant? { worker.nextDeadline }

    private mutating func finish(at now: Now, on loop: EventLoop) {
        var more = true
        while more {
            more = worker.endBatch(at: now, into: &out, events: &events)
            if let socket { loop.send(&out, on: socket) } else { out.removeAll() }
        }
        while events.popFirst() != nil { continue }
    }
}
