import MediaRelay
import SwarmCore
import SwarmCrypto
import Testing

/// A keyed publisher: what we tell it by RTCP.
@Suite struct WorkerPublisherTests {
    private let stream = StreamHandle(7)
    private static let extensions = [
        ExtensionMapping(id: 4, header: .mid), ExtensionMapping(id: 3, header: .transportSequence),
        ExtensionMapping(id: 5, header: .audioLevel), ExtensionMapping(id: 6, header: .videoOrientation),
    ]

    /// A browser-like sender of one video track with mid "v", RTX and transport-wide numbers.
    private final class Sender {
        let wire: MediaWire
        let node: MediaNode
        let client: TestViewer
        var sequence: UInt16 = 1000
        var timestamp: UInt32 = 5000
        var transportSequence: UInt16 = 65_500
        var indexBase: UInt64 = 0
        var retransmissionSequence: UInt16 = 1
        private var sent: [UInt16: [UInt8]] = [:]

        init(wire: MediaWire, node: MediaNode, client: TestViewer) {
            self.wire = wire
            self.node = node
            self.client = client
        }

        func payload(isKey: Bool, number: UInt64) -> [UInt8] {
            [0x10, isKey ? 0 : 1] + (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(56 - $0 * 8)) }
                + [UInt8](repeating: 1, count: 500)
        }

        /// Protects and posts one packet; `isLost` only uses up its number.
        func send(_ payload: [UInt8], ssrc: UInt32 = 0xaaaa, type: UInt8 = 96, isLost: Bool = false) {
            let number = sequence
            sequence &+= 1
            timestamp &+= 3000
            sent[number] = payload
            if !isLost { post(payload, ssrc: ssrc, type: type, sequence: number) }
        }

        func sendAgain(_ number: UInt16) {
            guard let payload = sent[number] else { return }
            let original = [UInt8(number >> 8), UInt8(number & 0xff)]
            post(original + payload, ssrc: 0xbbbb, type: 97, sequence: retransmissionSequence)
            retransmissionSequence &+= 1
        }

        private func post(_ payload: [UInt8], ssrc: UInt32, type: UInt8, sequence: UInt16) {
            var packet = TestPublisher.packet(
                type: type, marker: true, sequence: sequence, timestamp: timestamp, ssrc: ssrc, payload: [])
            packet[0] |= 0x10
            packet += [0xbe, 0xde, 0, 2, 0x40, UInt8(ascii: "v"), 0x31]
            packet += [UInt8(transportSequence >> 8), UInt8(transportSequence & 0xff), 0x60, 0x02, 0]
            transportSequence &+= 1
            let headerLength = packet.count
            packet += payload
            let count = packet.count
            packet += [UInt8](repeating: 0, count: 16)
            var span = packet.mutableSpan
            let total =
                client.transport.protectRTP(&span, count: count, headerLength: headerLength, index: UInt64(sequence))
                ?? 0
            wire.post(Array(packet[..<total]), from: client.address, to: node.address)
        }
    }

    private func makeSender(seed: UInt64) throws -> (MediaWire, MediaNode, Sender) {
        let wire = MediaWire(seed: seed)
        wire.delay = .milliseconds(5)
        let node = MediaNode(port: 100, seed: seed, certificate: try DTLSCertificate(at: wire.now))
        wire.nodes.append(node)
        var descriptor = TestPublisher.descriptor
        descriptor.tracks.removeFirst()
        wire.apply(.openStream(stream, descriptor), to: node)
        let client = TestViewer(port: 900, seed: 77, node: node.address, at: wire.now)
        wire.viewers.append(client)
        let track = PublisherTrack(
            track: 0, kind: .video, clockRate: 90_000, codecName: "VP8", mid: "v", payloadType: 96,
            retransmissionPayloadType: 97, ssrc: nil, retransmissionSSRC: nil, extensions: Self.extensions,
            supportsNACK: true, supportsPLI: true, supportsTransportFeedback: true)
        let configuration = PublisherConfiguration(
            session: SessionID(1), stream: stream, transport: nil, tracks: [track])
        node.worker.addKeyedPublisher(
            configuration, keys: SRTPSessionKeys.derived(profile: .aes128GCM, seed: 77, isServer: true),
            remoteAddress: client.address, at: wire.now, into: &node.outbox, events: &node.events)
        wire.flush(node)
        return (wire, node, Sender(wire: wire, node: node, client: client))
    }

    private func addViewer(_ wire: MediaWire, _ node: MediaNode, port: UInt16) -> TestViewer {
        let viewer = TestViewer(port: port, seed: UInt64(port), node: node.address, at: wire.now)
        wire.viewers.append(viewer)
        let nobody = ICECredentials(usernameFragment: "u\(port)", password: "passwordpasswordpassword")
        let track = ViewerTrack(
            track: 0, kind: .video, clockRate: 90_000, codecName: "VP8", mid: "0", payloadType: 120,
            retransmissionPayloadType: 121, ssrc: 5001, retransmissionSSRC: 6001,
            extensions: [ExtensionMapping(id: 9, header: .videoOrientation), ExtensionMapping(id: 1, header: .mid)])
        node.worker.addKeyedViewer(
            ViewerConfiguration(
                session: SessionID(UInt64(port)), stream: stream,
                transport: TransportConfiguration(
                    iceRole: .lite, local: nobody, remote: nobody, remoteFingerprint: .zero, dtlsRole: .server),
                tracks: [track], canonicalName: "stream"),
            keys: SRTPSessionKeys.derived(profile: .aes128GCM, seed: UInt64(port), isServer: true),
            remoteAddress: viewer.address, at: wire.now, into: &node.outbox, events: &node.events)
        wire.flush(node)
        return viewer
    }

    private func messages(_ client: TestViewer) -> [FeedbackMessage] {
        client.control.flatMap { bytes in
            var iterator = RTCPIterator()
            var found: [FeedbackMessage] = []
            while let packet = iterator.next(in: bytes.span) {
                if let message = FeedbackMessage(packet, in: bytes.span) { found.append(message) }
            }
            return found
        }
    }

    @Test func lossIsAskedForAndRetransmissionsAreUnwrapped() throws {
        let (wire, node, sender) = try makeSender(seed: 1)
        let viewer = addViewer(wire, node, port: 2000)
        for number in 0..<100 {
            sender.send(
                sender.payload(isKey: number == 0, number: UInt64(number)), isLost: [40, 41, 57].contains(number))
            wire.run(for: .milliseconds(10))
        }
        var asked: [UInt16] = []
        for bytes in sender.client.control {
            var iterator = RTCPIterator()
            while let packet = iterator.next(in: bytes.span) {
                guard case .nack(_, let items) = FeedbackMessage(packet, in: bytes.span) else { continue }
                for offset in stride(from: items.lowerBound, to: items.upperBound, by: 4) {
                    let item = NackItem(
                        packetID: bytes.span.loadUInt16(at: offset), mask: bytes.span.loadUInt16(at: offset + 2))
                    asked += (0...16).compactMap { item.sequence(at: $0) }
                }
            }
        }
        #expect(Set(asked) == [1040, 1041, 1057])
        #expect(asked.count <= 15, "five attempts each")
        for number in [1040, 1041, 1057, 1057] as [UInt16] { sender.sendAgain(number) }
        wire.run(for: .milliseconds(50))
        let seen = viewer.packets.filter { $0.ssrc == 5001 }.map { TestPublisher.number(of: $0.payload) }
        #expect(Set(seen) == Set(0..<100))
        #expect(seen.count == 100)
        #expect(node.worker.refusalCounts[.duplicatePacket] == 1)
    }

    @Test func publisherHearsOfEveryPacketsArrival() throws {
        let (wire, _, sender) = try makeSender(seed: 2)
        for number in 0..<100 {
            sender.send(sender.payload(isKey: number == 0, number: UInt64(number)))
            wire.run(for: .milliseconds(10))
        }
        wire.run(for: .milliseconds(100))
        var arrived: Set<UInt16> = []
        var feedbacks = 0
        var reports = 0
        for bytes in sender.client.control {
            var iterator = RTCPIterator()
            while let packet = iterator.next(in: bytes.span) {
                if packet.type == RTCPPacket.receiverReport { reports += 1 }
                guard case .transport(let range) = FeedbackMessage(packet, in: bytes.span) else { continue }
                feedbacks += 1
                let body = bytes.span.extracting(range)
                guard var reader = TransportFeedbackReader(body) else { continue }
                while let (sequence, arrival) = reader.next(in: body) {
                    if arrival != nil { arrived.insert(sequence) }
                }
            }
        }
        #expect(arrived.count == 100)
        #expect((10...25).contains(feedbacks), "each 50 to 100 ms: \(feedbacks)")
        #expect(reports >= 1)
    }

    @Test func keyFrameRequestsOfManyViewersFoldIntoOneASecond() throws {
        let (wire, node, sender) = try makeSender(seed: 3)
        sender.send(sender.payload(isKey: false, number: 0))
        wire.run(for: .milliseconds(20))
        let viewers = (0..<20).map { addViewer(wire, node, port: 2000 + UInt16($0)) }
        for round in 0..<50 {
            for viewer in viewers {
                let isPLI = round % 2 == 0
                let request = viewer.rtcp { writer in
                    if isPLI {
                        writer.appendPictureLoss(sender: 1, media: 5001)
                    } else {
                        writer.appendFullIntraRequest(sender: 1, media: 5001, sequence: UInt8(round))
                    }
                }
                wire.post(request, from: viewer.address, to: node.address)
            }
            wire.run(for: .milliseconds(100))
        }
        wire.run(for: .milliseconds(20))
        let count = messages(sender.client).filter { if case .pictureLoss(0xaaaa) = $0 { true } else { false } }.count
        #expect((4...6).contains(count), "\(count) in five seconds")
        sender.send(sender.payload(isKey: true, number: 1))
        wire.run(for: .seconds(3))
        let after = messages(sender.client).filter { if case .pictureLoss = $0 { true } else { false } }.count
        #expect(after == count, "a key frame ends the asking")
    }

    @Test func endToEndExtensionsReachTheViewerUnderItsIDs() throws {
        let (wire, node, sender) = try makeSender(seed: 4)
        let viewer = addViewer(wire, node, port: 2000)
        sender.send(sender.payload(isKey: true, number: 0))
        wire.run(for: .milliseconds(20))
        let cipher = try #require(viewer.ciphertexts.first { !(192...223).contains($0[1]) })
        guard let header = RTPHeader(cipher.span) else {
            Issue.record("no header")
            return
        }
        var found: [[UInt8]] = []
        var elements = HeaderExtensionIterator(header)
        while let (id, range) = elements.next(in: cipher.span) { found.append([id] + cipher[range]) }
        #expect(found == [[1, UInt8(ascii: "0")], [9, 2]])
    }

    @Test func strangersAndOversizeAreCounted() throws {
        let (wire, node, sender) = try makeSender(seed: 5)
        sender.send(sender.payload(isKey: true, number: 0))
        sender.send(sender.payload(isKey: true, number: 1), type: 100)
        sender.send([UInt8](repeating: 1, count: 1300))
        wire.post([0x80] + [UInt8](repeating: 1, count: 50), from: .loopback(port: 5), to: node.address)
        wire.post([0x80] + [UInt8](repeating: 1, count: 50), from: sender.client.address, to: node.address)
        wire.run(for: .milliseconds(20))
        let counts = node.worker.refusalCounts
        #expect(counts[.unknownPayloadType] == 1)
        #expect(counts[.tooLarge] == 1)
        #expect(counts[.unknownSource] == 1)
        #expect(counts[.notAuthentic] == 1)
    }

    @Test func byeEndsTheSession() throws {
        let (wire, node, sender) = try makeSender(seed: 6)
        sender.send(sender.payload(isKey: true, number: 0))
        wire.run(for: .milliseconds(20))
        let bye = sender.client.rtcp { writer in
            writer.appendReceiverReport(ssrc: 0xaaaa, blockCount: 0)
            writer.appendBye(ssrc: 0xaaaa)
        }
        wire.post(bye, from: sender.client.address, to: node.address)
        wire.run(for: .milliseconds(20))
        #expect(node.seen.contains { if case .sessionClosed(SessionID(1), .closedByPeer) = $0 { true } else { false } })
        #expect(node.statistics(at: wire.now).sessions.isEmpty)
    }
}
