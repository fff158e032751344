import CDemoClip
import MediaRelay
import SwarmCore

/// The committed clip, as `mafalda publish` reads it.
enum DemoClip {
    static let bytes = unsafe Array(UnsafeBufferPointer(start: demo_clip_bytes, count: demo_clip_byte_count))
}

/// A few elements of EBML, to write test files with.
enum EBML {
    static func element(_ id: [UInt8], _ body: [UInt8], unknownSize: Bool = false) -> [UInt8] {
        let size: [UInt8] =
            unknownSize
            ? [0xff]
            : [
                0x10 | UInt8(body.count >> 24), UInt8(body.count >> 16 & 0xff), UInt8(body.count >> 8 & 0xff),
                UInt8(body.count & 0xff),
            ]
        return id + size + body
    }

    static let header = element([0x1a, 0x45, 0xdf, 0xa3], [])
    static func track(_ number: UInt8, _ codec: String, _ privateData: [UInt8] = []) -> [UInt8] {
        element(
            [0xae], element([0xd7], [number]) + element([0x86], Array(codec.utf8)) + element([0x63, 0xa2], privateData))
    }
    static func tracks(_ entries: [UInt8]...) -> [UInt8] { element([0x16, 0x54, 0xae, 0x6b], entries.flatMap { $0 }) }
    static func cluster(at time: UInt8, _ blocks: [UInt8]..., unknownSize: Bool = false) -> [UInt8] {
        element([0x1f, 0x43, 0xb6, 0x75], element([0xe7], [time]) + blocks.flatMap { $0 }, unknownSize: unknownSize)
    }
    static func block(_ track: UInt8, _ time: Int16, flags: UInt8, _ data: [UInt8]) -> [UInt8] {
        let bits = UInt16(bitPattern: time)
        return [0x80 | track, UInt8(bits >> 8), UInt8(bits & 0xff), flags] + data
    }
    static func simple(_ track: UInt8, _ time: Int16, flags: UInt8 = 0x80, _ data: [UInt8]) -> [UInt8] {
        element([0xa3], block(track, time, flags: flags, data))
    }
    static func file(_ body: [UInt8]..., unknownSize: Bool = false) -> [UInt8] {
        header + element([0x18, 0x53, 0x80, 0x67], body.flatMap { $0 }, unknownSize: unknownSize)
    }
}
