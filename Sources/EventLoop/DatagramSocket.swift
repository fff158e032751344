import CSwarmShims
import SwarmCore

/// What a socket has carried since it was opened.
package struct SocketStatistics: Sendable {
    /// Why a datagram that was to be sent is lost.
    package enum Drop: Int, CaseIterable, Sendable {
        /// The send buffer stayed full (`whenFull: .drop`).
        case wouldBlock
        /// What is held back for a full send buffer has reached its bound (`whenFull: .hold`).
        case holdFull
        /// The destination is unspecified, multicast, has port 0, or is of a family this socket does not speak.
        case unaddressable
        case unreachable
        case tooLong
        case forbidden
        case noBuffers
        case other
    }

    package var datagramsReceived: UInt64 = 0
    package var bytesReceived: UInt64 = 0
    package var datagramsSent: UInt64 = 0
    package var bytesSent: UInt64 = 0
    /// Messages of two or more datagrams that left with one UDP_SEGMENT.
    package var trainsSent: UInt64 = 0
    /// Trains that the kernel refused and that left one by one.
    package var trainsRefused: UInt64 = 0
    /// ICMP errors reported on the socket: somebody is gone; no concern of anybody else.
    package var errorsReported: UInt64 = 0
    package var drops = Counters<Drop>()
}

/// A bound, non-blocking UDP socket that sends whole outboxes in segment trains. Closed when it goes.
///
/// One thread at a time. Nothing here throws after `init`: what cannot be sent is counted by class.
@safe package struct DatagramSocket: ~Copyable, @unchecked Sendable {
    // Unchecked: the C sender is reached only through this value, which has one owner.

    /// What happens when the kernel's send buffer is full.
    package enum FullPolicy: Sendable {
        /// Wait at most a millisecond, then drop the rest: media that waits is worthless.
        case drop
        /// Keep the rest, up to `LoopLimits.heldBytes`, and send when there is room: control.
        case hold
    }

    let descriptor: Int32
    /// The address as the system bound it: with the port it chose for 0.
    package let localAddress: NetworkAddress
    package let isIPv6: Bool
    /// Whether UDP_GRO is on.
    package let hasReceiveOffload: Bool
    package internal(set) var statistics = SocketStatistics()
    /// Whether consecutive datagrams still leave as trains: false where the kernel or the device refuses UDP_SEGMENT.
    package internal(set) var sendsTrains: Bool

    let whenFull: FullPolicy
    let sender: OpaquePointer
    /// End of each packed message, as an index into the outbox.
    var messageEnds: [Int]
    var messageCount = 0
    /// Datagrams waiting for room in the send buffer, and the empty outbox they will be swapped with.
    var held: Outbox?
    var spare: Outbox?

    /// Opens and binds. `::` listens on IPv4 too. Port 0 lets the system choose.
    package init(
        bind address: NetworkAddress, whenFull: FullPolicy, bufferBytes: Int32 = LoopLimits.socketBufferBytes,
        receiveOffload: Bool = true, segmentation: Bool = true
    ) throws(EventLoopError) {
        let options = swarm_socket_options(
            receive_buffer_bytes: bufferBytes, send_buffer_bytes: bufferBytes, want_receive_offload: receiveOffload)
        let opened = swarm_udp_open(
            swarm_address(high: address.high, low: address.low, port: address.port), options)
        guard opened.descriptor >= 0 else {
            throw EventLoopError(binding: address, errno: -opened.descriptor)
        }
        guard let made = unsafe swarm_sender_create(opened.is_ipv6) else {
            swarm_close(opened.descriptor)
            throw .socket(address, errno: SystemError.outOfMemory)
        }
        unsafe sender = made
        descriptor = opened.descriptor
        localAddress = NetworkAddress(high: opened.bound.high, low: opened.bound.low, port: opened.bound.port)
        isIPv6 = opened.is_ipv6
        hasReceiveOffload = opened.has_receive_offload
        sendsTrains = segmentation && opened.has_segmentation
        self.whenFull = whenFull
        messageEnds = Array(repeating: 0, count: LoopLimits.sendMessages)
        switch whenFull {
        case .drop:
            held = nil
            spare = nil
        case .hold:
            held = Outbox(byteCapacity: LoopLimits.heldBytes, datagramCapacity: LoopLimits.heldDatagrams)
            spare = Outbox(byteCapacity: LoopLimits.heldBytes, datagramCapacity: LoopLimits.heldDatagrams)
        }
    }

    deinit {
        unsafe swarm_sender_destroy(sender)
        swarm_close(descriptor)
    }

    /// Fills `batch` with what waits. Returns the number of buffers filled; 0 when nothing waits.
    ///
    /// A pending ICMP error (RFC 1122 §4.1.3.3) is counted and passed over: it says nothing about the others who send
    /// to this socket.
    package mutating func receive(into batch: inout ReceiveBatch) -> Int {
        for _ in 0..<4 {
            let result = batch.fill(from: descriptor)
            if result >= 0 { return Int(result) }
            if result == -SystemError.tryAgain { return 0 }
            statistics.errorsReported += 1
        }
        return 0
    }

    /// Accounts for one datagram taken from a batch.
    mutating func didReceive(datagrams: UInt64, bytes: UInt64) {
        statistics.datagramsReceived &+= datagrams
        statistics.bytesReceived &+= bytes
    }
}
