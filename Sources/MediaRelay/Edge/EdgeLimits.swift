import SwarmCore

/// Bounds and times of a session's transport, with the arithmetic or the section that set them.
package enum EdgeLimits {
    /// A phone hands over between two networks and each has IPv4 and IPv6: 4 at once, doubled for restarts.
    package static var addressesPerSession: Int { 8 }
    /// What a browser's answer may list for our headless client; a node lists one to four.
    package static var remoteCandidates: Int { 16 }
    /// 16 tracks of 4 encodings (`LayerSet`), media and RTX share the sequence: 64 live, as many again for sources
    /// that changed their SSRC during the session. 152 bytes each, so 19 KiB at most.
    package static var sourcesPerSession: Int { 128 }
    /// The largest STUN message worth parsing: a check with every attribute and the longest ufrags is below 700 bytes.
    package static var stunBytes: Int { 1280 }
    /// DTLS datagrams: IPv6's minimum MTU less headers, less room for a tunnel.
    package static var dtlsDatagramBytes: Int { 1200 }
    /// Reads of 256 bytes after one record: the largest datagram, 2,048 bytes, holds eight.
    package static var readsPerRecord: Int { 16 }
    /// ICE and DTLS together. A browser tries for 15 s (its ICE time-out) and a slow mobile path needs DTLS
    /// retransmissions of 0.25 + 0.5 + 1 + 2 s on top.
    package static var connectTimeout: Interval { .seconds(20) }
    /// RFC 7675 §5.1: consent expires 30 s after the last valid check.
    package static var consentTimeout: Interval { .seconds(30) }
    /// RFC 7675 §5.1: a check every 5 s, each interval scaled by 0.8 … 1.2.
    package static var consentInterval: Interval { .seconds(5) }
    /// RFC 8445 §14.2: Ta, the least time between two first checks.
    package static var checkPacing: Interval { .milliseconds(50) }
    /// First retransmission of a check; doubles. Lower than RFC 8489's 500 ms because a node answers at once.
    package static var checkTimeout: Interval { .milliseconds(250) }
    package static var longestCheckTimeout: Interval { .seconds(2) }
    /// First DTLS retransmission; doubles. RFC 6347 §4.2.4.1 says 1 s for unknown paths; ICE has just measured this
    /// one to be alive, and browsers start at 50 ms to 400 ms.
    package static var dtlsFirstTimeout: Interval { .milliseconds(250) }
    package static var dtlsLongestTimeout: Interval { .seconds(2) }
    /// RFC 3711 §3.3.2 asks for at least 64; 1,024 packets are a second of 10 Mb/s video.
    package static var replayWindow: UInt64 { 1024 }
}
