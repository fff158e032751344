import SwarmCore

/// The bounds and times of a `LinkTable`, with the arithmetic that set them.
package struct LinkLimits: Sendable {
    /// Nodes with which keys are shared or being agreed: every member (`Limits.members`).
    package var relations = Limits.members
    /// Handshakes answered but not yet confirmed. At the lifetime of 10 s this admits 50 new peers a second; beyond
    /// that the oldest goes.
    package var pendingResponses = 512
    package var pendingLifetime = Interval.seconds(10)
    /// Messages waiting for one peer's handshake: a burst of a machine's first words.
    package var queuedMessagesPerPeer = 16
    /// Bytes of all waiting messages: about 3,600 of the largest.
    package var queuedBytes = 4 << 20
    /// Sessions of one peer at a time: rekeyed ones overlap for a minute, simultaneous opens give two at once.
    package var sessionsPerPeer = 4

    /// When message 1 leaves, after the first: a lost datagram costs one round trip on most paths. Jittered.
    package var handshakeGaps: [Interval] = [
        .milliseconds(300), .milliseconds(500), .milliseconds(800), .milliseconds(1_300), .milliseconds(2_100),
    ]
    /// A further request to the same peer has message 1 repeated earlier, but never earlier than this.
    package var shortestHandshakeGap = Interval.milliseconds(100)
    /// A session is replaced after this much time, if it is in use. The initiator goes first; the responder follows
    /// `rekeyStagger` later if it did not.
    package var rekeyAfter = Interval.seconds(120)
    package var rekeyStagger = Interval.seconds(10)
    /// Far below the 2^64 of the counter; out of reach in two minutes, stated so that it holds by itself.
    package var rekeyAfterPackets: UInt64 = 1 << 60
    /// Keys are forgotten at this age, in use or not.
    package var sessionLifetime = Interval.seconds(180)
    /// A session is sent on until nothing was sent or heard for so long; then a new handshake begins. A lookup touches
    /// twenty nodes once each: at a lookup every ten seconds 40 s of idle life are 80 links of half a KiB, where 180 s
    /// would be 360; and a NAT may have closed the path by then (RFC 4787 §4.3 asks for two minutes, many give thirty
    /// seconds). A request rides in message 1, so the new handshake costs 400 bytes and no time.
    package var trustedIdle = Interval.seconds(30)
    /// A relation in which nothing was sent or received for so long ends: later than `trustedIdle` by more than any
    /// round trip, so that whoever still sends on a session finds it at the other end.
    package var idleLifetime = Interval.seconds(40)
    /// Sent this long without hearing anything: ask whether the peer still has our session.
    package var probeAfterSilence = Interval.seconds(5)
    /// Probes double their gap from here, up to `probeAttempts`, about 3 s; then a new handshake decides.
    package var probeGap = Interval.milliseconds(200)
    package var probeAttempts = 4
    /// The first gap never exceeds this, whatever round trip a peer's answers made us believe.
    package var probeGapCeiling = Interval.seconds(2)
    /// Two sessions established within this of each other, one by each side, are simultaneous opens.
    package var simultaneousOpen = Interval.seconds(2)
    /// A message 1 older than the newest one confirmed is a replay while the session that one made was heard this
    /// recently; later it may be a restarted peer whose clock jumped back.
    package var staleTimestampGuard = Interval.seconds(10)

    // First messages. A handshake costs a responder 0.4 ms (ARCHITECTURE.md, "Crypto"), and the control thread has a
    // core to itself of which at most two fifths may go into handshakes: 1,000 a second.

    /// Below this rate every message 1 is served (16 % of a core); above it, senders are asked for cookies.
    package var handshakeRate = HandshakeRate(perSecond: 400, burst: 200)
    /// Served under load, with a cookie: of everybody (16 %), and beyond that of sources we share keys with (8 %).
    package var provedRate = HandshakeRate(perSecond: 400, burst: 100)
    package var knownRate = HandshakeRate(perSecond: 200, burst: 100)
    /// Served of one host, an IPv4 address or an IPv6 /64. Several nodes may stand behind one NAT.
    package var sourceRate = HandshakeRate(perSecond: 20, burst: 20)
    /// Cookie replies cost 4 µs: 2 % of a core. Sources we share keys with have a share of their own.
    package var replyRate = HandshakeRate(perSecond: 4_000, burst: 400)
    package var knownReplyRate = HandshakeRate(perSecond: 400, burst: 100)
    /// Copies of one message 1 that cookie replies may cause: the second is for a secret that changed meanwhile, the
    /// third for an address that did.
    package var cookiesPerHandshake = 3
    /// Messages 2 that may fail to decrypt before no more are tried: each costs two key agreements, and only a member
    /// who sees our packets can make one that gets so far.
    package var failedResponses = 4

    package init() {}
}
