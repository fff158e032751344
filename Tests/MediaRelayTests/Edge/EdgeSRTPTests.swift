import MediaRelay
import SwarmCore
import Testing

/// Two contexts with matching keys: order, loss, replay, wrap, limits, hostile input.
@Suite struct EdgeSRTPTests {
    static func pair(_ profile: SRTPProfile, seed: UInt64 = 1) -> (SRTPSessionKeys, SRTPSessionKeys) {
        (
            .derived(profile: profile, seed: seed, isServer: false),
            .derived(profile: profile, seed: seed, isServer: true)
        )
    }

    @Test(arguments: SRTPProfile.allCases)
    func carriesPacketsAcrossWrapsInDisorder(profile: SRTPProfile) throws {
        var generator = SeededGenerator(seed: 11)
        let keys = Self.pair(profile)
        let sender = SRTPEnd(keys.0)
        let receiver = SRTPEnd(keys.1)
        // From just below one wrap over two more, swapping neighbours and losing some.
        var index: UInt64 = 65_000
        var held: ([UInt8], [UInt8])?
        while index < 65_536 * 3 + 100 {
            let payload = randomBytes(generator.integer(below: 40), &generator)
            let (packet, header) = rtpPacket(
                sequence: UInt16(truncatingIfNeeded: index), ssrc: 7, payload: payload,
                csrcCount: generator.integer(below: 3), extensionWords: generator.integer(below: 2) == 0 ? nil : 2)
            let sealed = try #require(sender.protectRTP(packet, headerLength: header, index: index))
            if held == nil, generator.integer(below: 8) == 0 {
                held = (packet, sealed)
            } else {
                #expect(receiver.unprotectRTP(sealed) == packet)
                if let (late, lateSealed) = held {
                    #expect(receiver.unprotectRTP(lateSealed) == late)
                    held = nil
                }
            }
            index += generator.integer(below: 4) == 0 ? UInt64(1 + generator.integer(below: 300)) : 1
        }
        #expect(receiver.refusals.total == 0)
    }

    @Test(arguments: SRTPProfile.allCases)
    func refusesReplaysAndChangedBits(profile: SRTPProfile) throws {
        let keys = Self.pair(profile)
        let sender = SRTPEnd(keys.0)
        let receiver = SRTPEnd(keys.1)
        let (packet, header) = rtpPacket(sequence: 9, ssrc: 7, payload: [1, 2, 3], extensionWords: 1)
        let sealed = try #require(sender.protectRTP(packet, headerLength: header, index: 9))
        for index in sealed.indices {
            var changed = sealed
            changed[index] ^= 0x04
            #expect(receiver.unprotectRTP(changed) == nil, "byte \(index)")
        }
        #expect(receiver.sourceCount == 0, "a forged packet must leave no state")
        #expect(receiver.unprotectRTP(sealed) == packet)
        #expect(receiver.unprotectRTP(sealed) == nil)
        #expect(receiver.refusals[.rtpReplayed] == 1)
        let again = sender.protectRTP(packet, headerLength: header, index: 9)
        #expect(again == sealed, "the same packet under the same index must be byte-identical")

        let report: [UInt8] = [0x80, 201, 0, 1, 0, 0, 0, 7]
        let first = try #require(sender.protectRTCP(report))
        let second = try #require(sender.protectRTCP(report))
        #expect(first != second)
        for index in first.indices {
            var changed = first
            changed[index] ^= 0x80
            #expect(receiver.unprotectRTCP(changed) == nil, "byte \(index)")
        }
        #expect(receiver.unprotectRTCP(second) == report)
        #expect(receiver.unprotectRTCP(first) == report)
        #expect(receiver.unprotectRTCP(first) == nil)
        #expect(receiver.refusals[.rtcpReplayed] == 1)
    }

    @Test func remembersAThousandPackets() throws {
        let keys = Self.pair(.aes128GCM)
        let sender = SRTPEnd(keys.0)
        let receiver = SRTPEnd(keys.1)
        func sealed(_ index: UInt64) throws -> [UInt8] {
            let (packet, header) = rtpPacket(sequence: UInt16(truncatingIfNeeded: index), ssrc: 1, payload: [1])
            return try #require(sender.protectRTP(packet, headerLength: header, index: index))
        }
        let newest = try sealed(5000)
        let (edge, outside) = (try sealed(5000 - 1023), try sealed(5000 - 1024))
        #expect(receiver.unprotectRTP(newest) != nil)
        #expect(receiver.unprotectRTP(edge) != nil)
        #expect(receiver.unprotectRTP(edge) == nil)
        #expect(receiver.unprotectRTP(outside) == nil)
        #expect(receiver.refusals[.rtpReplayed] == 2)
        // A jump beyond the window forgets it, and the ring's old bits with it.
        let jump = try sealed(5000 + 1024 * 4)
        #expect(receiver.unprotectRTP(jump) != nil)
        let near = try sealed(5000 + 1024 * 3 + 1)
        #expect(receiver.unprotectRTP(near) != nil)
    }

    @Test func boundsItsSources() throws {
        let keys = Self.pair(.aes128GCM)
        let sender = SRTPEnd(keys.0)
        let receiver = SRTPEnd(keys.1)
        for ssrc in 0..<UInt32(EdgeLimits.sourcesPerSession + 50) {
            let (packet, header) = rtpPacket(sequence: 1, ssrc: ssrc, payload: [1])
            let sealed = try #require(sender.protectRTP(packet, headerLength: header, index: 1))
            _ = receiver.unprotectRTP(sealed)
        }
        #expect(receiver.sourceCount == EdgeLimits.sourcesPerSession)
        #expect(receiver.refusals[.sourceTableFull] == 50)
    }

    @Test(arguments: SRTPProfile.allCases)
    func refusesWhatHasNoRoomAndSurvivesGarbage(profile: SRTPProfile) {
        let keys = Self.pair(profile)
        let context = SRTPEnd(keys.0)
        var generator = SeededGenerator(seed: 3)
        let packet = rtpPacket(sequence: 1, ssrc: 1, payload: [1, 2, 3]).packet
        #expect(context.protectRTP(packet, headerLength: 12, index: 1, room: 9) == nil)
        #expect(context.protectRTP(packet, headerLength: packet.count + 1, index: 1) == nil)
        #expect(context.protectRTP(packet, headerLength: 11, index: 1) == nil)
        #expect(context.protectRTCP(packet, room: 13) == nil)
        #expect(context.protectRTCP([0x80, 200, 0, 0]) == nil)
        for length in 0...2048 {
            var bytes = randomBytes(length, &generator)
            if length > 0 { bytes[0] = 0x80 | bytes[0] & 0x3f }
            #expect(context.unprotectRTP(bytes) == nil)
            #expect(context.unprotectRTCP(bytes) == nil)
        }
        #expect(context.refusals.total == 4098)
        #expect(context.sourceCount == 0)
    }
}
