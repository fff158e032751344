import SwarmCore

/// An RTP packet's header (RFC 3550 §5.1), parsed once: fields by value, extensions and payload by their place.
package struct RTPHeader: Sendable, Equatable {
    package var marker: Bool
    package var payloadType: UInt8
    package var sequence: UInt16
    package var timestamp: UInt32
    package var ssrc: UInt32
    /// Where the header extension's elements lie (RFC 8285); empty without one or with a profile we do not know.
    package var extensionRange: Range<Int>
    /// RFC 8285 §4.3: elements of two-byte headers.
    package var hasTwoByteExtensions: Bool
    /// Without padding.
    package var payloadRange: Range<Int>
    package var paddingCount: Int

    /// Nil for what is not RTP version 2 or contradicts its own lengths.
    package init?(_ packet: Span<UInt8>) {
        guard packet.count >= 12, packet[0] >> 6 == 2 else { return nil }
        marker = packet[1] & 0x80 != 0
        payloadType = packet[1] & 0x7f
        sequence = packet.loadUInt16(at: 2)
        timestamp = packet.loadUInt32(at: 4)
        ssrc = packet.loadUInt32(at: 8)
        extensionRange = 0..<0
        hasTwoByteExtensions = false
        var offset = 12 + Int(packet[0] & 0x0f) * 4
        guard offset <= packet.count else { return nil }
        if packet[0] & 0x10 != 0 {
            guard offset + 4 <= packet.count else { return nil }
            let profile = packet.loadUInt16(at: offset)
            let length = Int(packet.loadUInt16(at: offset + 2)) * 4
            offset += 4
            guard offset + length <= packet.count else { return nil }
            if profile == 0xbede {
                extensionRange = offset..<(offset + length)
            } else if profile & 0xfff0 == 0x1000 {
                extensionRange = offset..<(offset + length)
                hasTwoByteExtensions = true
            }
            offset += length
        }
        var end = packet.count
        paddingCount = 0
        if packet[0] & 0x20 != 0 {
            guard end > offset else { return nil }
            paddingCount = Int(packet[end - 1])
            guard paddingCount > 0, paddingCount <= end - offset else { return nil }
            end -= paddingCount
        }
        payloadRange = offset..<end
    }

    /// The length of the header with CSRCs and extension, or nil where the packet is too short for what it states. What
    /// SRTP leaves in the clear (RFC 3711 §3.1).
    package static func length(of packet: Span<UInt8>) -> Int? {
        guard packet.count >= 12, packet[0] >> 6 == 2 else { return nil }
        var offset = 12 + Int(packet[0] & 0x0f) * 4
        if packet[0] & 0x10 != 0 {
            guard offset + 4 <= packet.count else { return nil }
            offset += 4 + Int(packet.loadUInt16(at: offset + 2)) * 4
        }
        return offset <= packet.count ? offset : nil
    }
}

/// Walks the elements of a header extension (RFC 8285). Elements that overrun the extension end the walk.
package struct HeaderExtensionIterator {
    private var offset: Int
    private let end: Int
    private let isTwoByte: Bool

    package init(_ header: RTPHeader) {
        offset = header.extensionRange.lowerBound
        end = header.extensionRange.upperBound
        isTwoByte = header.hasTwoByteExtensions
    }

    /// The next element's id and the place of its value in `packet`.
    package mutating func next(in packet: Span<UInt8>) -> (id: UInt8, value: Range<Int>)? {
        while offset < end {
            let first = packet[offset]
            if first == 0 {
                // Padding between elements.
                offset += 1
                continue
            }
            let id: UInt8
            let length: Int
            if isTwoByte {
                guard offset + 2 <= end else { return nil }
                id = first
                length = Int(packet[offset + 1])
                offset += 2
            } else {
                id = first >> 4
                length = Int(first & 0x0f) + 1
                offset += 1
                // Id 15 is reserved and ends processing (RFC 8285 §4.2).
                guard id != 15 else { return nil }
            }
            guard offset + length <= end else { return nil }
            let value = offset..<(offset + length)
            offset += length
            return (id, value)
        }
        return nil
    }
}

/// Extends 16-bit sequence numbers to 64 bits: the nearest to the highest seen (RFC 3550 A.1 in spirit).
package struct SequenceUnwrapper: Sendable {
    /// The highest extended number so far, or nil before the first.
    package private(set) var highest: UInt64?
    /// Added so that numbers from before the first packet stay positive.
    private static let firstCycle: UInt64 = 1 << 16

    package init() {}

    package func peek(_ sequence: UInt16) -> UInt64 {
        guard let highest else { return Self.firstCycle | UInt64(sequence) }
        let step = Int16(bitPattern: sequence &- UInt16(truncatingIfNeeded: highest))
        return highest &+ UInt64(bitPattern: Int64(step))
    }

    package mutating func unwrap(_ sequence: UInt16) -> UInt64 {
        let extended = peek(sequence)
        if let highest, extended <= highest { return extended }
        highest = extended
        return extended
    }
}

/// Reconstructs a 64-bit counter from its low 32 bits: the value nearest to `expected`.
package enum Counter64 {
    package static func expand(_ low: UInt32, near expected: UInt64) -> UInt64 {
        let step = Int32(bitPattern: low &- UInt32(truncatingIfNeeded: expected))
        if step < 0, UInt64(step.magnitude) > expected { return UInt64(low) }
        return expected &+ UInt64(bitPattern: Int64(step))
    }
}
