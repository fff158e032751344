/// An IPv4 or IPv6 address with a UDP port. IPv4 is held in its mapped form (RFC 4291 §2.5.5.2), so that one
/// comparison serves both families and an address learnt on a dual-stack socket equals the one learnt on an IPv4 one.
@usableFromInline
package struct NetworkAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    @usableFromInline package var high: UInt64
    @usableFromInline package var low: UInt64
    @usableFromInline package var port: UInt16

    @inlinable
    package init(high: UInt64, low: UInt64, port: UInt16) {
        self.high = high
        self.low = low
        self.port = port
    }

    /// `ipv4` most significant byte first: 127.0.0.1 is 0x7f000001.
    @inlinable
    package init(ipv4: UInt32, port: UInt16) {
        self.init(high: 0, low: 0x0000_ffff_0000_0000 | UInt64(ipv4), port: port)
    }

    @inlinable
    package static var unspecified: NetworkAddress { NetworkAddress(high: 0, low: 0, port: 0) }
    @inlinable
    package static func loopback(port: UInt16) -> NetworkAddress {
        NetworkAddress(ipv4: 0x7f00_0001, port: port)
    }

    @inlinable
    package var isIPv4: Bool { high == 0 && low >> 32 == 0xffff }
    @inlinable
    package var ipv4: UInt32 { UInt32(truncatingIfNeeded: low) }
    @inlinable
    package var isUnspecified: Bool {
        (high == 0 && low == 0) || (isIPv4 && ipv4 == 0)
    }
    @inlinable
    package var isLoopback: Bool { isIPv4 ? ipv4 >> 24 == 127 : (high == 0 && low == 1) }
    /// RFC 1918, RFC 6598, link-local (RFC 3927, RFC 4291) and unique local (RFC 4193) addresses.
    @inlinable
    package var isPrivate: Bool {
        guard isIPv4 else { return high >> 57 == 0x7e || high >> 54 == 0x3fa }
        return ipv4 >> 24 == 10 || ipv4 >> 20 == 0xac1 || ipv4 >> 16 == 0xc0a8 || ipv4 >> 22 == 0x191
            || ipv4 >> 16 == 0xa9fe
    }
    /// The /24 (IPv4) or /48 (IPv6) the address lies in: the unit of per-subnet limits.
    @inlinable
    package var subnet: UInt64 { isIPv4 ? low >> 8 : high >> 16 }

    @inlinable
    package func withPort(_ port: UInt16) -> NetworkAddress {
        NetworkAddress(high: high, low: low, port: port)
    }
    @inlinable
    package func hasSameHost(as other: NetworkAddress) -> Bool { high == other.high && low == other.low }

    @inlinable
    package static func < (a: NetworkAddress, b: NetworkAddress) -> Bool {
        if a.high != b.high { return a.high < b.high }
        if a.low != b.low { return a.low < b.low }
        return a.port < b.port
    }

    /// The address alone: dotted quad, or RFC 5952 without the longest-run rule's ties beyond the first.
    package var host: String {
        if isIPv4 {
            let bytes: [UInt32] = [ipv4 >> 24, ipv4 >> 16 & 0xff, ipv4 >> 8 & 0xff, ipv4 & 0xff]
            return bytes.map(\.description).joined(separator: ".")
        }
        return IPv6Text.format(high: high, low: low)
    }

    /// `127.0.0.1:7788` or `[::1]:7788`.
    @usableFromInline package var description: String { isIPv4 ? "\(host):\(port)" : "[\(host)]:\(port)" }

    /// Parses `description`'s form. Host names are not addresses: nil.
    package init?(text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard host.contains(":") else { return nil }
        } else if host.contains(":") {
            return nil
        }
        self.init(host: String(host), port: port)
    }

    /// Parses an address without port.
    package init?(host: String, port: UInt16) {
        if host.contains(":") {
            guard let (high, low) = IPv6Text.parse(host) else { return nil }
            self.init(high: high, low: low, port: port)
        } else {
            guard let ipv4 = IPv6Text.parseIPv4(host) else { return nil }
            self.init(ipv4: ipv4, port: port)
        }
    }
}

/// The text form of IPv6 addresses (RFC 4291 §2.2, RFC 5952).
private enum IPv6Text {
    static func format(high: UInt64, low: UInt64) -> String {
        var groups: [UInt16] = []
        for word in [high, low] {
            for shift: UInt64 in [48, 32, 16, 0] { groups.append(UInt16(truncatingIfNeeded: word >> shift)) }
        }
        var best = 0..<0
        var index = 0
        while index < 8 {
            var end = index
            while end < 8, groups[end] == 0 { end += 1 }
            if end - index > max(best.count, 1) { best = index..<end }
            index = max(end, index + 1)
        }
        let head = groups[..<best.lowerBound].map { String($0, radix: 16) }.joined(separator: ":")
        guard !best.isEmpty else { return groups.map { String($0, radix: 16) }.joined(separator: ":") }
        let tail = groups[best.upperBound...].map { String($0, radix: 16) }.joined(separator: ":")
        return "\(head)::\(tail)"
    }

    static func parseIPv4(_ text: some StringProtocol) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard part.count <= 3, part.allSatisfy(\.isASCII), part.allSatisfy(\.isNumber), let byte = UInt8(part)
            else {
                return nil
            }
            value = value << 8 | UInt32(byte)
        }
        return value
    }

    static func parse(_ text: String) -> (UInt64, UInt64)? {
        guard text.utf8.count <= 45 else { return nil }
        if text == "::" { return (0, 0) }
        var halves: [[UInt16]] = [[]]
        var parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        // A leading or trailing "::" splits into one empty part too many.
        if parts.count > 2, parts[0].isEmpty, parts[1].isEmpty { parts.removeFirst() }
        if parts.count > 2, parts[parts.count - 1].isEmpty, parts[parts.count - 2].isEmpty { parts.removeLast() }
        for (index, part) in parts.enumerated() {
            if part.isEmpty {
                guard halves.count == 1 else { return nil }
                halves.append([])
            } else if part.contains(".") {
                guard index == parts.count - 1, let ipv4 = parseIPv4(part) else { return nil }
                halves[halves.count - 1] += [UInt16(ipv4 >> 16), UInt16(truncatingIfNeeded: ipv4)]
            } else {
                guard part.count <= 4, let group = UInt16(part, radix: 16) else { return nil }
                halves[halves.count - 1].append(group)
            }
        }
        let count = halves.reduce(0) { $0 + $1.count }
        guard halves.count == 2 ? count < 8 : count == 8 else { return nil }
        let groups = halves.count == 2 ? halves[0] + Array(repeating: 0, count: 8 - count) + halves[1] : halves[0]
        let high = groups[..<4].reduce(UInt64(0)) { $0 << 16 | UInt64($1) }
        let low = groups[4...].reduce(UInt64(0)) { $0 << 16 | UInt64($1) }
        return (high, low)
    }
}
