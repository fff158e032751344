import MediaRelay
import SwarmCore
import Testing

/// Inputs that were once too expensive, or deadly; found by reading the code as an attacker.
@Suite struct HostileBoundsTests {
    /// 65,535 statuses in 20 bytes: refused, so that nobody spends our time by run lengths.
    @Test func feedbackAboutTooManyPacketsIsRefused() {
        var body: [UInt8] = [0, 1, 0xff, 0xff, 0, 0, 0, 0]
        for _ in 0..<8 { body += [0x1f, 0xff] }
        body += [0x00, 0x07]
        let refused = TransportFeedbackReader(body.span) == nil
        #expect(refused)
        var modest: [UInt8] = [0, 1, 0x08, 0, 0, 0, 0, 0]
        modest += [0x08, 0x00]
        let accepted = TransportFeedbackReader(modest.span) != nil
        #expect(accepted, "2,048 statuses of nothing received")
    }

    /// The greatest epoch leaves no room for a later publication: `epoch + 1` must never overflow.
    @Test func anEpochBeyondAVarintIsMalformed() throws {
        var descriptor = StreamDescriptor(epoch: VarInt.max, version: 1, tracks: [])
        let highest = try #require(descriptor.encode())
        #expect(StreamDescriptor(decoding: highest.span) == descriptor)
        descriptor.epoch = VarInt.max + 1
        if let beyond = descriptor.encode() { #expect(StreamDescriptor(decoding: beyond.span) == nil) }
    }

    /// A payload type counts once, however often its line repeats it.
    @Test func repeatedPayloadTypesCountOnce() throws {
        let types = Array(repeating: "96", count: 30).joined(separator: " ")
        let text =
            "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF \(types) 97 97\r\n"
            + "a=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n"
        let description = try SessionDescription(parsing: text)
        let offers = try #require(description.media.first).codecOffers
        #expect(offers.count == 1 && offers.first?.retransmissionPayloadType == 97)
    }
}
