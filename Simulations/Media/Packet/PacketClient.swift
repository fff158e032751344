import CDemoClip
import MediaRelay
import SwarmCore

/// A headless client behind a simulated node: a publisher of the demo clip or a player, with an address and a path of its
/// own.
final class PacketClient {
    let id: MediaClientID
    let purpose: MediaClientPurpose
    let address: NetworkAddress
    /// One way to its node.
    let delay: Interval
    let offer: ClientOffer
    private let offered: MonotonicInstant
    private let certificate: DTLSCertificate
    private let generator: SeededGenerator
    private var publisher: PublisherMachine?
    private var player: PlayerMachine?
    /// When the answer reaches the client, until it has.
    private var startDue: MonotonicInstant?
    private(set) var isClosed = false

    init(
        id: MediaClientID, purpose: MediaClientPurpose, address: NetworkAddress, delay: Interval,
        generator: SeededGenerator, at now: MonotonicInstant
    ) {
        self.id = id
        self.purpose = purpose
        self.address = address
        self.delay = delay
        self.generator = generator
        offered = now
        var draws = generator.child(1)
        certificate = .simulated(seed: draws.next())
        let wanted: ClientOffer.Purpose =
            switch purpose {
            case .publishing: .publishing(DemoClip.clip.tracks.map(\.codec))
            case .playing: .playing([.video, .audio])
            }
        let credentials = ICECredentials(
            usernameFragment: "sim" + String(draws.next(), radix: 36),
            password: "simulatedclient" + String(draws.next(), radix: 36))
        offer = ClientOffer(
            purpose: wanted, credentials: credentials, fingerprint: certificate.fingerprint, generator: &draws)
    }

    /// Makes the machine; it begins when the answer has crossed the client's path.
    func accept(_ answer: String, at now: Now) throws(NegotiationError) {
        let session = try offer.apply(answer: answer)
        switch purpose {
        case .publishing:
            publisher = PublisherMachine(
                clip: DemoClip.clip, session: session, certificate: certificate, generator: generator.child(2),
                at: now + delay)
        case .playing:
            player = PlayerMachine(
                session: session, certificate: certificate, generator: generator.child(2), startedAt: offered,
                at: now + delay)
        }
        startDue = now.monotonic + delay
    }

    /// The machine is gone, and nobody is told.
    func vanish() {
        publisher = nil
        player = nil
        startDue = nil
        isClosed = true
    }

    var nextDeadline: MonotonicInstant? {
        if let startDue { return startDue }
        return Deadline.earlier(publisher?.nextDeadline, player?.nextDeadline)
    }

    func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, at now: Now, into out: inout Outbox,
        events: inout EventBuffer<ClientEvent>
    ) {
        guard startDue == nil else { return }
        publisher?.receive(&datagram, from: source, at: now, into: &out, events: &events)
        player?.receive(&datagram, from: source, at: now, into: &out, events: &events)
        note(&events)
    }

    func advance(to now: Now, into out: inout Outbox, events: inout EventBuffer<ClientEvent>) {
        if let due = startDue {
            guard due <= now.monotonic else { return }
            startDue = nil
        }
        publisher?.advance(to: now, into: &out, events: &events)
        player?.advance(to: now, into: &out, events: &events)
        note(&events)
    }

    private func note(_ events: inout EventBuffer<ClientEvent>) {
        while let event = events.popFirst() {
            if case .closed = event { isClosed = true }
        }
    }

    func forgetGaps(at now: MonotonicInstant) { player?.forgetGaps(at: now) }

    /// What a player has met; nil for a publisher.
    func measure(at now: MonotonicInstant) -> ViewerMeasure? {
        guard purpose == .playing else { return nil }
        let report = player?.report(at: now) ?? PlayerReport(duration: .zero)
        let silence = player?.silence(at: now) ?? .zero
        return ViewerMeasure(
            client: id, timeToConnect: report.timeToConnect, timeToFirstKeyFrame: report.timeToFirstKeyFrame,
            longestGap: isClosed ? report.longestGap : max(report.longestGap, silence),
            isWithoutMedia: !isClosed && silence > Self.longSilence, packetsReceived: report.packetsReceived,
            packetsLost: report.packetsLost, packetsDuplicate: report.packetsDuplicate, isClosed: isClosed)
    }

    /// Ten frames of video at 25 a second: more than any pause of the clip.
    private static var longSilence: Interval { .milliseconds(400) }
}

/// The demo clip, read once.
enum DemoClip {
    static let clip: MediaClip = {
        let bytes = unsafe Array(UnsafeBufferPointer(start: demo_clip_bytes, count: demo_clip_byte_count))
        guard let clip = try? WebMReader.read(bytes) else { preconditionFailure("the demo clip is no WebM") }
        return clip
    }()
}
