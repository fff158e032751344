import Synchronization

/// Spreads the node's events over the readers of `/api/v1/events`. Both their number and what waits for each are
/// bounded: a slow reader loses its oldest events, a reader too many is refused.
package final class EventSpread: Sendable {
    private struct State {
        var readers: [UInt64: AsyncStream<String>.Continuation] = [:]
        var nextID: UInt64 = 0
        var isClosed = false
    }

    private let state = Mutex(State())

    package init() {}

    package var readerCount: Int { state.withLock { $0.readers.count } }

    /// A stream of `text/event-stream` chunks; nil when there are too many readers or the node stops.
    package func subscribe() -> AsyncStream<String>? {
        let (stream, continuation) = AsyncStream.makeStream(
            of: String.self, bufferingPolicy: .bufferingNewest(HTTPLimits.eventBacklog))
        let id: UInt64? = state.withLock { state in
            guard !state.isClosed, state.readers.count < HTTPLimits.eventReaders else { return nil }
            state.nextID += 1
            state.readers[state.nextID] = continuation
            return state.nextID
        }
        guard let id else { return nil }
        continuation.onTermination = { [weak self] _ in self?.remove(id) }
        return stream
    }

    /// Gives `text` to every reader.
    package func send(_ text: String) {
        let readers = state.withLock { Array($0.readers.values) }
        for reader in readers { reader.yield(text) }
    }

    /// Ends every reader's stream and refuses new ones.
    package func close() {
        let readers = state.withLock { state in
            state.isClosed = true
            return Array(state.readers.values)
        }
        for reader in readers { reader.finish() }
    }

    /// Forwards `events` until they end or the task is cancelled, with a comment now and then for silent times.
    package func run(_ events: AsyncStream<NodeEvent>) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                for await event in events { self.send(event.eventStreamText) }
            }
            group.addTask {
                while (try? await Task.sleep(for: .seconds(HTTPLimits.keepAliveSeconds))) != nil {
                    self.send(": keep-alive\n\n")
                }
            }
            await group.next()
            group.cancelAll()
        }
        close()
    }

    private func remove(_ id: UInt64) {
        _ = state.withLock { $0.readers.removeValue(forKey: id) }
    }
}
