import EventLoop
import Glibc
import MediaRelay
import SwarmCore
import Synchronization

/// What the node's thread spent on one measurement.
struct NodeMeasurement {
    let microseconds: Double
    let packets: UInt64
    let trains: UInt64
    let lost: UInt64
}

/// The node under measurement with its publisher, and the viewers' keys to open what arrives.
final class FanoutRig {
    private let options: FanoutBenchOptions
    private let receivers: BenchReceivers
    private let meter = FanoutMeter()
    private let thread: LoopThread
    private var publisher: FanoutPublisher
    private var inspectors: [FanoutInspector] = []
    private(set) var verified = 0
    /// From a frame's sending to its last packet's arrival, the least of a measurement.
    private var shortestFrame = Interval.zero

    private static var stream: StreamHandle { StreamHandle(1) }
    private static var session: SessionID { SessionID(1) }
    private static var takeTimeoutMilliseconds: UInt32 { 200 }
    /// What browsers negotiate for video, beside what describes the media.
    private static var extensions: [ExtensionMapping] {
        [
            ExtensionMapping(id: 1, header: .mid), ExtensionMapping(id: 2, header: .absoluteSendTime),
            ExtensionMapping(id: 3, header: .transportSequence),
        ]
    }
    /// The header extension made of them: four bytes of its own, elements of 2, 4 and 3, padding.
    private static var extensionBytes: Int { 16 }

    init(_ options: FanoutBenchOptions, receivers: BenchReceivers) throws {
        self.options = options
        self.receivers = receivers
        let now = SystemClock.now()
        let socket = try DatagramSocket(bind: .loopback(port: 0), whenFull: .drop)
        let source = try DatagramSocket(bind: .loopback(port: 0), whenFull: .drop)
        let profile: SRTPProfile = options.cipher == .gcm ? .aes128GCM : .aes128CMSHA1With80BitTag
        var viewers: [FanoutViewer] = []
        for index in 0..<options.viewers {
            viewers.append(
                FanoutViewer(
                    configuration: Self.viewer(index),
                    keys: SRTPSessionKeys.derived(profile: profile, seed: UInt64(index), isServer: true),
                    address: receivers.address(of: index)))
            inspectors.append(
                FanoutInspector(
                    keys: SRTPSessionKeys.derived(profile: profile, seed: UInt64(index), isServer: false),
                    node: socket.localAddress, at: now))
        }
        publisher = try FanoutPublisher(
            target: source.localAddress, packetBytes: options.packetBytes - Self.extensionBytes,
            framePackets: options.framePackets)
        let worker = MediaWorker(
            index: 0, certificate: try DTLSCertificate(at: now), generator: SeededGenerator(seed: 1))
        thread = try LoopThread(
            name: "bench node", core: BenchReceivers.core,
            driver: FanoutDriver(
                worker: worker, socket: socket, source: source, commands: Self.commands, viewers: viewers,
                session: Self.session, meter: meter))
    }

    private static var commands: [WorkerCommand] {
        let codec = CodecDescription(kind: .video, name: "VP8", clockRate: 90_000, channels: 1, formatParameters: "")
        let track = TrackDescription(codec: codec, encodings: [EncodingDescription(rid: "")], extensions: [])
        let source = PublisherTrack(
            track: 0, kind: .video, clockRate: 90_000, codecName: "VP8", mid: "",
            payloadType: FanoutPublisher.payloadType, retransmissionPayloadType: nil, ssrc: nil,
            retransmissionSSRC: nil, extensions: [], supportsNACK: false, supportsPLI: false,
            supportsTransportFeedback: false)
        return [
            .openStream(stream, StreamDescriptor(epoch: 1, version: 1, tracks: [track])),
            .addPublisher(PublisherConfiguration(session: session, stream: stream, transport: nil, tracks: [source])),
        ]
    }

    private static func viewer(_ index: Int) -> ViewerConfiguration {
        let nobody = ICECredentials(usernameFragment: "viewer\(index)", password: "not used: its keys are ready")
        let track = ViewerTrack(
            track: 0, kind: .video, clockRate: 90_000, codecName: "VP8", mid: "0", payloadType: 96,
            retransmissionPayloadType: 97, ssrc: 0x1000, retransmissionSSRC: 0x1001, extensions: extensions)
        return ViewerConfiguration(
            session: SessionID(UInt64(2 + index)), stream: stream,
            transport: TransportConfiguration(
                iceRole: .lite, local: nobody, remote: nobody, remoteFingerprint: .zero, dtlsRole: .server),
            tracks: [track], canonicalName: "bench")
    }

    /// Publishes `frames` frames, one after the other as the viewers have got them, and verifies the last packet of
    /// each viewer. The very first frame is a key frame, for which every viewer waits.
    func measure(frames: Int, isFirst: Bool) throws -> NodeMeasurement {
        receivers.drain()
        let before = try read()
        var taken: UInt64 = 0
        for frame in 0..<frames {
            let start = SystemClock.now().monotonic
            publisher.sendFrame(isKey: isFirst && frame == 0)
            rest(frame == 0 ? .zero : shortestFrame)
            taken += receivers.take(
                each: options.framePackets, timeoutMilliseconds: Self.takeTimeoutMilliseconds)
            let duration = SystemClock.now().monotonic - start
            shortestFrame = frame == 0 ? duration : min(shortestFrame, duration)
        }
        let after = try read()
        let packets = UInt64(frames * options.framePackets * options.viewers)
        try verify()
        return NodeMeasurement(
            microseconds: Double(after.cpuNanoseconds - before.cpuNanoseconds) / 1000 / Double(packets),
            packets: packets, trains: after.trains - before.trains, lost: packets - min(packets, taken))
    }

    /// Leaves the node alone for most of the time that it needs, as the floor's receivers do: to look for its packets
    /// all the while would interrupt it.
    private func rest(_ expected: Interval) { usleep(UInt32(clamping: expected.nanoseconds / 1000 * 7 / 8)) }

    /// Ends the node's thread.
    func stop() { thread.stopAndJoin() }

    private func read() throws -> (cpuNanoseconds: Int64, trains: UInt64) {
        let known = meter.readings.load(ordering: .acquiring)
        thread.wakeup.signal()
        let limit = SystemClock.now().monotonic + .seconds(10)
        while meter.readings.load(ordering: .acquiring) == known {
            guard SystemClock.now().monotonic < limit else {
                throw FanoutBenchError("the node's thread does not answer")
            }
            // Leaves the CPU to whoever may share it.
            _ = receivers.take(each: 1, timeoutMilliseconds: 0)
        }
        return (meter.cpuNanoseconds.load(ordering: .relaxed), meter.trainsSent.load(ordering: .relaxed))
    }

    private func verify() throws {
        for index in inspectors.indices {
            let datagram = receivers.last(of: index)
            guard inspectors[index].opens(datagram, lastPayload: publisher.lastPayload) else {
                throw FanoutBenchError("viewer \(index) cannot open its last packet, of \(datagram.count) bytes")
            }
            verified += 1
        }
    }
}

/// A plain RTP source on loopback: each frame leaves as one train.
struct FanoutPublisher: ~Copyable {
    private var socket: DatagramSocket
    private let target: NetworkAddress
    private let framePackets: Int
    private var out: Outbox
    private var sequence: UInt16 = 1
    private var timestamp: UInt32 = 1
    private(set) var lastPayload: [UInt8]

    static var payloadType: UInt8 { 96 }
    private static var headerBytes: Int { 12 }
    private static var ticksPerFrame: UInt32 { 3_000 }

    init(target: NetworkAddress, packetBytes: Int, framePackets: Int) throws {
        socket = try DatagramSocket(bind: .loopback(port: 0), whenFull: .drop)
        self.target = target
        self.framePackets = framePackets
        out = Outbox(byteCapacity: packetBytes * framePackets, datagramCapacity: framePackets)
        lastPayload = (0..<(packetBytes - Self.headerBytes)).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    }

    mutating func sendFrame(isKey: Bool) {
        for index in 0..<framePackets {
            // VP8 payload descriptor with S where the frame starts, then the inverse key-frame bit (RFC 7741 §4).
            lastPayload[0] = index == 0 ? 0x10 : 0
            lastPayload[1] = isKey ? 0 : 1
            lastPayload[2] = UInt8(truncatingIfNeeded: sequence >> 8)
            lastPayload[3] = UInt8(truncatingIfNeeded: sequence)
            append(isLast: index == framePackets - 1, sequence, timestamp, lastPayload)
            sequence &+= 1
        }
        timestamp &+= Self.ticksPerFrame
        socket.send(&out)
    }

    private mutating func append(isLast: Bool, _ sequence: UInt16, _ timestamp: UInt32, _ payload: [UInt8]) {
        out.append(to: target, capacity: Self.headerBytes + payload.count) { writer in
            writer.appendRTPHeader(
                marker: isLast, payloadType: Self.payloadType, sequence: sequence, timestamp: timestamp, ssrc: 0x2000)
            writer.append(payload.span)
        }
    }
}

/// A viewer's end of the session: opens what its socket received.
final class FanoutInspector {
    private var transport: EdgeTransport

    init(keys: SRTPSessionKeys, node: NetworkAddress, at now: Now) {
        transport = EdgeTransport(testKeys: keys, remoteAddress: node, at: now)
    }

    /// Whether `datagram` is authentic and carries `lastPayload`, or is an authentic sender report.
    func opens(_ datagram: [UInt8], lastPayload: [UInt8]) -> Bool {
        guard datagram.count > 12 else { return false }
        var bytes = datagram
        var span = bytes.mutableSpan
        let now = SystemClock.now()
        if (192...223).contains(datagram[1]) { return transport.unprotectRTCP(&span, at: now) != nil }
        guard let count = transport.unprotectRTP(&span, at: now),
            let header = RTPHeader(span.span.extracting(0..<count))
        else { return false }
        return Array(bytes[header.payloadRange]) == lastPayload
    }
}
