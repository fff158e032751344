import SwarmCore

/// A source of plain RTP as an SDP file describes it (FFmpeg's `-f rtp -sdp_file`, GStreamer's `sdpdemux` side): no
/// ICE, no DTLS, one port for each track.
package struct PlainRTPDescription: Sendable {
    package struct Endpoint: Hashable, Sendable {
        package var track: UInt8
        /// Where the file says the media is sent to: the port the node listens on for this track.
        package var address: NetworkAddress
    }

    package var endpoints: [Endpoint]
    package var tracks: [PublisherTrack]
    package var descriptor: StreamDescriptor

    /// `epoch`: wall milliseconds of this publication's start.
    package init(parsing text: String, epoch: UInt64) throws(NegotiationError) {
        let description = try SessionDescription.offered(text)
        var endpoints: [Endpoint] = []
        var tracks: [PublisherTrack] = []
        var descriptions: [TrackDescription] = []
        for section in description.media where section.kind != nil && section.port != 0 {
            guard ["RTP/AVP", "RTP/AVPF"].contains(section.transportProtocol) else { continue }
            guard let choice = CodecMatching.publisherChoice(among: section.codecOffers) else { continue }
            guard tracks.count < SDPLimits.tracks else { throw .tooManyTracks(limit: SDPLimits.tracks) }
            guard let host = section.connection ?? description.connection,
                let address = NetworkAddress(host: host, port: section.port)
            else { throw .missing("c= line with an IP address") }
            guard !endpoints.contains(where: { $0.address.port == address.port }) else {
                throw .missing("port of its own for each track")
            }
            let number = UInt8(clamping: tracks.count)
            endpoints.append(Endpoint(track: number, address: address))
            tracks.append(Self.track(number, section, choice))
            descriptions.append(
                TrackDescription(
                    codec: choice.codec.description(parameters: choice.format.parameters),
                    encodings: [EncodingDescription(rid: "")], extensions: []))
        }
        guard !tracks.isEmpty else {
            throw .noCommonCodec(
                offered: description.offeredCodecNames, wanted: KnownCodec.allCases.map(\.rawValue))
        }
        self.endpoints = endpoints
        self.tracks = tracks
        descriptor = StreamDescriptor(epoch: epoch, version: 1, tracks: descriptions)
        guard descriptor.encode() != nil else { throw .unusableParameters }
    }

    /// No feedback: the source may not listen, and nothing proves that a port behind it wants ours.
    private static func track(
        _ number: UInt8, _ section: SessionDescription.MediaSection, _ choice: CodecOffer
    ) -> PublisherTrack {
        PublisherTrack(
            track: number, kind: choice.codec.kind, clockRate: choice.codec.clockRate,
            codecName: choice.codec.rawValue, mid: "", payloadType: choice.format.payloadType,
            retransmissionPayloadType: nil, ssrc: section.announcedSources.media, retransmissionSSRC: nil,
            extensions: [], supportsNACK: false, supportsPLI: false, supportsTransportFeedback: false)
    }
}
