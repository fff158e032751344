import SwarmCore

/// Bounds of a media worker, with the arithmetic that set them. Whatever would pass one is refused and counted.
package struct MediaLimits: Sendable {
    /// WebRTC sessions and plain RTP sources that send to us. One core ingests about 300,000 packets a second; 1,024
    /// publishers at 300 packets a second are that.
    package var publishers = 1024
    /// Sessions to which we send. mediasoup's rule of thumb is 500 viewers a core; segment trains give three times
    /// that, and the rest is head room.
    package var viewers = 4096
    package var streams = 1024
    /// Layers of all streams: two tracks a stream are usual, each of one encoding, and some have three.
    package var layers = 4096
    /// Links to workers of other nodes.
    package var links = 512
    /// Streams that one link carries in one direction.
    package var streamsPerLink = 256
    /// Viewers and children of one stream on this worker.
    package var egressesPerStream = 4096
    /// What an idle worker keeps for the retransmission caches of a video layer: two seconds at 8 Mb/s.
    package var videoStoreBytes = 2 * 1024 * 1024
    /// Two seconds of Opus at 128 kb/s are 32 KB, twice that with its headers.
    package var audioStoreBytes = 64 * 1024

    package init() {}
}

/// Bounds of the formats, which no configuration changes.
package enum PacketLimits {
    /// The largest link datagram: a 1,280-byte IPv4 packet less 20 and 8 bytes of headers.
    package static var linkDatagramBytes: Int { 1252 }
    /// Connection id, packet counter and first byte of a link datagram.
    package static var linkHeaderBytes: Int { 9 }
    package static var tagBytes: Int { 16 }
    /// A MEDIA frame's own bytes before extensions and payload: type, alias (≤ 4), layer, epoch tag, sequence (4),
    /// timestamp (4), repaired counter (4), length of extensions.
    package static var mediaFrameBytes: Int { 20 }
    /// The most bytes of canonical extensions and payload that one packet may hold: what is left of a link datagram,
    /// 1,207. A browser's packets (payload ≤ 1,176) and OBS's (payload ≤ 1,200) fit.
    package static var mediaBytes: Int { linkDatagramBytes - linkHeaderBytes - tagBytes - mediaFrameBytes }
    /// The most bytes of canonical extensions in one packet.
    package static var extensionBytes: Int { 255 }
    /// An RTP packet to a viewer: header, extensions (rewritten, with mid and transport sequence) and SRTP tag around
    /// the media bytes.
    package static var viewerDatagramBytes: Int { 12 + 4 + 64 + mediaBytes + tagBytes + 2 }
    /// Packets that one segment train may hold, and its bytes (DESIGN §9).
    package static var trainPackets: Int { 16 }
    package static var trainBytes: Int { 20_000 }
    /// An RTCP datagram of ours.
    package static var rtcpBytes: Int { 1200 }
    /// The longest step forward of a layer's sequence that a child believes: minutes of media at any rate.
    package static var sequenceLeap: UInt64 { 1 << 18 }
    /// Sequence numbers a receiver asks for at the same time.
    package static var missingPackets: Int { 256 }
    /// Times one lost packet is asked for.
    package static var repairAttempts: Int { 5 }
    /// Tracks of one session or stream (`LayerSet` holds 16).
    package static var tracks: Int { 16 }
    package static var encodings: Int { 4 }
}
