import SwarmCore

/// A rate with a burst: `burst` at once, then one every `interval`.
package struct HandshakeRate: Sendable, Hashable {
    package var interval: Interval
    package var burst: Int

    /// `perSecond` and `burst` are at least 1.
    package init(perSecond: Int64, burst: Int) {
        precondition(perSecond >= 1 && burst >= 1, "a rate of \(perSecond) a second, \(burst) at once")
        interval = .seconds(1) / perSecond
        self.burst = burst
    }
}

/// One rate's state, a single instant: the generic cell rate algorithm (ITU-T I.371, virtual scheduling), which is a
/// token bucket in integers.
struct RateLimiter: Sendable {
    /// When the next arrival is due that would leave the full burst standing.
    private(set) var due = MonotonicInstant.zero

    /// Takes one token if there is one.
    mutating func take(_ rate: HandshakeRate, at now: MonotonicInstant) -> Bool {
        guard due <= now + rate.interval * Int64(rate.burst - 1) else { return false }
        due = max(due, now) + rate.interval
        return true
    }

    /// Counts an arrival, allowed or not, and says whether they come faster than the rate. Arrivals beyond it count on
    /// for one more burst, so that the answer stays yes until the flood has been over for as long as that lasts.
    mutating func isExceeded(_ rate: HandshakeRate, at now: MonotonicInstant) -> Bool {
        let burst = rate.interval * Int64(rate.burst)
        due = min(max(due, now) + rate.interval, now + burst + burst)
        return due > now + burst
    }
}

/// Decides which first messages are worth four key agreements, in the manner of WireGuard (Donenfeld 2017, §5.3 and
/// §5.4.7): below a rate all are; above it, only those whose sender has shown, by a cookie, that it receives what is
/// sent to its address, each source at its own rate, and peers that we already share keys with out of a share of their
/// own. Holds no more than `sourceCount` sources, and those only while there is a flood.
struct HandshakeGate: Sendable {
    private var all = RateLimiter()
    private var proved = RateLimiter()
    private var known = RateLimiter()
    private var replies = RateLimiter()
    private var repliesToKnown = RateLimiter()
    private var sources: [Source] = []

    private struct Source {
        var hash: UInt64 = 0
        var limiter = RateLimiter()
    }

    /// Hosts with a rate of their own at one time: beyond these the one with most to spare gives way. 16 KiB.
    private static var sourceCount: Int { 1024 }
    /// Places where one host may stand.
    private static var ways: Int { 4 }

    /// Counts a message 1 and says whether a cookie must be asked for.
    mutating func isUnderLoad(_ limits: LinkLimits, at now: MonotonicInstant) -> Bool {
        guard all.isExceeded(limits.handshakeRate, at: now) else {
            if !sources.isEmpty { sources = [] }
            return false
        }
        return true
    }

    /// Whether a handshake may be served whose sender holds a cookie; the reason where not.
    mutating func refusal(
        ofProved source: NetworkAddress, isKnown: Bool, _ limits: LinkLimits, salt: LinkSalt, at now: MonotonicInstant
    ) -> LinkRefusal? {
        guard takeSource(salt.wideHash(source.hostPrefix, 0), limits.sourceRate, at: now) else { return .sourceLimited }
        let isServed =
            isKnown
            ? known.take(limits.knownRate, at: now) || proved.take(limits.provedRate, at: now)
            : proved.take(limits.provedRate, at: now)
        return isServed ? nil : .handshakesLimited
    }

    /// Whether a cookie reply may be sent.
    mutating func mayReply(isKnown: Bool, _ limits: LinkLimits, at now: MonotonicInstant) -> Bool {
        if isKnown, repliesToKnown.take(limits.knownReplyRate, at: now) { return true }
        return replies.take(limits.replyRate, at: now)
    }

    private mutating func takeSource(_ hash: UInt64, _ rate: HandshakeRate, at now: MonotonicInstant) -> Bool {
        if sources.isEmpty { sources = Array(repeating: Source(), count: Self.sourceCount) }
        let start = (Int(truncatingIfNeeded: hash) & (Self.sourceCount / Self.ways - 1)) * Self.ways
        var place = start
        for way in start..<start + Self.ways {
            if sources[way].hash == hash { return sources[way].limiter.take(rate, at: now) }
            if sources[way].limiter.due < sources[place].limiter.due { place = way }
        }
        sources[place] = Source(hash: hash)
        return sources[place].limiter.take(rate, at: now)
    }
}

extension NetworkAddress {
    /// What one host is taken to own: an IPv4 address, an IPv6 /64.
    fileprivate var hostPrefix: UInt64 { isIPv4 ? low : high }
}
