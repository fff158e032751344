// swift-format-ignore-file: the offers are kept as they were captured, long lines included.

/// Offers as the clients write them, with LF line ends.
extension OfferFixtures {
    /// FFmpeg 5.1 `-f rtp`, two outputs in one SDP file, captured.
    static let plainH264 = """
        v=0
        o=- 0 0 IN IP4 127.0.0.1
        s=No Name
        t=0 0
        a=tool:libavformat LIBAVFORMAT_VERSION
        m=video 5004 RTP/AVP 96
        c=IN IP4 127.0.0.1
        a=rtpmap:96 H264/90000
        a=fmtp:96 packetization-mode=1
        m=audio 5006 RTP/AVP 97
        c=IN IP4 127.0.0.1
        b=AS:96
        a=rtpmap:97 opus/48000/2
        a=fmtp:97 sprop-stereo=1
        """

    /// FFmpeg 5.1 `-f rtp`, captured.
    static let plainVP8 = """
        v=0
        o=- 0 0 IN IP4 127.0.0.1
        s=No Name
        c=IN IP4 127.0.0.1
        t=0 0
        a=tool:libavformat LIBAVFORMAT_VERSION
        m=video 5004 RTP/AVP 96
        b=AS:256
        a=rtpmap:96 VP8/90000
        """
}
