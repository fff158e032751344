import SwarmCore

/// Builds one STUN binding message in a `ByteWriter`: header, attributes, then `finish`, which adds MESSAGE-INTEGRITY
/// and FINGERPRINT and sets the length.
package enum STUNWriter {
    /// The most any message of ours takes: header 20, USERNAME 4 + 513 + padding, PRIORITY 8, role 12, USE-CANDIDATE 4,
    /// integrity 24, fingerprint 8; replies are shorter.
    package static var capacity: Int { 608 }

    @_lifetime(writer: copy writer)
    package static func begin(_ kind: STUN.Kind, _ transaction: STUNTransactionID, _ writer: inout ByteWriter) {
        writer.append(kind.rawValue)
        writer.append(UInt16(0))
        writer.append(STUN.magicCookie)
        writer.append(transaction.high)
        writer.append(transaction.low)
    }

    @_lifetime(writer: copy writer)
    package static func appendUsername(_ remote: Span<UInt8>, _ local: Span<UInt8>, _ writer: inout ByteWriter) {
        let length = remote.count + 1 + local.count
        appendHeader(.username, length, &writer)
        writer.append(remote)
        writer.append(UInt8(0x3a))
        writer.append(local)
        writer.append(repeating: 0, count: (4 - length & 3) & 3)
    }

    @_lifetime(writer: copy writer)
    package static func append(_ attribute: STUN.Attribute, _ value: UInt32, _ writer: inout ByteWriter) {
        appendHeader(attribute, 4, &writer)
        writer.append(value)
    }

    @_lifetime(writer: copy writer)
    package static func append(_ attribute: STUN.Attribute, _ value: UInt64, _ writer: inout ByteWriter) {
        appendHeader(attribute, 8, &writer)
        writer.append(value)
    }

    @_lifetime(writer: copy writer)
    package static func appendUseCandidate(_ writer: inout ByteWriter) { appendHeader(.useCandidate, 0, &writer) }

    /// RFC 8489 §14.2.
    @_lifetime(writer: copy writer)
    package static func appendXORMappedAddress(
        _ address: NetworkAddress, _ transaction: STUNTransactionID, _ writer: inout ByteWriter
    ) {
        appendHeader(.xorMappedAddress, address.isIPv4 ? 8 : 20, &writer)
        writer.append(UInt8(0))
        writer.append(UInt8(address.isIPv4 ? 1 : 2))
        writer.append(address.port ^ UInt16(truncatingIfNeeded: STUN.magicCookie >> 16))
        if address.isIPv4 {
            writer.append(address.ipv4 ^ STUN.magicCookie)
        } else {
            writer.append(address.high ^ STUN.addressMaskHigh(transaction))
            writer.append(address.low ^ transaction.low)
        }
    }

    /// ERROR-CODE with an empty reason phrase (§14.8).
    @_lifetime(writer: copy writer)
    package static func appendErrorCode(_ code: UInt16, _ writer: inout ByteWriter) {
        append(.errorCode, UInt32(code / 100) << 8 | UInt32(code % 100), &writer)
    }

    /// UNKNOWN-ATTRIBUTES listing `types`, at most four (§14.9).
    @_lifetime(writer: copy writer)
    package static func appendUnknownAttributes(
        _ types: InlineArray<4, UInt16>, count: Int, _ writer: inout ByteWriter
    ) {
        let listed = min(count, 4)
        appendHeader(.unknownAttributes, 2 * listed, &writer)
        for index in 0..<listed { writer.append(types[index]) }
        if listed & 1 == 1 { writer.append(UInt16(0)) }
    }

    /// Adds MESSAGE-INTEGRITY and FINGERPRINT and sets the length field.
    @_lifetime(writer: copy writer)
    package static func finish(_ key: HMACSHA1Key, _ writer: inout ByteWriter) {
        guard !writer.overflowed else { return }
        let tag = integrity(&writer, key)
        appendHeader(.messageIntegrity, 20, &writer)
        writer.append(tag.bytes.span)
        guard !writer.overflowed else { return }
        setLength(writer.count - STUN.headerBytes + 8, &writer)
        append(.fingerprint, checksum(&writer), &writer)
    }

    @_lifetime(writer: copy writer)
    private static func integrity(_ writer: inout ByteWriter, _ key: HMACSHA1Key) -> HMACSHA1Tag {
        let written = writer.written()
        return STUNMessage.integrity(over: written.span, key: key)
    }

    @_lifetime(writer: copy writer)
    private static func checksum(_ writer: inout ByteWriter) -> UInt32 {
        let written = writer.written()
        return CRC32.checksum(written.span) ^ 0x5354_554e
    }

    @_lifetime(writer: copy writer)
    private static func setLength(_ length: Int, _ writer: inout ByteWriter) {
        var written = writer.written()
        written.store(UInt16(truncatingIfNeeded: length), at: 2)
    }

    @_lifetime(writer: copy writer)
    private static func appendHeader(_ attribute: STUN.Attribute, _ length: Int, _ writer: inout ByteWriter) {
        writer.append(attribute.rawValue)
        writer.append(UInt16(truncatingIfNeeded: length))
    }
}
