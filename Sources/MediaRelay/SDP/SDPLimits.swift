/// Bounds on what a stranger's session description may hold. Chromium's largest offer today (audio, video with every
/// codec, data) is 12 KiB, 330 lines, 34 payload types and 14 extensions in one section.
package enum SDPLimits {
    package static var textBytes: Int { 65_536 }
    package static var lineBytes: Int { 2_048 }
    package static var mediaSections: Int { 32 }
    package static var formatsPerSection: Int { 64 }
    package static var attributesPerSection: Int { 1_024 }
    /// Tracks of one stream: a layer set has room for 16, and a descriptor of eight fits one control message.
    package static var tracks: Int { 8 }
    /// A codec's parameters; H264 parameter sets of two resolutions are about 200.
    package static var formatParametersBytes: Int { 512 }
    package static var midBytes: Int { 32 }
    /// A one-byte header extension holds 16 bytes (RFC 8285 §4.2).
    package static var midBytesOnWire: Int { 16 }
    package static var candidates: Int { 16 }
}
