import Foundation
import MediaRelay
import SwarmCore
import Testing

/// Hostile input on every verb, and the books at the end of many sessions.
@Suite(.serialized) struct EdgeHostileTests {
    private let certificates: (client: DTLSCertificate, server: DTLSCertificate)

    init() throws {
        certificates = (try DTLSCertificate(at: testNow()), try DTLSCertificate(at: testNow()))
    }

    @Test(arguments: [false, true])
    func garbageOfEveryLengthOnEveryVerb(isConnected: Bool) {
        var generator = SeededGenerator(seed: 7983)
        let pair = EdgePair(clientRole: .client, certificates: certificates, at: testNow())
        if isConnected { pair.step(to: testNow()) }
        let firstBytes: [UInt8] = [0, 1, 20, 21, 22, 23, 25, 63, 128, 191]
        for length in 0...2048 {
            var bytes = randomBytes(length, &generator)
            if length > 0 { bytes[0] = firstBytes[length % firstBytes.count] }
            if length > 2, bytes[0] >= 20, bytes[0] < 64 { (bytes[1], bytes[2]) = (0xfe, 0xfd) }
            pair.server.receiveEverywhere(bytes, from: EdgePair.clientAddress, at: testNow())
            pair.client.receiveEverywhere(bytes, from: EdgePair.serverAddress, at: testNow())
        }
        #expect(!pair.server.hasEnded && !pair.client.hasEnded)
        if !isConnected { pair.step(to: testNow(250)) }
        #expect(pair.isConnected)
        #expect(pair.carriesMedia(indices: 0..<3, at: testNow(250)))
    }

    /// Bits of a real handshake are flipped on the way. It may fail or stall; it must not trap or connect wrongly.
    @Test func handshakeUnderBitFlips() {
        var generator = SeededGenerator(seed: 5764)
        for round in 0..<150 {
            let pair = EdgePair(
                clientRole: round % 2 == 0 ? .client : .server, certificates: certificates, at: testNow())
            pair.client.advance(to: testNow())
            for _ in 0..<8 {
                for (from, to) in [(pair.client, pair.server), (pair.server, pair.client)] {
                    for sent in from.takeSent() {
                        var bytes = sent.bytes
                        if generator.integer(below: 3) == 0 {
                            bytes[generator.integer(below: bytes.count)] ^= 1 << UInt8(generator.integer(below: 8))
                        }
                        if bytes[0] >= 20 { (bytes[0], bytes[1]) = (sent.bytes[0], sent.bytes[1]) }
                        to.receive(bytes, from: from.address, at: testNow())
                    }
                }
            }
            if pair.isConnected { #expect(pair.carriesMedia(indices: 0..<2, at: testNow())) }
        }
    }

    @Test func replayedHandshakeChangesNothing() {
        let pair = EdgePair(clientRole: .client, certificates: certificates, at: testNow())
        pair.client.advance(to: testNow())
        var recorded: [[UInt8]] = []
        for _ in 0..<8 {
            for sent in pair.client.takeSent() {
                recorded.append(sent.bytes)
                pair.server.receive(sent.bytes, from: EdgePair.clientAddress, at: testNow())
            }
            for sent in pair.server.takeSent() {
                pair.client.receive(sent.bytes, from: EdgePair.serverAddress, at: testNow())
            }
        }
        #expect(pair.isConnected)
        for bytes in recorded { pair.server.receive(bytes, from: EdgePair.clientAddress, at: testNow()) }
        #expect(pair.server.isConnected)
        #expect(pair.carriesMedia(indices: 0..<3, at: testNow()))
    }

    /// 2,000 ends of sessions, most of them through the whole handshake, leave the resident size where it was. In a
    /// process of its own, because the other tests allocate too; not under a sanitizer, which keeps what is freed.
    @Test(.enabled(if: !isSanitized)) func sessionsLeaveNothingBehind() async {
        await #expect(processExitsWith: .success) {
            let certificates = (client: try DTLSCertificate(at: testNow()), server: try DTLSCertificate(at: testNow()))
            func session(_ round: Int) {
                let pair = EdgePair(clientRole: .client, certificates: certificates, at: testNow())
                if round % 4 != 0 { pair.step(to: testNow()) }
                if round % 2 == 0 { pair.client.close() }
                pair.deliver(at: testNow())
            }
            for round in 0..<200 { session(round) }
            let before = residentBytes()
            for round in 0..<1000 { session(round) }
            let grown = residentBytes() - before
            // A lost SSL object alone would be some 40 KB an end, a cipher context 1 KB.
            precondition(before > 0 && grown < 2_000_000, "grew by \(grown) bytes")
        }
    }
}

private var isSanitized: Bool {
    unsafe dlsym(nil, "__asan_init") != nil || dlsym(nil, "__tsan_init") != nil
}

private func residentBytes() -> Int {
    let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
    let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    return pages * 4096
}
