import EventLoop
import Glibc
import MediaRelay
import SwarmCore

/// Runs client machines on one loop, each on a socket of its own.
struct ClientDriver<Client: HeadlessClient & ~Copyable>: ~Copyable, LoopDriver {
    private struct Seat: ~Copyable {
        var client: Client
        let index: Int
        let socket: SocketID
        var ending: SessionCloseReason?
    }

    /// Room for a key frame of a large clip, or the answers to a full batch.
    private static var outboxBytes: Int { 1 << 20 }
    private static var outboxDatagrams: Int { 1_024 }
    /// Some hundred sockets share the machine's memory; 512 KiB hold a second of 4 Mb/s.
    private static var socketBufferBytes: Int32 { 512 * 1_024 }

    private let hub: ClientHub<Client>
    private let loopIndex: Int
    private var seats: Slab<Seat>
    private var seatOfSocket: [SocketID: SlotID] = [:]
    /// By slot; what `nextDeadline` searches without touching the machines.
    private var deadlines: [MonotonicInstant] = []
    /// The seat that the present batch belongs to: all of a batch comes from one socket.
    private var touched: SlotID?
    private var out = Outbox(byteCapacity: ClientDriver.outboxBytes, datagramCapacity: ClientDriver.outboxDatagrams)
    private var events = EventBuffer<ClientEvent>()

    init(hub: ClientHub<Client>, loopIndex: Int, capacity: Int) {
        self.hub = hub
        self.loopIndex = loopIndex
        seats = Slab(capacity: max(1, capacity))
    }

    mutating func start(on loop: EventLoop, at now: Now) {
        if loopIndex == 0 {
            try? loop.watch(signal: SIGINT)
            try? loop.watch(signal: SIGTERM)
        }
        takeArrivals(at: now, on: loop)
    }

    mutating func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, on socket: SocketID, at now: Now
    ) {
        guard let slot = seatOfSocket[socket] else { return }
        touched = slot
        seats[slot].client.receive(&datagram, from: source, at: now, into: &out, events: &events)
    }

    mutating func endBatch(at now: Now, on loop: EventLoop) {
        guard let slot = touched else { return }
        touched = nil
        finish(slot, at: now, on: loop)
    }

    mutating func wokenUp(at now: Now, on loop: EventLoop) { takeArrivals(at: now, on: loop) }

    mutating func deadlineReached(at now: Now, on loop: EventLoop) {
        for index in deadlines.indices where deadlines[index] <= now.monotonic {
            guard let slot = seats.id(at: index) else { continue }
            seats[slot].client.advance(to: now, into: &out, events: &events)
            finish(slot, at: now, on: loop)
        }
    }

    mutating func signalled(_ signal: Int32, at now: Now, on loop: EventLoop) { hub.end() }

    mutating func stopping(at now: Now, on loop: EventLoop) {
        for index in 0..<seats.slotCount {
            guard let slot = seats.id(at: index) else { continue }
            let report = seats[slot].client.report(at: now.monotonic)
            seats[slot].client.close(at: now, into: &out)
            loop.send(&out, on: seats[slot].socket)
            hub.collect(ClientOutcome(index: seats[slot].index, report: report, ending: seats[slot].ending))
        }
    }

    var nextDeadline: MonotonicInstant? { deadlines.min() }

    // MARK: Private

    private mutating func takeArrivals(at now: Now, on loop: EventLoop) {
        while let arrival = hub.arrivals[loopIndex].pop() { seat(arrival, at: now, on: loop) }
    }

    private mutating func seat(_ arrival: ClientHub<Client>.Arrival, at now: Now, on loop: EventLoop) {
        guard let socket = Self.openSocket(on: loop),
            let slot = seats.insert(
                Seat(client: Client.make(arrival.parameters, at: now), index: arrival.index, socket: socket))
        else {
            hub.sessionEnded()
            return
        }
        seatOfSocket[socket] = slot
        while deadlines.count <= Int(slot.index) { deadlines.append(.distantFuture) }
        seats[slot].client.advance(to: now, into: &out, events: &events)
        finish(slot, at: now, on: loop)
    }

    /// Both families where the machine has both.
    private static func openSocket(on loop: EventLoop) -> SocketID? {
        for address in [NetworkAddress.unspecified, NetworkAddress(ipv4: 0, port: 0)] {
            guard let socket = try? DatagramSocket(bind: address, whenFull: .drop, bufferBytes: socketBufferBytes)
            else { continue }
            return try? loop.add(socket)
        }
        return nil
    }

    /// Sends what a call has left, tells the hub of an end, and notes the machine's next deadline.
    private mutating func finish(_ slot: SlotID, at now: Now, on loop: EventLoop) {
        loop.send(&out, on: seats[slot].socket)
        while let event = events.popFirst() {
            guard case .closed(let reason) = event, seats[slot].ending == nil else { continue }
            seats[slot].ending = reason
            hub.sessionEnded()
        }
        deadlines[Int(slot.index)] = seats[slot].client.nextDeadline ?? .distantFuture
    }
}
