import MediaRelay
import SwarmCore

/// What `mafalda publish` prints at its end.
package struct PublishReport: Sendable {
    let stream: StreamName
    let report: PublisherMachine.Report
    let ending: SessionCloseReason?

    package var json: String {
        let statistics = report.statistics
        return JSONWriter.object { out in
            out.member("stream", stream.text)
            out.member("duration_seconds", report.duration.fractionalSeconds)
            out.member("packets_sent", statistics.packetsSent)
            out.member("bytes_sent", statistics.bytesSent)
            out.member("packets_retransmitted", statistics.packetsRetransmitted)
            out.member("frames_sent", statistics.framesSent)
            out.member("key_frames_sent", statistics.keyFramesSent)
            out.member("key_frame_requests", statistics.keyFrameRequests)
            out.member("loss_ratio", statistics.lossRatio)
            out.member("rtt_ms", statistics.roundTrip?.fractionalMilliseconds)
            out.member("ended", ending.map { EndingText.key($0) })
        }
    }

    package var text: String {
        let statistics = report.statistics
        let seconds = max(report.duration.fractionalSeconds, 0.001)
        let kilobits = Int(Double(statistics.bytesSent) * 8 / seconds / 1_000)
        var lines = [
            "published \(stream) for \(JSONWriter.number(report.duration.fractionalSeconds)) s",
            "  \(statistics.packetsSent) packets, \(kilobits) kb/s, \(statistics.packetsRetransmitted) retransmitted,"
                + " \(statistics.keyFrameRequests) key-frame requests",
        ]
        if let roundTrip = statistics.roundTrip {
            lines.append("  round trip \(JSONWriter.number(roundTrip.fractionalMilliseconds)) ms")
        }
        if let ending { lines.append("  ended by the node: \(EndingText.describe(ending))") }
        return lines.joined(separator: "\n")
    }
}

/// What `mafalda play` prints at its end: totals of counts, the worst of times, and each session.
package struct PlayReport: Sendable {
    struct Session: Sendable {
        let report: PlayerReport
        let ending: SessionCloseReason?
    }

    let stream: StreamName
    let requested: Int
    let sessions: [Session]

    /// Whether every viewer received something.
    package var isComplete: Bool { sessions.count == requested && reports.allSatisfy { $0.packetsReceived > 0 } }

    private var reports: [PlayerReport] { sessions.map(\.report) }
    private var connected: [PlayerReport] { reports.filter(\.isConnected) }

    private func total(_ value: (PlayerReport) -> UInt64) -> UInt64 { reports.reduce(0) { $0 + value($1) } }
    private func worst(_ value: (PlayerReport) -> Interval?) -> Double? {
        connected.compactMap(value).max()?.fractionalMilliseconds
    }

    private var lossRatio: Double {
        let expected = reports.reduce(0) { $0 + $1.tracks.reduce(0) { $0 + $1.packetsExpected } }
        return expected == 0 ? 0 : Double(total(\.packetsLost)) / Double(expected)
    }

    package var json: String {
        JSONWriter.object { out in
            out.member("stream", stream.text)
            out.member("viewers", requested)
            out.member("viewers_connected", connected.count)
            out.member("viewers_with_media", reports.count { $0.packetsReceived > 0 })
            out.member("duration_seconds", connected.map(\.duration.fractionalSeconds).max() ?? 0)
            out.member("time_to_connect_ms", worst(\.timeToConnect))
            out.member("time_to_first_packet_ms", worst(\.timeToFirstPacket))
            out.member("time_to_first_key_frame_ms", worst(\.timeToFirstKeyFrame))
            out.member("packets_received", total(\.packetsReceived))
            out.member("packets_lost", total(\.packetsLost))
            out.member("packets_recovered", total(\.packetsRecovered))
            out.member("packets_duplicate", total(\.packetsDuplicate))
            out.member("loss_ratio", lossRatio)
            out.member("jitter_ms", worst(\.jitter))
            out.member("longest_gap_ms", worst(\.longestGap))
            out.member("bits_per_second", reports.reduce(0) { $0 + $1.bitsPerSecond })
            out.member("key_frame_requests", total(\.keyFrameRequests))
            out.array("sessions", sessions) { out, session in Self.write(session, &out) }
        }
    }

    private static func write(_ session: Session, _ out: inout JSONWriter) {
        let report = session.report
        out.object { out in
            out.member("connected", report.isConnected)
            out.member("ended", session.ending.map { EndingText.key($0) })
            out.member("time_to_connect_ms", report.timeToConnect?.fractionalMilliseconds)
            out.member("time_to_first_packet_ms", report.timeToFirstPacket?.fractionalMilliseconds)
            out.member("time_to_first_key_frame_ms", report.timeToFirstKeyFrame?.fractionalMilliseconds)
            out.member("loss_ratio", report.lossRatio)
            out.member("jitter_ms", report.jitter.fractionalMilliseconds)
            out.member("longest_gap_ms", report.longestGap.fractionalMilliseconds)
            out.member("bits_per_second", report.bitsPerSecond)
            out.member("packets_refused", report.packetsRefused)
            out.array("tracks", report.tracks) { out, track in Self.write(track, &out) }
        }
    }

    private static func write(_ track: PlayerReport.Track, _ out: inout JSONWriter) {
        out.object { out in
            out.member("kind", track.kind == .audio ? "audio" : "video")
            out.member("codec", track.codec)
            out.member("packets_received", track.packetsReceived)
            out.member("packets_lost", track.packetsLost)
            out.member("packets_recovered", track.packetsRecovered)
            out.member("packets_duplicate", track.packetsDuplicate)
            out.member("payload_bytes", track.payloadBytes)
            out.member("frames_complete", track.framesComplete)
            out.member("key_frames_complete", track.keyFramesComplete)
            out.member("jitter_ms", track.jitter.fractionalMilliseconds)
            out.member("longest_gap_ms", track.longestGap.fractionalMilliseconds)
        }
    }

    package var text: String {
        func milliseconds(_ value: Double?) -> String { value.map { "\(JSONWriter.number($0)) ms" } ?? "never" }
        let who = requested == 1 ? "" : ", \(connected.count) of \(requested) viewers connected; times are the worst"
        var lines = [
            "played \(stream) for \(JSONWriter.number(connected.map(\.duration.fractionalSeconds).max() ?? 0)) s\(who)",
            "  first packet after    \(milliseconds(worst(\.timeToFirstPacket)))",
            "  first key frame after \(milliseconds(worst(\.timeToFirstKeyFrame)))",
            "  received \(total(\.packetsReceived)), lost \(total(\.packetsLost)) (\(percent(lossRatio))),"
                + " recovered \(total(\.packetsRecovered)), duplicate \(total(\.packetsDuplicate))",
            "  jitter \(milliseconds(worst(\.jitter))), longest gap \(milliseconds(worst(\.longestGap))),"
                + " \(Int(reports.reduce(0) { $0 + $1.bitsPerSecond } / 1_000)) kb/s",
        ]
        if requested == 1, let track = reports.first?.tracks.first(where: { $0.kind == .video }) {
            lines.append(
                "  \(track.codec): \(track.framesComplete) frames whole, \(track.keyFramesComplete) of them key frames")
        }
        for session in sessions.prefix(3) {
            if let ending = session.ending { lines.append("  ended by the node: \(EndingText.describe(ending))") }
        }
        return lines.joined(separator: "\n")
    }

    private func percent(_ ratio: Double) -> String { JSONWriter.number(ratio * 100) + " %" }
}

/// Words for the reasons a session ends.
enum EndingText {
    static func key(_ reason: SessionCloseReason) -> String {
        switch reason {
        case .deleted: "deleted"
        case .closedByPeer: "closed_by_peer"
        case .timedOut: "timed_out"
        case .neverConnected: "never_connected"
        case .handshakeFailed: "handshake_failed"
        case .fingerprintMismatch: "fingerprint_mismatch"
        case .streamEnded: "stream_ended"
        case .shuttingDown: "shutting_down"
        case .limitReached: "limit_reached"
        }
    }

    static func describe(_ reason: SessionCloseReason) -> String {
        switch reason {
        case .deleted: "the session was deleted"
        case .closedByPeer: "the node closed the session"
        case .timedOut: "the node has fallen silent"
        case .neverConnected: "no answer on the media port in time"
        case .handshakeFailed: "the DTLS handshake failed"
        case .fingerprintMismatch: "the node's certificate is not the one it announced"
        case .streamEnded: "the stream has ended"
        case .shuttingDown: "the node is shutting down"
        case .limitReached: "the node is full"
        }
    }
}
