import MediaRelay
import SwarmCore
import Testing

/// A publisher and a player joined directly, without a node between: what one sends, the other measures.
struct ClientPairTests {
    @Test func aCleanWireCarriesEverything() throws {
        var pair = try ClientPair(seed: 1, lossOf: 0)
        pair.run(for: .seconds(20))
        let report = pair.player.report(at: pair.now.monotonic)
        let sent = pair.publisher.statistics
        #expect(report.tracks.map(\.codec) == ["VP8", "opus"])
        #expect(report.packetsReceived == sent.packetsSent)
        #expect(report.packetsLost == 0 && report.packetsDuplicate == 0 && report.packetsRecovered == 0)
        #expect(report.lossRatio == 0)
        #expect(sent.loops == 2)
        // 30 frames a second for 20 seconds, and 50 packets of audio.
        #expect((598...603).contains(report.tracks[0].framesComplete))
        #expect((998...1_004).contains(report.tracks[1].packetsReceived))
        #expect((20...21).contains(report.tracks[0].keyFramesComplete))
        #expect(sent.keyFrameRequests == 0)
        let delay = ClientPair.delay.milliseconds
        #expect((delay...(delay + 2)).contains(try #require(report.timeToFirstPacket).milliseconds))
        #expect(try #require(report.timeToFirstKeyFrame) < .milliseconds(100))
        #expect(report.longestGap < .milliseconds(60))
        // The clip's times are whole milliseconds, so frames of 33.3 ms come 33 or 34 apart.
        #expect(report.jitter < .milliseconds(3))
        #expect((250_000...450_000).contains(report.bitsPerSecond))
        let roundTrip = try #require(sent.roundTrip)
        #expect((delay * 2 - 1...delay * 2 + 2).contains(roundTrip.milliseconds))
        #expect(sent.lossRatio == 0)
    }

    /// Twenty in a thousand in each direction; a NACK or a repair may be lost, too.
    @Test func lossesAreRepairedByRetransmission() throws {
        var pair = try ClientPair(seed: 2, lossOf: 20)
        pair.run(for: .seconds(30))
        let report = pair.player.report(at: pair.now.monotonic)
        let video = report.tracks[0]
        #expect(video.packetsRecovered > 10)
        #expect(pair.publisher.statistics.packetsRetransmitted >= video.packetsRecovered)
        // All but what is still on its way.
        #expect(video.packetsLost <= 2)
        // Opus is not repaired here: its section offers no feedback.
        #expect((10...50).contains(report.tracks[1].packetsLost))
        #expect(report.tracks[1].packetsRecovered == 0)
    }

    /// A receiver that comes in the middle asks, and gets a key frame long before the clip's next one.
    @Test func keyFramesComeWhenAskedFor() throws {
        var pair = try ClientPair(seed: 3, lossOf: 0)
        pair.isCut = true
        pair.run(for: .milliseconds(3_020))
        pair.isCut = false
        let before = pair.now.monotonic
        pair.run(for: .milliseconds(900))
        let report = pair.player.report(at: pair.now.monotonic)
        #expect(pair.publisher.statistics.keyFrameRequests >= 1)
        let waited = try #require(report.timeToFirstKeyFrame) - (before - pair.start)
        #expect(waited < .milliseconds(700))
        #expect(report.tracks[0].keyFramesComplete >= 1)
    }

    @Test func duplicatesAreCountedOnce() throws {
        var pair = try ClientPair(seed: 4, lossOf: 0)
        pair.run(for: .seconds(2))
        let report = pair.player.report(at: pair.now.monotonic)
        // SRTP's replay window refuses copies of a datagram; a repair of what came is the duplicate a player can see.
        #expect(report.packetsDuplicate == 0)
        #expect(report.packetsReceived == pair.publisher.statistics.packetsSent)
    }

    @Test func closingIsFinal() throws {
        var pair = try ClientPair(seed: 5, lossOf: 0)
        pair.run(for: .seconds(1))
        let sent = pair.publisher.statistics.packetsSent
        pair.closeBoth()
        #expect(pair.publisher.nextDeadline == nil && pair.player.nextDeadline == nil)
        pair.run(for: .seconds(1))
        #expect(pair.publisher.statistics.packetsSent == sent)
    }

    @Test func garbageIsHarmless() throws {
        var pair = try ClientPair(seed: 6, lossOf: 0)
        pair.run(for: .milliseconds(100))
        var generator = SeededGenerator(seed: 66)
        for _ in 0..<5_000 {
            var bytes = (0..<generator.integer(below: 200)).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            if !bytes.isEmpty { bytes[0] = [0, 1, 22, 0x80, 0x90, 0xff][generator.integer(below: 6)] }
            pair.inject(bytes)
        }
        pair.run(for: .seconds(1))
        #expect(pair.player.report(at: pair.now.monotonic).packetsLost == 0)
    }

    @Test func oneSeedOneStory() throws {
        var first = try ClientPair(seed: 9, lossOf: 30)
        var second = try ClientPair(seed: 9, lossOf: 30)
        first.run(for: .seconds(5))
        second.run(for: .seconds(5))
        #expect(first.player.report(at: first.now.monotonic) == second.player.report(at: second.now.monotonic))
        #expect(first.publisher.statistics == second.publisher.statistics)
    }
}

/// The virtual wire: fixed delay, seeded loss, and a drive by deadlines.
struct ClientPair: ~Copyable {
    static let delay = Interval.milliseconds(15)
    private static let publisherAddress = NetworkAddress.loopback(port: 1000)
    private static let playerAddress = NetworkAddress.loopback(port: 2000)

    let start = MonotonicInstant(nanoseconds: 1_000_000_000)
    var now: Now
    var publisher: PublisherMachine
    var player: PlayerMachine
    /// Drops everything.
    var isCut = false
    private var flights: [(at: MonotonicInstant, toPlayer: Bool, bytes: [UInt8])] = []
    private var generator: SeededGenerator
    private let lossPerThousand: Int
    private var out = Outbox(byteCapacity: 1 << 18, datagramCapacity: 512)
    private var events = EventBuffer<ClientEvent>()

    init(seed: UInt64, lossOf lossPerThousand: Int) throws {
        let clip = try WebMReader.read(DemoClip.bytes)
        now = Now(monotonic: start, wallMilliseconds: 1_700_000_000_000)
        let generator = SeededGenerator(seed: seed)
        let session = Self.session
        publisher = PublisherMachine(
            clip: clip, session: session, testKeys: .derived(profile: .aes128GCM, seed: seed, isServer: false),
            remoteAddress: Self.playerAddress, generator: generator.child(1), at: now)
        player = PlayerMachine(
            session: session, testKeys: .derived(profile: .aes128GCM, seed: seed, isServer: true),
            remoteAddress: Self.publisherAddress, generator: generator.child(2), at: now)
        self.generator = generator.child(3)
        self.lossPerThousand = lossPerThousand
    }

    private static var session: ClientOffer.Session {
        let nobody = ICECredentials(usernameFragment: "", password: "")
        let mid = [ExtensionMapping(id: 1, header: .mid)]
        return ClientOffer.Session(
            transport: TransportConfiguration(
                iceRole: .controlling, local: nobody, remote: nobody, remoteFingerprint: .zero, dtlsRole: .client),
            sent: [
                ViewerTrack(
                    track: 0, kind: .video, clockRate: 90_000, codecName: "VP8", mid: "0", payloadType: 96,
                    retransmissionPayloadType: 97, ssrc: 11, retransmissionSSRC: 12, extensions: mid),
                ViewerTrack(
                    track: 1, kind: .audio, clockRate: 48_000, codecName: "opus", mid: "1", payloadType: 111,
                    retransmissionPayloadType: nil, ssrc: 13, retransmissionSSRC: 14, extensions: mid),
            ],
            received: [
                PublisherTrack(
                    track: 0, kind: .video, clockRate: 90_000, codecName: "VP8", mid: "0", payloadType: 96,
                    retransmissionPayloadType: 97, ssrc: 11, retransmissionSSRC: 12, extensions: mid,
                    supportsNACK: true, supportsPLI: true, supportsTransportFeedback: false),
                // Its source is not announced: the first packet of the payload type binds it.
                PublisherTrack(
                    track: 1, kind: .audio, clockRate: 48_000, codecName: "opus", mid: "1", payloadType: 111,
                    retransmissionPayloadType: nil, ssrc: nil, retransmissionSSRC: nil, extensions: mid,
                    supportsNACK: false, supportsPLI: false, supportsTransportFeedback: false),
            ], canonicalName: "pair")
    }

    mutating func run(for interval: Interval) {
        let end = now.monotonic + interval
        for _ in 0..<200_000 {
            publisher.advance(to: now, into: &out, events: &events)
            dispatch(toPlayer: true)
            player.advance(to: now, into: &out, events: &events)
            dispatch(toPlayer: false)
            var next = Deadline.earlier(publisher.nextDeadline, player.nextDeadline) ?? .distantFuture
            next = Deadline.earlier(next, flights.map(\.at).min()) ?? next
            guard next <= end else { break }
            if next > now.monotonic { now = now + (next - now.monotonic) }
            deliver()
        }
        now = now + (end - now.monotonic)
    }

    mutating func closeBoth() {
        publisher.close(at: now, into: &out)
        player.close(at: now, into: &out)
        out.removeAll()
        flights = []
    }

    mutating func inject(_ bytes: [UInt8]) {
        var copy = bytes
        var span = copy.mutableSpan
        player.receive(&span, from: Self.publisherAddress, at: now, into: &out, events: &events)
        var other = bytes
        var otherSpan = other.mutableSpan
        publisher.receive(&otherSpan, from: Self.playerAddress, at: now, into: &out, events: &events)
        out.removeAll()
    }

    private mutating func dispatch(toPlayer: Bool) {
        for index in 0..<out.count {
            if isCut || generator.integer(below: 1_000) < lossPerThousand { continue }
            flights.append((now.monotonic + Self.delay, toPlayer, out.bytes(of: index).copied()))
        }
        out.removeAll()
    }

    private mutating func deliver() {
        let instant = now.monotonic
        let due = flights.filter { $0.at <= instant }
        flights.removeAll { $0.at <= instant }
        for flight in due {
            var bytes = flight.bytes
            var span = bytes.mutableSpan
            if flight.toPlayer {
                player.receive(&span, from: Self.publisherAddress, at: now, into: &out, events: &events)
                dispatch(toPlayer: false)
            } else {
                publisher.receive(&span, from: Self.playerAddress, at: now, into: &out, events: &events)
                dispatch(toPlayer: true)
            }
        }
    }
}
