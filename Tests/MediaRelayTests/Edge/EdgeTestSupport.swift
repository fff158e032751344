import MediaRelay
import SwarmCore

/// Bytes from hexadecimal text; blanks are skipped.
func hexBytes(_ text: String) -> [UInt8] {
    var bytes: [UInt8] = []
    var high: UInt8?
    for character in text {
        guard let digit = character.hexDigitValue else { continue }
        if let first = high {
            bytes.append(first << 4 | UInt8(digit))
            high = nil
        } else {
            high = UInt8(digit)
        }
    }
    return bytes
}

func hexText(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef")
    return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
}

func randomBytes(_ count: Int, _ generator: inout SeededGenerator) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next() >> 24) }
}

func testNow(_ milliseconds: Int64 = 0) -> Now {
    Now(monotonic: MonotonicInstant(nanoseconds: 1_000_000_000), wallMilliseconds: 1_800_000_000_000)
        + .milliseconds(milliseconds)
}

/// An RTP packet with optional CSRCs and extension, and its header's length.
func rtpPacket(
    sequence: UInt16, ssrc: UInt32, payload: [UInt8], csrcCount: Int = 0, extensionWords: Int? = nil
) -> (packet: [UInt8], headerLength: Int) {
    var packet: [UInt8] = [
        0x80 | UInt8(csrcCount) | (extensionWords == nil ? 0 : 0x10), 96, UInt8(sequence >> 8), UInt8(sequence & 255),
        0,
        1, 2, 3,
    ]
    for shift: UInt32 in [24, 16, 8, 0] { packet.append(UInt8(truncatingIfNeeded: ssrc >> shift)) }
    packet += Array(repeating: 0xcc, count: 4 * csrcCount)
    if let words = extensionWords {
        packet += [0xbe, 0xde, UInt8(words >> 8), UInt8(words & 255)] + Array(repeating: 0x10, count: 4 * words)
    }
    return (packet + payload, packet.count)
}

/// A context behind a reference, because the testing macros copy what they call methods on.
final class SRTPEnd {
    private var context: SRTPContext
    var refusals = Counters<EdgeRefusal>()

    init(_ keys: SRTPSessionKeys) { context = SRTPContext(keys) }

    var sourceCount: Int { context.sourceCount }

    func protectRTP(_ packet: [UInt8], headerLength: Int, index: UInt64, room: Int = 16) -> [UInt8]? {
        var buffer = packet + Array(repeating: 0, count: room)
        var span = buffer.mutableSpan
        guard let count = context.protectRTP(&span, count: packet.count, headerLength: headerLength, index: index)
        else { return nil }
        return Array(buffer.prefix(count))
    }

    func protectRTCP(_ packet: [UInt8], room: Int = 20) -> [UInt8]? {
        var buffer = packet + Array(repeating: 0, count: room)
        var span = buffer.mutableSpan
        guard let count = context.protectRTCP(&span, count: packet.count) else { return nil }
        return Array(buffer.prefix(count))
    }

    func unprotectRTP(_ packet: [UInt8]) -> [UInt8]? {
        var buffer = packet
        var span = buffer.mutableSpan
        guard let count = context.unprotectRTP(&span, refusals: &refusals) else { return nil }
        return Array(buffer.prefix(count))
    }

    func unprotectRTCP(_ packet: [UInt8]) -> [UInt8]? {
        var buffer = packet
        var span = buffer.mutableSpan
        guard let count = context.unprotectRTCP(&span, refusals: &refusals) else { return nil }
        return Array(buffer.prefix(count))
    }
}
