import SwarmCore

/// The bounds of this module, with the arithmetic that set them.
package enum LoopLimits {
    /// Buffers per `recvmmsg`. A batch shares one clock reading and one `endBatch`; 32 spread the fixed cost of a wake-up
    /// (about 3 µs) to a tenth of a microsecond each.
    static var receiveBuffers: Int { 32 }
    /// Bytes per buffer with UDP_GRO: the kernel joins datagrams up to the largest UDP payload.
    static var offloadBufferBytes: Int { 65_536 }
    /// Distance between buffers beyond their size. Buffers a power of two apart would all fall into the same lines of
    /// the first-level cache; an odd number of lines spreads them.
    static var bufferSkew: Int { 2_112 }
    /// Batches taken from one socket before the others and the timer get their turn: 4 × 32 buffers are at most a
    /// millisecond of work even when each holds a full train.
    static var batchesPerTurn: Int { 4 }
    /// Datagrams in one train: the kernel's UDP_MAX_SEGMENTS before Linux 6.9, and enough for the largest train (16).
    package static var trainDatagrams: Int { 64 }
    /// Bytes in one train: IPv4's 65,535 less headers, rounded down.
    package static var trainBytes: Int { 65_000 }
    /// Messages per `sendmmsg`.
    static var sendMessages: Int { 64 }
    /// How long a socket that drops waits for the kernel's send buffer to drain, once per `send`.
    static var dropWaitMilliseconds: Int32 { 1 }
    /// What a socket that holds keeps back while the send buffer is full: 256 KiB are 200 full datagrams, more than
    /// control sends in a second.
    static var heldBytes: Int { 256 * 1024 }
    static var heldDatagrams: Int { 1_024 }
    /// Sockets per loop: the main one and one per plain RTP source.
    package static var sockets: Int { 256 }
    /// Trains refused in a row, none ever accepted, before a socket stops trying.
    static var refusedTrains: UInt64 { 16 }
    /// Stack of a loop thread. Untouched pages cost nothing; sanitizers multiply the frames of a debug build.
    static var stackBytes: Int { 4 * 1024 * 1024 }
    /// Asked of the kernel for media sockets; it caps them at net.core.rmem_max without an error. 4 MiB hold 100 ms of
    /// 300 Mb/s.
    package static var socketBufferBytes: Int32 { 4 * 1024 * 1024 }
}
