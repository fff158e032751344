import SwarmCore

/// What `mafalda play` prints: the stream as one viewer met it. Times count from the player's request.
package struct PlayerReport: Hashable, Sendable {
    package struct Track: Hashable, Sendable {
        package var kind: MediaKind
        package var codec: String
        package var mid: String
        package var timeToFirstPacket: Interval?
        /// Until the first complete key frame; nil for audio.
        package var timeToFirstKeyFrame: Interval?
        package var packetsExpected: UInt64
        /// Distinct packets, by whatever way.
        package var packetsReceived: UInt64
        /// Never came, after all repairs.
        package var packetsLost: UInt64
        package var packetsRecovered: UInt64
        package var packetsDuplicate: UInt64
        package var payloadBytes: UInt64
        package var framesComplete: UInt64
        package var keyFramesComplete: UInt64
        package var jitter: Interval
        /// Between two consecutive packets.
        package var longestGap: Interval
    }

    package var isConnected = false
    /// Since the session was connected.
    package var duration: Interval
    package var timeToConnect: Interval?
    package var keyFrameRequests: UInt64 = 0
    package var nacksSent: UInt64 = 0
    /// Authentic packets that fit no track.
    package var packetsRefused: UInt64 = 0
    package var tracks: [Track] = []

    package init(duration: Interval) { self.duration = duration }

    package var packetsReceived: UInt64 { tracks.reduce(0) { $0 + $1.packetsReceived } }
    package var packetsLost: UInt64 { tracks.reduce(0) { $0 + $1.packetsLost } }
    package var packetsDuplicate: UInt64 { tracks.reduce(0) { $0 + $1.packetsDuplicate } }
    package var packetsRecovered: UInt64 { tracks.reduce(0) { $0 + $1.packetsRecovered } }
    package var timeToFirstPacket: Interval? { tracks.compactMap(\.timeToFirstPacket).min() }
    package var timeToFirstKeyFrame: Interval? { tracks.compactMap(\.timeToFirstKeyFrame).min() }
    package var longestGap: Interval { tracks.map(\.longestGap).max() ?? .zero }
    package var jitter: Interval { tracks.map(\.jitter).max() ?? .zero }

    /// Lost of expected; 0 before the first packet.
    package var lossRatio: Double {
        let expected = tracks.reduce(0) { $0 + $1.packetsExpected }
        return expected == 0 ? 0 : Double(packetsLost) / Double(expected)
    }

    /// Payload bits per second over the session.
    package var bitsPerSecond: Double {
        let seconds = duration.fractionalSeconds
        return seconds > 0 ? Double(tracks.reduce(0) { $0 + $1.payloadBytes }) * 8 / seconds : 0
    }
}
