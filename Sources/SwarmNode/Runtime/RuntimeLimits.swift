import SwarmCore

/// Bounds of the threads' queues, with the arithmetic that set them.
enum RuntimeLimits {
    /// Requests of the HTTP threads on their way to the control thread: as many as HTTP holds connections.
    static var requests: Int { 2048 }
    /// Commands of a second in which every session of a worker is replaced.
    static var ordersPerWorker: Int { 16_384 }
    static var reportsPerWorker: Int { 16_384 }
    /// Orders a worker takes before it looks at its socket again: about 100 µs.
    static var ordersPerTurn: Int { 64 }
    /// One packet to 1,000 viewers, or a 64-packet frame to 50.
    static var workerOutboxBytes: Int { 4 * 1024 * 1024 }
    static var workerOutboxDatagrams: Int { 4096 }
    static var controlOutboxBytes: Int { 512 * 1024 }
    static var controlOutboxDatagrams: Int { 512 }
    /// Changes a reader of the feed may lag behind.
    static var noticesPerReader: Int { 256 }
    static var loadInterval: Interval { .seconds(1) }
    /// How long a draining node goes on so that its goodbyes arrive.
    static var drainTime: Interval { .milliseconds(300) }
}
