/// The bodies of `/api/v1/…`: snake case, the unit in the name.
extension NodeReport {
    package var json: String {
        JSONWriter.object { out in
            out.member("id", id)
            out.member("version", version)
            out.member("swarm", swarmName)
            out.member("ready", isReady)
            out.member("draining", isDraining)
            out.member("uptime_ms", uptimeMilliseconds)
            out.member("peers", peers)
            out.array("addresses", addresses) { $0.string($1) }
            out.member("swarm_port", swarmPort)
            out.array("media_ports", mediaPorts) { $0.integer($1) }
            out.member("streams", streams)
            out.member("publishers", publishers)
            out.member("viewers", viewers)
            out.member("children", children)
            out.member("load", load)
            out.array("sessions", sessions) { $1.write(into: &$0) }
            out.array("links", links) { $1.write(into: &$0) }
        }
    }
}

extension SessionReport {
    fileprivate func write(into out: inout JSONWriter) {
        out.object { out in
            out.member("stream", stream)
            out.member("role", role.rawValue)
            out.member("connected", isConnected)
            out.member("worker", worker)
            out.member("packets_received", packetsReceived)
            out.member("bytes_received", bytesReceived)
            out.member("packets_sent", packetsSent)
            out.member("bytes_sent", bytesSent)
            out.member("packets_lost", packetsLost)
            out.member("rtt_ms", roundTripMilliseconds)
        }
    }
}

extension LinkReport {
    fileprivate func write(into out: inout JSONWriter) {
        out.object { out in
            out.member("peer", peer)
            out.member("worker", worker)
            out.member("established", isEstablished)
            out.member("packets_received", packetsReceived)
            out.member("bytes_received", bytesReceived)
            out.member("packets_sent", packetsSent)
            out.member("bytes_sent", bytesSent)
            out.member("packets_lost", packetsLost)
            out.member("frames_first_sent", framesFirstSent)
            out.member("frames_first_sent_twice", framesFirstSentTwice)
            out.member("rtt_ms", roundTripMilliseconds)
        }
    }
}

extension MemberReport {
    /// `{"members":[…]}`.
    package static func json(_ members: [MemberReport]) -> String {
        JSONWriter.object { out in out.array("members", members) { $1.write(into: &$0) } }
    }

    func write(into out: inout JSONWriter) {
        out.object { out in
            out.member("id", id)
            out.array("addresses", addresses) { $0.string($1) }
            out.member("state", state.rawValue)
            out.member("rtt_ms", roundTripMilliseconds)
            out.member("load", load)
            out.member("age_ms", ageMilliseconds)
            out.member("self", isSelf)
            out.member("api_url", apiURL)
        }
    }
}

extension StreamReport {
    /// `{"streams":[…]}`.
    package static func json(_ streams: [StreamReport]) -> String {
        JSONWriter.object { out in out.array("streams", streams) { $1.write(into: &$0) } }
    }

    func write(into out: inout JSONWriter) {
        out.object { out in
            out.member("name", name)
            out.member("origin", origin)
            out.array("tracks", tracks) { out, track in
                out.object { out in
                    out.member("kind", track.kind)
                    out.member("codec", track.codec)
                    out.member("encodings", track.encodings)
                }
            }
            out.member("viewers", viewers)
            out.member("children", children)
            out.member("carried", isCarried)
            out.member("packets_received", packetsReceived)
            out.member("bytes_received", bytesReceived)
        }
    }
}

extension RouteReport {
    package var json: String {
        JSONWriter.object { out in
            out.member("stream", stream)
            out.member("origin", origin)
            out.member("carried", isCarried)
            out.array("carriers", carriers) { $0.string($1) }
            out.array("hops", hops) { out, hop in
                out.object { out in
                    out.member("node", hop.node)
                    out.member("parent", hop.parent)
                    out.member("rtt_ms", hop.roundTripMilliseconds)
                    out.member("loss_ratio", hop.lossRatio)
                    out.member("added_delay_ms", hop.addedDelayMilliseconds)
                }
            }
        }
    }
}

extension NodeEvent {
    /// The name that server-sent events carry it under.
    package var name: String {
        switch self {
        case .memberChanged: "member"
        case .memberRemoved: "member_removed"
        case .streamChanged: "stream"
        case .streamEnded: "stream_ended"
        case .routeChanged: "route"
        case .sessionsChanged: "sessions"
        }
    }

    package var json: String {
        var out = JSONWriter()
        switch self {
        case .memberChanged(let member): member.write(into: &out)
        case .memberRemoved(let id): out.object { $0.member("id", id) }
        case .streamChanged(let stream): stream.write(into: &out)
        case .streamEnded(let name): out.object { $0.member("name", name) }
        case .routeChanged(let stream): out.object { $0.member("stream", stream) }
        case .sessionsChanged(let publishers, let viewers):
            out.object {
                $0.member("publishers", publishers)
                $0.member("viewers", viewers)
            }
        }
        return out.text
    }

    /// One event of a `text/event-stream` (WHATWG HTML §9.2). JSON text holds no line breaks.
    package var eventStreamText: String { "event: \(name)\ndata: \(json)\n\n" }
}
