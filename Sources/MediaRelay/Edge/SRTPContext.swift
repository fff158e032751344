import SwarmCore

/// SRTP and SRTCP of one session in both directions (RFC 3711; RFC 7714 for GCM), in place, without allocation per
/// packet. Without MKI, without header encryption, key derivation rate 0.
///
/// Towards the peer the caller owns the indices of RTP (it rewrites sequence numbers anyway), so that a retransmission
/// under the same index is byte-identical; SRTCP indices are counted here, one counter for all our sources, which
/// keeps every index unique as §3.4 asks. From the peer, indices are estimated and replays refused per source.
package struct SRTPContext: ~Copyable, Sendable {
    private let profile: SRTPProfile
    private let sendRTP: SRTPCipher
    private let sendRTCP: SRTPCipher
    private let receiveRTP: SRTPCipher
    private let receiveRTCP: SRTPCipher
    private var rtpSources = ReceivedSourceTable()
    private var rtcpSources = ReceivedSourceTable()
    private var nextControlIndex: UInt32 = 1

    /// The most a packet grows by.
    package static var rtpOverhead: Int { 16 }
    package static var rtcpOverhead: Int { 20 }

    package init(_ keys: SRTPSessionKeys) {
        profile = keys.profile
        sendRTP = SRTPCipher(
            profile: profile, masterKey: keys.sendKey, masterSalt: keys.sendSalt, use: .rtp, sealing: true)
        sendRTCP = SRTPCipher(
            profile: profile, masterKey: keys.sendKey, masterSalt: keys.sendSalt, use: .rtcp, sealing: true)
        receiveRTP = SRTPCipher(
            profile: profile, masterKey: keys.receiveKey, masterSalt: keys.receiveSalt, use: .rtp, sealing: false)
        receiveRTCP = SRTPCipher(
            profile: profile, masterKey: keys.receiveKey, masterSalt: keys.receiveSalt, use: .rtcp, sealing: false)
    }

    /// Sources heard so far, of RTP and RTCP together.
    package var sourceCount: Int { rtpSources.count + rtcpSources.count }

    // MARK: RTP

    /// Protects the RTP packet in the first `count` bytes of `packet`, whose header (with CSRCs and extensions) has
    /// `headerLength` bytes and whose sequence number is the low 16 bits of `index`. Returns the new length, or nil
    /// where `packet` has no room for the tag.
    package func protectRTP(
        _ packet: inout MutableSpan<UInt8>, count: Int, headerLength: Int, index: UInt64
    ) -> Int? {
        guard headerLength >= 12, headerLength <= count, count + profile.tagByteCount <= packet.count else {
            return nil
        }
        let ssrc = packet.span.loadUInt32(at: 8)
        if profile.isGCM {
            let none = InlineArray<0, UInt8>(repeating: 0)
            let sealed = sendRTP.sealGCM(
                &packet, plaintext: headerLength..<count, trailer: none.span, ssrc: ssrc, index: index)
            return sealed ? count + 16 : nil
        }
        guard sendRTP.applyCounterMode(&packet, range: headerLength..<count, ssrc: ssrc, index: index) else {
            return nil
        }
        let tag = sendRTP.tag(
            packet.span.extracting(0..<count), rolloverCounter: UInt32(truncatingIfNeeded: index >> 16))
        packet.copy(tag.bytes.span.extracting(0..<10), to: count)
        return count + 10
    }

    /// Authenticates and decrypts the SRTP packet that fills `packet`. Returns the plaintext's length, or nil after
    /// counting why not.
    package mutating func unprotectRTP(
        _ packet: inout MutableSpan<UInt8>, refusals: inout Counters<EdgeRefusal>
    ) -> Int? {
        guard let headerLength = Self.rtpHeaderLength(packet.span),
            headerLength + profile.tagByteCount <= packet.count
        else {
            refusals.add(.rtpMalformed)
            return nil
        }
        let sequence = packet.span.loadUInt16(at: 2)
        let ssrc = packet.span.loadUInt32(at: 8)
        let position = rtpSources.find(ssrc)
        let index = position.map { rtpSources.sources[$0].estimateIndex(of: sequence) } ?? UInt64(sequence)
        if let position, rtpSources.sources[position].isReplay(index) {
            refusals.add(.rtpReplayed)
            return nil
        }
        let count = packet.count - profile.tagByteCount
        guard openRTP(&packet, payload: headerLength..<count, ssrc: ssrc, index: index) else {
            refusals.add(.rtpUnauthenticated)
            return nil
        }
        if let position {
            rtpSources.sources[position].record(index)
        } else if rtpSources.isFull {
            // Without a row a replay could not be told, so an authentic newcomer is refused too.
            refusals.add(.sourceTableFull)
            return nil
        } else {
            rtpSources.insert(ReceivedSource(ssrc: ssrc, index: index))
        }
        return count
    }

    private func openRTP(
        _ packet: inout MutableSpan<UInt8>, payload: Range<Int>, ssrc: UInt32, index: UInt64
    ) -> Bool {
        if profile.isGCM {
            let none = InlineArray<0, UInt8>(repeating: 0)
            return receiveRTP.openGCM(&packet, ciphertext: payload, trailer: none.span, ssrc: ssrc, index: index)
        }
        let tag = receiveRTP.tag(
            packet.span.extracting(0..<payload.upperBound), rolloverCounter: UInt32(truncatingIfNeeded: index >> 16))
        guard tag.matches(packet.span.extracting(payload.upperBound..<(payload.upperBound + 10))) else { return false }
        return receiveRTP.applyCounterMode(&packet, range: payload, ssrc: ssrc, index: index)
    }

    /// The length of the header with CSRCs and extension (RFC 3550 §5.1, §5.3.1), or nil where the packet is no RTP or
    /// shorter than its header says.
    private static func rtpHeaderLength(_ packet: Span<UInt8>) -> Int? {
        guard packet.count >= 12, packet[0] >> 6 == 2 else { return nil }
        var length = 12 + 4 * Int(packet[0] & 0x0f)
        if packet[0] & 0x10 != 0 {
            guard length + 4 <= packet.count else { return nil }
            length += 4 + 4 * Int(packet.loadUInt16(at: length + 2))
        }
        return length <= packet.count ? length : nil
    }

    // MARK: RTCP

    /// Protects the compound RTCP packet in the first `count` bytes of `packet`. Returns the new length, or nil where
    /// there is no room, no packet, or the 2^31 indices of a session are used up (two years at 30 a second).
    package mutating func protectRTCP(_ packet: inout MutableSpan<UInt8>, count: Int) -> Int? {
        let length = count + profile.tagByteCount + 4
        guard count >= 8, length <= packet.count, nextControlIndex < 1 << 31 else { return nil }
        let ssrc = packet.span.loadUInt32(at: 4)
        let index = nextControlIndex
        nextControlIndex += 1
        let word = 0x8000_0000 | index
        if profile.isGCM {
            packet.store(word, at: count + 16)
            let trailer = Self.bytes(of: word)
            let sealed = sendRTCP.sealGCM(
                &packet, plaintext: 8..<count, trailer: trailer.span, ssrc: ssrc, index: UInt64(index))
            return sealed ? length : nil
        }
        guard sendRTCP.applyCounterMode(&packet, range: 8..<count, ssrc: ssrc, index: UInt64(index)) else { return nil }
        packet.store(word, at: count)
        let tag = sendRTCP.tag(packet.span.extracting(0..<(count + 4)), rolloverCounter: nil)
        packet.copy(tag.bytes.span.extracting(0..<10), to: count + 4)
        return length
    }

    /// Authenticates and decrypts the SRTCP packet that fills `packet`. Returns the plaintext's length, or nil after
    /// counting why not. A packet sent in the clear (E flag 0) is refused: no DTLS-SRTP profile allows it.
    package mutating func unprotectRTCP(
        _ packet: inout MutableSpan<UInt8>, refusals: inout Counters<EdgeRefusal>
    ) -> Int? {
        let count = packet.count - profile.tagByteCount - 4
        guard count >= 8, packet.span[0] >> 6 == 2 else {
            refusals.add(.rtcpMalformed)
            return nil
        }
        let word = packet.span.loadUInt32(at: profile.isGCM ? packet.count - 4 : count)
        let index = UInt64(word & 0x7fff_ffff)
        let ssrc = packet.span.loadUInt32(at: 4)
        let position = rtcpSources.find(ssrc)
        if let position, rtcpSources.sources[position].isReplay(index) {
            refusals.add(.rtcpReplayed)
            return nil
        }
        guard word >> 31 == 1, openRTCP(&packet, count: count, word: word, ssrc: ssrc) else {
            refusals.add(.rtcpUnauthenticated)
            return nil
        }
        if let position {
            rtcpSources.sources[position].record(index)
        } else if rtcpSources.isFull {
            refusals.add(.sourceTableFull)
            return nil
        } else {
            rtcpSources.insert(ReceivedSource(ssrc: ssrc, index: index))
        }
        return count
    }

    private func openRTCP(_ packet: inout MutableSpan<UInt8>, count: Int, word: UInt32, ssrc: UInt32) -> Bool {
        let index = UInt64(word & 0x7fff_ffff)
        if profile.isGCM {
            let trailer = Self.bytes(of: word)
            return receiveRTCP.openGCM(&packet, ciphertext: 8..<count, trailer: trailer.span, ssrc: ssrc, index: index)
        }
        let tag = receiveRTCP.tag(packet.span.extracting(0..<(count + 4)), rolloverCounter: nil)
        guard tag.matches(packet.span.extracting((count + 4)..<(count + 14))) else { return false }
        return receiveRTCP.applyCounterMode(&packet, range: 8..<count, ssrc: ssrc, index: index)
    }

    private static func bytes(of word: UInt32) -> InlineArray<4, UInt8> {
        [
            UInt8(truncatingIfNeeded: word >> 24), UInt8(truncatingIfNeeded: word >> 16),
            UInt8(truncatingIfNeeded: word >> 8), UInt8(truncatingIfNeeded: word),
        ]
    }
}
