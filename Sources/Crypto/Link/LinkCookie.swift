import CSodium
import SwarmCore

/// Sixteen bytes that only the holder of an address gets to see: the key of mac2.
struct LinkCookie: Sendable, Hashable {
    var first: UInt64
    var second: UInt64
}

/// What a node makes cookies with: a secret of its own that lives two minutes, and the one before, so that a cookie is
/// good for at least two minutes and at most four. Nothing is kept for the addresses.
struct CookieSecrets: Sendable {
    private var current = Bytes32.zero
    private var previous: Bytes32?
    private var bornAt: MonotonicInstant?

    /// Lifetime of a secret (WireGuard's COOKIE_SECRET_MAX_AGE).
    static var lifetime: Interval { .seconds(120) }

    /// Sees to it that the secret is young enough. Draws from `entropy` only when it is used, which is under load.
    mutating func renew(from entropy: inout Entropy, at now: MonotonicInstant) {
        if let bornAt {
            let age = now - bornAt
            guard age >= Self.lifetime else { return }
            previous = age < Self.lifetime * 2 ? current : nil
        }
        current = entropy.bytes32()
        bornAt = now
    }

    /// The cookie of an address under the current secret.
    func cookie(for address: NetworkAddress, _ suite: CryptoSuite) -> LinkCookie {
        suite.cookie(for: address, secret: current)
    }

    /// Whether `packet`, message 1 with its macs, ends in a mac2 made with a cookie of `address`.
    func verifies(_ packet: Span<UInt8>, from address: NetworkAddress, _ suite: CryptoSuite) -> Bool {
        let end = packet.count - LinkWire.macByteCount
        for secret in [current, previous] {
            guard let secret else { continue }
            let expected = suite.mac(cookie: suite.cookie(for: address, secret: secret), packet.extracting(0..<end))
            if (packet.loadUInt64(at: end) ^ expected.0) | (packet.loadUInt64(at: end + 8) ^ expected.1) == 0 {
                return true
            }
        }
        return false
    }
}

/// Cookies that others gave us, for the handshakes of the next two minutes. Few are ever needed.
struct CookieJar: Sendable {
    private struct Entry {
        var peer: NodeID
        var cookie: LinkCookie
        var expiresAt: MonotonicInstant
    }

    private static var capacity: Int { 64 }
    private var entries: [Entry] = []

    /// The cookie of `peer`, if it is still good.
    func cookie(of peer: NodeID, at now: MonotonicInstant) -> LinkCookie? {
        guard !entries.isEmpty else { return nil }
        return entries.first { $0.peer == peer && $0.expiresAt > now }?.cookie
    }

    mutating func insert(_ cookie: LinkCookie, of peer: NodeID, at now: MonotonicInstant) {
        entries.removeAll { $0.peer == peer || $0.expiresAt <= now }
        if entries.count >= Self.capacity { entries.removeFirst() }
        entries.append(Entry(peer: peer, cookie: cookie, expiresAt: now + CookieSecrets.lifetime))
    }
}

extension CryptoSuite {
    /// `H128(secret; address (16) ‖ port (2))`.
    func cookie(for address: NetworkAddress, secret: Bytes32) -> LinkCookie {
        var storage = InlineArray<18, UInt8>(repeating: 0)
        var bytes = storage.mutableSpan
        bytes.store(address.high, at: 0)
        bytes.store(address.low, at: 8)
        bytes.store(address.port, at: 16)
        let mac = mac(key: secret, storage.span)
        return LinkCookie(first: mac.0, second: mac.1)
    }

    /// mac2: BLAKE2b-128 under a cookie.
    func mac(cookie: LinkCookie, _ bytes: Span<UInt8>) -> (UInt64, UInt64) {
        guard !isCounted else {
            var hash = CountedHash(seed: 8)
            hash.update(cookie.first)
            hash.update(cookie.second)
            hash.update(bytes)
            return (hash.finish(), 0)
        }
        var key = InlineArray<16, UInt8>(repeating: 0)
        var target = key.mutableSpan
        target.store(cookie.first, at: 0)
        target.store(cookie.second, at: 8)
        return Blake2b.hash128(key: key.span, bytes)
    }

    /// Writes the sealed cookie (32 bytes) to the end of a cookie reply whose nonce (24 bytes) stands before it.
    func seal(_ cookie: LinkCookie, key: Bytes32, mac: (UInt64, UInt64), into reply: inout MutableSpan<UInt8>) {
        charge(.sealing)
        let start = LinkWire.cookieHeader + LinkWire.cookieNonce
        var text = InlineArray<16, UInt8>(repeating: 0)
        var target = text.mutableSpan
        target.store(cookie.first, at: 0)
        target.store(cookie.second, at: 8)
        guard !isCounted else {
            reply.copy(text.span, to: start)
            let tag = countedCookieTag(key, mac, reply.span)
            reply.store(tag, at: start + 16)
            reply.store(UInt64(0), at: start + 24)
            return
        }
        let data = Self.associatedData(mac)
        unsafe reply.withUnsafeMutableBufferPointer { reply in
            unsafe text.span.withUnsafeBufferPointer { text in
                unsafe data.span.withUnsafeBufferPointer { data in
                    key.withSpan { key in
                        unsafe key.withUnsafeBufferPointer { key in
                            guard let base = reply.baseAddress else { return }
                            _ = unsafe swarm_xchacha20poly1305_seal(
                                base + start, text.baseAddress, text.count, data.baseAddress, data.count,
                                base + LinkWire.cookieHeader, key.baseAddress)
                        }
                    }
                }
            }
        }
    }

    /// The cookie in a reply of the right length to a message 1 with this mac1, or nil where it is not genuine.
    func openCookie(_ reply: Span<UInt8>, key: Bytes32, mac: (UInt64, UInt64)) -> LinkCookie? {
        charge(.opening)
        let start = LinkWire.cookieHeader + LinkWire.cookieNonce
        guard !isCounted else {
            guard reply.loadUInt64(at: start + 16) == countedCookieTag(key, mac, reply),
                reply.loadUInt64(at: start + 24) == 0
            else { return nil }
            return LinkCookie(first: reply.loadUInt64(at: start), second: reply.loadUInt64(at: start + 8))
        }
        let data = Self.associatedData(mac)
        var text = InlineArray<16, UInt8>(repeating: 0)
        var target = text.mutableSpan
        let isGenuine = unsafe target.withUnsafeMutableBufferPointer { text in
            unsafe reply.withUnsafeBufferPointer { reply in
                unsafe data.span.withUnsafeBufferPointer { data in
                    key.withSpan { key in
                        unsafe key.withUnsafeBufferPointer { key in
                            guard let base = reply.baseAddress else { return false }
                            return unsafe swarm_xchacha20poly1305_open(
                                text.baseAddress, base + start, reply.count - start, data.baseAddress, data.count,
                                base + LinkWire.cookieHeader, key.baseAddress) == 0
                        }
                    }
                }
            }
        }
        guard isGenuine else { return nil }
        return LinkCookie(first: text.span.loadUInt64(at: 0), second: text.span.loadUInt64(at: 8))
    }

    private static func associatedData(_ mac: (UInt64, UInt64)) -> InlineArray<16, UInt8> {
        var data = InlineArray<16, UInt8>(repeating: 0)
        var target = data.mutableSpan
        target.store(mac.0, at: 0)
        target.store(mac.1, at: 8)
        return data
    }

    private func countedCookieTag(_ key: Bytes32, _ mac: (UInt64, UInt64), _ reply: Span<UInt8>) -> UInt64 {
        var hash = CountedHash(seed: 9)
        hash.update(key)
        hash.update(mac.0)
        hash.update(reply.extracting(LinkWire.cookieHeader..<(LinkWire.cookieHeader + LinkWire.cookieNonce + 16)))
        return hash.finish()
    }
}
