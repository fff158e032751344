import MediaRelay
import SwarmCore
import Testing

/// Packetizers against independent depacketizers written here from the RFCs.
struct PacketizerTests {
    private static func frame(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ 7) } }

    private static func track(_ codec: KnownCodec, _ privateData: [UInt8] = []) -> MediaClip.Track {
        MediaClip.Track(codec: codec.description(), width: 640, height: 360, privateData: privateData)
    }

    static let sizes = [1, 2, 1_095, 1_096, 1_097, 2_192, 2_193, 20_000]

    @Test(arguments: sizes) func vp8(size: Int) throws {
        var packetizer = try #require(Packetizer(Self.track(.vp8), firstPictureID: 0x7fff))
        for expectedID in [UInt16(0x7fff), 0, 1] {
            let frame = Self.frame(size)
            let payloads = packetizer.payloads(of: frame[...], isKey: true)
            #expect(payloads.allSatisfy { $0.count <= ClipLimits.payloadBytes && $0.count > 4 })
            #expect(payloads.map { $0[0] } == [0x90] + Array(repeating: 0x80, count: payloads.count - 1))
            #expect(payloads.allSatisfy { $0[1] == 0x80 && $0[2] & 0x80 != 0 })
            #expect(payloads.allSatisfy { UInt16($0[2] & 0x7f) << 8 | UInt16($0[3]) == expectedID })
            #expect(payloads.flatMap { $0.dropFirst(4) } == frame)
            let lengths = Set(payloads.map(\.count))
            #expect((lengths.max() ?? 0) - (lengths.min() ?? 0) <= 1)
        }
    }

    @Test(arguments: sizes, [true, false]) func vp9(size: Int, isKey: Bool) throws {
        var packetizer = try #require(Packetizer(Self.track(.vp9), firstPictureID: 9))
        let frame = Self.frame(size)
        let payloads = packetizer.payloads(of: frame[...], isKey: isKey)
        var joined: [UInt8] = []
        for (index, payload) in payloads.enumerated() {
            #expect(payload.count <= ClipLimits.payloadBytes)
            let first = payload[0]
            #expect(first & 0x80 != 0 && first & 0x20 == 0 && first & 0x10 == 0)
            #expect((first & 0x40 == 0) == isKey)
            #expect((first & 0x08 != 0) == (index == 0))
            #expect((first & 0x04 != 0) == (index == payloads.count - 1))
            #expect((first & 0x02 != 0) == (isKey && index == 0))
            joined += payload.dropFirst(first & 0x02 != 0 ? 8 : 3)
        }
        #expect(joined == frame)
        if isKey { #expect(Array(payloads[0][3..<8]) == [0x10, 2, 0x80, 1, 0x68]) }
    }

    @Test func h264() throws {
        let sps: [UInt8] = [0x67, 1, 2]
        let pps: [UInt8] = [0x68, 3]
        let record: [UInt8] = [1, 66, 0, 30, 0xff, 0xe1, 0, 3] + sps + [1, 0, 2] + pps
        var packetizer = try #require(Packetizer(Self.track(.h264, record), firstPictureID: 0))
        let long = [0x65] + Self.frame(5_000)
        let short: [UInt8] = [0x41, 9, 9]
        let frame = [long, short].flatMap { unit -> [UInt8] in
            [0, 0, UInt8(unit.count >> 8), UInt8(unit.count & 0xff)] + unit
        }
        var units: [[UInt8]] = []
        for payload in packetizer.payloads(of: frame[...], isKey: true) {
            #expect(payload.count <= ClipLimits.payloadBytes)
            guard payload[0] & 0x1f == 28 else {
                units.append(payload)
                continue
            }
            if payload[1] & 0x80 != 0 { units.append([payload[0] & 0xe0 | payload[1] & 0x1f]) }
            units[units.count - 1] += payload.dropFirst(2)
        }
        #expect(units == [sps, pps, long, short])
        let delta: [UInt8] = [0, 0, 0, 3] + short
        #expect(packetizer.payloads(of: delta[...], isKey: false) == [short])
        // A unit that claims more than there is ends the frame.
        #expect(packetizer.payloads(of: [0, 0, 1, 0, 1, 2][...], isKey: false).isEmpty)
        #expect(Packetizer(Self.track(.h264), firstPictureID: 0) == nil)
        #expect(Packetizer(Self.track(.h264, [1, 66, 0, 30, 3, 0xe1, 0xff, 0xff, 0]), firstPictureID: 0) == nil)
    }

    @Test func opusIsOnePacket() throws {
        var packetizer = try #require(Packetizer(Self.track(.opus), firstPictureID: 0))
        #expect(packetizer.payloads(of: [1, 2, 3][...], isKey: true) == [[1, 2, 3]])
        #expect(packetizer.payloads(of: [][...], isKey: true).isEmpty)
    }
}
