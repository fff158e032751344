import Composition
import MediaRelay
import SwarmCore

/// Clients of simulated nodes: whoever publishes and plays, in either fidelity.
extension Simulation {
    /// A client of `node` publishes `name`. `done` hears its session, or why there is none; never where the node dies.
    package func publish(
        _ name: StreamName, at node: SimulatedNode, done: @escaping (MediaClientOutcome) -> Void = { _ in }
    ) {
        begin(.publishing, at: node, done: done) { .publish(name, offer: $0) }
    }

    /// A client of `node` plays `name`.
    package func play(
        _ name: StreamName, at node: SimulatedNode, done: @escaping (MediaClientOutcome) -> Void = { _ in }
    ) {
        begin(.playing, at: node, done: done) { .play(name, offer: $0) }
    }

    /// Begins a fault of the network and tells whoever keeps a view of it. Nil if too many are pending already.
    @discardableResult
    package func begin(_ fault: NetworkFault) -> NetworkFaultID? {
        let id = network.add(fault)
        if id != nil { faultListener?(fault) }
        return id
    }

    package func endAllFaults() {
        network.endAllFaults()
        faultListener?(nil)
    }

    private func begin(
        _ purpose: MediaClientPurpose, at node: SimulatedNode, done: @escaping (MediaClientOutcome) -> Void,
        request: (String) -> ControlRequest
    ) {
        guard let plane = node.media else { return done(.refused(.stopping)) }
        let offer = plane.offer(purpose, at: node.clock.now(now))
        ask(node, request(offer.sdp)) { [unowned self] reply in
            switch reply {
            case .created(let session): done(answer(session, of: offer.client, plane, at: node))
            case .refused(let refusal): done(.refused(refusal))
            default: done(.refused(.timedOut))
            }
        }
    }

    private func answer(
        _ session: CreatedSession, of client: MediaClientID, _ plane: any MediaPlane, at node: SimulatedNode
    ) -> MediaClientOutcome {
        do throws(NegotiationError) {
            try plane.accept(session.sdp, client: client, at: node.clock.now(now), into: &media)
        } catch {
            return .unusableAnswer(error)
        }
        finishMedia(node)
        return .began(client, token: session.token)
    }
}

/// What became of a client's request.
package enum MediaClientOutcome: Sendable {
    case began(MediaClientID, token: String)
    case refused(ControlRefusal)
    /// The node's answer does not fit the offer.
    case unusableAnswer(NegotiationError)
}
