import SwarmCore

package enum MediaKind: UInt8, Sendable, Hashable {
    case audio = 0
    case video = 1
}

/// A codec as SDP knows it (RFC 8866 §6.6 `rtpmap`, `fmtp`).
package struct CodecDescription: Hashable, Sendable {
    package var kind: MediaKind
    /// Encoding name in the IANA registry's spelling: `opus`, `VP8`, `H264`, `VP9`, `AV1`.
    package var name: String
    /// Hz.
    package var clockRate: UInt32
    /// 1 for video.
    package var channels: UInt8
    /// The `fmtp` line's parameters as the publisher stated them, `key=value;key=value`; may be empty.
    package var formatParameters: String

    package init(kind: MediaKind, name: String, clockRate: UInt32, channels: UInt8, formatParameters: String) {
        self.kind = kind
        self.name = name
        self.clockRate = clockRate
        self.channels = channels
        self.formatParameters = formatParameters
    }
}

/// RTP header extensions the swarm knows. The raw value is the canonical id: the id within stores and on links.
package enum HeaderExtension: UInt8, CaseIterable, Sendable, Hashable {
    case mid = 1
    case rtpStreamID = 2
    case repairedRTPStreamID = 3
    case audioLevel = 4
    case absoluteSendTime = 5
    case transportSequence = 6
    case videoOrientation = 7
    case playoutDelay = 8
    case dependencyDescriptor = 9
    case absoluteCaptureTime = 10

    package var uri: String {
        switch self {
        case .mid: "urn:ietf:params:rtp-hdrext:sdes:mid"
        case .rtpStreamID: "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
        case .repairedRTPStreamID: "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
        case .audioLevel: "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
        case .absoluteSendTime: "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
        case .transportSequence: "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
        case .videoOrientation: "urn:3gpp:video-orientation"
        case .playoutDelay: "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
        case .dependencyDescriptor:
            "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
        case .absoluteCaptureTime: "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
        }
    }

    /// Whether the value describes the media (and crosses the swarm) or one hop's transport (and ends at the edge).
    package var isEndToEnd: Bool {
        switch self {
        case .audioLevel, .videoOrientation, .playoutDelay, .dependencyDescriptor, .absoluteCaptureTime: true
        case .mid, .rtpStreamID, .repairedRTPStreamID, .absoluteSendTime, .transportSequence: false
        }
    }
}

/// One simulcast encoding of a track, lowest quality first; a track without simulcast has one with an empty rid.
package struct EncodingDescription: Hashable, Sendable {
    package var rid: String
    package init(rid: String) { self.rid = rid }
}

/// One audio or video source of a stream. Its index in the descriptor is its track number on every link.
package struct TrackDescription: Hashable, Sendable {
    package var codec: CodecDescription
    package var encodings: [EncodingDescription]
    /// End-to-end extensions the publisher sends.
    package var extensions: [HeaderExtension]

    package init(codec: CodecDescription, encodings: [EncodingDescription], extensions: [HeaderExtension]) {
        self.codec = codec
        self.encodings = encodings
        self.extensions = extensions
    }
}

/// What a stream holds: enough for any node to answer a viewer. Made at the origin, carried in SUBSCRIBE-ACCEPT,
/// repeated on change with a higher `version`. A publisher that returns starts a new `epoch`.
package struct StreamDescriptor: Hashable, Sendable {
    /// Wall milliseconds at which the origin began this publication; orders publications of one name.
    package var epoch: UInt64
    package var version: UInt32
    package var tracks: [TrackDescription]

    package init(epoch: UInt64, version: UInt32, tracks: [TrackDescription]) {
        self.epoch = epoch
        self.version = version
        self.tracks = tracks
    }
}
