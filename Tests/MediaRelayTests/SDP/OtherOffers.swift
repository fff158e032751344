// swift-format-ignore-file: the offers are kept as they were captured, long lines included.

/// Offers as the clients write them, with LF line ends.
extension OfferFixtures {
    /// aiortc 1.16, captured.
    static let aiortcPublish = """
        v=0
        o=- 4004242584 4004242584 IN IP4 0.0.0.0
        s=-
        t=0 0
        a=group:BUNDLE 0 1
        a=msid-semantic:WMS *
        m=audio 40423 UDP/TLS/RTP/SAVPF 96 9 0 8
        c=IN IP4 192.0.2.2
        a=sendonly
        a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
        a=extmap:2 urn:ietf:params:rtp-hdrext:ssrc-audio-level
        a=mid:0
        a=msid:2cc841a9-08c9-4e99-ad46-b57fe9a2276c b602496b-aa9b-4a0a-88b9-144880504908
        a=rtcp:9 IN IP4 0.0.0.0
        a=rtcp-mux
        a=ssrc:2895651282 cname:bf2ef62f-6748-4d1e-8513-5af3838f880a
        a=rtpmap:96 opus/48000/2
        a=rtpmap:9 G722/8000
        a=rtpmap:0 PCMU/8000
        a=rtpmap:8 PCMA/8000
        a=candidate:f957a2332b1715da3b0ef8ba684454eb 1 udp 2130706431 192.0.2.2 40423 typ host
        a=candidate:d0bcf3d9c29a2bc887618212a1623bfa 1 udp 2130706431 fd00::2 50640 typ host
        a=end-of-candidates
        a=ice-ufrag:IBWx
        a=ice-pwd:M6tZImMVMy51eVRl2tkasm
        a=fingerprint:sha-256 D0:D4:16:C8:4B:F0:70:8F:9B:40:03:0D:47:29:C3:FD:BA:C4:51:E0:DC:78:B1:59:E9:27:1B:75:C8:82:2F:99
        a=fingerprint:sha-384 F9:EC:66:18:B5:91:69:CD:3E:C1:8A:7C:8D:15:02:69:0E:FD:A6:E2:0D:2C:9F:71:ED:50:23:35:7C:62:E2:E7:B3:10:02:06:31:A5:DF:58:6D:42:8D:F1:36:85:A9:F7
        a=fingerprint:sha-512 6D:09:26:87:44:03:2F:C8:79:69:DD:9F:4E:4A:EA:DB:B4:B7:6B:B5:EB:57:04:6B:D0:F3:66:78:0D:8B:57:7F:9D:44:64:38:85:07:F5:4D:16:D2:F6:3A:65:98:B4:79:4E:EA:3F:5E:F8:33:65:9A:DC:6B:A3:51:46:D4:5A:3E
        a=setup:actpass
        m=video 54296 UDP/TLS/RTP/SAVPF 97 98 99 100 101 102
        c=IN IP4 192.0.2.2
        a=sendonly
        a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
        a=extmap:3 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
        a=mid:1
        a=msid:2cc841a9-08c9-4e99-ad46-b57fe9a2276c 78c670f1-b18c-4d93-8d8d-62e69111da96
        a=rtcp:9 IN IP4 0.0.0.0
        a=rtcp-mux
        a=ssrc-group:FID 1397331996 2925805154
        a=ssrc:1397331996 cname:bf2ef62f-6748-4d1e-8513-5af3838f880a
        a=ssrc:2925805154 cname:bf2ef62f-6748-4d1e-8513-5af3838f880a
        a=rtpmap:97 VP8/90000
        a=rtcp-fb:97 nack
        a=rtcp-fb:97 nack pli
        a=rtcp-fb:97 goog-remb
        a=rtpmap:98 rtx/90000
        a=fmtp:98 apt=97
        a=rtpmap:99 H264/90000
        a=rtcp-fb:99 nack
        a=rtcp-fb:99 nack pli
        a=rtcp-fb:99 goog-remb
        a=fmtp:99 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f
        a=rtpmap:100 rtx/90000
        a=fmtp:100 apt=99
        a=rtpmap:101 H264/90000
        a=rtcp-fb:101 nack
        a=rtcp-fb:101 nack pli
        a=rtcp-fb:101 goog-remb
        a=fmtp:101 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
        a=rtpmap:102 rtx/90000
        a=fmtp:102 apt=101
        a=candidate:f957a2332b1715da3b0ef8ba684454eb 1 udp 2130706431 192.0.2.2 54296 typ host
        a=candidate:d0bcf3d9c29a2bc887618212a1623bfa 1 udp 2130706431 fd00::2 36550 typ host
        a=end-of-candidates
        a=ice-ufrag:IBWx
        a=ice-pwd:M6tZImMVMy51eVRl2tkasm
        a=fingerprint:sha-256 D0:D4:16:C8:4B:F0:70:8F:9B:40:03:0D:47:29:C3:FD:BA:C4:51:E0:DC:78:B1:59:E9:27:1B:75:C8:82:2F:99
        a=fingerprint:sha-384 F9:EC:66:18:B5:91:69:CD:3E:C1:8A:7C:8D:15:02:69:0E:FD:A6:E2:0D:2C:9F:71:ED:50:23:35:7C:62:E2:E7:B3:10:02:06:31:A5:DF:58:6D:42:8D:F1:36:85:A9:F7
        a=fingerprint:sha-512 6D:09:26:87:44:03:2F:C8:79:69:DD:9F:4E:4A:EA:DB:B4:B7:6B:B5:EB:57:04:6B:D0:F3:66:78:0D:8B:57:7F:9D:44:64:38:85:07:F5:4D:16:D2:F6:3A:65:98:B4:79:4E:EA:3F:5E:F8:33:65:9A:DC:6B:A3:51:46:D4:5A:3E
        a=setup:actpass
        """

    /// aiortc 1.16, captured.
    static let aiortcPlay = """
        v=0
        o=- 4004242584 4004242584 IN IP4 0.0.0.0
        s=-
        t=0 0
        a=group:BUNDLE 0 1
        a=msid-semantic:WMS *
        m=video 41249 UDP/TLS/RTP/SAVPF 97 98 99 100 101 102
        c=IN IP4 192.0.2.2
        a=recvonly
        a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
        a=extmap:3 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
        a=mid:0
        a=msid:0e0261b1-34e9-474c-bd79-0b7ebe3563d8 8ad3930e-4c4a-4eea-a0be-497da050302d
        a=rtcp:9 IN IP4 0.0.0.0
        a=rtcp-mux
        a=ssrc-group:FID 1933129076 2917791880
        a=ssrc:1933129076 cname:50bf8fc2-87e0-4463-9bce-fb26108ac977
        a=ssrc:2917791880 cname:50bf8fc2-87e0-4463-9bce-fb26108ac977
        a=rtpmap:97 VP8/90000
        a=rtcp-fb:97 nack
        a=rtcp-fb:97 nack pli
        a=rtcp-fb:97 goog-remb
        a=rtpmap:98 rtx/90000
        a=fmtp:98 apt=97
        a=rtpmap:99 H264/90000
        a=rtcp-fb:99 nack
        a=rtcp-fb:99 nack pli
        a=rtcp-fb:99 goog-remb
        a=fmtp:99 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f
        a=rtpmap:100 rtx/90000
        a=fmtp:100 apt=99
        a=rtpmap:101 H264/90000
        a=rtcp-fb:101 nack
        a=rtcp-fb:101 nack pli
        a=rtcp-fb:101 goog-remb
        a=fmtp:101 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
        a=rtpmap:102 rtx/90000
        a=fmtp:102 apt=101
        a=candidate:f957a2332b1715da3b0ef8ba684454eb 1 udp 2130706431 192.0.2.2 41249 typ host
        a=candidate:d0bcf3d9c29a2bc887618212a1623bfa 1 udp 2130706431 fd00::2 58167 typ host
        a=end-of-candidates
        a=ice-ufrag:aLmp
        a=ice-pwd:kYt0fJ1QxJWjdMN2VV8dGg
        a=fingerprint:sha-256 BA:43:BF:E4:8B:21:BE:62:0F:3B:39:DC:B1:D6:31:79:6D:72:BF:D3:DB:7D:DD:D3:BB:A3:66:75:03:A6:79:E4
        a=fingerprint:sha-384 90:4A:66:A1:2B:44:46:C2:84:81:7A:7C:69:09:29:4F:13:DF:37:53:71:53:2A:83:82:14:55:CF:68:30:D7:E6:AC:D8:A1:12:13:87:A6:F2:9A:05:AD:4B:FC:1D:30:AD
        a=fingerprint:sha-512 9B:D4:CA:12:F5:74:C7:86:11:6C:1A:64:14:DA:78:00:EC:64:DC:32:A8:44:88:27:3B:9C:91:46:DC:81:3E:BF:A5:E3:33:38:9F:17:C7:71:4B:7B:64:4A:5B:B8:7D:A3:CB:6B:2C:9E:1F:95:EE:4E:B9:D2:BD:40:C5:BF:D8:0E
        a=setup:actpass
        m=audio 55665 UDP/TLS/RTP/SAVPF 96 9 0 8
        c=IN IP4 192.0.2.2
        a=recvonly
        a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
        a=extmap:2 urn:ietf:params:rtp-hdrext:ssrc-audio-level
        a=mid:1
        a=msid:0e0261b1-34e9-474c-bd79-0b7ebe3563d8 24492e6f-d220-4bc5-8372-bfd78483b8af
        a=rtcp:9 IN IP4 0.0.0.0
        a=rtcp-mux
        a=ssrc:3055058233 cname:50bf8fc2-87e0-4463-9bce-fb26108ac977
        a=rtpmap:96 opus/48000/2
        a=rtpmap:9 G722/8000
        a=rtpmap:0 PCMU/8000
        a=rtpmap:8 PCMA/8000
        a=candidate:f957a2332b1715da3b0ef8ba684454eb 1 udp 2130706431 192.0.2.2 55665 typ host
        a=candidate:d0bcf3d9c29a2bc887618212a1623bfa 1 udp 2130706431 fd00::2 45049 typ host
        a=end-of-candidates
        a=ice-ufrag:aLmp
        a=ice-pwd:kYt0fJ1QxJWjdMN2VV8dGg
        a=fingerprint:sha-256 BA:43:BF:E4:8B:21:BE:62:0F:3B:39:DC:B1:D6:31:79:6D:72:BF:D3:DB:7D:DD:D3:BB:A3:66:75:03:A6:79:E4
        a=fingerprint:sha-384 90:4A:66:A1:2B:44:46:C2:84:81:7A:7C:69:09:29:4F:13:DF:37:53:71:53:2A:83:82:14:55:CF:68:30:D7:E6:AC:D8:A1:12:13:87:A6:F2:9A:05:AD:4B:FC:1D:30:AD
        a=fingerprint:sha-512 9B:D4:CA:12:F5:74:C7:86:11:6C:1A:64:14:DA:78:00:EC:64:DC:32:A8:44:88:27:3B:9C:91:46:DC:81:3E:BF:A5:E3:33:38:9F:17:C7:71:4B:7B:64:4A:5B:B8:7D:A3:CB:6B:2C:9E:1F:95:EE:4E:B9:D2:BD:40:C5:BF:D8:0E
        a=setup:actpass
        """

    /// FFmpeg 9 `-f whip`, captured: DTLS server, no candidates.
    static let ffmpegPublish = """
        v=0
        o=FFmpeg 4489045141692799359 2 IN IP4 127.0.0.1
        s=FFmpegPublishSession
        t=0 0
        a=group:BUNDLE 0 1
        a=extmap-allow-mixed
        a=msid-semantic: WMS
        m=audio 9 UDP/TLS/RTP/SAVPF 111
        c=IN IP4 0.0.0.0
        a=ice-ufrag:ba7b8571
        a=ice-pwd:2a473fd796d93f443deea68024de8b90
        a=fingerprint:sha-256 DD:38:42:64:B4:D4:30:94:AD:22:77:99:74:8A:20:61:66:36:CB:1D:1E:78:86:54:52:17:9C:6C:33:87:87:AB
        a=setup:passive
        a=mid:0
        a=sendonly
        a=msid:FFmpeg audio
        a=rtcp-mux
        a=rtpmap:111 opus/48000/2
        a=ssrc:3300729476 cname:FFmpeg
        a=ssrc:3300729476 msid:FFmpeg audio
        m=video 9 UDP/TLS/RTP/SAVPF 106 105
        c=IN IP4 0.0.0.0
        a=ice-ufrag:ba7b8571
        a=ice-pwd:2a473fd796d93f443deea68024de8b90
        a=fingerprint:sha-256 DD:38:42:64:B4:D4:30:94:AD:22:77:99:74:8A:20:61:66:36:CB:1D:1E:78:86:54:52:17:9C:6C:33:87:87:AB
        a=setup:passive
        a=mid:1
        a=sendonly
        a=msid:FFmpeg video
        a=rtcp-mux
        a=rtcp-rsize
        a=rtpmap:106 H264/90000
        a=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001e
        a=rtcp-fb:106 nack
        a=rtpmap:105 rtx/90000
        a=fmtp:105 apt=106
        a=ssrc-group:FID 3300729477 3300729478
        a=ssrc:3300729477 cname:FFmpeg
        a=ssrc:3300729477 msid:FFmpeg video
        """

    /// OBS Studio 30 (libdatachannel): transport lines at session level, no candidates.
    static let obsPublish = """
        v=0
        o=rtc 2514473014 0 IN IP4 127.0.0.1
        s=-
        t=0 0
        a=group:BUNDLE 0 1
        a=group:LS 0 1
        a=msid-semantic:WMS *
        a=setup:actpass
        a=ice-ufrag:kT0h
        a=ice-pwd:7iL2NVGVvUfcfrr4sRw1bF
        a=ice-options:trickle
        a=fingerprint:sha-256 5A:3C:21:0B:7E:93:13:AA:5B:8D:EC:33:2A:91:0E:44:7F:2B:09:C1:6D:E2:35:F0:AA:18:73:9C:42:5D:BE:10
        m=audio 9 UDP/TLS/RTP/SAVPF 111
        c=IN IP4 0.0.0.0
        a=mid:0
        a=sendonly
        a=ssrc:2903541231 cname:xlTgcCZXnzCgG2c8
        a=ssrc:2903541231 msid:wJ2mC5vNnHcXoTqa wJ2mC5vNnHcXoTqa-audio
        a=msid:wJ2mC5vNnHcXoTqa wJ2mC5vNnHcXoTqa-audio
        a=rtcp-mux
        a=rtpmap:111 opus/48000/2
        a=fmtp:111 minptime=10;maxaveragebitrate=96000;stereo=1;sprop-stereo=1;useinbandfec=1
        m=video 9 UDP/TLS/RTP/SAVPF 96
        c=IN IP4 0.0.0.0
        a=mid:1
        a=sendonly
        a=ssrc:2903541232 cname:xlTgcCZXnzCgG2c8
        a=ssrc:2903541232 msid:wJ2mC5vNnHcXoTqa wJ2mC5vNnHcXoTqa-video
        a=msid:wJ2mC5vNnHcXoTqa wJ2mC5vNnHcXoTqa-video
        a=rtcp-mux
        a=rtpmap:96 H264/90000
        a=rtcp-fb:96 nack
        a=rtcp-fb:96 nack pli
        a=rtcp-fb:96 goog-remb
        a=fmtp:96 profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1
        """

    /// GStreamer's whipclientsink: named mids, bundle-only audio, H264 parameter sets.
    static let gstreamerPublish = """
        v=0
        o=- 5338972711418470105 0 IN IP4 0.0.0.0
        s=-
        t=0 0
        a=ice-options:trickle
        a=group:BUNDLE video0 audio1
        m=video 9 UDP/TLS/RTP/SAVPF 96 97
        c=IN IP4 0.0.0.0
        a=setup:actpass
        a=ice-ufrag:zN4ZCUcjRqXGTQlRfCw8VFyAPYdZ0WQr
        a=ice-pwd:pYJUwpw2PfAVjpCgWk0nrpdjCyPhCiHy
        a=rtcp-mux
        a=rtcp-rsize
        a=sendonly
        a=rtpmap:96 H264/90000
        a=rtcp-fb:96 nack
        a=rtcp-fb:96 nack pli
        a=rtcp-fb:96 ccm fir
        a=rtcp-fb:96 transport-cc
        a=extmap:1 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
        a=fmtp:96 packetization-mode=1;profile-level-id=42c016;sprop-parameter-sets=Z0LAFtoCgL/lwEQAAAMABAAAAwDyPFi6gA==,aM4PyA==
        a=rtpmap:97 rtx/90000
        a=fmtp:97 apt=96
        a=ssrc-group:FID 3815094263 1436029735
        a=ssrc:3815094263 msid:user2648911310@host-5c7c1e57 webrtctransceiver0
        a=ssrc:3815094263 cname:user2648911310@host-5c7c1e57
        a=ssrc:1436029735 msid:user2648911310@host-5c7c1e57 webrtctransceiver0
        a=ssrc:1436029735 cname:user2648911310@host-5c7c1e57
        a=mid:video0
        a=fingerprint:sha-256 41:6E:5C:AE:19:77:0A:3F:66:50:B4:B1:3D:7C:1A:84:D9:88:5D:3B:07:67:42:CD:80:BE:7F:41:66:5E:2B:AA
        m=audio 0 UDP/TLS/RTP/SAVPF 98
        c=IN IP4 0.0.0.0
        a=setup:actpass
        a=ice-ufrag:zN4ZCUcjRqXGTQlRfCw8VFyAPYdZ0WQr
        a=ice-pwd:pYJUwpw2PfAVjpCgWk0nrpdjCyPhCiHy
        a=bundle-only
        a=rtcp-mux
        a=rtcp-rsize
        a=sendonly
        a=rtpmap:98 OPUS/48000/2
        a=rtcp-fb:98 nack
        a=rtcp-fb:98 transport-cc
        a=fmtp:98 sprop-maxcapturerate=48000;sprop-stereo=1
        a=ssrc:1298760192 msid:user2648911310@host-5c7c1e57 webrtctransceiver1
        a=ssrc:1298760192 cname:user2648911310@host-5c7c1e57
        a=mid:audio1
        a=fingerprint:sha-256 41:6E:5C:AE:19:77:0A:3F:66:50:B4:B1:3D:7C:1A:84:D9:88:5D:3B:07:67:42:CD:80:BE:7F:41:66:5E:2B:AA
        """
}
