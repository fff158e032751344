import SwarmCore

/// A contact on the wire: Ed25519 key, address count as a varint (at most 4), then the addresses. The id is computed.
extension ByteReader {
    package mutating func readContact(_ suite: CryptoSuite) -> Contact? {
        guard let key = readBytes32(), let addresses = readAddressList() else { return nil }
        return suite.contact(PublicKey(key), addresses)
    }

    /// A varint count of at most four, then that many addresses, none twice.
    package mutating func readAddressList() -> AddressList? {
        guard let count = readVarint(limit: UInt64(AddressList.capacity)) else { return nil }
        var addresses = AddressList()
        for _ in 0..<count {
            guard let address = readAddress() else { return nil }
            addresses.append(address)
        }
        guard addresses.count == Int(count) else { return nil }
        return addresses
    }

    /// Kind (4 or 6), 4 or 16 address bytes, port. An IPv4 address in IPv6 form is malformed: one value, one encoding.
    package mutating func readAddress() -> NetworkAddress? {
        switch readUInt8() {
        case 4:
            guard let ipv4 = readUInt32(), let port = readUInt16() else { return nil }
            return NetworkAddress(ipv4: ipv4, port: port)
        case 6:
            guard let high = readUInt64(), let low = readUInt64(), let port = readUInt16() else { return nil }
            let address = NetworkAddress(high: high, low: low, port: port)
            return address.isIPv4 ? nil : address
        default:
            return nil
        }
    }
}

extension ByteWriter {
    @_lifetime(self: copy self)
    package mutating func append(_ contact: Contact) {
        append(contact.key.bytes)
        append(contact.addresses)
    }

    @_lifetime(self: copy self)
    package mutating func append(_ addresses: AddressList) {
        appendVarint(UInt64(addresses.count))
        for address in addresses { append(address) }
    }

    @_lifetime(self: copy self)
    package mutating func append(_ address: NetworkAddress) {
        if address.isIPv4 {
            append(UInt8(4))
            append(address.ipv4)
        } else {
            append(UInt8(6))
            append(address.high)
            append(address.low)
        }
        append(address.port)
    }
}
