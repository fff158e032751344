/// Session descriptions of real clients, by who wrote them.
enum OfferFixtures {
    static let publishers: [(name: String, offer: String)] = [
        ("Chromium", chromiumPublish), ("Chromium simulcast", chromiumSimulcast), ("Firefox", firefoxPublish),
        ("OBS", obsPublish), ("FFmpeg", ffmpegPublish), ("GStreamer", gstreamerPublish), ("aiortc", aiortcPublish),
    ]
    static let players: [(name: String, offer: String)] = [
        ("Chromium", chromiumPlay), ("Firefox", firefoxPlay), ("aiortc", aiortcPlay),
    ]
    static let all: [(name: String, offer: String)] =
        publishers + players + [("plain H264", plainH264), ("plain VP8", plainVP8)]
}
