import CSwarmShims
import SwarmCore

/// One thread's event loop as its driver sees it: sockets, signals, the way to send and to stop.
///
/// Used only on the loop's own thread, except for `wakeup`, which is for the others. The driver is bound by the generic
/// subclass `DriverLoop`, so that no packet goes through a table of witnesses.
@safe package class EventLoop {
    /// For other threads: makes the loop call `wokenUp`.
    package let wakeup: Wakeup
    private let loop: UVLoop
    private let timer: DeadlineTimer
    /// By index of their ids. Objects rather than values in a `Slab`, whose accessors allocate when not optimised.
    private var sockets: [WatchedSocket?] = []
    private var generation: UInt32 = 0
    private var timerHandle: PollHandle?
    private var wakeupHandle: PollHandle?
    private var signalHandles: [SignalHandle] = []
    private var isStopped = false
    /// The receive arena, shared by the loop's sockets: one is read at a time.
    final var batch = ReceiveBatch()

    private final class WatchedSocket {
        var socket: DatagramSocket
        let id: SocketID
        var handle: PollHandle?
        var watchesWritable = false

        init(_ socket: consuming DatagramSocket, _ id: SocketID) {
            self.socket = socket
            self.id = id
        }
    }

    init() throws(EventLoopError) {
        wakeup = try Wakeup()
        timer = try DeadlineTimer()
        loop = try UVLoop()
        timerHandle = try PollHandle(timer.descriptor, purpose: .timer, loop: loop, owner: self)
        wakeupHandle = try PollHandle(wakeup.descriptor, purpose: .wakeup, loop: loop, owner: self)
    }

    deinit { closeAll() }

    // MARK: For drivers

    /// Watches a bound socket from now on. When the loop has `LoopLimits.sockets`, the socket is closed.
    package final func add(_ socket: consuming DatagramSocket) throws(EventLoopError) -> SocketID {
        let descriptor = socket.descriptor
        let free = sockets.firstIndex { $0 == nil } ?? sockets.count
        guard !isStopped, free < LoopLimits.sockets else { throw .tooManySockets }
        generation &+= 1
        let id = SocketID(index: free, generation: generation)
        let watched = WatchedSocket(socket, id)
        watched.handle = try PollHandle(descriptor, purpose: .socket(id), loop: loop, owner: self)
        if free == sockets.count { sockets.append(watched) } else { sockets[free] = watched }
        return id
    }

    /// Stops watching and closes. What it held back is lost.
    package final func close(_ id: SocketID) {
        guard let watched = find(id) else { return }
        sockets[id.index] = nil
        watched.handle?.close()
    }

    /// Sends all of `outbox` from `id` and empties it; without that socket it is only emptied.
    package final func send(_ outbox: inout Outbox, on id: SocketID) {
        guard !outbox.isEmpty else { return }
        guard let watched = find(id) else {
            outbox.removeAll()
            return
        }
        watched.socket.send(&outbox)
        watchForRoom(watched)
    }

    /// The bound address, with the port the system chose; nil for a closed socket.
    package final func localAddress(of id: SocketID) -> NetworkAddress? { find(id)?.socket.localAddress }

    package final func statistics(of id: SocketID) -> SocketStatistics? { find(id)?.socket.statistics }

    /// Calls `signalled` when the process receives `signal`, from now on.
    package final func watch(signal: Int32) throws(EventLoopError) {
        signalHandles.append(try SignalHandle(signal, loop: loop, owner: self))
    }

    /// Ends the loop after the present call: `stopping` is called, sockets are closed, the thread ends.
    package final func stop() { wakeup.requestStop() }

    package final var socketCount: Int { sockets.reduce(0) { $0 + ($1 == nil ? 0 : 1) } }

    // MARK: For DriverLoop

    /// Serves events until stopped.
    final func serve() { loop.run() }

    /// Fills the batch from a socket. Returns the buffers filled, 0 also for a closed socket.
    final func fillBatch(from id: SocketID) -> Int {
        guard let watched = find(id) else { return 0 }
        return watched.socket.receive(into: &batch)
    }

    final func account(datagrams: UInt64, bytes: UInt64, on id: SocketID) {
        find(id)?.socket.didReceive(datagrams: datagrams, bytes: bytes)
    }

    /// The timer fires at `deadline` at the latest; it may fire earlier, for a deadline that has moved.
    final func arm(_ deadline: MonotonicInstant?) {
        guard let deadline, !isStopped else { return }
        timer.arm(deadline)
    }

    final func closeAll() {
        isStopped = true
        for index in sockets.indices {
            if let watched = sockets[index] { close(watched.id) }
        }
        timerHandle?.close()
        wakeupHandle?.close()
        for handle in signalHandles { handle.close() }
        signalHandles.removeAll()
    }

    // MARK: From the callbacks

    final func handleReady(_ purpose: PollPurpose, isReadable: Bool, isWritable: Bool) {
        guard !isStopped else { return }
        switch purpose {
        case .socket(let id):
            if isWritable, let watched = find(id) {
                watched.socket.resume()
                watchForRoom(watched)
            }
            if isReadable { driveReadable(id) }
        case .timer:
            timer.didFire()
            driveDeadline()
        case .wakeup:
            wakeup.clear()
            driveWakeup()
        }
        if wakeup.isStopRequested, !isStopped {
            driveStop()
            closeAll()
        }
    }

    final func handleSignal(_ signal: Int32) {
        guard !isStopped else { return }
        driveSignal(signal)
    }

    /// Bound by `DriverLoop`: starts the driver and serves it until the loop is stopped.
    func run() {}
    func driveReadable(_ id: SocketID) {}
    func driveDeadline() {}
    func driveWakeup() {}
    func driveSignal(_ signal: Int32) {}
    func driveStop() {}

    private final func find(_ id: SocketID) -> WatchedSocket? {
        guard id.index < sockets.count, let watched = sockets[id.index], watched.id == id else { return nil }
        return watched
    }

    private final func watchForRoom(_ watched: WatchedSocket) {
        let wanted = watched.socket.isWaitingForRoom
        guard wanted != watched.watchesWritable else { return }
        watched.watchesWritable = wanted
        watched.handle?.watch(writable: wanted)
    }
}

/// A one-shot timer with the resolution of the kernel's clock, where libuv's own timers count milliseconds.
///
/// Moving a deadline back costs nothing: the timer fires at the earlier time, finds nothing due and is set again.
final class DeadlineTimer {
    let descriptor: Int32
    private var armed: MonotonicInstant?

    init() throws(EventLoopError) {
        descriptor = swarm_timerfd_create()
        guard descriptor >= 0 else { throw .descriptors(errno: -descriptor) }
    }

    deinit {
        if descriptor >= 0 { swarm_close(descriptor) }
    }

    func arm(_ deadline: MonotonicInstant) {
        if let armed, armed <= deadline { return }
        armed = deadline
        swarm_timerfd_set(descriptor, deadline.nanoseconds)
    }

    func didFire() {
        swarm_timerfd_clear(descriptor)
        armed = nil
    }
}
