import MediaRelay
import SwarmCore
import Testing

struct WebMReaderTests {
    @Test func theCommittedClip() throws {
        #expect(DemoClip.bytes.count <= 500_000)
        let clip = try WebMReader.read(DemoClip.bytes)
        #expect(clip.tracks.map(\.codec.name) == ["VP8", "opus"])
        #expect(clip.tracks[0].width == 640 && clip.tracks[0].height == 360)
        let video = clip.frames.filter { $0.track == 0 }
        let audio = clip.frames.filter { $0.track == 1 }
        #expect(video.count == 240 && video.count(where: \.isKey) == 8)
        #expect(video.first?.isKey == true)
        #expect((400...402).contains(audio.count))
        #expect((7_990...8_040).contains(clip.duration.milliseconds))
        #expect(zip(clip.frames, clip.frames.dropFirst()).allSatisfy { $0.time <= $1.time })
        // A key frame's payload header has the inverse key-frame bit clear (RFC 6386 §9.1).
        #expect(video.allSatisfy { ($0.isKey ? 0 : 1) == (clip.bytes(of: $0).first ?? 0) & 1 })
    }

    @Test func groupsUnknownSizesAndForeignTracks() throws {
        let group = EBML.element(
            [0xa0], EBML.element([0xa1], EBML.block(1, 40, flags: 0, [2])) + EBML.element([0xfb], [1]))
        let file = EBML.file(
            EBML.tracks(EBML.track(1, "V_VP9"), EBML.track(2, "S_TEXT/UTF8"), EBML.track(3, "A_OPUS")),
            EBML.cluster(
                at: 10, EBML.simple(1, 0, [1]), EBML.simple(2, 5, [9]), group,
                EBML.element([0xa0], EBML.element([0xa1], EBML.block(3, -5, flags: 0, [3]))), unknownSize: true),
            EBML.cluster(at: 100, EBML.simple(1, 0, flags: 0, [4]), unknownSize: true), unknownSize: true)
        let clip = try WebMReader.read(file)
        #expect(clip.tracks.map(\.codec.name) == ["VP9", "opus"])
        #expect(clip.frames.map(\.time.milliseconds) == [0, 5, 45, 95])
        #expect(clip.frames.map(\.isKey) == [true, true, false, false])
        #expect(clip.frames.map { Array(clip.bytes(of: $0)) } == [[3], [1], [2], [4]])
    }

    static let bad: [(name: String, bytes: [UInt8], error: ClipError)] = [
        ("empty", [], .notWebM),
        ("text", Array("hello world, this is no clip".utf8), .notWebM),
        ("header alone", EBML.header, .notWebM),
        ("no tracks", EBML.file(), .noTracks),
        ("subtitles", EBML.file(EBML.tracks(EBML.track(1, "S_TEXT/UTF8"))), .noTracks),
        ("no frames", EBML.file(EBML.tracks(EBML.track(1, "V_VP8"))), .noFrames),
        (
            "laced",
            EBML.file(EBML.tracks(EBML.track(1, "V_VP8")), EBML.cluster(at: 0, EBML.simple(1, 0, flags: 0x86, [1]))),
            .laced
        ),
        (
            "short block",
            EBML.file(EBML.tracks(EBML.track(1, "V_VP8")), EBML.cluster(at: 0, EBML.element([0xa3], [0x81, 0]))),
            .malformed
        ),
        ("truncated", EBML.header + [0x18, 0x53, 0x80, 0x67, 0x88], .truncated),
        ("zero id", EBML.header + [0x00, 0x80], .malformed),
    ]

    @Test func malformedFilesAreOneError() {
        for (name, bytes, error) in Self.bad {
            #expect(throws: error, "\(name)") { try WebMReader.read(bytes) }
        }
    }

    @Test func damagedFilesNeverTrap() throws {
        var generator = SeededGenerator(seed: 5)
        let original = EBML.file(
            EBML.tracks(
                EBML.track(1, "V_VP8"), EBML.track(2, "V_MPEG4/ISO/AVC", [1, 66, 0, 30, 3, 0xe1, 0, 1, 7, 1, 0, 1, 8])),
            EBML.cluster(at: 0, EBML.simple(1, 0, [1, 2, 3]), EBML.simple(2, 0, [0, 0, 0, 1, 5])),
            EBML.cluster(at: 40, EBML.simple(1, 0, flags: 0, [1, 2, 3]), unknownSize: true))
        for _ in 0..<20_000 {
            var bytes = original
            for _ in 0..<(1 + generator.integer(below: 3)) {
                let index = generator.integer(below: bytes.count)
                switch generator.integer(below: 3) {
                case 0: bytes[index] = UInt8(truncatingIfNeeded: generator.next())
                case 1: bytes.remove(at: index)
                default: bytes.insert(UInt8(truncatingIfNeeded: generator.next()), at: index)
                }
            }
            guard let clip = try? WebMReader.read(bytes) else { continue }
            for frame in clip.frames {
                var packetizer = Packetizer(clip.tracks[frame.track], firstPictureID: 0)
                _ = packetizer?.payloads(of: clip.bytes(of: frame), isKey: frame.isKey)
            }
        }
    }

    @Test func keyFramesToJumpTo() throws {
        let clip = try WebMReader.read(DemoClip.bytes)
        let index = try #require(clip.keyFrameIndex(track: 0, from: .milliseconds(2_500)))
        #expect(clip.frames[index].isKey && clip.frames[index].track == 0)
        #expect((2_900...3_100).contains(clip.frames[index].time.milliseconds))
        let wrapped = try #require(clip.keyFrameIndex(track: 0, from: .seconds(60)))
        #expect(clip.frames[wrapped].time < .milliseconds(50))
    }
}
