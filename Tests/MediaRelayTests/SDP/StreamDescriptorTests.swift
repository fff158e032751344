import MediaRelay
import SwarmCore
import Testing

struct StreamDescriptorTests {
    static let samples: [StreamDescriptor] = [
        SDPTestSupport.descriptor(),
        SDPTestSupport.descriptor(SDPTestSupport.track(.opus, "stereo=1"), SDPTestSupport.track(.vp8)),
        SDPTestSupport.descriptor(
            TrackDescription(
                codec: KnownCodec.av1.description(),
                encodings: ["q", "h", "f"].map { EncodingDescription(rid: $0) },
                extensions: [.videoOrientation, .dependencyDescriptor])),
    ]

    @Test func roundTrip() throws {
        for descriptor in Self.samples {
            let bytes = try #require(descriptor.encode())
            #expect(StreamDescriptor(decoding: bytes.span) == descriptor)
            #expect(StreamDescriptor(decoding: bytes.span)?.encode() == bytes)
        }
    }

    /// The vector of PROTOCOL.md.
    @Test func vector() throws {
        let descriptor = StreamDescriptor(
            epoch: 1_700_000_000_000, version: 2,
            tracks: [
                SDPTestSupport.track(.opus, "stereo=1", [.audioLevel]), SDPTestSupport.track(.vp8, "", [.playoutDelay]),
            ])
        let bytes = try #require(descriptor.encode())
        let text = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        #expect(
            text == "01" + "0000018bcfe56800" + "00000002" + "02"
                + "18" + "00" + "046f707573" + "8000bb80" + "02" + "0873746572656f3d31" + "01" + "00" + "01" + "04"
                + "0f" + "01" + "03565038" + "80015f90" + "01" + "00" + "01" + "00" + "01" + "08")
    }

    @Test func realStreamsFitAControlMessage() throws {
        for (name, offer) in OfferFixtures.publishers {
            let bytes = try #require(try SDPTestSupport.publish(offer).descriptor.encode())
            #expect(bytes.count <= 250, "\(name)")
        }
    }

    @Test func laterVersionsMayAddFields() throws {
        let bytes = try #require(Self.samples[0].encode())
        #expect(StreamDescriptor(decoding: (bytes + [1, 2, 3]).span) == Self.samples[0])
        // A track of 17 bytes: VP8, extensions 8 and (unknown) 40, and two bytes of something newer.
        let track: [UInt8] = [1, 3, 0x56, 0x50, 0x38, 0x80, 1, 0x5f, 0x90, 1, 0, 1, 0, 2, 8, 40, 0xaa]
        let newer = Array(bytes.dropLast()) + [1, UInt8(track.count)] + track
        #expect(StreamDescriptor(decoding: newer.span)?.tracks == [SDPTestSupport.track(.vp8, "", [.playoutDelay])])
    }

    /// Texts that would break out of a line of SDP, and other values out of bounds.
    @Test func poisonIsRefused() throws {
        let poison: [(inout TrackDescription) -> Void] = [
            { $0.codec.formatParameters = "a=1\r\na=candidate:x" }, { $0.codec.name = "VP8 x" },
            { $0.codec.name = "" }, { $0.encodings[0].rid = "a b" }, { $0.codec.clockRate = 0 },
            { $0.codec.channels = 0 }, { $0.encodings = [] },
            { $0.codec.formatParameters = String(repeating: "x", count: 600) },
            { $0.encodings = Array(repeating: EncodingDescription(rid: "x"), count: 5) },
        ]
        for change in poison {
            var descriptor = Self.samples[1]
            change(&descriptor.tracks[0])
            #expect(descriptor.encode() == nil)
        }
        var many = Self.samples[1]
        many.tracks = Array(repeating: many.tracks[0], count: 9)
        #expect(many.encode() == nil)
        // The same from the wire: a line break inside the Opus parameters.
        var bytes = try #require(Self.samples[1].encode())
        let index = try #require(bytes.firstIndex(of: UInt8(ascii: "=")))
        bytes[index] = 10
        #expect(StreamDescriptor(decoding: bytes.span) == nil)
    }

    @Test func mutationsNeverTrapAndStayValid() throws {
        var generator = SeededGenerator(seed: 77)
        let originals = Self.samples.compactMap { $0.encode() }
        for _ in 0..<20_000 {
            var bytes = originals[generator.integer(below: originals.count)]
            for _ in 0..<(1 + generator.integer(below: 4)) {
                let index = generator.integer(below: bytes.count)
                switch generator.integer(below: 3) {
                case 0: bytes[index] = UInt8(truncatingIfNeeded: generator.next())
                case 1 where bytes.count > 1: bytes.remove(at: index)
                default: bytes.insert(UInt8(truncatingIfNeeded: generator.next()), at: index)
                }
            }
            if let descriptor = StreamDescriptor(decoding: bytes.span) { #expect(descriptor.isValid) }
        }
    }
}
