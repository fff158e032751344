import SwarmCore

/// What a node says when it starts. `ready` follows, by itself, once every port is open.
package struct Banner: Sendable {
    package var id: NodeID
    package var swarmName: String
    package var peers: Int
    package var swarmPort: UInt16
    /// By worker.
    package var mediaPorts: [UInt16]
    /// `http://127.0.0.1:7780`, without a slash at its end.
    package var url: String
    package var joinString: String?

    package init(
        id: NodeID, swarmName: String, peers: Int, swarmPort: UInt16, mediaPorts: [UInt16], url: String,
        joinString: String?
    ) {
        self.id = id
        self.swarmName = swarmName
        self.peers = peers
        self.swarmPort = swarmPort
        self.mediaPorts = mediaPorts
        self.url = url
        self.joinString = joinString
    }

    /// The banner with a line end. The join string holds the swarm secret: it is whole only on a terminal.
    package func render(isTerminal: Bool) -> String {
        let media = "udp/\(mediaPorts.first ?? 0) (\(workers))"
        let whip = "\(url)/whip/demo"
        let open = "\(url)/"
        let width = max(open.count, whip.count) + 3
        var lines = ["mafalda-swarm \(MafaldaVersion.text)  node \(id.short)   swarm \"\(swarmName)\"   peers \(peers)"]
        lines.append("  media  \(media)     swarm  udp/\(swarmPort)")
        lines.append("  open     \(padded(open, width))publish from the browser, watch, see the swarm")
        lines.append("  publish  \(padded(whip, width))(OBS, GStreamer, FFmpeg)     play  \(url)/whep/demo")
        if let joinString {
            let shown = "mafalda run --join \(isTerminal ? joinString : "mfs1:…")"
            lines.append("  join     \(padded(shown, max(width, shown.count + 3)))(run this on the next machine)")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private var workers: String {
        let count = mediaPorts.count == 1 ? "1 worker" : "\(mediaPorts.count) workers"
        guard let first = mediaPorts.first, mediaPorts.count > 1 else { return count }
        let isRun = mediaPorts.enumerated().allSatisfy { Int($1) == Int(first) + $0 }
        let ports =
            isRun
            ? "\(first)-\(mediaPorts[mediaPorts.count - 1])" : mediaPorts.map(\.description).joined(separator: ", ")
        return "\(count): \(ports)"
    }

    private func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }
}
