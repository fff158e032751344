import Composition
import EventLoop
import MediaRelay
import SwarmCore

/// The control thread: the composition between the swarm socket, the workers' rings and the node's users.
struct ControlDriver: ~Copyable, LoopDriver {
    private var machine: SwarmMachine
    private var unopened: DatagramSocket?
    private var socket: SocketID?
    private let seeds: [Contact]
    private let channels: [WorkerChannel]
    private let workerWakeups: [Wakeup]
    private let gate: ControlGate
    private let notices: NoticeBoard
    private let drainRequest: DrainRequest
    private var out = Outbox(
        byteCapacity: RuntimeLimits.controlOutboxBytes, datagramCapacity: RuntimeLimits.controlOutboxDatagrams)
    private var events = EventBuffer<SwarmEvent>()
    /// Orders that found a worker's ring full, oldest first.
    private var unsent: [[WorkerOrder]]
    private var meter: LoadMeter
    private var stopAt: MonotonicInstant?

    init(
        machine: consuming SwarmMachine, socket: consuming DatagramSocket, seeds: [Contact],
        channels: [WorkerChannel], workerWakeups: [Wakeup], gate: ControlGate, notices: NoticeBoard,
        drainRequest: DrainRequest, now: Now
    ) {
        self.machine = machine
        unopened = consume socket
        self.seeds = seeds
        self.channels = channels
        self.workerWakeups = workerWakeups
        self.gate = gate
        self.notices = notices
        self.drainRequest = drainRequest
        unsent = Array(repeating: [], count: channels.count)
        meter = LoadMeter(at: now)
    }

    mutating func start(on loop: EventLoop, at now: Now) {
        guard let opened = unopened.take() else { return }
        socket = try? loop.add(opened)
        machine.start(seeds: seeds, at: now, into: &out, events: &events)
        finish(on: loop)
    }

    mutating func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, on socket: SocketID, at now: Now
    ) {
        machine.receive(&datagram, from: source, at: now, into: &out, events: &events)
    }

    mutating func endBatch(at now: Now, on loop: EventLoop) { finish(on: loop) }

    mutating func wokenUp(at now: Now, on loop: EventLoop) {
        for (worker, channel) in channels.enumerated() {
            while let report = channel.reports.pop() {
                switch report {
                case .event(let event):
                    machine.handle(event, from: worker, at: now, into: &out, events: &events)
                case .plainPortsOpened(let session, let isOpen):
                    machine.plainPortsOpened(session, isOpen, at: now, into: &out, events: &events)
                }
                finish(on: loop)
            }
        }
        while let request = gate.requests.pop() {
            machine.request(request.id, request.request, at: now, into: &out, events: &events)
            finish(on: loop)
        }
        if drainRequest.isRequested, stopAt == nil {
            machine.drain(at: now, into: &out, events: &events)
            stopAt = now.monotonic + RuntimeLimits.drainTime
        }
        finish(on: loop)
    }

    mutating func deadlineReached(at now: Now, on loop: EventLoop) {
        if let load = meter.measure(at: now) { machine.updateLoad(load, at: now) }
        machine.advance(to: now, into: &out, events: &events)
        finish(on: loop)
        if let stopAt, stopAt <= now.monotonic { loop.stop() }
    }

    mutating func stopping(at now: Now, on loop: EventLoop) {
        finish(on: loop)
        gate.close()
        notices.close()
    }

    var nextDeadline: MonotonicInstant? {
        Deadline.earlier(Deadline.earlier(machine.nextDeadline, meter.nextDeadline), stopAt)
    }

    /// Sends what the machine wrote and hands out what it said: the end of every call.
    private mutating func finish(on loop: EventLoop) {
        if let socket { loop.send(&out, on: socket) } else { out.removeAll() }
        while let event = events.popFirst() {
            switch event {
            case .command(let worker, let command): unsent[worker].append(.command(command))
            case .openPlainPorts(let worker, let session, let addresses):
                unsent[worker].append(.openPlainPorts(session, addresses: addresses))
            case .closePlainPorts(let worker, let session): unsent[worker].append(.closePlainPorts(session))
            case .reply(let id, let reply): gate.answer(id, reply)
            case .notice(let notice): notices.post(notice)
            }
        }
        for worker in channels.indices where !unsent[worker].isEmpty { flush(worker) }
    }

    private mutating func flush(_ worker: Int) {
        var sent = 0
        while sent < unsent[worker].count, channels[worker].orders.freeCount > 0 {
            channels[worker].orders.push(unsent[worker][sent])
            sent += 1
        }
        unsent[worker].removeFirst(sent)
        workerWakeups[worker].signal()
    }
}

/// Set from any thread, read by the control thread: the node is to leave.
final class DrainRequest: Sendable {
    private let flag = Flag()
    private let wakeup: ControlWakeup

    init(wakeup: ControlWakeup) { self.wakeup = wakeup }

    var isRequested: Bool { flag.isSet }

    func request() {
        flag.set()
        wakeup.signal()
    }
}
