// swift-format-ignore-file: the offers are kept as they were captured, long lines included.

/// Offers as the clients write them, with LF line ends.
extension OfferFixtures {
    /// Firefox: bundle-only video with port 0, candidates of component 2.
    static let firefoxPublish = """
        v=0
        o=mozilla...THIS_IS_SDPARTA-99.0 4937824170125412542 0 IN IP4 0.0.0.0
        s=-
        t=0 0
        a=fingerprint:sha-256 91:35:D2:3F:5C:8A:4B:B2:0C:96:8E:E5:43:B1:71:F1:7A:43:5D:68:8E:9A:75:06:56:2D:21:0F:6C:BA:98:1A
        a=group:BUNDLE 0 1
        a=ice-options:trickle
        a=msid-semantic:WMS *
        m=audio 54400 UDP/TLS/RTP/SAVPF 109 9 0 8 101
        c=IN IP4 127.0.0.1
        a=candidate:0 1 UDP 2122252543 127.0.0.1 54400 typ host
        a=candidate:0 2 UDP 2122252542 127.0.0.1 54401 typ host
        a=candidate:1 1 TCP 2105524479 127.0.0.1 9 typ host tcptype active
        a=sendonly
        a=end-of-candidates
        a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
        a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level
        a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
        a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1
        a=fmtp:101 0-15
        a=ice-pwd:e3baa26dd2fa5030d881d385f1e36cce
        a=ice-ufrag:58b99ead
        a=mid:0
        a=msid:{5a990edd-0568-ac40-8d97-310fc33f3411} {218cfa1c-617d-2249-9997-60929ce4c405}
        a=rtcp:54401 IN IP4 127.0.0.1
        a=rtcp-mux
        a=rtpmap:109 opus/48000/2
        a=rtpmap:9 G722/8000/1
        a=rtpmap:0 PCMU/8000
        a=rtpmap:8 PCMA/8000
        a=rtpmap:101 telephone-event/8000/1
        a=setup:actpass
        a=ssrc:3463951252 cname:{e8f5c1f0-9f0d-4c07-a2c7-7e64a1bb0f0d}
        m=video 0 UDP/TLS/RTP/SAVPF 120 124 121 125
        c=IN IP4 0.0.0.0
        a=bundle-only
        a=sendonly
        a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
        a=extmap:4 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
        a=extmap:5 urn:ietf:params:rtp-hdrext:toffset
        a=extmap:6/recvonly http://www.webrtc.org/experiments/rtp-hdrext/playout-delay
        a=extmap:7 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
        a=fmtp:120 max-fs=12288;max-fr=60
        a=fmtp:124 apt=120
        a=fmtp:121 max-fs=12288;max-fr=60
        a=fmtp:125 apt=121
        a=ice-pwd:e3baa26dd2fa5030d881d385f1e36cce
        a=ice-ufrag:58b99ead
        a=mid:1
        a=msid:{5a990edd-0568-ac40-8d97-310fc33f3411} {218cfa1c-617d-2249-9997-60929ce4c405}
        a=rtcp-fb:120 nack
        a=rtcp-fb:120 nack pli
        a=rtcp-fb:120 ccm fir
        a=rtcp-fb:120 goog-remb
        a=rtcp-fb:120 transport-cc
        a=rtcp-fb:121 nack
        a=rtcp-fb:121 nack pli
        a=rtcp-fb:121 ccm fir
        a=rtcp-fb:121 goog-remb
        a=rtcp-fb:121 transport-cc
        a=rtcp-mux
        a=rtcp-rsize
        a=rtpmap:120 VP8/90000
        a=rtpmap:124 rtx/90000
        a=rtpmap:121 VP9/90000
        a=rtpmap:125 rtx/90000
        a=setup:actpass
        a=ssrc:1001615512 cname:{e8f5c1f0-9f0d-4c07-a2c7-7e64a1bb0f0d}
        a=ssrc:2461236013 cname:{e8f5c1f0-9f0d-4c07-a2c7-7e64a1bb0f0d}
        a=ssrc-group:FID 1001615512 2461236013
        """

    /// Firefox, receiving: VP8 and VP9, no H264.
    static let firefoxPlay = """
        v=0
        o=mozilla...THIS_IS_SDPARTA-99.0 4937824170125412542 0 IN IP4 0.0.0.0
        s=-
        t=0 0
        a=fingerprint:sha-256 91:35:D2:3F:5C:8A:4B:B2:0C:96:8E:E5:43:B1:71:F1:7A:43:5D:68:8E:9A:75:06:56:2D:21:0F:6C:BA:98:1A
        a=group:BUNDLE 0 1
        a=ice-options:trickle
        a=msid-semantic:WMS *
        m=audio 54400 UDP/TLS/RTP/SAVPF 109 9 0 8 101
        c=IN IP4 127.0.0.1
        a=candidate:0 1 UDP 2122252543 127.0.0.1 54400 typ host
        a=candidate:0 2 UDP 2122252542 127.0.0.1 54401 typ host
        a=candidate:1 1 TCP 2105524479 127.0.0.1 9 typ host tcptype active
        a=recvonly
        a=end-of-candidates
        a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
        a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level
        a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
        a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1
        a=fmtp:101 0-15
        a=ice-pwd:e3baa26dd2fa5030d881d385f1e36cce
        a=ice-ufrag:58b99ead
        a=mid:0
        a=rtcp:54401 IN IP4 127.0.0.1
        a=rtcp-mux
        a=rtpmap:109 opus/48000/2
        a=rtpmap:9 G722/8000/1
        a=rtpmap:0 PCMU/8000
        a=rtpmap:8 PCMA/8000
        a=rtpmap:101 telephone-event/8000/1
        a=setup:actpass
        m=video 0 UDP/TLS/RTP/SAVPF 120 124 121 125
        c=IN IP4 0.0.0.0
        a=bundle-only
        a=recvonly
        a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
        a=extmap:4 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
        a=extmap:5 urn:ietf:params:rtp-hdrext:toffset
        a=extmap:6/recvonly http://www.webrtc.org/experiments/rtp-hdrext/playout-delay
        a=extmap:7 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
        a=fmtp:120 max-fs=12288;max-fr=60
        a=fmtp:124 apt=120
        a=fmtp:121 max-fs=12288;max-fr=60
        a=fmtp:125 apt=121
        a=ice-pwd:e3baa26dd2fa5030d881d385f1e36cce
        a=ice-ufrag:58b99ead
        a=mid:1
        a=rtcp-fb:120 nack
        a=rtcp-fb:120 nack pli
        a=rtcp-fb:120 ccm fir
        a=rtcp-fb:120 goog-remb
        a=rtcp-fb:120 transport-cc
        a=rtcp-fb:121 nack
        a=rtcp-fb:121 nack pli
        a=rtcp-fb:121 ccm fir
        a=rtcp-fb:121 goog-remb
        a=rtcp-fb:121 transport-cc
        a=rtcp-mux
        a=rtcp-rsize
        a=rtpmap:120 VP8/90000
        a=rtpmap:124 rtx/90000
        a=rtpmap:121 VP9/90000
        a=rtpmap:125 rtx/90000
        a=setup:actpass
        """
}
