import Composition
import MediaRelay
import SwarmCore

/// The composition's snapshots in the API's words.
extension NodeHandle {
    static func report(_ member: MemberSnapshot) -> MemberReport {
        let state: MemberReport.State =
            switch member.state {
            case .alive: .alive
            case .suspected: .suspect
            case .left: .left
            case .failed: .dead
            }
        return MemberReport(
            id: member.id.description, addresses: member.addresses.map(\.description), state: state,
            roundTripMilliseconds: member.roundTrip?.fractionalMilliseconds, load: member.load,
            ageMilliseconds: member.age?.milliseconds ?? 0, isSelf: member.isSelf,
            apiURL: member.publicURL.isEmpty ? nil : member.publicURL)
    }

    static func report(_ stream: StreamSnapshot) -> StreamReport {
        StreamReport(
            name: stream.name.text, origin: stream.origin.description,
            tracks: (stream.descriptor?.tracks ?? []).map { track in
                StreamReport.Track(
                    kind: track.codec.kind == .audio ? "audio" : "video", codec: track.codec.name,
                    encodings: track.encodings.count)
            },
            viewers: stream.viewers, children: stream.children, isCarried: stream.isCarried)
    }

    static func report(_ trace: RouteTrace) -> RouteReport {
        let hops = trace.hops.map { hop in
            // The delay a hop adds is half its round trip; workers add microseconds (docs/results).
            return RouteReport.Hop(
                node: hop.node.description, parent: hop.parent?.description,
                roundTripMilliseconds: hop.roundTrip?.fractionalMilliseconds, lossRatio: hop.lossRatio,
                addedDelayMilliseconds: hop.roundTrip.map { $0.fractionalMilliseconds / 2 })
        }
        return RouteReport(
            stream: trace.stream.text, origin: trace.origin.description, hops: hops, isCarried: trace.isCarried,
            carriers: trace.carriers.map(\.description))
    }

    static func report(
        _ session: WorkerStatistics.Session, worker: Int, names: [StreamHandle: StreamName]
    ) -> SessionReport {
        SessionReport(
            stream: names[session.stream]?.text ?? "", role: session.isPublisher ? .publisher : .viewer,
            isConnected: session.isConnected, worker: worker, packetsReceived: session.packetsReceived,
            bytesReceived: session.bytesReceived, packetsSent: session.packetsSent, bytesSent: session.bytesSent,
            packetsLost: session.packetsLost, roundTripMilliseconds: session.roundTrip?.fractionalMilliseconds)
    }

    static func report(_ link: WorkerStatistics.Link, worker: Int) -> LinkReport {
        LinkReport(
            peer: link.peer.description, worker: worker, isEstablished: link.isEstablished,
            packetsReceived: link.packetsReceived, bytesReceived: link.bytesReceived, packetsSent: link.packetsSent,
            bytesSent: link.bytesSent, packetsLost: link.packetsLost, framesFirstSent: link.framesFirstSent,
            framesFirstSentTwice: link.framesFirstSentTwice,
            roundTripMilliseconds: link.roundTrip?.fractionalMilliseconds)
    }
}
