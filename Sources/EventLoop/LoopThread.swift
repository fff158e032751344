import CSwarmShims
import SwarmCore
import Synchronization

/// An event loop with its driver. Made on any thread, then run on one.
final class DriverLoop<Driver: LoopDriver & ~Copyable>: EventLoop {
    private var driver: Driver

    init(_ driver: consuming Driver) throws(EventLoopError) {
        self.driver = driver
        try super.init()
    }

    override func run() {
        driver.start(on: self, at: SystemClock.now())
        arm(driver.nextDeadline)
        serve()
    }

    override func driveReadable(_ id: SocketID) {
        for _ in 0..<LoopLimits.batchesPerTurn {
            let filled = fillBatch(from: id)
            guard filled > 0 else { break }
            let now = SystemClock.now()
            let taken = Self.deliver(&batch, to: &driver, on: id, at: now)
            account(datagrams: taken.datagrams, bytes: taken.bytes, on: id)
            driver.endBatch(at: now, on: self)
            if filled < LoopLimits.receiveBuffers { break }
        }
        arm(driver.nextDeadline)
    }

    override func driveDeadline() {
        let now = SystemClock.now()
        if let deadline = driver.nextDeadline, deadline <= now.monotonic {
            driver.deadlineReached(at: now, on: self)
        }
        arm(driver.nextDeadline)
    }

    override func driveWakeup() {
        driver.wokenUp(at: SystemClock.now(), on: self)
        arm(driver.nextDeadline)
    }

    override func driveSignal(_ signal: Int32) {
        driver.signalled(signal, at: SystemClock.now(), on: self)
        arm(driver.nextDeadline)
    }

    override func driveStop() { driver.stopping(at: SystemClock.now(), on: self) }

    /// The packet loop. One exclusive access to batch and driver for all of it: a checked access costs as much as a
    /// machine call.
    private static func deliver(
        _ batch: inout ReceiveBatch, to driver: inout Driver, on id: SocketID, at now: Now
    ) -> (datagrams: UInt64, bytes: UInt64) {
        var datagrams: UInt64 = 0
        var bytes: UInt64 = 0
        while let item = batch.next() {
            datagrams &+= 1
            bytes &+= UInt64(item.range.count)
            var datagram = batch.bytes(of: item)
            driver.receive(&datagram, from: item.source, on: id, at: now)
        }
        return (datagrams, bytes)
    }
}

/// A named thread with a stack of stated size that runs one loop. Joined by `stopAndJoin`.
package final class LoopThread: Sendable {
    package let name: String
    /// Wakes the loop's driver, from any thread.
    package let wakeup: Wakeup
    private let handle: UInt64
    private let isJoined = Atomic<Bool>(false)

    /// Starts a thread that runs `driver` until it is stopped.
    ///
    /// - Parameters:
    ///   - name: at most 15 bytes are kept; what `top -H` shows.
    ///   - core: pins the thread to the core-th CPU this process may use; nil leaves it to the scheduler.
    package init<Driver: LoopDriver & ~Copyable>(
        name: String, core: Int? = nil, driver: consuming sending Driver
    ) throws(EventLoopError) {
        let loop = try DriverLoop(driver)
        self.name = name
        wakeup = loop.wakeup
        // The loop goes to its thread, which alone holds it from here on and lets it go at its end.
        let start = unsafe Unmanaged<EventLoop>.passRetained(loop).toOpaque()
        var started: UInt64 = 0
        let code = unsafe swarm_thread_start(
            name, Int32(truncatingIfNeeded: core ?? -1), LoopLimits.stackBytes, threadBody, start, &started)
        guard code == 0 else {
            unsafe Unmanaged<EventLoop>.fromOpaque(start).release()
            throw .thread(name: name, errno: -code)
        }
        handle = started
    }

    deinit {
        guard !isJoined.exchange(true, ordering: .acquiringAndReleasing) else { return }
        wakeup.requestStop()
        swarm_thread_detach(handle)
    }

    /// Asks the loop to end. Returns at once.
    package func stop() { wakeup.requestStop() }

    /// Asks the loop to end and waits until its thread has: its sockets are closed, its driver is gone. Later calls
    /// return at once. Not to be called on the loop's own thread.
    package func stopAndJoin() {
        wakeup.requestStop()
        join()
    }

    /// Waits until the loop has ended by itself.
    package func join() {
        precondition(!swarm_thread_is_current(handle), "thread \(name) cannot wait for itself")
        guard !isJoined.exchange(true, ordering: .acquiringAndReleasing) else { return }
        swarm_thread_join(handle)
    }
}

private func threadBody(_ context: UnsafeMutableRawPointer?) {
    guard let context = unsafe context else { return }
    unsafe Unmanaged<EventLoop>.fromOpaque(context).takeRetainedValue().run()
}
