import MediaRelay
import SwarmCore
import SwarmCrypto
import Testing

/// One worker: a plain source in, viewers out.
@Suite struct WorkerForwardingTests {
    private let stream = StreamHandle(7)

    private func makeNode(_ wire: MediaWire) throws -> MediaNode {
        let node = MediaNode(port: 100, seed: 1, certificate: try DTLSCertificate(at: wire.now))
        wire.nodes.append(node)
        wire.apply(.openStream(stream, TestPublisher.descriptor), to: node)
        wire.apply(.addPublisher(TestPublisher.configuration(stream: stream)), to: node)
        return node
    }

    private func numbers(_ viewer: TestViewer, ssrc: UInt32) -> [UInt64] {
        viewer.packets.filter { $0.ssrc == ssrc }.map { TestPublisher.number(of: $0.payload) }
    }

    @Test(arguments: [SRTPProfile.aes128GCM, .aes128CMSHA1With80BitTag, .aes256GCM])
    func viewerGetsEveryPacketFromTheKeyFrameOn(profile: SRTPProfile) throws {
        let wire = MediaWire(seed: 1)
        let node = try makeNode(wire)
        let viewer = wire.addViewer(to: node, stream: stream, port: 2000, profile: profile)
        var publisher = TestPublisher()
        // Ten frames that cannot be decoded, then a key frame.
        for _ in 0..<10 {
            wire.publish(publisher.videoFrame(isKey: false, packets: 3), into: node)
            wire.run(for: .milliseconds(33))
        }
        #expect(numbers(viewer, ssrc: 5001).isEmpty)
        wire.stream(&publisher, frames: 60, keyEvery: 60, packetsPerFrame: 12, into: node)
        wire.run(for: .milliseconds(50))
        #expect(numbers(viewer, ssrc: 5001) == Array(30..<750))
        #expect(numbers(viewer, ssrc: 5000) == Array(0..<60))
        let video = viewer.packets.filter { $0.ssrc == 5001 }
        for (earlier, later) in zip(video, video.dropFirst()) { #expect(later.sequence == earlier.sequence &+ 1) }
        #expect(video.allSatisfy { $0.payloadType == 120 })
        #expect(viewer.unopened == 0)
        #expect(viewer.control.contains { $0[1] == 200 }, "sender reports")
    }

    @Test func joinerIsShownTheMediaSinceTheKeyFramePaced() throws {
        let wire = MediaWire(seed: 2)
        let node = try makeNode(wire)
        var publisher = TestPublisher()
        wire.stream(&publisher, frames: 20, keyEvery: 100, packetsPerFrame: 8, into: node)
        let joined = wire.now.monotonic
        let viewer = wire.addViewer(to: node, stream: stream, port: 2000)
        wire.run(for: .milliseconds(400))
        #expect(numbers(viewer, ssrc: 5001) == Array(0..<160))
        let arrivals = viewer.packets.filter { $0.ssrc == 5001 }.map(\.arrival)
        let first = try #require(arrivals.first)
        let last = try #require(arrivals.last)
        #expect(first - joined <= .milliseconds(15), "the first frame leaves at once")
        // 19 frames of 33.3 ms at three times the real rate take 211 ms.
        #expect(last - first >= .milliseconds(200))
        #expect(last - first <= .milliseconds(260))
        for start in arrivals { #expect(arrivals.filter { $0 == start }.count <= 16, "a train at a time") }
        // And it goes on live without gap or repetition.
        let sent = publisher.videoNumber
        for _ in 0..<5 {
            wire.publish(publisher.videoFrame(isKey: false, packets: 8), into: node)
            wire.run(for: .milliseconds(33))
        }
        #expect(numbers(viewer, ssrc: 5001) == Array(0..<(sent + 40)))
    }

    @Test func oldKeyFrameIsNotReplayed() throws {
        let wire = MediaWire(seed: 3)
        let node = try makeNode(wire)
        var publisher = TestPublisher()
        wire.stream(&publisher, frames: 90, keyEvery: 1000, packetsPerFrame: 2, into: node)
        let viewer = wire.addViewer(to: node, stream: stream, port: 2000)
        wire.stream(&publisher, frames: 3, keyEvery: 3, packetsPerFrame: 2, into: node)
        wire.run(for: .milliseconds(50))
        #expect(numbers(viewer, ssrc: 5001) == Array(180..<186))
    }

    @Test func nackIsAnsweredByRetransmissionStream() throws {
        let wire = MediaWire(seed: 4)
        let node = try makeNode(wire)
        let viewer = wire.addViewer(to: node, stream: stream, port: 2000)
        var publisher = TestPublisher()
        wire.stream(&publisher, frames: 10, keyEvery: 10, packetsPerFrame: 8, into: node)
        wire.run(for: .milliseconds(20))
        let video = viewer.packets.filter { $0.ssrc == 5001 }
        let lost = video[30]
        let nack = viewer.rtcp { writer in
            writer.appendNackHead(sender: 1, media: 5001, itemCount: 1)
            writer.append(lost.sequence)
            writer.append(UInt16(0b101))
        }
        wire.post(nack, from: viewer.address, to: node.address)
        wire.run(for: .milliseconds(40))
        let again = viewer.packets.filter { $0.ssrc == 6001 }
        #expect(again.count == 3)
        for (packet, index) in zip(again, [30, 31, 33]) {
            #expect(packet.payloadType == 121)
            #expect(UInt16(packet.payload[0]) << 8 | UInt16(packet.payload[1]) == video[index].sequence)
            #expect(Array(packet.payload[2...]) == video[index].payload)
            #expect(packet.timestamp == video[index].timestamp)
        }
        #expect(viewer.unopened == 0)
    }

    @Test func nackWithoutRetransmissionStreamRepeatsTheCiphertext() throws {
        let wire = MediaWire(seed: 5)
        let node = try makeNode(wire)
        let extensions = [
            ExtensionMapping(id: 3, header: .transportSequence), ExtensionMapping(id: 2, header: .absoluteSendTime),
            ExtensionMapping(id: 1, header: .mid),
        ]
        let viewer = wire.addViewer(to: node, stream: stream, port: 2000, hasRTX: false, extensions: extensions)
        var publisher = TestPublisher()
        wire.stream(&publisher, frames: 10, keyEvery: 10, packetsPerFrame: 4, into: node)
        wire.run(for: .milliseconds(20))
        let before = viewer.ciphertexts
        let lost = viewer.packets.filter { $0.ssrc == 5001 }[17]
        let nack = viewer.rtcp { writer in
            writer.appendNackHead(sender: 1, media: 5001, itemCount: 1)
            writer.append(lost.sequence)
            writer.append(UInt16(0))
        }
        wire.post(nack, from: viewer.address, to: node.address)
        wire.run(for: .milliseconds(40))
        let news = viewer.ciphertexts.dropFirst(before.count).filter { !(192...223).contains($0[1]) }
        #expect(news.count == 1)
        #expect(news.first.map { before.contains($0) } == true)
    }

    @Test func nackForUnsentNumbersIsRefused() throws {
        let wire = MediaWire(seed: 6)
        let node = try makeNode(wire)
        let viewer = wire.addViewer(to: node, stream: stream, port: 2000)
        var publisher = TestPublisher()
        wire.stream(&publisher, frames: 3, keyEvery: 3, packetsPerFrame: 4, into: node)
        for start: UInt16 in stride(from: 0, to: 65_000, by: 977) {
            let nack = viewer.rtcp { writer in
                writer.appendNackHead(sender: 1, media: 5001, itemCount: 1)
                writer.append(start)
                writer.append(UInt16.max)
            }
            wire.post(nack, from: viewer.address, to: node.address)
        }
        wire.run(for: .milliseconds(40))
        #expect(viewer.packets.filter { $0.ssrc == 6001 }.count <= 12)
        #expect(node.worker.refusalCounts[.repairNotStored] > 1000)
    }

    @Test func anotherPublicationContinuesTheViewersNumbers() throws {
        let wire = MediaWire(seed: 7)
        let node = try makeNode(wire)
        let viewer = wire.addViewer(to: node, stream: stream, port: 2000)
        var publisher = TestPublisher()
        wire.stream(&publisher, frames: 10, keyEvery: 10, packetsPerFrame: 4, into: node)
        wire.apply(.openStream(stream, TestPublisher.descriptor(epoch: 1_700_000_009_000)), to: node)
        wire.apply(.addPublisher(TestPublisher.configuration(stream: stream, session: SessionID(2))), to: node)
        var second = TestPublisher(
            videoSequence: 3, audioSequence: 60_000, videoTimestamp: 4_000_000_000, audioTimestamp: 17)
        second.videoNumber = 1_000
        for frame in 0..<10 {
            wire.publish(
                second.videoFrame(isKey: frame == 0, packets: 4), session: SessionID(2), into: node)
            wire.run(for: .milliseconds(33))
        }
        wire.run(for: .milliseconds(50))
        let video = viewer.packets.filter { $0.ssrc == 5001 }
        #expect(video.map { TestPublisher.number(of: $0.payload) } == Array(0..<40) + Array(1000..<1040))
        for (earlier, later) in zip(video, video.dropFirst()) {
            #expect(later.sequence == earlier.sequence &+ 1)
            #expect(Int32(bitPattern: later.timestamp &- earlier.timestamp) >= 0)
            #expect(later.timestamp &- earlier.timestamp < 90_000)
        }
        #expect(viewer.unopened == 0)
    }

    @Test func leapsOfThePublisherDoNotLoseTheViewer() throws {
        let wire = MediaWire(seed: 8)
        let node = try makeNode(wire)
        let viewer = wire.addViewer(to: node, stream: stream, port: 2000)
        var publisher = TestPublisher()
        wire.stream(&publisher, frames: 10, keyEvery: 10, packetsPerFrame: 4, into: node)
        publisher.videoSequence &+= 30_000
        wire.stream(&publisher, frames: 10, keyEvery: 10, packetsPerFrame: 4, into: node)
        wire.run(for: .milliseconds(50))
        let seen = Set(numbers(viewer, ssrc: 5001))
        // One stray packet is not believed; the next in sequence is.
        #expect(seen == Set(0..<80).subtracting([40]))
        #expect(viewer.unopened == 0)
    }

    @Test func closingLeavesNothingBehind() throws {
        let wire = MediaWire(seed: 9)
        let node = try makeNode(wire)
        for port: UInt16 in 2000..<2050 { _ = wire.addViewer(to: node, stream: stream, port: port) }
        #expect(node.statistics(at: wire.now).sessions.count == 51)
        wire.apply(.removeSession(SessionID(2000), .deleted), to: node)
        #expect(node.statistics(at: wire.now).streams.first?.viewers == 49)
        wire.apply(.closeStream(stream, .streamEnded), to: node)
        let after = node.statistics(at: wire.now)
        #expect(after.sessions.isEmpty)
        #expect(after.streams.isEmpty)
        #expect(node.worker.nextDeadline == nil || node.seen.count >= 51)
    }
}
