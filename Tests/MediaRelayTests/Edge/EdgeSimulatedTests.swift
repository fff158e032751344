import Foundation
import MediaRelay
import SwarmCore
import Testing

/// Transports whose handshake is simulated, and what it has in common with OpenSSL's.
@Suite struct EdgeSimulatedTests {
    private let certificates = (
        client: DTLSCertificate.simulated(seed: 1), server: DTLSCertificate.simulated(seed: 2)
    )

    @Test(arguments: [DTLSRole.client, .server])
    func connectAndCarryMedia(clientRole: DTLSRole) {
        let pair = EdgePair(clientRole: clientRole, certificates: certificates, at: testNow())
        pair.step(to: testNow())
        #expect(pair.isConnected)
        #expect(pair.client.signals == [.addressValidated(EdgePair.serverAddress, replacing: nil), .connected])
        #expect(pair.server.signals == [.addressValidated(EdgePair.clientAddress, replacing: nil), .connected])
        #expect(pair.carriesMedia(indices: 65_530..<65_550, at: testNow()))
        #expect(pair.client.nextDeadline ?? .zero > testNow().monotonic)
    }

    /// Datagrams of each flight, by sender, OpenSSL beside the stand-in: as many, and within a twelfth of their sizes.
    @Test func flightsHaveOpenSSLsSizes() throws {
        let real = (client: try DTLSCertificate(at: testNow()), server: try DTLSCertificate(at: testNow()))
        let expected = Self.flights(real)
        let simulated = Self.flights(certificates)
        #expect(simulated.map(\.isClient) == expected.map(\.isClient))
        for (stand, model) in zip(simulated, expected) {
            #expect(abs(stand.byteCount - model.byteCount) * 12 <= model.byteCount, "\(stand) for \(model)")
        }
    }

    private static func flights(
        _ certificates: (client: DTLSCertificate, server: DTLSCertificate)
    ) -> [(isClient: Bool, byteCount: Int)] {
        let pair = EdgePair(clientRole: .client, certificates: certificates, at: testNow())
        var flights: [(isClient: Bool, byteCount: Int)] = []
        pair.client.advance(to: testNow())
        for _ in 0..<6 {
            for (from, to) in [(pair.client, pair.server), (pair.server, pair.client)] {
                for sent in from.takeSent() {
                    if (20...63).contains(sent.bytes[0]) { flights.append((from === pair.client, sent.bytes.count)) }
                    to.receive(sent.bytes, from: from.address, at: testNow())
                }
            }
        }
        return flights
    }

    /// A fifth of everything is lost, and time is virtual: every seed connects, by the owner's timers alone.
    @Test(arguments: UInt64(1)...20)
    func connectOverALossyWire(seed: UInt64) {
        let pair = EdgePair(
            clientRole: seed % 2 == 0 ? .client : .server, certificates: certificates, at: testNow(), lossPercent: 20,
            seed: seed)
        var time: Int64 = 0
        while !pair.isConnected, time < 15_000 {
            pair.step(to: testNow(time))
            time += 5
        }
        #expect(pair.isConnected, "seed \(seed): \(pair.client.signals) \(pair.server.signals)")
        #expect(pair.carriesMedia(indices: 0..<4, at: testNow(time)))
    }

    @Test(arguments: [(DTLSRole.client, DTLSRole.client), (.client, .server), (.server, .client), (.server, .server)])
    func refuseAWrongFingerprint(clientRole: DTLSRole, wrongAt: DTLSRole) {
        let pair = EdgePair(
            clientRole: clientRole, certificates: certificates, at: testNow(), wrongFingerprintAt: wrongAt)
        pair.step(to: testNow())
        let deceived = wrongAt == clientRole ? pair.client : pair.server
        let other = wrongAt == clientRole ? pair.server : pair.client
        #expect(deceived.signals.last == .failed(.fingerprintMismatch))
        #expect(!deceived.isConnected && deceived.nextDeadline == nil)
        #expect(other.hasEnded)
    }

    /// One bit of one datagram of the handshake is wrong, each in turn: never do both ends think themselves connected
    /// with keys that differ, and a change of what Finished covers ends the handshake.
    @Test func tamperingIsFound() {
        var failures = 0
        var generator = SeededGenerator(seed: 99)
        for round in 0..<600 {
            let pair = EdgePair(clientRole: .client, certificates: certificates, at: testNow(), seed: UInt64(round))
            pair.client.advance(to: testNow())
            let target = round % 4
            var count = 0
            for _ in 0..<8 {
                for (from, to) in [(pair.client, pair.server), (pair.server, pair.client)] {
                    for sent in from.takeSent() {
                        var bytes = sent.bytes
                        if (20...63).contains(bytes[0]) {
                            // Behind the record's header.
                            if count == target {
                                bytes[13 + generator.integer(below: bytes.count - 13)] ^=
                                    1 << UInt8(generator.integer(below: 8))
                            }
                            count += 1
                        }
                        to.receive(bytes, from: from.address, at: testNow())
                    }
                }
            }
            if pair.client.hasEnded || pair.server.hasEnded { failures += 1 }
            if pair.isConnected { #expect(pair.carriesMedia(indices: 0..<2, at: testNow()), "round \(round)") }
        }
        #expect(failures > 300, "\(failures)")
    }

    @Test(arguments: [DTLSRole.client, .server])
    func sayGoodbye(closer: DTLSRole) {
        let pair = EdgePair(clientRole: .client, certificates: certificates, at: testNow())
        pair.step(to: testNow())
        let (from, to) = closer == .client ? (pair.client, pair.server) : (pair.server, pair.client)
        // Anybody can write an alert; only the peer's counts.
        to.receive([21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 1, 0], from: from.address, at: testNow())
        #expect(to.isConnected)
        from.close()
        pair.deliver(at: testNow())
        #expect(to.signals.last == .closedByPeer)
        #expect(to.hasEnded && from.hasEnded && to.nextDeadline == nil && from.nextDeadline == nil)
    }

    /// A simulated end and a real one do not understand each other, and neither traps.
    @Test(arguments: [DTLSRole.client, .server])
    func aRealPeerIsRefused(clientRole: DTLSRole) throws {
        let mixed = (client: certificates.client, server: try DTLSCertificate(at: testNow()))
        let pair = EdgePair(clientRole: clientRole, certificates: mixed, at: testNow())
        for time in stride(from: Int64(0), through: 21_000, by: 50) { pair.step(to: testNow(time)) }
        #expect(!pair.client.isConnected && !pair.server.isConnected)
    }

    @Test func garbageChangesNothing() {
        var generator = SeededGenerator(seed: 7983)
        for isConnected in [false, true] {
            let pair = EdgePair(clientRole: .client, certificates: certificates, at: testNow())
            if isConnected { pair.step(to: testNow()) }
            for length in 0...2048 {
                var bytes = randomBytes(length, &generator)
                if length > 2 { bytes.replaceSubrange(0..<3, with: [UInt8(20 + length % 5), 0xfe, 0xfd]) }
                if length > 13 {
                    bytes.replaceSubrange(11..<13, with: [UInt8((length - 13) >> 8), UInt8((length - 13) & 255)])
                }
                pair.server.receive(bytes, from: EdgePair.clientAddress, at: testNow())
                pair.client.receive(bytes, from: EdgePair.serverAddress, at: testNow())
            }
            pair.step(to: testNow(250))
            #expect(pair.isConnected && pair.carriesMedia(indices: 0..<3, at: testNow(250)))
        }
    }

    /// Everything a session says follows from its seeds: the same in another process, whatever its hashing.
    @Test func aSessionIsAFunctionOfItsSeeds() async {
        let digest = Self.digest(certificates)
        #expect(digest != 0)
        await #expect(processExitsWith: .success) { [digest = digest as UInt64] in
            let certificates = (
                client: DTLSCertificate.simulated(seed: 1), server: DTLSCertificate.simulated(seed: 2)
            )
            precondition(EdgeSimulatedTests.digest(certificates) == digest)
        }
    }

    /// Of every datagram of a lossy handshake; 0 where it did not connect.
    private static func digest(_ certificates: (client: DTLSCertificate, server: DTLSCertificate)) -> UInt64 {
        let pair = EdgePair(clientRole: .client, certificates: certificates, at: testNow(), seed: 5)
        var generator = SeededGenerator(seed: 6)
        var digest: UInt64 = 0xcbf2_9ce4_8422_2325
        for time in stride(from: Int64(0), through: 3_000, by: 10) {
            pair.client.advance(to: testNow(time))
            pair.server.advance(to: testNow(time))
            for _ in 0..<3 {
                for (from, to) in [(pair.client, pair.server), (pair.server, pair.client)] {
                    for sent in from.takeSent() {
                        for byte in sent.bytes { digest = (digest ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
                        if generator.integer(below: 3) > 0 {
                            to.receive(sent.bytes, from: from.address, at: testNow(time))
                        }
                    }
                }
            }
        }
        return pair.isConnected ? digest : 0
    }
}
