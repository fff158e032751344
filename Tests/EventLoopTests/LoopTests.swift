import EventLoop
import SwarmCore
import Synchronization
import Testing

/// Commands to and events from a pinger: the shape of every loop in the node.
private enum Command: Sendable {
    case ping(NetworkAddress, count: Int)
    case openExtraSocket
}

private enum Event: Sendable, Equatable {
    case finished(pongs: Int)
    case opened(NetworkAddress)
}

/// The two rings of a loop and the wake-up of whoever reads the events.
private final class Mailbox: Sendable {
    let commands = BoundedRing<Command>(minimumCapacity: 16)
    let events = BoundedRing<Event>(minimumCapacity: 16)

    func nextEvent() async -> Event? {
        for _ in 0..<20_000 {
            if let event = events.pop() { return event }
            try? await Task.sleep(nanoseconds: 500_000)
        }
        return nil
    }
}

/// Answers every datagram that starts with 0 by the same with 1, and counts down its own pings. The worked example of a
/// driver: one socket bound beforehand, a ring in, a ring out, an outbox of its own, one deadline.
private struct PingPongDriver: LoopDriver, ~Copyable {
    private var socket: DatagramSocket?
    private let mailbox: Mailbox
    private var id: SocketID?
    private var out = Outbox(byteCapacity: 64 * 1024, datagramCapacity: 64)
    private var target: NetworkAddress?
    private var remaining = 0
    private var pongs = 0
    private(set) var nextDeadline: MonotonicInstant?

    init(_ socket: consuming DatagramSocket, _ mailbox: Mailbox) {
        self.socket = consume socket
        self.mailbox = mailbox
    }

    mutating func start(on loop: EventLoop, at now: Now) {
        guard let socket = socket.take() else { return }
        id = try? loop.add(socket)
    }

    mutating func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, on socket: SocketID, at now: Now
    ) {
        if datagram[0] == 0 {
            datagram[0] = 1
            out.append(to: source, copying: datagram.span)
        } else {
            pongs += 1
            sendPing()
        }
    }

    mutating func endBatch(at now: Now, on loop: EventLoop) { flush(loop) }

    mutating func wokenUp(at now: Now, on loop: EventLoop) {
        while let command = mailbox.commands.pop() {
            switch command {
            case .ping(let address, let count):
                target = address
                remaining = count
                pongs = 0
                // The first ping leaves from the deadline, so that the timer is part of the example.
                nextDeadline = now.monotonic + .milliseconds(1)
            case .openExtraSocket:
                guard let extra = try? DatagramSocket(bind: .loopback(port: 0), whenFull: .drop),
                    let id = try? loop.add(extra), let address = loop.localAddress(of: id)
                else { continue }
                mailbox.events.push(.opened(address))
            }
        }
        flush(loop)
    }

    mutating func deadlineReached(at now: Now, on loop: EventLoop) {
        nextDeadline = nil
        sendPing()
        flush(loop)
    }

    private mutating func sendPing() {
        guard let target else { return }
        guard remaining > 0 else {
            self.target = nil
            mailbox.events.push(.finished(pongs: pongs))
            return
        }
        remaining -= 1
        out.append(to: target, capacity: 100) { $0.append(repeating: 0, count: 100) }
    }

    private mutating func flush(_ loop: EventLoop) {
        guard let id else { return }
        loop.send(&out, on: id)
    }
}

/// A driver with nothing but a deadline, to measure how late it is called.
private struct TickingDriver: LoopDriver, ~Copyable {
    let lateness: BoundedRing<Interval>
    private var remaining: Int
    private(set) var nextDeadline: MonotonicInstant?

    init(_ lateness: BoundedRing<Interval>, count: Int) {
        self.lateness = lateness
        remaining = count
    }

    mutating func start(on loop: EventLoop, at now: Now) { nextDeadline = now.monotonic + .microseconds(300) }
    mutating func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, on socket: SocketID, at now: Now
    ) {}
    mutating func endBatch(at now: Now, on loop: EventLoop) {}
    mutating func wokenUp(at now: Now, on loop: EventLoop) {}
    mutating func deadlineReached(at now: Now, on loop: EventLoop) {
        guard let due = nextDeadline else { return }
        lateness.push(now.monotonic - due)
        remaining -= 1
        nextDeadline = now.monotonic + .microseconds(300)
        if remaining == 0 {
            nextDeadline = nil
            loop.stop()
        }
    }
}

/// Stops its loop at the first watched signal.
private struct SignalDriver: LoopDriver, ~Copyable {
    let seen: BoundedRing<Int32>
    var nextDeadline: MonotonicInstant? { nil }

    mutating func start(on loop: EventLoop, at now: Now) {
        try? loop.watch(signal: 10)
        seen.push(0)
    }
    mutating func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, on socket: SocketID, at now: Now
    ) {}
    mutating func endBatch(at now: Now, on loop: EventLoop) {}
    mutating func wokenUp(at now: Now, on loop: EventLoop) {}
    mutating func deadlineReached(at now: Now, on loop: EventLoop) {}
    mutating func signalled(_ signal: Int32, at now: Now, on loop: EventLoop) {
        seen.push(signal)
        loop.stop()
    }
    mutating func stopping(at now: Now, on loop: EventLoop) { seen.push(-1) }
}

/// What a driver saw of its loop's socket table.
private struct TableReport: Sendable, Equatable {
    var staleAddress: NetworkAddress?
    var keptAfterStaleSend = -1
    var socketCount = 0
    var refusal: EventLoopError?
    var countWhenFull = 0
}

/// Opens, closes and reopens sockets, then opens as many as it can.
private struct SocketTableDriver: LoopDriver, ~Copyable {
    let reports: BoundedRing<TableReport>
    var nextDeadline: MonotonicInstant? { nil }

    mutating func start(on loop: EventLoop, at now: Now) {
        var report = TableReport()
        do {
            let first = try loop.add(DatagramSocket(bind: .loopback(port: 0), whenFull: .drop))
            loop.close(first)
            let second = try loop.add(DatagramSocket(bind: .loopback(port: 0), whenFull: .drop))
            loop.close(first)
            report.staleAddress = loop.localAddress(of: first)
            var out = Outbox(byteCapacity: 100, datagramCapacity: 4)
            out.append(to: .loopback(port: 9), capacity: 10) { $0.append(repeating: 0, count: 10) }
            loop.send(&out, on: first)
            report.keptAfterStaleSend = out.count
            report.socketCount = loop.localAddress(of: second) == nil ? 0 : loop.socketCount
            for _ in 0..<1_000 {
                _ = try loop.add(DatagramSocket(bind: .loopback(port: 0), whenFull: .drop, bufferBytes: 0))
            }
        } catch {
            report.refusal = error
        }
        report.countWhenFull = loop.socketCount
        reports.push(report)
        loop.stop()
    }
    mutating func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, on socket: SocketID, at now: Now
    ) {}
    mutating func endBatch(at now: Now, on loop: EventLoop) {}
    mutating func wokenUp(at now: Now, on loop: EventLoop) {}
    mutating func deadlineReached(at now: Now, on loop: EventLoop) {}
}

@Suite(.serialized) struct LoopTests {
    private func pair(_ bind: NetworkAddress) throws -> (NetworkAddress, Mailbox, LoopThread) {
        let socket = try DatagramSocket(bind: bind, whenFull: .drop)
        let address = socket.localAddress
        let mailbox = Mailbox()
        return (address, mailbox, try LoopThread(name: "test", core: 0, driver: PingPongDriver(socket, mailbox)))
    }

    @Test(arguments: [NetworkAddress.loopback(port: 0), NetworkAddress(high: 0, low: 1, port: 0)])
    func twoThreadsPlayPingPong(_ bind: NetworkAddress) async throws {
        let (_, mailbox, first) = try pair(bind)
        let (address, _, second) = try pair(bind)
        for _ in 0..<3 {
            mailbox.commands.push(.ping(address, count: 200))
            first.wakeup.signal()
            #expect(await mailbox.nextEvent() == .finished(pongs: 200))
        }
        mailbox.commands.push(.openExtraSocket)
        first.wakeup.signal()
        guard case .opened(let extra) = await mailbox.nextEvent() else {
            Issue.record("no socket was opened")
            return
        }
        #expect(extra.port != 0)
        first.stopAndJoin()
        second.stopAndJoin()
        // A wake-up after the end is harmless.
        first.wakeup.signal()
    }

    @Test func deadlinesAreNeverEarlyAndSeldomLate() {
        let lateness = BoundedRing<Interval>(minimumCapacity: 256)
        do {
            let thread = try LoopThread(name: "ticks", driver: TickingDriver(lateness, count: 200))
            thread.join()
        } catch {
            Issue.record(error)
        }
        var all: [Interval] = []
        while let late = lateness.pop() { all.append(late) }
        #expect(all.count == 200)
        #expect(all.allSatisfy { $0 >= .zero })
        // The median; the machine may be busy with other tests.
        #expect(all.sorted()[100] < .milliseconds(5))
    }

    @Test func socketTableIsBoundedAndStaleIDsAreHarmless() throws {
        let reports = BoundedRing<TableReport>(minimumCapacity: 2)
        let thread = try LoopThread(name: "table", driver: SocketTableDriver(reports: reports))
        thread.join()
        #expect(
            reports.pop()
                == TableReport(
                    staleAddress: nil, keptAfterStaleSend: 0, socketCount: 1, refusal: .tooManySockets,
                    countWhenFull: LoopLimits.sockets))
    }

    @Test func signalsReachTheDriver() async throws {
        let seen = BoundedRing<Int32>(minimumCapacity: 8)
        let thread = try LoopThread(name: "signals", driver: SignalDriver(seen: seen))
        while seen.isEmpty { await Task.yield() }
        #expect(seen.pop() == 0)
        raiseUserSignal()
        thread.join()
        #expect(seen.pop() == 10)
        #expect(seen.pop() == -1)
    }

    @Test func twoThousandLivesLeaveNothingBehind() throws {
        func live() throws {
            let (_, _, thread) = try pair(.loopback(port: 0))
            thread.stopAndJoin()
        }
        // libuv opens a few descriptors of the process's own at first use.
        for _ in 0..<10 { try live() }
        let descriptors = ProcessResources.openDescriptors
        let threads = ProcessResources.threads
        for _ in 0..<2_000 { try live() }
        // Other suites of this process open and close some hundred sockets and threads meanwhile; lives that left one
        // each behind would leave 2,000.
        #expect(abs(ProcessResources.openDescriptors - descriptors) < 1_000)
        #expect(abs(ProcessResources.threads - threads) < 1_000)
    }

    @Test func forgottenThreadsEndByThemselves() async throws {
        let before = ProcessResources.threads
        for _ in 0..<100 { _ = try pair(.loopback(port: 0)) }
        for _ in 0..<1_000 where ProcessResources.threads > before + 50 {
            try await Task.sleep(nanoseconds: 5_000_000)
        }
        #expect(ProcessResources.threads <= before + 50)
    }

    @Test func clocksAgree() {
        let first = SystemClock.now()
        let cpu = SystemClock.threadCPU()
        var sum: UInt64 = 0
        for value in 0..<200_000 as Range<UInt64> { sum &+= value &* value }
        #expect(sum != 1)
        let second = SystemClock.now()
        #expect(second.monotonic > first.monotonic)
        #expect(SystemClock.threadCPU() > cpu)
        #expect(SystemClock.processCPU() > .zero)
        #expect(first.wallMilliseconds > 1_700_000_000_000)
        #expect(ProcessResources.processorCount >= 1 && ProcessResources.residentBytes > 0)
    }
}
