import MediaRelay
import SwarmCore

enum SDPTestSupport {
    static let session = SessionID(0x1234_5678_9abc_def0)
    static let stream = StreamHandle(7)
    static let local = LocalTransport(
        credentials: ICECredentials(usernameFragment: "nodeFrag", password: "nodePassword0123456789ab"),
        fingerprint: Bytes32(0x0011_2233_4455_6677, 0x8899_aabb_ccdd_eeff, 1, 2),
        candidates: [
            NetworkAddress(ipv4: 0xc633_6401, port: 7789),
            NetworkAddress(high: 0x2001_0db8_0000_0000, low: 1, port: 7789),
        ])

    static func publish(_ offer: String) throws(NegotiationError) -> PublisherAnswer {
        try WHIPNegotiation.answer(
            offer: offer, session: session, stream: stream, epoch: 1_700_000_000_000, local: local)
    }

    static func play(_ offer: String, _ descriptor: StreamDescriptor) throws(NegotiationError) -> ViewerAnswer {
        var generator = SeededGenerator(seed: 42)
        return try WHEPNegotiation.answer(
            offer: offer, descriptor: descriptor, session: session, stream: stream, local: local, generator: &generator)
    }

    static func track(_ codec: KnownCodec, _ parameters: String = "", _ extensions: [HeaderExtension] = [])
        -> TrackDescription
    {
        TrackDescription(
            codec: codec.description(parameters: FormatParameters(parameters)),
            encodings: [EncodingDescription(rid: "")], extensions: extensions)
    }

    static func descriptor(_ tracks: TrackDescription...) -> StreamDescriptor {
        StreamDescriptor(epoch: 1_700_000_000_000, version: 3, tracks: tracks)
    }

    static func crlf(_ text: String) -> String {
        text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\r\n")
    }
}
