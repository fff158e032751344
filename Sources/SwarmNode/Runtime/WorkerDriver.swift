import EventLoop
import MediaRelay
import SwarmCore

/// What the control thread hands to a worker's thread.
enum WorkerOrder: Sendable {
    case command(WorkerCommand)
    /// Bind one UDP port per track of a plain RTP session.
    case openPlainPorts(SessionID, addresses: [NetworkAddress])
    case closePlainPorts(SessionID)
}

/// What a worker's thread hands to the control thread.
enum WorkerReport: Sendable {
    case event(WorkerEvent)
    case plainPortsOpened(SessionID, Bool)
}

/// The two rings between the control thread and one worker's.
struct WorkerChannel: Sendable {
    let orders = BoundedRing<WorkerOrder>(minimumCapacity: RuntimeLimits.ordersPerWorker)
    let reports = BoundedRing<WorkerReport>(minimumCapacity: RuntimeLimits.reportsPerWorker)
}

/// One media worker on its own pinned thread: socket in, machine, socket out.
struct WorkerDriver: ~Copyable, LoopDriver {
    /// A plain RTP session's own sockets.
    private struct PlainSource {
        let session: SessionID
        let track: Int
        let socket: SocketID
    }

    private var worker: MediaWorker
    private var unopened: DatagramSocket?
    private var socket: SocketID?
    private var plainSources: [PlainSource] = []
    private let channel: WorkerChannel
    private let control: ControlWakeup
    private var out: Outbox
    private var events = EventBuffer<WorkerEvent>()
    /// Reports that found the ring full, oldest first.
    private var unsent: [WorkerReport] = []

    init(
        worker: consuming MediaWorker, socket: consuming DatagramSocket, channel: WorkerChannel, control: ControlWakeup
    ) {
        self.worker = worker
        unopened = consume socket
        self.channel = channel
        self.control = control
        out = Outbox(
            byteCapacity: RuntimeLimits.workerOutboxBytes, datagramCapacity: RuntimeLimits.workerOutboxDatagrams)
    }

    mutating func start(on loop: EventLoop, at now: Now) {
        guard let opened = unopened.take() else { return }
        socket = try? loop.add(opened)
    }

    mutating func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, on socket: SocketID, at now: Now
    ) {
        if socket == self.socket {
            worker.receive(&datagram, from: source, at: now, into: &out, events: &events)
        } else if let plain = plainSources.first(where: { $0.socket == socket }) {
            worker.receivePlainRTP(
                datagram.span, session: plain.session, track: plain.track, from: source, at: now, into: &out,
                events: &events)
        }
    }

    mutating func endBatch(at now: Now, on loop: EventLoop) { finish(at: now, on: loop) }

    mutating func wokenUp(at now: Now, on loop: EventLoop) {
        var taken = 0
        while taken < RuntimeLimits.ordersPerTurn, let order = channel.orders.pop() {
            taken += 1
            apply(order, at: now, on: loop)
        }
        if taken == RuntimeLimits.ordersPerTurn { loop.wakeup.signal() }
        finish(at: now, on: loop)
    }

    mutating func deadlineReached(at now: Now, on loop: EventLoop) {
        worker.advance(to: now, into: &out, events: &events)
        finish(at: now, on: loop)
    }

    mutating func stopping(at now: Now, on loop: EventLoop) { finish(at: now, on: loop) }

    var nextDeadline: MonotonicInstant? { worker.nextDeadline }

    /// Forwards, sends, and reports: the end of every turn.
    private mutating func finish(at now: Now, on loop: EventLoop) {
        var more = true
        while more {
            more = worker.endBatch(at: now, into: &out, events: &events)
            if let socket { loop.send(&out, on: socket) } else { out.removeAll() }
        }
        report()
    }

    private mutating func report() {
        guard !events.isEmpty || !unsent.isEmpty else { return }
        while let event = events.popFirst() { unsent.append(.event(event)) }
        flushReports()
    }

    private mutating func flushReports() {
        var sent = 0
        while sent < unsent.count, channel.reports.freeCount > 0 {
            channel.reports.push(unsent[sent])
            sent += 1
        }
        unsent.removeFirst(sent)
        control.signal()
    }

    private mutating func apply(_ order: WorkerOrder, at now: Now, on loop: EventLoop) {
        switch order {
        case .command(let command):
            worker.apply(command, at: now, into: &out, events: &events)
        case .openPlainPorts(let session, let addresses):
            unsent.append(.plainPortsOpened(session, openPlainPorts(session, addresses, on: loop)))
        case .closePlainPorts(let session):
            closePlainPorts(session, on: loop)
        }
    }

    private mutating func openPlainPorts(_ session: SessionID, _ addresses: [NetworkAddress], on loop: EventLoop)
        -> Bool
    {
        for (track, address) in addresses.enumerated() {
            do throws(EventLoopError) {
                let socket = try DatagramSocket(bind: address, whenFull: .drop)
                plainSources.append(PlainSource(session: session, track: track, socket: try loop.add(socket)))
            } catch {
                closePlainPorts(session, on: loop)
                return false
            }
        }
        return true
    }

    private mutating func closePlainPorts(_ session: SessionID, on loop: EventLoop) {
        for plain in plainSources where plain.session == session { loop.close(plain.socket) }
        plainSources.removeAll { $0.session == session }
    }
}
