import SwarmCore

/// A short recording in memory: coded frames with their times, ready to be sent in a loop.
package struct MediaClip: Sendable {
    package struct Track: Hashable, Sendable {
        package var codec: CodecDescription
        /// Pixels; 0 for audio.
        package var width: UInt16
        package var height: UInt16
        /// What the container keeps beside the frames: for H264 the `AVCDecoderConfigurationRecord`.
        package var privateData: [UInt8]

        package init(codec: CodecDescription, width: UInt16, height: UInt16, privateData: [UInt8]) {
            self.codec = codec
            self.width = width
            self.height = height
            self.privateData = privateData
        }
    }

    package struct Frame: Hashable, Sendable {
        /// Index into `tracks`.
        package var track: Int
        /// From the clip's beginning, never negative.
        package var time: Interval
        package var isKey: Bool
        /// Place in the clip's bytes.
        package var range: Range<Int>
    }

    package let tracks: [Track]
    /// By time; equal times by place in the file.
    package let frames: [Frame]
    /// How long one turn of the loop lasts: the last frame's time and one more frame.
    package let duration: Interval
    private let bytes: [UInt8]

    init(tracks: [Track], frames: [Frame], bytes: [UInt8]) {
        self.tracks = tracks
        self.bytes = bytes
        let origin = frames.map(\.time).min() ?? .zero
        let indexed = frames.enumerated().sorted { first, second in
            (first.element.time, first.offset) < (second.element.time, second.offset)
        }
        self.frames = indexed.map { entry in
            var frame = entry.element
            frame.time = frame.time - origin
            return frame
        }
        var longest = Interval.zero
        for track in tracks.indices {
            let times = self.frames.filter { $0.track == track }.map(\.time)
            guard let last = times.last else { continue }
            let step = times.count > 1 ? (last - times[0]) / Int64(times.count - 1) : .milliseconds(20)
            longest = max(longest, last + step)
        }
        duration = max(longest, .milliseconds(1))
    }

    /// The coded bytes of a frame of this clip.
    package func bytes(of frame: Frame) -> ArraySlice<UInt8> { bytes[frame.range] }

    /// The first key frame of `track` at or after `time`, else the first of all: where to jump when a viewer cannot
    /// go on.
    package func keyFrameIndex(track: Int, from time: Interval) -> Int? {
        frames.firstIndex { $0.track == track && $0.isKey && $0.time >= time }
            ?? frames.firstIndex { $0.track == track && $0.isKey }
    }
}

/// Why a file is no clip.
package enum ClipError: String, Error, Sendable, CustomStringConvertible {
    case notWebM = "not a WebM or Matroska file"
    case truncated = "the file ends within an element"
    case malformed = "an element contradicts its size"
    case tooLarge = "larger than 64 MiB or more than 200,000 frames"
    case laced = "laced blocks are not supported"
    case noTracks = "no VP8, VP9, H264 or Opus track"
    case noFrames = "no frames"

    package var description: String { rawValue }
}

/// Bounds on a clip: it is held in memory and comes from whoever runs `mafalda publish --file`.
package enum ClipLimits {
    package static var bytes: Int { 64 * 1024 * 1024 }
    package static var frames: Int { 200_000 }
    /// VP8's longest useful RTP payload here: 1,232 bytes of datagram less SRTP tag (16), RTP header (12), header
    /// extensions (16), link overhead (48), rounded down so that the relay never has to refuse one.
    package static var payloadBytes: Int { 1_100 }
}
