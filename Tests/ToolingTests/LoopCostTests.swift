import CAllocationCounter
import CBenchFloor
import EventLoop
import SwarmCore
import Synchronization
import Testing

/// What a fan-out driver spent, filled in when its loop ends.
private final class Costs: Sendable {
    let packets = Atomic<Int>(0)
    let cpuNanoseconds = Atomic<Int>(0)
    let allocations = Atomic<Int>(0)
}

/// Sends every datagram it receives to many, one destination's packets after the other: the packet path without its
/// ciphers.
private struct FanOutDriver: LoopDriver, ~Copyable {
    private var socket: DatagramSocket?
    private let destinations: [NetworkAddress]
    private let costs: Costs
    private let warmUpPackets: Int
    private var id: SocketID?
    private var batch = Outbox(byteCapacity: 64 * 1024, datagramCapacity: 64)
    private var out: Outbox
    private var packets = 0
    private var cpuAtStart = Interval.zero

    init(_ socket: consuming DatagramSocket, _ destinations: [NetworkAddress], _ costs: Costs, warmUpPackets: Int) {
        self.socket = consume socket
        self.destinations = destinations
        self.costs = costs
        self.warmUpPackets = warmUpPackets
        out = Outbox(byteCapacity: 4 * 1024 * 1024, datagramCapacity: 64 * destinations.count)
    }

    var nextDeadline: MonotonicInstant? { nil }

    mutating func start(on loop: EventLoop, at now: Now) {
        guard let socket = socket.take() else { return }
        id = try? loop.add(socket)
    }

    mutating func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, on socket: SocketID, at now: Now
    ) {
        batch.append(to: source, copying: datagram.span)
    }

    mutating func endBatch(at now: Now, on loop: EventLoop) {
        guard let id else { return }
        if packets <= warmUpPackets, packets + batch.count * destinations.count > warmUpPackets {
            cpuAtStart = SystemClock.threadCPU()
            allocation_counter_start()
        }
        Self.copy(batch, to: destinations, into: &out)
        packets += batch.count * destinations.count
        batch.removeAll()
        loop.send(&out, on: id)
    }

    private static func copy(
        _ batch: borrowing Outbox, to destinations: [NetworkAddress], into out: inout Outbox
    ) {
        // By index: unoptimised, an array's iterator allocates for each element.
        for target in destinations.indices {
            for index in 0..<batch.count { out.append(to: destinations[target], copying: batch.bytes(of: index)) }
        }
    }

    mutating func wokenUp(at now: Now, on loop: EventLoop) {}
    mutating func deadlineReached(at now: Now, on loop: EventLoop) {}
    mutating func stopping(at now: Now, on loop: EventLoop) {
        costs.allocations.store(Int(allocation_counter_stop()), ordering: .relaxed)
        costs.cpuNanoseconds.store(Int((SystemClock.threadCPU() - cpuAtStart).nanoseconds), ordering: .relaxed)
        costs.packets.store(packets - warmUpPackets, ordering: .relaxed)
    }
}

@Suite(.serialized) struct LoopCostTests {
    /// CPU microseconds and allocations per packet of `frames` frames to `viewers` receivers.
    private func fanOut(
        viewers: Int, framePackets: Int, frames: Int, packetBytes: Int
    ) throws -> (microseconds: Double, allocations: Int, delivered: UInt64) {
        var error: Int32 = 0
        guard let receivers = unsafe bench_receivers_open(UInt32(viewers), 0, &error) else { return (0, -1, 0) }
        defer { unsafe bench_receivers_close(receivers) }
        var destinations: [NetworkAddress] = []
        for index in 0..<viewers {
            destinations.append(.loopback(port: unsafe bench_receivers_port(receivers, UInt32(index))))
        }
        let socket = try DatagramSocket(bind: .loopback(port: 0), whenFull: .drop)
        let address = socket.localAddress
        let costs = Costs()
        let warmUp = frames / 4
        let driver = FanOutDriver(socket, destinations, costs, warmUpPackets: warmUp * viewers * framePackets)
        let thread = try LoopThread(name: "fan out", core: 0, driver: driver)
        var publisher = try DatagramSocket(bind: .loopback(port: 0), whenFull: .drop)
        var out = Outbox(byteCapacity: 1 << 18, datagramCapacity: 64)
        var delivered: UInt64 = 0
        for _ in 0..<frames {
            for _ in 0..<framePackets {
                out.append(to: address, capacity: packetBytes) { $0.append(repeating: 5, count: packetBytes) }
            }
            publisher.send(&out)
            delivered += unsafe bench_receivers_take(receivers, UInt32(framePackets), 200)
        }
        thread.stopAndJoin()
        let packets = costs.packets.load(ordering: .relaxed)
        let microseconds = Double(costs.cpuNanoseconds.load(ordering: .relaxed)) / 1_000 / Double(max(1, packets))
        return (microseconds, costs.allocations.load(ordering: .relaxed), delivered)
    }

    @Test func packetPathAllocatesNothing() throws {
        let cost = try fanOut(viewers: 20, framePackets: 8, frames: 200, packetBytes: 1_100)
        #expect(cost.delivered == 20 * 8 * 200)
        guard allocation_counter_is_available() else { return }
        #expect(cost.allocations == 0)
    }

    /// A ratio in one run, so that the machine cancels out: what the loop spends on receiving, copying and sending
    /// against a C program that only sends the same trains. Measured at rest 1.1 to 1.3, two thirds of the difference in
    /// the kernel (waking, receiving); the bound leaves room for a machine with other work.
    @Test func sendingThroughTheLoopIsNearTheFloor() throws {
        #if !DEBUG
            var best = Double.infinity
            for _ in 0..<5 where best > 1.6 {
                var error: Int32 = 0
                guard let receivers = unsafe bench_receivers_open(100, 0, &error) else { return }
                let options = bench_floor_options(
                    packet_bytes: 1_184, frame_packets: 8, frames: 40, rounds: 3, cipher: BENCH_CIPHER_GCM, core: 0)
                let floor = unsafe bench_floor_run(options, receivers)
                unsafe bench_receivers_close(receivers)
                let cost = try fanOut(viewers: 100, framePackets: 8, frames: 160, packetBytes: 1_200)
                best = min(best, cost.microseconds / floor.send_microseconds)
            }
            #expect(best <= 1.6)
        #endif
    }
}
