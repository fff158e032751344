import EventLoop
import SwarmCore

/// What `mafalda bench fanout` is asked to measure.
package struct FanoutBenchOptions: Sendable {
    package enum Cipher: String, CaseIterable, Sendable {
        /// AEAD_AES_128_GCM.
        case gcm
        /// AES_CM_128_HMAC_SHA1_80.
        case cm
    }

    package var viewers = 100
    /// Of the clear RTP packet that a viewer gets, header and extensions included.
    package var packetBytes = 1200
    /// Packets of one frame: what arrives together and leaves to one viewer as one train.
    package var framePackets = 8
    package var cipher = Cipher.gcm
    /// How long the rounds go on.
    package var seconds = 5

    package init() {}

    package static var viewerRange: ClosedRange<Int> { 1...4096 }
    /// From a packet that holds its extensions and a recognisable payload to what a media link carries.
    package static var packetByteRange: ClosedRange<Int> { 64...1228 }
    /// The publisher's frame arrives as one train of at most 65,000 bytes.
    package static var framePacketRange: ClosedRange<Int> { 1...50 }
    package static var secondRange: ClosedRange<Int> { 1...600 }
}

/// What came out. Times are CPU microseconds per forwarded packet, medians over the rounds.
package struct FanoutBenchResult: Sendable {
    package var options: FanoutBenchOptions
    /// All that the worker's thread spent: waiting in its loop, receiving, parsing, storing, rewriting, encrypting,
    /// sending, timers and sender reports.
    package var nodeMicroseconds: Double
    /// The C loop that encrypts and sends the same trains to the same receivers, and its two halves alone.
    package var floorMicroseconds: Double
    package var encryptMicroseconds: Double
    package var sendMicroseconds: Double
    /// The median of the rounds' ratios: node and floor of one round saw the same machine.
    package var ratioToFloor: Double
    /// Packets the node sent to viewers in the measured rounds, and segment trains they left in.
    package var packets: UInt64
    package var trains: UInt64
    /// Packets that no receiver got.
    package var lost: UInt64
    package var rounds: Int
    /// Packets opened with the viewers' own keys and compared with what was published: one per viewer and round.
    package var verified: Int
}

package struct FanoutBenchError: Error, CustomStringConvertible {
    package let description: String
    init(_ description: String) { self.description = description }
}

/// One RTP stream in, many SRTP viewers out, beside the least that a C program must spend on the same trains.
///
/// A plain RTP publisher sends frame after frame over loopback UDP to a real media worker on a real event loop, on a
/// thread of its own; the viewers' keys are ready, their sockets are read between the frames by the calling thread.
/// Rounds of floor and node alternate, on the same CPU.
package enum FanoutBench {
    /// Packets of one measurement: some tens of milliseconds, so that a round sees one state of the machine.
    private static var packetsPerMeasurement: Int { 40_000 }
    /// Packets per viewer between two verifications, well inside the half circle of sequence numbers that SRTP's
    /// index estimation needs (RFC 3711 §3.3.1).
    private static var packetsPerViewer: Int { 16_000 }
    private static var leastRounds: Int { 5 }
    private static var mostRounds: Int { 1_000 }

    package static func run(_ options: FanoutBenchOptions) throws -> FanoutBenchResult {
        _ = ProcessResources.raiseOpenFileLimit()
        let wanted = packetsPerMeasurement / (options.viewers * options.framePackets)
        let frames = min(max(10, wanted), packetsPerViewer / options.framePackets)
        let receivers = try BenchReceivers(count: options.viewers)
        let rig = try FanoutRig(options, receivers: receivers)
        defer { rig.stop() }
        _ = try rig.measure(frames: min(frames, 20), isFirst: true)

        var rounds: [Round] = []
        let end = SystemClock.now().monotonic + .seconds(Int64(options.seconds))
        while rounds.count < leastRounds || (rounds.count < mostRounds && SystemClock.now().monotonic < end) {
            let floor = try receivers.measureFloor(options, frames: frames)
            rounds.append(Round(node: try rig.measure(frames: frames, isFirst: false), floor: floor))
        }
        return FanoutBenchResult(
            options: options, nodeMicroseconds: median(rounds.map(\.node.microseconds)),
            floorMicroseconds: median(rounds.map(\.floor.both)),
            encryptMicroseconds: median(rounds.map(\.floor.encrypt)),
            sendMicroseconds: median(rounds.map(\.floor.send)),
            ratioToFloor: median(rounds.map { $0.node.microseconds / $0.floor.both }),
            packets: rounds.reduce(0) { $0 + $1.node.packets }, trains: rounds.reduce(0) { $0 + $1.node.trains },
            lost: rounds.reduce(0) { $0 + $1.node.lost }, rounds: rounds.count, verified: rig.verified)
    }

    private struct Round {
        let node: NodeMeasurement
        let floor: FloorMeasurement
    }

    private static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return 0 }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}
