import CDemoClip
import EventLoop
import MediaRelay
import SwarmCore
import SwarmCrypto

/// What `mafalda publish` and `mafalda play` were asked for.
package struct MediaClientOptions: Sendable {
    /// The node's HTTP address, without a slash at the end.
    package var apiURL: String
    package var token: String?
    package var stream: StreamName
    /// A WebM file to publish instead of the built-in clip.
    package var file: String?
    /// Nil: until a signal, cancellation, or the end of every session.
    package var durationSeconds: Double?
    /// Sessions of `play`.
    package var viewers: Int

    package init(
        apiURL: String, token: String?, stream: StreamName, file: String? = nil, durationSeconds: Double? = nil,
        viewers: Int = 1
    ) {
        self.apiURL = apiURL
        self.token = token
        self.stream = stream
        self.file = file
        self.durationSeconds = durationSeconds
        self.viewers = viewers
    }
}

/// Why a client command failed, in one line.
package struct MediaClientError: Error, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

/// The headless publisher and player: signalling by HTTP, media on loops of their own.
///
/// Both return after the duration, on SIGINT or SIGTERM, on cancellation of the task, or when every session has ended;
/// sessions are said goodbye to (BYE, close_notify, DELETE) in any case.
package enum MediaClient {
    /// Sockets per loop: each session has its own, since a node tells sessions by their address.
    private static var sessionsPerLoop: Int { 200 }
    private static var fileBytes: Int { ClipLimits.bytes }

    package static func publish(_ options: MediaClientOptions) async throws -> PublishReport {
        let clip = try clip(options)
        let run = ClientRun<PublisherMachine>(options: options, verb: .publish, sessions: 1, loops: 1)
        let outcomes = try await run.perform { signaller, index in
            var made = try ClientIdentity()
            let offer = ClientOffer(
                purpose: .publishing(clip.tracks.map(\.codec)), credentials: made.credentials(),
                fingerprint: made.certificate.fingerprint, generator: &made.generator)
            let answer = try await signaller.post(offer.sdp)
            let session = try MediaClientError.explaining { () throws(NegotiationError) in
                try offer.apply(answer: answer.sdp)
            }
            return (
                PublisherMachine.Parameters(
                    clip: clip, session: session, certificate: made.certificate, generator: made.generator),
                answer.sessionURL
            )
        }
        guard let first = outcomes.first else { throw MediaClientError("the publisher ended unheard") }
        guard first.report.statistics.connectedAt != nil else { throw notConnected(options, first.ending) }
        return PublishReport(stream: options.stream, report: first.report, ending: first.ending)
    }

    package static func play(_ options: MediaClientOptions) async throws -> PlayReport {
        let viewers = max(1, options.viewers)
        let run = ClientRun<PlayerMachine>(
            options: options, verb: .play, sessions: viewers,
            loops: (viewers + sessionsPerLoop - 1) / sessionsPerLoop)
        let outcomes = try await run.perform { signaller, index in
            var made = try ClientIdentity()
            let startedAt = SystemClock.now().monotonic
            let offer = ClientOffer(
                purpose: .playing([.video, .audio]), credentials: made.credentials(),
                fingerprint: made.certificate.fingerprint, generator: &made.generator)
            let answer = try await signaller.post(offer.sdp)
            let session = try MediaClientError.explaining { () throws(NegotiationError) in
                try offer.apply(answer: answer.sdp)
            }
            return (
                PlayerMachine.Parameters(
                    session: session, certificate: made.certificate, generator: made.generator, startedAt: startedAt),
                answer.sessionURL
            )
        }
        guard outcomes.contains(where: { $0.report.isConnected }) else {
            throw notConnected(options, outcomes.first?.ending)
        }
        return PlayReport(
            stream: options.stream, requested: viewers,
            sessions: outcomes.map { PlayReport.Session(report: $0.report, ending: $0.ending) })
    }

    private static func notConnected(_ options: MediaClientOptions, _ ending: SessionCloseReason?) -> MediaClientError {
        let reason = ending.map { EndingText.describe($0) } ?? "stopped before it was connected"
        return MediaClientError("no media connection to \(options.apiURL) (\(reason))")
    }

    private static func clip(_ options: MediaClientOptions) throws -> MediaClip {
        let name = options.file ?? "the built-in clip"
        let bytes: [UInt8]
        if let file = options.file {
            bytes = try PosixFile.read(file, limit: fileBytes)
        } else {
            bytes = unsafe Array(UnsafeBufferPointer(start: demo_clip_bytes, count: demo_clip_byte_count))
        }
        do {
            return try WebMReader.read(bytes)
        } catch {
            throw MediaClientError("cannot publish \(name): \(error)")
        }
    }
}

extension MediaClientError {
    fileprivate static func explaining<Value>(
        _ body: () throws(NegotiationError) -> Value
    ) throws(MediaClientError) -> Value {
        do {
            return try body()
        } catch {
            throw MediaClientError("bad answer from the node: \(error)")
        }
    }
}

/// A session's secrets: its own certificate, credentials and random numbers.
private struct ClientIdentity {
    let certificate: DTLSCertificate
    var generator: SeededGenerator
    private var entropy = Entropy.system

    init() throws(MediaClientError) {
        generator = SeededGenerator(seed: entropy.uint64())
        do {
            certificate = try DTLSCertificate(at: SystemClock.now())
        } catch {
            throw MediaClientError("cannot make a certificate: \(error)")
        }
    }

    /// 64 and 192 bits in ICE's alphabet (RFC 8445 §5.3 asks for 24 and 128).
    mutating func credentials() -> ICECredentials {
        ICECredentials(usernameFragment: text(words: 1), password: text(words: 3))
    }

    private mutating func text(words: Int) -> String {
        (0..<words).map { _ in
            let digits = String(entropy.uint64(), radix: 16)
            return String(repeating: "0", count: 16 - digits.utf8.count) + digits
        }.joined()
    }
}
