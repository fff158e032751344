import MediaRelay
import SwarmCore

/// One node's face of a `FlowFabric`. It has no datagrams, no deadline and no events of its own: the fabric has them for
/// all nodes, in the simulation's time.
package final class FlowMedia: MediaPlane {
    private let fabric: FlowFabric
    private let node: Int

    /// The node is up from now on, under this id.
    package init(fabric: FlowFabric, node: Int, id: NodeID) {
        self.fabric = fabric
        self.node = node
        fabric.startNode(node, id: id)
    }

    package var fingerprint: Bytes32 { FlowOffers.fingerprint }
    package var nextDeadline: MonotonicInstant? { nil }

    package func apply(_ command: WorkerCommand, worker: Int, at now: Now, into out: inout MediaOutput) {
        fabric.apply(command, node: node, worker: worker)
    }

    package func receive(
        _ datagram: inout MutableSpan<UInt8>, from source: NetworkAddress, to destination: NetworkAddress, at now: Now,
        into out: inout MediaOutput
    ) {}

    package func advance(to now: Now, into out: inout MediaOutput) {}

    package func stop() { fabric.stopNode(node) }

    package func pause(until end: MonotonicInstant) { fabric.pauseNode(node, until: end) }

    package func offer(_ purpose: MediaClientPurpose, at now: Now) -> MediaClientOffer { fabric.makeOffer(purpose) }

    /// The session begins with the worker's command; its client needs nothing of the answer.
    package func accept(
        _ answer: String, client: MediaClientID, at now: Now, into out: inout MediaOutput
    ) throws(NegotiationError) {}

    package func vanish(_ client: MediaClientID, at now: Now) { fabric.vanish(client, from: node) }

    package func viewers(at now: Now) -> [ViewerMeasure] { fabric.viewers(of: node) }
}

/// The offers of flow clients: one text for each purpose, made once, in which only the username fragment names the
/// client. So a session can be told from the offer that it came from, for the price of joining five strings.
struct FlowOffers {
    private let publishing: [Substring]
    private let playing: [Substring]

    private static let placeholder = "flow00000000"

    /// No handshake runs, so nobody compares it with a certificate.
    static var fingerprint: Bytes32 { Bytes32(0x666c_6f77, 0, 0, 1) }

    init(seed: UInt64) {
        var generator = SeededGenerator(seed: seed).child(0x6f66_6665_7273)
        let credentials = ICECredentials(usernameFragment: Self.placeholder, password: "flowFidelityHasNoChecks")
        let codecs = [
            CodecDescription(kind: .video, name: "VP8", clockRate: 90_000, channels: 1, formatParameters: ""),
            CodecDescription(
                kind: .audio, name: "opus", clockRate: 48_000, channels: 2,
                formatParameters: "minptime=10;useinbandfec=1"),
        ]
        publishing = Self.pieces(
            ClientOffer(
                purpose: .publishing(codecs), credentials: credentials, fingerprint: Self.fingerprint,
                generator: &generator))
        playing = Self.pieces(
            ClientOffer(
                purpose: .playing([.video, .audio]), credentials: credentials, fingerprint: Self.fingerprint,
                generator: &generator))
    }

    private static func pieces(_ offer: ClientOffer) -> [Substring] { offer.sdp.split(separator: placeholder) }

    func text(_ purpose: MediaClientPurpose, client: MediaClientID) -> String {
        let digits = String(client.raw, radix: 16)
        let fragment = "flow" + String(repeating: "0", count: 8 - digits.count) + digits
        return (purpose == .publishing ? publishing : playing).joined(separator: fragment)
    }

    static func client(ofUsername fragment: String) -> MediaClientID? {
        guard fragment.hasPrefix("flow") else { return nil }
        return UInt32(fragment.dropFirst(4), radix: 16).map { MediaClientID($0) }
    }
}
