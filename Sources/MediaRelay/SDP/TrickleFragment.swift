import SwarmCore

/// An `application/trickle-ice-sdpfrag` body (RFC 8840 §9) as a WHIP or WHEP client sends it by PATCH: more
/// candidates, or new credentials for an ICE restart (RFC 9725 §4.3.3).
package struct TrickleFragment: Hashable, Sendable {
    /// The client's credentials: those it has (trickle) or new ones (restart).
    package var credentials: ICECredentials?
    /// UDP host and server-reflexive addresses of component 1; the rest are ignored, as an ICE-lite agent may.
    package var candidates: [NetworkAddress]
    package var isComplete: Bool
    /// The sections named, for the answer.
    package var mids: [String]

    package init(parsing text: String) throws(NegotiationError) {
        // A fragment is a session description without its first lines.
        let whole = try SessionDescription.offered("v=0\n" + text)
        var credentials: ICECredentials?
        var candidates: [NetworkAddress] = []
        var isComplete = false
        let session = SessionDescription.MediaSection(
            media: "", port: 0, transportProtocol: "", formats: [], attributes: whole.attributes)
        for section in [session] + whole.media {
            if section.has("ice-ufrag") || section.has("ice-pwd") {
                guard let found = whole.iceCredentials(for: section) else {
                    throw .missing("a=ice-ufrag and a=ice-pwd")
                }
                credentials = credentials ?? found
            }
            for attribute in section.attributes where attribute.name == "candidate" {
                guard candidates.count < SDPLimits.candidates,
                    let address = ICEText.address(ofCandidate: attribute.value), !candidates.contains(address)
                else { continue }
                candidates.append(address)
            }
            isComplete = isComplete || section.has("end-of-candidates")
        }
        self.credentials = credentials
        self.candidates = candidates
        self.isComplete = isComplete
        mids = whole.media.compactMap(\.mid)
    }

    /// Whether this is a restart of a session whose client had `current` credentials (RFC 8839 §4.4.1.1.1).
    package func isRestart(of current: ICECredentials) -> Bool {
        credentials.map { $0 != current } ?? false
    }

    /// The body that answers a restart: our new credentials and all candidates.
    package func restartAnswer(local: LocalTransport) -> String {
        var attributes: [SessionDescription.Attribute] = [.init("ice-lite")]
        if !mids.isEmpty { attributes.append(.init("group", (["BUNDLE"] + mids).joined(separator: " "))) }
        var section = SessionDescription.MediaSection(
            media: "audio", port: 9, transportProtocol: "UDP/TLS/RTP/SAVPF", formats: ["0"])
        if let mid = mids.first { section.attributes.append(.init("mid", mid)) }
        section.attributes += [
            .init("ice-ufrag", local.credentials.usernameFragment), .init("ice-pwd", local.credentials.password),
        ]
        section.attributes += CandidateLines.attributes(local.candidates)
        return (attributes.map(\.line) + section.lines).map { $0 + "\r\n" }.joined()
    }
}
