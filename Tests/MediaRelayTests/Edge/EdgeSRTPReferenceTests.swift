import CSRTP
import MediaRelay
import SwarmCore
import Testing

/// The same packets through libsrtp2, in both directions.
@Suite struct EdgeSRTPReferenceTests {
    @Test(arguments: SRTPProfile.allCases)
    func agreesWithTheReference(profile: SRTPProfile) throws {
        var generator = SeededGenerator(seed: 3711)
        let ourKeys = SRTPSessionKeys.derived(profile: profile, seed: 42, isServer: true)
        let ours = SRTPEnd(ourKeys)
        let theirSender = ReferenceSRTP(profile, key: ourKeys.receiveKey + ourKeys.receiveSalt, isSender: true)
        let theirReceiver = ReferenceSRTP(profile, key: ourKeys.sendKey + ourKeys.sendSalt, isSender: false)
        var index: UInt64 = 65_400
        for _ in 0..<3000 {
            let (packet, header) = rtpPacket(
                sequence: UInt16(truncatingIfNeeded: index), ssrc: 0xdead_0001,
                payload: randomBytes(generator.integer(below: 1200), &generator),
                csrcCount: generator.integer(below: 4),
                extensionWords: generator.integer(below: 2) == 0 ? nil : generator.integer(below: 6))
            let mine = try #require(ours.protectRTP(packet, headerLength: header, index: index))
            #expect(theirReceiver.unprotect(mine, isControl: false) == packet)
            #expect(theirReceiver.unprotect(mine, isControl: false) == nil, "the reference must see a replay")
            let theirs = try #require(theirSender.protect(packet, isControl: false))
            #expect(theirs.count == mine.count)
            var broken = theirs
            broken[generator.integer(below: broken.count)] ^= 1 << UInt8(generator.integer(below: 8))
            #expect(ours.unprotectRTP(broken) == nil)
            #expect(ours.unprotectRTP(theirs) == packet)
            #expect(ours.unprotectRTP(theirs) == nil)

            let report = [0x80, 200, 0, 6, 0, 0, 0, 9] + randomBytes(4 * generator.integer(below: 40), &generator)
            let mineReport = try #require(ours.protectRTCP(report))
            #expect(theirReceiver.unprotect(mineReport, isControl: true) == report)
            let theirReport = try #require(theirSender.protect(report, isControl: true))
            #expect(ours.unprotectRTCP(theirReport) == report)
            index += generator.integer(below: 10) == 0 ? UInt64(generator.integer(below: 2000)) + 1 : 1
        }
        #expect(index > 131_072, "the roll-over counter must have moved")
    }
}

/// One direction of libsrtp2.
@safe final class ReferenceSRTP {
    private var session: srtp_t?
    private static let started: srtp_err_status_t = srtp_init()

    init(_ profile: SRTPProfile, key: [UInt8], isSender: Bool) {
        precondition(Self.started == srtp_err_status_ok)
        var policy = unsafe srtp_policy_t()
        switch profile {
        case .aes128CMSHA1With80BitTag:
            unsafe srtp_crypto_policy_set_rtp_default(&policy.rtp)
            unsafe srtp_crypto_policy_set_rtcp_default(&policy.rtcp)
        case .aes128GCM:
            unsafe srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp)
            unsafe srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp)
        case .aes256GCM:
            unsafe srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtp)
            unsafe srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtcp)
        }
        unsafe policy.ssrc.type = isSender ? ssrc_any_outbound : ssrc_any_inbound
        unsafe policy.window_size = 1024
        var secret = key
        unsafe secret.withUnsafeMutableBufferPointer { bytes in
            unsafe policy.key = bytes.baseAddress
            let status = unsafe srtp_create(&session, &policy)
            precondition(status == srtp_err_status_ok, "srtp_create: \(status)")
        }
    }

    deinit { unsafe _ = srtp_dealloc(session) }

    func protect(_ packet: [UInt8], isControl: Bool) -> [UInt8]? {
        var buffer = packet + Array(repeating: 0, count: 64)
        var count = Int32(packet.count)
        let status =
            isControl
            ? unsafe srtp_protect_rtcp(session, &buffer, &count) : unsafe srtp_protect(session, &buffer, &count)
        return status == srtp_err_status_ok ? Array(buffer.prefix(Int(count))) : nil
    }

    func unprotect(_ packet: [UInt8], isControl: Bool) -> [UInt8]? {
        var buffer = packet
        var count = Int32(packet.count)
        let status =
            isControl
            ? unsafe srtp_unprotect_rtcp(session, &buffer, &count) : unsafe srtp_unprotect(session, &buffer, &count)
        return status == srtp_err_status_ok ? Array(buffer.prefix(Int(count))) : nil
    }
}
