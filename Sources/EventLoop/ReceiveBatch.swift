import CSwarmShims
import SwarmCore

/// The receive arena of one loop: fixed buffers, filled by one `recvmmsg` and walked datagram by datagram, in place.
///
/// With UDP_GRO a buffer may hold a whole train, which the walk takes apart again.
@safe package struct ReceiveBatch: ~Copyable {
    /// One datagram: who sent it and where it lies.
    package struct Item: Sendable {
        package let source: NetworkAddress
        package let range: Range<Int>
    }

    /// Datagrams that are not handed on.
    package enum Refusal: Int, CaseIterable, Sendable {
        case empty
        /// Longer than `Limits.receiveBytes`.
        case tooLong
    }

    private let receiver: OpaquePointer
    private let arena: UnsafeMutablePointer<UInt8>
    private let stride: Int
    /// Buffers per fill.
    package let bufferCount: Int
    private var filled = 0
    private var buffer = 0
    private var current = swarm_received()
    private var offset = 0
    package private(set) var refusals = Counters<Refusal>()

    package init() {
        bufferCount = LoopLimits.receiveBuffers
        stride = LoopLimits.offloadBufferBytes + LoopLimits.bufferSkew
        let made = unsafe swarm_receiver_create(stride, LoopLimits.offloadBufferBytes, UInt32(bufferCount))
        guard let made = unsafe made, let bytes = unsafe swarm_receiver_bytes(made) else {
            preconditionFailure("no memory for \(bufferCount) receive buffers")
        }
        unsafe receiver = made
        unsafe arena = bytes
    }

    deinit { unsafe swarm_receiver_destroy(receiver) }

    /// Takes what waits on `descriptor`, at most `bufferCount` buffers; earlier datagrams are gone. Returns the buffers
    /// filled, or a negative errno.
    mutating func fill(from descriptor: Int32) -> Int32 {
        let result = unsafe swarm_receiver_fill(receiver, descriptor)
        filled = max(0, Int(result))
        buffer = 0
        offset = 0
        if filled > 0 { current = unsafe swarm_receiver_item(receiver, 0) }
        return result
    }

    /// The next datagram of this fill, or nil.
    package mutating func next() -> Item? {
        while buffer < filled {
            let length = Int(current.length)
            if offset >= length {
                if length == 0 { refusals.add(.empty) }
                step()
                continue
            }
            let segment = current.segment_bytes == 0 ? length : Int(current.segment_bytes)
            let count = min(segment, length - offset)
            let start = buffer * stride + offset
            offset += count
            guard count <= Limits.receiveBytes, !current.truncated else {
                refusals.add(.tooLong)
                continue
            }
            let source = NetworkAddress(high: current.high, low: current.low, port: current.port)
            return Item(source: source, range: start..<(start + count))
        }
        return nil
    }

    /// The bytes of `item`, which may be changed in place until the next fill.
    @_lifetime(&self)
    package mutating func bytes(of item: Item) -> MutableSpan<UInt8> {
        precondition(item.range.lowerBound >= 0 && item.range.upperBound <= stride * bufferCount)
        let span = unsafe MutableSpan(_unsafeStart: arena + item.range.lowerBound, count: item.range.count)
        return unsafe _overrideLifetime(span, mutating: &self)
    }

    private mutating func step() {
        buffer += 1
        offset = 0
        if buffer < filled { current = unsafe swarm_receiver_item(receiver, UInt32(buffer)) }
    }
}
