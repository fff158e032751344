import Composition
import EventLoop
import SwarmCore
import Synchronization

/// The wakeup of the control loop, for threads that start before it does.
final class ControlWakeup: Sendable {
    private let wakeup = Mutex<Wakeup?>(nil)

    func bind(_ wakeup: Wakeup) {
        self.wakeup.withLock { $0 = wakeup }
        wakeup.signal()
    }

    func signal() { wakeup.withLock { $0 }?.signal() }
}

/// A request on its way to the control thread.
struct GateRequest: Sendable {
    let id: RequestID
    let request: ControlRequest
}

/// The way from HTTP's tasks to the control thread and back: one bounded queue there, one continuation per request
/// back. A full queue, or a stopped node, is an answer too.
final class ControlGate: Sendable {
    private struct State {
        var nextID: UInt64 = 1
        var waiting: [RequestID: CheckedContinuation<ControlReply, Never>] = [:]
        var isClosed = false
    }

    let requests = BoundedQueue<GateRequest>(minimumCapacity: RuntimeLimits.requests)
    let wakeup: ControlWakeup
    private let state = Mutex(State())

    init(wakeup: ControlWakeup) { self.wakeup = wakeup }

    /// Asks the control thread and waits for its answer without blocking a thread.
    func ask(_ request: ControlRequest) async -> ControlReply {
        await withCheckedContinuation { continuation in
            let id: RequestID? = state.withLock { state in
                guard !state.isClosed else { return nil }
                let id = RequestID(state.nextID)
                state.nextID += 1
                state.waiting[id] = continuation
                return id
            }
            guard let id else { return continuation.resume(returning: .refused(.stopping)) }
            if requests.push(GateRequest(id: id, request: request)) {
                wakeup.signal()
            } else {
                answer(id, .refused(.full))
            }
        }
    }

    /// Control thread: the answer to request `id`. A second answer finds nobody.
    func answer(_ id: RequestID, _ reply: ControlReply) {
        state.withLock { $0.waiting.removeValue(forKey: id) }?.resume(returning: reply)
    }

    /// Every waiting request is answered with `.stopping`, and so is every later one.
    func close() {
        let waiting = state.withLock { state in
            state.isClosed = true
            defer { state.waiting = [:] }
            return state.waiting
        }
        for continuation in waiting.values { continuation.resume(returning: .refused(.stopping)) }
    }
}

/// Notices spread to whoever reads them; a reader that falls behind loses the oldest.
final class NoticeBoard: Sendable {
    private struct State {
        var readers: [Int: AsyncStream<SwarmNotice>.Continuation] = [:]
        var next = 0
        var isClosed = false
    }

    private let state = Mutex(State())

    func subscribe() -> AsyncStream<SwarmNotice> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: SwarmNotice.self, bufferingPolicy: .bufferingNewest(RuntimeLimits.noticesPerReader))
        let number: Int? = state.withLock { state in
            guard !state.isClosed else { return nil }
            state.next += 1
            state.readers[state.next] = continuation
            return state.next
        }
        guard let number else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [self] _ in _ = state.withLock { $0.readers.removeValue(forKey: number) } }
        return stream
    }

    func post(_ notice: SwarmNotice) {
        let readers = state.withLock { Array($0.readers.values) }
        for reader in readers { reader.yield(notice) }
    }

    func close() {
        let readers = state.withLock { state in
            state.isClosed = true
            return Array(state.readers.values)
        }
        for reader in readers { reader.finish() }
    }
}
