import CBenchFloor
import SwarmCore

/// CPU microseconds per packet of the C loops.
struct FloorMeasurement {
    let encrypt: Double
    let send: Double
    let both: Double
}

/// The viewers' sockets, which floor and node send to alike. Closed when it goes.
@safe final class BenchReceivers {
    private let handle: OpaquePointer
    let count: Int

    /// Asked of the kernel for each; the largest frame with the kernel's own accounting.
    private static var bufferBytes: Int32 { 512 * 1024 }
    /// Both senders run on this CPU of the process.
    static var core: Int { 0 }

    init(count: Int) throws {
        var error: Int32 = 0
        guard let handle = unsafe bench_receivers_open(UInt32(count), Self.bufferBytes, &error) else {
            throw FanoutBenchError("cannot open \(count) viewers' sockets: error \(error)")
        }
        unsafe self.handle = handle
        self.count = count
    }

    deinit { unsafe bench_receivers_close(handle) }

    func address(of viewer: Int) -> NetworkAddress {
        .loopback(port: unsafe bench_receivers_port(handle, UInt32(viewer)))
    }

    /// Takes datagrams until every viewer has had `each`, or nothing has come for a while. Returns how many.
    func take(each: Int, timeoutMilliseconds: UInt32) -> UInt64 {
        unsafe bench_receivers_take(handle, UInt32(each), timeoutMilliseconds)
    }

    /// Throws away what waits.
    func drain() { _ = unsafe bench_receivers_drain(handle) }

    /// The datagram that a viewer was read last.
    func last(of viewer: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 2048)
        let length = unsafe bench_receivers_last(handle, UInt32(viewer), &bytes, 2048)
        return Array(bytes.prefix(length))
    }

    func measureFloor(_ options: FanoutBenchOptions, frames: Int) throws -> FloorMeasurement {
        drain()
        let result = unsafe bench_floor_run(
            bench_floor_options(
                packet_bytes: UInt32(options.packetBytes), frame_packets: UInt32(options.framePackets),
                frames: UInt32(frames), rounds: 1,
                cipher: options.cipher == .gcm ? BENCH_CIPHER_GCM : BENCH_CIPHER_CM, core: Int32(Self.core)), handle)
        guard result.error == 0 else { throw FanoutBenchError("the floor failed: error \(result.error)") }
        return FloorMeasurement(
            encrypt: result.encrypt_microseconds, send: result.send_microseconds, both: result.both_microseconds)
    }
}
