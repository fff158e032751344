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
    var publisherCount: Int { sessions.values.reduce(0) { $0 + ($1.isPublisher ? 1 : 0) } }
    var viewerCount: Int { count - publisherCount }

    subscript(id: SessionID) -> SessionEntry? { sessions[id] }

    func find(token: String) -> SessionEntry? { tokens[token].flatMap { sessions[$0] } }

    mutating func insert(_ entry: SessionEntry) {
        sessions[entry.id] = entry
        tokens[entry.token] = entry.id
    }

    mutating func update(_ entry: SessionEntry) {
        guard sessions[entry.id] != nil else { return }
        sessions[entry.id] = entry
    }

    @discardableResult
    mutating func remove(_ id: SessionID) -> SessionEntry? {
        guard let entry = sessions.removeValue(forKey: id) else { return nil }
        tokens[entry.token] = nil
        return entry
    }

    /// Ids of the sessions of one stream, in order.
    func ids(of stream: StreamName) -> [SessionID] {
        sessions.values.filter { $0.stream == stream }.map(\.id).sorted()
    }

    var allIDs: [SessionID] { sessions.keys.sorted() }
}
