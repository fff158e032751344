import MediaRelay
import SwarmCore
import SwarmCrypto
import Testing

/// Three workers in a row over media links: A has the publisher, C the viewers.
@Suite struct WorkerLinkTests {
    private let stream = StreamHandle(7)

    private struct Chain {
        var wire: MediaWire
        var a: MediaNode
        var b: MediaNode
        var c: MediaNode
    }

    private func makeChain(seed: UInt64, lossPerMille: Int, suite: CryptoSuite = .real) throws -> Chain {
        let wire = MediaWire(seed: seed)
        let certificate = try DTLSCertificate(at: wire.now)
        let nodes = [100, 101, 102].map {
            MediaNode(port: $0, seed: UInt64($0) &+ seed, certificate: certificate, suite: suite)
        }
        wire.nodes = nodes
        let chain = Chain(wire: wire, a: nodes[0], b: nodes[1], c: nodes[2])
        for node in nodes { wire.apply(.openStream(stream, TestPublisher.descriptor), to: node) }
        wire.apply(.addPublisher(TestPublisher.configuration(stream: stream)), to: chain.a)
        join(chain.b, to: chain.a, id: 1, on: wire)
        join(chain.c, to: chain.b, id: 2, on: wire)
        wire.run(for: .milliseconds(100))
        wire.linkLossPerMille = lossPerMille
        return chain
    }

    private func join(_ child: MediaNode, to parent: MediaNode, id: UInt32, on wire: MediaWire) {
        let handles = wire.link(parent: parent, child: child, id: id)
        wire.apply(.attachChild(stream, handles.parent, alias: id, layers: .all), to: parent)
        wire.apply(.attachParent(stream, handles.child, alias: id, layers: .all), to: child)
    }

    private func numbers(_ viewer: TestViewer, ssrc: UInt32) -> [UInt64] {
        viewer.packets.filter { $0.ssrc == ssrc }.map { TestPublisher.number(of: $0.payload) }
    }

    @Test func losslessChainKeepsOrder() throws {
        let chain = try makeChain(seed: 1, lossPerMille: 0)
        let viewer = chain.wire.addViewer(to: chain.c, stream: stream, port: 2000)
        var publisher = TestPublisher()
        chain.wire.stream(&publisher, frames: 60, keyEvery: 30, packetsPerFrame: 10, into: chain.a)
        chain.wire.run(for: .milliseconds(200))
        #expect(numbers(viewer, ssrc: 5001) == Array(0..<600))
        #expect(numbers(viewer, ssrc: 5000) == Array(0..<60))
        #expect(chain.b.seen.contains { if case .linkEstablished = $0 { true } else { false } })
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func lossOnLinksIsMadeGoodHopByHop(seed: UInt64) throws {
        let chain = try makeChain(seed: seed, lossPerMille: 50)
        let viewer = chain.wire.addViewer(to: chain.c, stream: stream, port: 2000)
        var publisher = TestPublisher()
        chain.wire.stream(&publisher, frames: 90, keyEvery: 30, packetsPerFrame: 10, into: chain.a)
        chain.wire.linkLossPerMille = 0
        chain.wire.run(for: .milliseconds(500))
        let video = numbers(viewer, ssrc: 5001)
        // Lost before the first key frame came through, packets do not count.
        let first = try #require(video.min())
        #expect(first <= 300)
        let missing = Set(first..<900).subtracting(video).sorted()
        #expect(missing == [], "every packet, seed \(seed)")
        #expect(video.count == Set(video).count, "once, seed \(seed)")
        // In order of identity by their numbers.
        let base = try #require(viewer.packets.first { $0.ssrc == 5001 })
        let baseNumber = TestPublisher.number(of: base.payload)
        for packet in viewer.packets where packet.ssrc == 5001 {
            let number = TestPublisher.number(of: packet.payload)
            #expect(packet.sequence == base.sequence &+ UInt16(truncatingIfNeeded: number &- baseNumber))
        }
        let links = chain.a.statistics(at: chain.wire.now).links
        #expect(links[0].packetsRetransmitted > 10)
        #expect(links[0].framesFirstSentTwice == 0)
    }

    @Test func fiftyViewersCostOneCopyPerLink() throws {
        let chain = try makeChain(seed: 11, lossPerMille: 20)
        let viewers = (0..<50).map { chain.wire.addViewer(to: chain.c, stream: stream, port: 2000 + UInt16($0)) }
        var publisher = TestPublisher()
        chain.wire.stream(&publisher, frames: 40, keyEvery: 20, packetsPerFrame: 6, into: chain.a)
        // Latecomers do not draw a second copy either.
        _ = chain.wire.addViewer(to: chain.c, stream: stream, port: 3000)
        chain.wire.linkLossPerMille = 0
        chain.wire.run(for: .milliseconds(500))
        for viewer in viewers { #expect(Set(numbers(viewer, ssrc: 5001)).count == 240) }
        for node in [chain.a, chain.b] {
            let link = try #require(node.statistics(at: chain.wire.now).links.first { $0.framesFirstSent > 0 })
            #expect(link.framesFirstSentTwice == 0)
            #expect(link.framesFirstSent == 280, "240 video and 40 audio packets")
        }
    }

    @Test func lateJoinerIsServedFromTheNearestStore() throws {
        let chain = try makeChain(seed: 12, lossPerMille: 0)
        var publisher = TestPublisher()
        chain.wire.stream(&publisher, frames: 20, keyEvery: 100, packetsPerFrame: 6, into: chain.a)
        let viewer = chain.wire.addViewer(to: chain.c, stream: stream, port: 2000)
        chain.wire.run(for: .milliseconds(400))
        #expect(numbers(viewer, ssrc: 5001) == Array(0..<120))
    }

    @Test func anotherParentTakesOverWithoutGapOrRepetition() throws {
        let chain = try makeChain(seed: 13, lossPerMille: 0)
        let viewer = chain.wire.addViewer(to: chain.c, stream: stream, port: 2000)
        var publisher = TestPublisher()
        chain.wire.stream(&publisher, frames: 20, keyEvery: 100, packetsPerFrame: 6, into: chain.a)
        // C is led from B to A while media flows.
        join(chain.c, to: chain.a, id: 3, on: chain.wire)
        for _ in 0..<20 {
            chain.wire.publish(publisher.videoFrame(isKey: false, packets: 6), into: chain.a)
            chain.wire.run(for: .milliseconds(33))
        }
        chain.wire.run(for: .milliseconds(200))
        #expect(numbers(viewer, ssrc: 5001) == Array(0..<240))
        let video = viewer.packets.filter { $0.ssrc == 5001 }
        for (earlier, later) in zip(video, video.dropFirst()) {
            #expect(later.sequence == earlier.sequence &+ 1)
            #expect(later.timestamp &- earlier.timestamp == 0 || later.timestamp &- earlier.timestamp == 3000)
        }
        for node in [chain.a, chain.b] {
            for link in node.statistics(at: chain.wire.now).links {
                #expect(link.framesFirstSentTwice == 0)
                // The new parent sends what C lacks, not the whole group of pictures again.
                if link.handle == LinkHandle(3) { #expect((120...126).contains(link.framesFirstSent)) }
            }
        }
    }

    @Test func aDeadParentsGapIsFilledByTheNext() throws {
        let chain = try makeChain(seed: 14, lossPerMille: 0)
        let viewer = chain.wire.addViewer(to: chain.c, stream: stream, port: 2000)
        var publisher = TestPublisher()
        chain.wire.stream(&publisher, frames: 10, keyEvery: 100, packetsPerFrame: 6, into: chain.a)
        // B dies; C notices by silence and is led to A after a second and a half of loss.
        chain.wire.cut = [101]
        for _ in 0..<45 {
            chain.wire.publish(publisher.videoFrame(isKey: false, packets: 6), into: chain.a)
            chain.wire.run(for: .milliseconds(33))
        }
        #expect(chain.c.seen.contains { if case .linkLost = $0 { true } else { false } })
        join(chain.c, to: chain.a, id: 3, on: chain.wire)
        for _ in 0..<30 {
            chain.wire.publish(publisher.videoFrame(isKey: false, packets: 6), into: chain.a)
            chain.wire.run(for: .milliseconds(33))
        }
        chain.wire.run(for: .milliseconds(1000))
        #expect(numbers(viewer, ssrc: 5001) == Array(0..<510))
    }

    /// The parent's control thread hears of the link before it attaches the child: RESUMEs come too early.
    @Test(arguments: [0, 30, 300, 7_000] as [Int64])
    func aChildThatIsAttachedLateIsStarted(delayMilliseconds: Int64) throws {
        let chain = try makeChain(seed: 21, lossPerMille: 0)
        let handles = chain.wire.link(parent: chain.a, child: chain.c, id: 5)
        chain.wire.apply(.attachParent(stream, handles.child, alias: 5, layers: .all), to: chain.c)
        let viewer = chain.wire.addViewer(to: chain.c, stream: stream, port: 2000)
        var publisher = TestPublisher()
        chain.wire.stream(&publisher, frames: 3, keyEvery: 100, packetsPerFrame: 4, into: chain.a)
        chain.wire.run(for: .milliseconds(delayMilliseconds))
        chain.wire.apply(.attachChild(stream, handles.parent, alias: 5, layers: .all), to: chain.a)
        chain.wire.run(for: .milliseconds(delayMilliseconds > 5_000 ? 600 : 150))
        // Whatever the start was, live media follows.
        let sent = publisher.videoNumber
        chain.wire.publish(publisher.videoFrame(isKey: true, packets: 4), into: chain.a)
        chain.wire.run(for: .milliseconds(50))
        #expect(Set(numbers(viewer, ssrc: 5001)).isSuperset(of: Set(sent..<(sent + 4))))
        if delayMilliseconds <= 300 { #expect(numbers(viewer, ssrc: 5001) == Array(0..<16)) }
        let link = try #require(
            chain.a.statistics(at: chain.wire.now).links.first { $0.handle == handles.parent })
        #expect(link.framesFirstSent >= 4)
        #expect(link.bytesSent > 4_000)
    }

    @Test func endOfStreamReachesTheChildren() throws {
        let chain = try makeChain(seed: 15, lossPerMille: 0)
        chain.wire.apply(.closeStream(stream, .streamEnded), to: chain.a)
        chain.wire.run(for: .milliseconds(50))
        #expect(chain.b.seen.contains { if case .parentEnded(stream) = $0 { true } else { false } })
        #expect(!chain.c.seen.contains { if case .parentEnded = $0 { true } else { false } })
    }

    @Test func silentLinkStaysAlive() throws {
        let chain = try makeChain(seed: 16, lossPerMille: 100)
        chain.wire.run(for: .seconds(10))
        for node in [chain.a, chain.b, chain.c] {
            #expect(!node.seen.contains { if case .linkLost = $0 { true } else { false } })
        }
        let link = try #require(chain.c.statistics(at: chain.wire.now).links.first)
        let roundTrip = try #require(link.roundTrip)
        #expect(abs(roundTrip.fractionalMilliseconds - 20) < 1)
    }

    @Test func aMovedChildIsFollowedAfterItsChallenge() throws {
        let chain = try makeChain(seed: 19, lossPerMille: 0)
        let viewer = chain.wire.addViewer(to: chain.c, stream: stream, port: 2000)
        var publisher = TestPublisher()
        chain.wire.stream(&publisher, frames: 10, keyEvery: 100, packetsPerFrame: 4, into: chain.a)
        // C's NAT gives it another port.
        chain.c.address = NetworkAddress.loopback(port: 142)
        for _ in 0..<30 {
            chain.wire.publish(publisher.videoFrame(isKey: false, packets: 4), into: chain.a)
            chain.wire.run(for: .milliseconds(33))
        }
        chain.wire.run(for: .milliseconds(300))
        let seen = numbers(viewer, ssrc: 5001)
        #expect(seen.suffix(60) == Array(100..<160).suffix(60)[...])
        #expect(Set(seen).count >= 150, "what was under way is repaired: \(seen.count)")
    }

    @Test func aThiefOfTheAddressGetsNoMedia() throws {
        let chain = try makeChain(seed: 20, lossPerMille: 0)
        var publisher = TestPublisher()
        chain.wire.stream(&publisher, frames: 3, keyEvery: 100, packetsPerFrame: 4, into: chain.a)
        // Somebody repeats C's datagrams, before they arrive, from an address that cannot answer a challenge.
        let thief = NetworkAddress.loopback(port: 66)
        chain.wire.divert = (from: chain.c.address, by: thief)
        for _ in 0..<10 {
            chain.wire.publish(publisher.videoFrame(isKey: false, packets: 4), into: chain.a)
            chain.wire.run(for: .milliseconds(33))
        }
        #expect(chain.wire.delivered(to: thief) > 0, "challenges")
        #expect(chain.wire.bytesDelivered(to: thief) < 40 * 100, "but no media")
    }

    @Test func hostileLinkDatagramsAreCountedAndChangeNothing() throws {
        let chain = try makeChain(seed: 17, lossPerMille: 0)
        var generator = SeededGenerator(seed: 99)
        for length in 0..<1500 {
            var bytes = (0..<length).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            if length > 0 { bytes[0] = 0xd0 }
            if length > 5 { bytes.replaceSubrange(1..<5, with: [0, 0, 3, 0xea]) }
            chain.wire.post(
                length == 0 ? [0xd0] : bytes, from: NetworkAddress.loopback(port: 66), to: chain.b.address)
        }
        chain.wire.run(for: .milliseconds(50))
        let counts = chain.b.worker.refusalCounts
        #expect(counts[.linkNotAuthentic] + counts[.malformedLinkFrame] + counts[.unknownLink] == 1500)
    }

    @Test func everyFirstByteAndLengthIsSurvived() throws {
        let chain = try makeChain(seed: 18, lossPerMille: 0)
        _ = chain.wire.addViewer(to: chain.b, stream: stream, port: 2000)
        var generator = SeededGenerator(seed: 5)
        for first in 0..<256 {
            for length in [1, 2, 7, 8, 11, 12, 20, 28, 64, 200, 1400] {
                var bytes = (0..<length).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
                bytes[0] = UInt8(first)
                chain.wire.post(bytes, from: NetworkAddress.loopback(port: 2000), to: chain.b.address)
                chain.wire.post(bytes, from: NetworkAddress.loopback(port: 67), to: chain.b.address)
            }
        }
        chain.wire.run(for: .milliseconds(50))
        #expect(chain.b.worker.refusalCounts.total > 2000)
    }
}
