import SwarmCore

/// Cuts coded frames into RTP payloads. One value per track: picture ids run on across frames.
///
/// Pieces of a frame are equal in size to within a byte, so that they travel as one segment train.
package struct Packetizer: Sendable {
    private let codec: KnownCodec
    private let width: UInt16
    private let height: UInt16
    /// VP8 and VP9: 15 bits.
    private var pictureID: UInt16
    /// H264: bytes of a NAL unit's length in the container, and the parameter sets sent before each key frame.
    private var lengthBytes = 4
    private var parameterSets: [[UInt8]] = []

    /// Nil for a codec that has no packetizer here (AV1), or H264 without a valid configuration record.
    package init?(_ track: MediaClip.Track, firstPictureID: UInt16) {
        guard let codec = KnownCodec(name: track.codec.name), codec != .av1 else { return nil }
        self.codec = codec
        width = track.width
        height = track.height
        pictureID = firstPictureID & 0x7fff
        if codec == .h264 {
            guard let record = AVCConfiguration(track.privateData) else { return nil }
            lengthBytes = record.lengthBytes
            parameterSets = record.parameterSets
        }
    }

    /// The payloads of one frame, in order; the last one gets the marker bit (for video).
    package mutating func payloads(of frame: ArraySlice<UInt8>, isKey: Bool) -> [[UInt8]] {
        guard !frame.isEmpty else { return [] }
        switch codec {
        case .opus: return [Array(frame)]
        case .vp8: return vp8(frame)
        case .vp9: return vp9(frame, isKey: isKey)
        case .h264: return h264(frame, isKey: isKey)
        case .av1: return []
        }
    }

    /// RFC 7741 §4.2: X and I set, a 15-bit picture id, one partition; S on the first piece.
    private mutating func vp8(_ frame: ArraySlice<UInt8>) -> [[UInt8]] {
        let id = nextPictureID()
        return Self.pieces(frame, limit: ClipLimits.payloadBytes - 4).enumerated().map { index, piece in
            [index == 0 ? 0x90 : 0x80, 0x80, 0x80 | UInt8(id >> 8), UInt8(truncatingIfNeeded: id)] + piece
        }
    }

    /// RFC 9628 §4.2, non-flexible mode without layers: I, P, B, E; the scalability structure with key frames.
    private mutating func vp9(_ frame: ArraySlice<UInt8>, isKey: Bool) -> [[UInt8]] {
        let id = nextPictureID()
        let pieces = Self.pieces(frame, limit: ClipLimits.payloadBytes - 8)
        return pieces.enumerated().map { index, piece in
            var first: UInt8 = 0x80
            if !isKey { first |= 0x40 }
            if index == 0 { first |= 0x08 }
            if index == pieces.count - 1 { first |= 0x04 }
            let hasStructure = isKey && index == 0
            if hasStructure { first |= 0x02 }
            var payload: [UInt8] = [first, 0x80 | UInt8(id >> 8), UInt8(truncatingIfNeeded: id)]
            if hasStructure {
                // One spatial layer (N_S = 0) with its resolution (Y), no picture group.
                payload += [0x10, UInt8(width >> 8), UInt8(truncatingIfNeeded: width)]
                payload += [UInt8(height >> 8), UInt8(truncatingIfNeeded: height)]
            }
            return payload + piece
        }
    }

    /// RFC 6184 packetization mode 1: single NAL units, and FU-A (§5.8) for long ones.
    private func h264(_ frame: ArraySlice<UInt8>, isKey: Bool) -> [[UInt8]] {
        var units = isKey ? parameterSets.map { $0[...] } : []
        var rest = frame
        while rest.count > lengthBytes {
            let length = rest.prefix(lengthBytes).reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(lengthBytes)
            guard length > 0, length <= rest.count else { break }
            units.append(rest.prefix(length))
            rest = rest.dropFirst(length)
        }
        return units.flatMap { unit -> [[UInt8]] in
            guard unit.count > ClipLimits.payloadBytes, let header = unit.first else { return [Array(unit)] }
            let pieces = Self.pieces(unit.dropFirst(), limit: ClipLimits.payloadBytes - 2)
            return pieces.enumerated().map { index, piece in
                let start: UInt8 = index == 0 ? 0x80 : 0
                let end: UInt8 = index == pieces.count - 1 ? 0x40 : 0
                return [header & 0xe0 | 28, start | end | header & 0x1f] + piece
            }
        }
    }

    private mutating func nextPictureID() -> UInt16 {
        defer { pictureID = (pictureID + 1) & 0x7fff }
        return pictureID
    }

    private static func pieces(_ frame: ArraySlice<UInt8>, limit: Int) -> [ArraySlice<UInt8>] {
        let count = (frame.count + limit - 1) / limit
        return (0..<count).map { index in
            let start = frame.startIndex + frame.count * index / count
            let end = frame.startIndex + frame.count * (index + 1) / count
            return frame[start..<end]
        }
    }
}

/// The H264 configuration of MP4 and Matroska (ISO/IEC 14496-15 §5.3.3.1).
private struct AVCConfiguration {
    var lengthBytes: Int
    var parameterSets: [[UInt8]]

    init?(_ bytes: [UInt8]) {
        guard bytes.count >= 7, bytes[0] == 1 else { return nil }
        lengthBytes = Int(bytes[4] & 3) + 1
        parameterSets = []
        var offset = 5
        for mask: UInt8 in [0x1f, 0xff] {
            guard offset < bytes.count else { return nil }
            let count = Int(bytes[offset] & mask)
            offset += 1
            for _ in 0..<count {
                guard offset + 2 <= bytes.count else { return nil }
                let length = Int(bytes[offset]) << 8 | Int(bytes[offset + 1])
                offset += 2
                guard length > 0, length <= bytes.count - offset else { return nil }
                parameterSets.append(Array(bytes[offset..<(offset + length)]))
                offset += length
            }
        }
    }
}
