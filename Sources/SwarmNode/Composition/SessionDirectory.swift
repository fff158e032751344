import MediaRelay
import SwarmCore

/// One client session as the control plane knows it. The token in its URL is the only proof of ownership.
struct SessionEntry {
    let id: SessionID
    let token: String
    let stream: StreamName
    let worker: Int
    let isPublisher: Bool
    let isPlain: Bool
    let created: MonotonicInstant
    var isConnected = false
    /// Changes with each ICE restart (RFC 9725 §4.3.1).
    var entityTag: String
    var localCredentials: ICECredentials
    /// Nil for plain RTP.
    var remoteCredentials: ICECredentials?
}

/// Sessions by id and by token.
struct SessionDirectory {
    private var sessions: [SessionID: SessionEntry] = [:]
    private var tokens: [String: SessionID] = [:]

    var count: Int { sessions.count }
    var isFull: Bool { sessions.count >= CompositionLimits.sessions }
    private(set) var publisherCount = 0
    var viewerCount: Int { count - publisherCount }
    /// Sessions per worker: publishers and viewers.
    private var perWorker: [Int: (publishers: Int, viewers: Int)] = [:]

    func count(isPublisher: Bool, worker: Int) -> Int {
        let counts = perWorker[worker] ?? (0, 0)
        return isPublisher ? counts.publishers : counts.viewers
    }

    subscript(id: SessionID) -> SessionEntry? { sessions[id] }

    func find(token: String) -> SessionEntry? { tokens[token].flatMap { sessions[$0] } }

    mutating func insert(_ entry: SessionEntry) {
        sessions[entry.id] = entry
        tokens[entry.token] = entry.id
        count(entry, 1)
    }

    private mutating func count(_ entry: SessionEntry, _ change: Int) {
        var counts = perWorker[entry.worker] ?? (0, 0)
        if entry.isPublisher {
            counts.publishers += change
            publisherCount += change
        } else {
            counts.viewers += change
        }
        perWorker[entry.worker] = counts
    }

    mutating func update(_ entry: SessionEntry) {
        guard sessions[entry.id] != nil else { return }
        sessions[entry.id] = entry
    }

    @discardableResult
    mutating func remove(_ id: SessionID) -> SessionEntry? {
        guard let entry = sessions.removeValue(forKey: id) else { return nil }
        tokens[entry.token] = nil
        count(entry, -1)
        return entry
    }

    /// Ids of the sessions of one stream, in order.
    func ids(of stream: StreamName) -> [SessionID] {
        sessions.values.filter { $0.stream == stream }.map(\.id).sorted()
    }

    var allIDs: [SessionID] { sessions.keys.sorted() }
}
