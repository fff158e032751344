import SwarmCore

/// The parts of STUN (RFC 8489) that ICE uses.
package enum STUN {
    package static var magicCookie: UInt32 { 0x2112_a442 }
    package static var headerBytes: Int { 20 }

    /// A message type of the binding method (RFC 8489 §5).
    package enum Kind: UInt16, Sendable {
        case request = 0x0001
        case indication = 0x0011
        case success = 0x0101
        case error = 0x0111
    }

    package enum Attribute: UInt16, Sendable {
        case mappedAddress = 0x0001
        case username = 0x0006
        case messageIntegrity = 0x0008
        case errorCode = 0x0009
        case unknownAttributes = 0x000a
        case realm = 0x0014
        case nonce = 0x0015
        case xorMappedAddress = 0x0020
        case priority = 0x0024
        case useCandidate = 0x0025
        case fingerprint = 0x8028
        case iceControlled = 0x8029
        case iceControlling = 0x802a
    }

    package static var unauthenticated: UInt16 { 401 }
    package static var unknownAttribute: UInt16 { 420 }
    package static var roleConflict: UInt16 { 487 }
}

/// The 96-bit transaction id.
package struct STUNTransactionID: Hashable, Sendable {
    package var high: UInt32
    package var low: UInt64
    package init(high: UInt32, low: UInt64) {
        self.high = high
        self.low = low
    }
    package init(using generator: inout SeededGenerator) {
        self.init(high: UInt32(truncatingIfNeeded: generator.next() >> 32), low: generator.next())
    }
}

/// A STUN message where it lies: parsed once, nothing copied.
///
/// Attributes behind MESSAGE-INTEGRITY are ignored except FINGERPRINT (RFC 8489 §14.5); of a repeated attribute the
/// first counts (§14).
package struct STUNMessage: ~Escapable {
    private let bytes: Span<UInt8>
    package let kind: STUN.Kind
    package let transaction: STUNTransactionID
    package private(set) var priority: UInt32?
    package private(set) var useCandidate = false
    package private(set) var iceControlling: UInt64?
    package private(set) var iceControlled: UInt64?
    package private(set) var xorMappedAddress: NetworkAddress?
    package private(set) var errorCode: UInt16?
    /// The first comprehension-required attributes that nobody here knows, at most four, and how many there are.
    package private(set) var unknownAttributes = InlineArray<4, UInt16>(repeating: 0)
    package private(set) var unknownAttributeCount = 0
    private var usernameRange: Range<Int>?
    private var integrityOffset: Int?
    private var fingerprintOffset: Int?

    /// Nil unless `datagram` is one well-formed binding message and nothing else.
    @_lifetime(copy datagram)
    package init?(_ datagram: Span<UInt8>) {
        guard datagram.count >= STUN.headerBytes, datagram.count <= EdgeLimits.stunBytes, datagram.count & 3 == 0,
            let kind = STUN.Kind(rawValue: datagram.loadUInt16(at: 0)),
            Int(datagram.loadUInt16(at: 2)) == datagram.count - STUN.headerBytes,
            datagram.loadUInt32(at: 4) == STUN.magicCookie
        else { return nil }
        bytes = datagram
        self.kind = kind
        transaction = STUNTransactionID(high: datagram.loadUInt32(at: 8), low: datagram.loadUInt64(at: 12))
        guard parseAttributes() else { return nil }
    }

    /// USERNAME's value.
    package var username: Span<UInt8>? {
        @_lifetime(copy self)
        get {
            guard let usernameRange else { return nil }
            return bytes.extracting(usernameRange)
        }
    }

    package var hasIntegrity: Bool { integrityOffset != nil }
    package var hasFingerprint: Bool { fingerprintOffset != nil }

    /// Whether MESSAGE-INTEGRITY is there and right (RFC 8489 §14.5): HMAC-SHA1 over everything before it, with the
    /// length field as if it were the last attribute.
    package func verifyIntegrity(_ key: HMACSHA1Key) -> Bool {
        guard let integrityOffset else { return false }
        let tag = STUNMessage.integrity(over: bytes.extracting(0..<integrityOffset), key: key)
        return tag.matches(bytes.extracting((integrityOffset + 4)..<(integrityOffset + 24)))
    }

    /// Whether FINGERPRINT, if there, is right (§14.7).
    package var fingerprintIsAcceptable: Bool {
        guard let fingerprintOffset else { return true }
        let checksum = CRC32.checksum(bytes.extracting(0..<fingerprintOffset)) ^ 0x5354_554e
        return checksum == bytes.loadUInt32(at: fingerprintOffset + 4)
    }

    /// HMAC over `head`, a message without its MESSAGE-INTEGRITY, whose length field need not count it yet.
    static func integrity(over head: Span<UInt8>, key: HMACSHA1Key) -> HMACSHA1Tag {
        let length = UInt16(truncatingIfNeeded: head.count - STUN.headerBytes + 24)
        let start: InlineArray<4, UInt8> = [
            head[0], head[1], UInt8(truncatingIfNeeded: length >> 8), UInt8(truncatingIfNeeded: length),
        ]
        return key.tag(start.span, head.extracting(4..<head.count))
    }

    // MARK: Finding the session

    /// Where in `datagram` the part of USERNAME before its colon lies: the receiver's username fragment
    /// (RFC 8445 §7.2.2). Nil where the datagram is no well-formed check. Only a hint: nothing is authenticated yet.
    package static func localUsernameFragment(of datagram: Span<UInt8>) -> Range<Int>? {
        guard datagram.count >= STUN.headerBytes, datagram.count <= EdgeLimits.stunBytes,
            datagram.loadUInt16(at: 0) == STUN.Kind.request.rawValue, datagram.loadUInt32(at: 4) == STUN.magicCookie
        else { return nil }
        var offset = STUN.headerBytes
        while offset + 4 <= datagram.count {
            let length = Int(datagram.loadUInt16(at: offset + 2))
            let start = offset + 4
            guard start + length <= datagram.count else { return nil }
            if datagram.loadUInt16(at: offset) == STUN.Attribute.username.rawValue {
                for index in start..<(start + length) where datagram[index] == 0x3a { return start..<index }
                return nil
            }
            offset = start + (length + 3) & ~3
        }
        return nil
    }

    // MARK: Parsing

    @_lifetime(self: copy self)
    private mutating func parseAttributes() -> Bool {
        var offset = STUN.headerBytes
        while offset < bytes.count {
            guard offset + 4 <= bytes.count else { return false }
            let type = bytes.loadUInt16(at: offset)
            let length = Int(bytes.loadUInt16(at: offset + 2))
            let value = offset + 4
            guard value + (length + 3) & ~3 <= bytes.count, fingerprintOffset == nil else { return false }
            if let attribute = STUN.Attribute(rawValue: type) {
                guard parse(attribute, at: offset, value: value..<(value + length)) else { return false }
            } else if type < 0x8000, integrityOffset == nil {
                if unknownAttributeCount < 4 { unknownAttributes[unknownAttributeCount] = type }
                unknownAttributeCount += 1
            }
            offset = value + (length + 3) & ~3
        }
        return true
    }

    @_lifetime(self: copy self)
    private mutating func parse(_ attribute: STUN.Attribute, at offset: Int, value: Range<Int>) -> Bool {
        if attribute == .fingerprint {
            guard value.count == 4 else { return false }
            fingerprintOffset = offset
            return true
        }
        guard integrityOffset == nil else { return true }
        switch attribute {
        case .username:
            // RFC 8489 §14.3: fewer than 509 bytes.
            guard value.count <= 513 else { return false }
            if usernameRange == nil { usernameRange = value }
        case .messageIntegrity:
            guard value.count == 20 else { return false }
            integrityOffset = offset
        case .priority:
            guard value.count == 4 else { return false }
            if priority == nil { priority = bytes.loadUInt32(at: value.lowerBound) }
        case .useCandidate:
            useCandidate = true
        case .iceControlled:
            guard value.count == 8 else { return false }
            if iceControlled == nil { iceControlled = bytes.loadUInt64(at: value.lowerBound) }
        case .iceControlling:
            guard value.count == 8 else { return false }
            if iceControlling == nil { iceControlling = bytes.loadUInt64(at: value.lowerBound) }
        case .errorCode:
            guard value.count >= 4 else { return false }
            let number = UInt16(bytes[value.lowerBound + 2] & 7) * 100 + UInt16(bytes[value.lowerBound + 3])
            if errorCode == nil { errorCode = number }
        case .xorMappedAddress:
            guard let address = parseXORAddress(value) else { return false }
            if xorMappedAddress == nil { xorMappedAddress = address }
        case .mappedAddress, .unknownAttributes, .realm, .nonce, .fingerprint:
            break
        }
        return true
    }

    /// RFC 8489 §14.2.
    private func parseXORAddress(_ value: Range<Int>) -> NetworkAddress? {
        guard value.count >= 8 else { return nil }
        let start = value.lowerBound
        let port = bytes.loadUInt16(at: start + 2) ^ UInt16(truncatingIfNeeded: STUN.magicCookie >> 16)
        switch (bytes[start + 1], value.count) {
        case (1, 8):
            return NetworkAddress(ipv4: bytes.loadUInt32(at: start + 4) ^ STUN.magicCookie, port: port)
        case (2, 20):
            let high = bytes.loadUInt64(at: start + 4) ^ STUN.addressMaskHigh(transaction)
            return NetworkAddress(high: high, low: bytes.loadUInt64(at: start + 12) ^ transaction.low, port: port)
        default:
            return nil
        }
    }
}

extension STUN {
    /// The first eight bytes an IPv6 address is masked with: the cookie and the transaction id's head.
    static func addressMaskHigh(_ transaction: STUNTransactionID) -> UInt64 {
        UInt64(magicCookie) << 32 | UInt64(transaction.high)
    }
}

/// The key under which a worker finds a session by its local username fragment: FNV-1a, 64 bits. Not authenticated:
/// a hit is confirmed by `EdgeTransport.accepts(username:)`.
package enum UsernameFragmentHash {
    package static func of(_ fragment: Span<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for index in fragment.indices { hash = (hash ^ UInt64(fragment[index])) &* 0x100_0000_01b3 }
        return hash
    }

    package static func of(_ fragment: String) -> UInt64 {
        let utf8 = Array(fragment.utf8)
        return of(utf8.span)
    }
}

/// CRC-32 as in ITU-T V.42 (reflected, polynomial 0xEDB88320), which FINGERPRINT uses.
enum CRC32 {
    private static let table: [UInt32] = (0..<256).map { (start: UInt32) -> UInt32 in
        var value = start
        for _ in 0..<8 { value = value & 1 == 0 ? value >> 1 : value >> 1 ^ 0xedb8_8320 }
        return value
    }

    static func checksum(_ bytes: Span<UInt8>) -> UInt32 {
        let table = Self.table
        var value: UInt32 = 0xffff_ffff
        for index in bytes.indices { value = value >> 8 ^ table[Int((value ^ UInt32(bytes[index])) & 0xff)] }
        return ~value
    }
}
