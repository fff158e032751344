import CAllocationCounter
import MediaRelay
import SwarmCore
import SwarmCrypto
import Testing

/// The packet path allocates nothing: SRTP in, a hundred SRTP viewers and one media link out, one packet in a hundred
/// asked for again.
@Suite struct WorkerAllocationTests {
    private static let stream = StreamHandle(7)
    private static let packetsPerFrame = 8

    /// A node with a keyed publisher, a child and a hundred viewers, and the datagrams for it in one arena.
    private final class Rig {
        let wire = MediaWire(seed: 1)
        let node: MediaNode
        let source: TestViewer
        var viewers: [TestViewer] = []
        private var arena = ByteArena(capacity: 512 * 1024)
        private var batch: [(range: Range<Int>, source: NetworkAddress)] = []
        private var publisher = TestPublisher()
        private(set) var forwarded = 0
        private(set) var allocations: UInt64 = 0

        init() throws {
            let certificate = try DTLSCertificate(at: wire.now)
            node = MediaNode(port: 100, seed: 1, certificate: certificate)
            let child = MediaNode(port: 101, seed: 2, certificate: certificate)
            wire.nodes = [node, child]
            for node in wire.nodes { wire.apply(.openStream(stream, TestPublisher.descriptor), to: node) }
            source = TestViewer(port: 900, seed: 77, node: node.address, at: wire.now)
            node.worker.addKeyedPublisher(
                TestPublisher.configuration(stream: stream),
                keys: SRTPSessionKeys.derived(profile: .aes128GCM, seed: 77, isServer: true),
                remoteAddress: source.address, at: wire.now, into: &node.outbox, events: &node.events)
            let handles = wire.link(parent: node, child: child, id: 1)
            wire.apply(.attachChild(stream, handles.parent, alias: 1, layers: .all), to: node)
            wire.apply(.attachParent(stream, handles.child, alias: 1, layers: .all), to: child)
            for index in 0..<100 {
                viewers.append(wire.addViewer(to: node, stream: stream, port: 2000 + UInt16(index)))
            }
            wire.run(for: .milliseconds(100))
        }

        func add(_ datagram: [UInt8], from source: NetworkAddress) {
            let start = batch.last?.range.upperBound ?? 0
            var target = arena.mutableBytes(in: start..<(start + datagram.count))
            target.copy(datagram.span, to: 0)
            batch.append((start..<(start + datagram.count), source))
        }

        func addFrame(isKey: Bool) {
            for packet in publisher.videoFrame(isKey: isKey, packets: packetsPerFrame) {
                let header = RTPHeader(packet.span)
                var bytes = packet + [UInt8](repeating: 0, count: 16)
                var span = bytes.mutableSpan
                let index = UInt64(header?.sequence ?? 0) + (publisher.videoNumber < 540 ? 0 : 65_536)
                let count = source.transport.protectRTP(&span, count: packet.count, headerLength: 12, index: index)
                add(Array(bytes[..<(count ?? 0)]), from: source.address)
            }
        }

        /// Runs the batch as a driver would; what the worker allocates meanwhile is counted.
        func run(isCounted: Bool) {
            let now = wire.now
            var sent = 0
            if isCounted { allocation_counter_start() }
            for index in batch.indices {
                var datagram = arena.mutableBytes(in: batch[index].range)
                node.worker.receive(
                    &datagram, from: batch[index].source, at: now, into: &node.outbox, events: &node.events)
            }
            var more = true
            while more {
                more = node.worker.endBatch(at: now, into: &node.outbox, events: &node.events)
                sent += node.outbox.count
                if isCounted {
                    node.outbox.removeAll()
                } else {
                    more = more || !node.outbox.isEmpty
                    post()
                }
            }
            node.worker.advance(to: now, into: &node.outbox, events: &node.events)
            if isCounted {
                allocations += allocation_counter_stop()
                forwarded += sent
            }
            post()
            batch.removeAll(keepingCapacity: true)
        }

        private func post() { wire.postOutbox(of: node) }
    }

    @Test func hundredThousandForwardedPacketsAllocateNothing() throws {
        guard allocation_counter_is_available() else { return }
        let rig = try Rig()
        // The first frames bring what is taken once: stores, tables, the runtime's metadata.
        for frame in 0..<10 {
            rig.addFrame(isKey: frame == 0)
            // A session takes its table entry for an SSRC when it first hears it.
            for viewer in rig.viewers where frame == 0 {
                rig.add(viewer.rtcp { $0.appendReceiverReport(ssrc: 1, blockCount: 0) }, from: viewer.address)
            }
            rig.run(isCounted: false)
            rig.wire.run(for: .milliseconds(33))
        }
        let first = rig.viewers.map { viewer in viewer.packets.first { $0.ssrc == 5001 }?.sequence ?? 0 }
        for viewer in rig.viewers { #expect(viewer.packets.count == 80) }
        for frame in 10..<140 {
            rig.addFrame(isKey: frame % 30 == 0)
            for ask in 0..<Self.packetsPerFrame {
                let index = (frame * Self.packetsPerFrame + ask) % rig.viewers.count
                let viewer = rig.viewers[index]
                let lost = first[index] &+ UInt16((frame - 1) * Self.packetsPerFrame + ask)
                let nack = viewer.rtcp { writer in
                    writer.appendReceiverReport(ssrc: 1, blockCount: 0)
                    writer.appendNackHead(sender: 1, media: 5001, itemCount: 1)
                    writer.append(lost)
                    writer.append(UInt16(0))
                }
                rig.add(nack, from: viewer.address)
            }
            // A first round warms the paths of repair and timers.
            rig.run(isCounted: frame >= 15)
            rig.wire.run(for: .milliseconds(33))
        }
        #expect(rig.forwarded >= 100_000, "\(rig.forwarded)")
        #expect(rig.allocations == 0, "\(rig.allocations) allocations")
        let session = try #require(rig.node.statistics(at: rig.wire.now).sessions.last)
        #expect(session.packetsRetransmitted >= 8)
        #expect(rig.node.worker.refusalCounts[.notAuthentic] == 0)
        #expect(rig.node.worker.refusalCounts[.repairNotStored] == 0)
    }
}
