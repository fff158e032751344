import SwarmCore

/// The codecs whose key frames we can see. Payloads are looked at, never changed; an encrypted payload reads as
/// `unknown`, for which only the dependency descriptor tells.
package enum PayloadCodec: UInt8, Sendable {
    case audio
    case vp8
    case vp9
    case h264
    case av1
    case unknown

    package init(kind: MediaKind, name: String) {
        if kind == .audio {
            self = .audio
            return
        }
        switch name.uppercased() {
        case "VP8": self = .vp8
        case "VP9": self = .vp9
        case "H264": self = .h264
        case "AV1": self = .av1
        default: self = .unknown
        }
    }
}

/// What one packet is within its frame.
package struct FramePlace: Equatable, Sendable {
    package var startsFrame: Bool
    /// A decoder that knows nothing may begin with this packet.
    package var startsKeyFrame: Bool

    package init(startsFrame: Bool, startsKeyFrame: Bool) {
        self.startsFrame = startsFrame
        self.startsKeyFrame = startsKeyFrame
    }

    /// Looks into `payload`; anything too short or odd is the middle of a frame.
    package static func inspect(_ payload: Span<UInt8>, codec: PayloadCodec) -> FramePlace {
        switch codec {
        case .audio: FramePlace(startsFrame: true, startsKeyFrame: true)
        case .vp8: vp8(payload)
        case .vp9: vp9(payload)
        case .h264: h264(payload)
        case .av1: av1(payload)
        case .unknown: FramePlace(startsFrame: false, startsKeyFrame: false)
        }
    }

    /// RFC 7741 §4.2: S bit and partition 0, then the payload header's inverse key-frame bit.
    private static func vp8(_ payload: Span<UInt8>) -> FramePlace {
        var middle = FramePlace(startsFrame: false, startsKeyFrame: false)
        guard payload.count >= 1 else { return middle }
        var offset = 1
        if payload[0] & 0x80 != 0 {
            guard payload.count >= 2 else { return middle }
            let present = payload[1]
            offset = 2
            if present & 0x80 != 0 {
                guard payload.count > offset else { return middle }
                offset += payload[offset] & 0x80 != 0 ? 2 : 1
            }
            if present & 0x40 != 0 { offset += 1 }
            if present & 0x30 != 0 { offset += 1 }
        }
        guard payload.count > offset else { return middle }
        middle.startsFrame = payload[0] & 0x10 != 0 && payload[0] & 0x07 == 0
        middle.startsKeyFrame = middle.startsFrame && payload[offset] & 0x01 == 0
        return middle
    }

    /// RFC 9628 §4.2: B bit; not P (not inter-predicted) in the lowest spatial layer.
    private static func vp9(_ payload: Span<UInt8>) -> FramePlace {
        guard payload.count >= 1 else { return FramePlace(startsFrame: false, startsKeyFrame: false) }
        let first = payload[0]
        let startsFrame = first & 0x08 != 0
        var spatialLayer: UInt8 = 0
        var offset = 1
        if first & 0x80 != 0 {
            guard payload.count > offset else { return FramePlace(startsFrame: false, startsKeyFrame: false) }
            offset += payload[offset] & 0x80 != 0 ? 2 : 1
        }
        if first & 0x20 != 0 {
            guard payload.count > offset else { return FramePlace(startsFrame: false, startsKeyFrame: false) }
            spatialLayer = payload[offset] >> 1 & 0x07
        }
        return FramePlace(
            startsFrame: startsFrame, startsKeyFrame: startsFrame && first & 0x40 == 0 && spatialLayer == 0)
    }

    /// RFC 6184: a sequence parameter set or an IDR slice, alone, in a STAP-A or at the start of an FU-A.
    private static func h264(_ payload: Span<UInt8>) -> FramePlace {
        guard payload.count >= 1 else { return FramePlace(startsFrame: false, startsKeyFrame: false) }
        switch payload[0] & 0x1f {
        case 24:
            var offset = 1
            var isKey = false
            while offset + 3 <= payload.count {
                let length = Int(payload.loadUInt16(at: offset))
                isKey = isKey || isKeyUnit(payload[offset + 2] & 0x1f)
                offset += 2 + length
            }
            return FramePlace(startsFrame: true, startsKeyFrame: isKey)
        case 28:
            guard payload.count >= 2, payload[1] & 0x80 != 0 else {
                return FramePlace(startsFrame: false, startsKeyFrame: false)
            }
            return FramePlace(startsFrame: true, startsKeyFrame: isKeyUnit(payload[1] & 0x1f))
        case let type:
            return FramePlace(startsFrame: true, startsKeyFrame: isKeyUnit(type))
        }
    }

    private static func isKeyUnit(_ type: UInt8) -> Bool { type == 5 || type == 7 }

    /// AV1 RTP payload §4.4: the N bit marks the first packet of a coded video sequence; Z is clear where the packet
    /// begins with a fresh OBU.
    private static func av1(_ payload: Span<UInt8>) -> FramePlace {
        guard payload.count >= 1 else { return FramePlace(startsFrame: false, startsKeyFrame: false) }
        let isKey = payload[0] & 0x08 != 0 && payload[0] & 0x80 == 0
        return FramePlace(startsFrame: payload[0] & 0x80 == 0, startsKeyFrame: isKey)
    }

    /// From a dependency descriptor's mandatory fields (AV1 RTP spec A.8.1): a frame's first packet that carries a
    /// template structure begins a coded video sequence. Extended fields start after three bytes.
    package static func inspect(dependencyDescriptor value: Span<UInt8>) -> FramePlace? {
        guard value.count >= 3 else { return nil }
        let startsFrame = value[0] & 0x80 != 0
        let hasStructure = value.count >= 4 && value[3] & 0x80 != 0
        return FramePlace(startsFrame: startsFrame, startsKeyFrame: startsFrame && hasStructure)
    }
}
