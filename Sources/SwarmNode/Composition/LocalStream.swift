import MediaRelay
import SwarmCore

/// What this node has to do with one stream: as origin, on behalf of viewers, or for other nodes.
struct LocalStream {
    /// A viewer whose offer waits for the stream's descriptor.
    struct Waiter {
        let request: RequestID
        let offer: String
    }

    let name: StreamName
    let handle: StreamHandle
    /// The stream's home: hash(name) mod workers (DESIGN §5.5).
    let worker: Int
    /// The session that publishes it here; nil where it comes from a parent.
    var publisher: SessionID?
    /// Known from the publisher's offer or the parent's acceptance.
    var descriptor: StreamDescriptor?
    var viewerCount = 0
    var waiters: [Waiter] = []
    /// Whether `StreamRoutes` has been asked for it.
    var isSubscribed = false
    /// Whether a parent feeds it (or a publisher here).
    var isFed = false
    /// When to let go of a stream that nobody here watches.
    var releaseAt: MonotonicInstant?

    var isOrigin: Bool { publisher != nil }
    var hasLocalInterest: Bool { isOrigin || viewerCount > 0 || !waiters.isEmpty }
}

/// Streams by name and by handle. Walked in name order only, so that nothing depends on hashing.
struct StreamDirectory {
    private var streams: [StreamName: LocalStream] = [:]
    private var names: [StreamHandle: StreamName] = [:]
    private var nextHandle: UInt32 = 1
    private let workerCount: Int

    init(workerCount: Int) { self.workerCount = workerCount }

    var count: Int { streams.count }
    var sortedNames: [StreamName] { streams.keys.sorted() }
    var namesByHandle: [StreamHandle: StreamName] { names }

    subscript(name: StreamName) -> LocalStream? { streams[name] }

    func name(of handle: StreamHandle) -> StreamName? { names[handle] }

    /// The stream's entry, made if it is new; nil when the directory is full.
    mutating func open(_ name: StreamName) -> LocalStream? {
        if let stream = streams[name] { return stream }
        guard streams.count < CompositionLimits.streams else { return nil }
        let handle = StreamHandle(nextHandle)
        nextHandle &+= 1
        let stream = LocalStream(
            name: name, handle: handle, worker: HomeWorker.index(of: name, workers: workerCount))
        streams[name] = stream
        names[handle] = name
        return stream
    }

    /// Changes the entry in place; nothing happens where there is none.
    mutating func update(_ name: StreamName, _ change: (inout LocalStream) -> Void) {
        guard var stream = streams[name] else { return }
        change(&stream)
        streams[name] = stream
    }

    @discardableResult
    mutating func remove(_ name: StreamName) -> LocalStream? {
        guard let stream = streams.removeValue(forKey: name) else { return nil }
        names[stream.handle] = nil
        return stream
    }

    var nextRelease: MonotonicInstant? {
        guard !streams.isEmpty else { return nil }
        return streams.values.reduce(nil) { Deadline.earlier($0, $1.releaseAt) }
    }

    func due(at now: MonotonicInstant) -> [StreamName] {
        streams.values.filter { ($0.releaseAt ?? .distantFuture) <= now }.map(\.name).sorted()
    }
}
