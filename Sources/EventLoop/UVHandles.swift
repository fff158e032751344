import CUV

/// A libuv loop. Freed by `deinit`, which first lets the close callbacks of its handles run.
@safe final class UVLoop {
    let raw: UnsafeMutablePointer<uv_loop_t>

    init() throws(EventLoopError) {
        unsafe raw = UnsafeMutablePointer<uv_loop_t>.allocate(capacity: 1)
        let code = unsafe uv_loop_init(raw)
        guard code == 0 else {
            unsafe raw.deallocate()
            throw .loop(code: code)
        }
    }

    deinit {
        // Closing handles are waiting for one more turn. None is open: every owner closes its handles before it goes.
        while unsafe uv_loop_close(raw) == LoopCode.busy {
            unsafe uv_run(raw, UV_RUN_DEFAULT)
        }
        unsafe raw.deallocate()
    }

    /// Serves handles until all are closed.
    func run() { unsafe uv_run(raw, UV_RUN_DEFAULT) }
}

/// libuv's codes are negative errnos on Linux; the headers give them as an enum that Swift does not import as constants.
private enum LoopCode {
    static var busy: Int32 { -16 }
}

/// What a poll handle watches for its loop.
enum PollPurpose {
    case socket(SocketID)
    case timer
    case wakeup
}

/// A `uv_poll_t`: on the heap, freed in its close callback, never moved.
@safe final class PollHandle {
    private let raw: UnsafeMutablePointer<uv_poll_t>
    fileprivate unowned let owner: EventLoop
    fileprivate let purpose: PollPurpose
    private var isClosed = false

    /// Begins to watch `descriptor`, which must stay open until `close`.
    init(_ descriptor: Int32, purpose: PollPurpose, loop: UVLoop, owner: EventLoop) throws(EventLoopError) {
        unsafe raw = UnsafeMutablePointer<uv_poll_t>.allocate(capacity: 1)
        self.owner = owner
        self.purpose = purpose
        let code = unsafe uv_poll_init(loop.raw, raw, descriptor)
        guard code == 0 else {
            unsafe raw.deallocate()
            throw .loop(code: code)
        }
        // The C handle keeps its wrapper alive until the close callback.
        unsafe raw.pointee.data = Unmanaged.passRetained(self).toOpaque()
        watch(writable: false)
    }

    /// Watches for datagrams, and for room to send if `writable`.
    func watch(writable: Bool) {
        let events = Int32(UV_READABLE.rawValue) | (writable ? Int32(UV_WRITABLE.rawValue) : 0)
        _ = unsafe uv_poll_start(raw, events, pollCallback)
    }

    /// Stops watching at once; the descriptor may be closed afterwards.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        unsafe raw.withMemoryRebound(to: uv_handle_t.self, capacity: 1) { handle in
            unsafe uv_close(handle, pollClosedCallback)
        }
    }

    fileprivate func free() { unsafe raw.deallocate() }
}

private func pollCallback(handle: UnsafeMutablePointer<uv_poll_t>?, status: Int32, events: Int32) {
    guard let data = unsafe handle?.pointee.data else { return }
    let poll = unsafe Unmanaged<PollHandle>.fromOpaque(data).takeUnretainedValue()
    // An error status (an ICMP error makes the socket "exceptional") is read off the socket like a datagram.
    let isReadable = status < 0 || events & Int32(UV_READABLE.rawValue) != 0
    let isWritable = status >= 0 && events & Int32(UV_WRITABLE.rawValue) != 0
    poll.owner.handleReady(poll.purpose, isReadable: isReadable, isWritable: isWritable)
}

private func pollClosedCallback(handle: UnsafeMutablePointer<uv_handle_t>?) {
    guard let data = unsafe handle?.pointee.data else { return }
    unsafe Unmanaged<PollHandle>.fromOpaque(data).takeRetainedValue().free()
}

/// A `uv_signal_t`: on the heap, freed in its close callback.
@safe final class SignalHandle {
    private let raw: UnsafeMutablePointer<uv_signal_t>
    fileprivate unowned let owner: EventLoop
    private var isClosed = false

    init(_ signal: Int32, loop: UVLoop, owner: EventLoop) throws(EventLoopError) {
        unsafe raw = UnsafeMutablePointer<uv_signal_t>.allocate(capacity: 1)
        self.owner = owner
        let code = unsafe uv_signal_init(loop.raw, raw)
        guard code == 0 else {
            unsafe raw.deallocate()
            throw .loop(code: code)
        }
        unsafe raw.pointee.data = Unmanaged.passRetained(self).toOpaque()
        _ = unsafe uv_signal_start(raw, signalCallback, signal)
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        unsafe raw.withMemoryRebound(to: uv_handle_t.self, capacity: 1) { handle in
            unsafe uv_close(handle, signalClosedCallback)
        }
    }

    fileprivate func free() { unsafe raw.deallocate() }
}

private func signalCallback(handle: UnsafeMutablePointer<uv_signal_t>?, signal: Int32) {
    guard let data = unsafe handle?.pointee.data else { return }
    unsafe Unmanaged<SignalHandle>.fromOpaque(data).takeUnretainedValue().owner.handleSignal(signal)
}

private func signalClosedCallback(handle: UnsafeMutablePointer<uv_handle_t>?) {
    guard let data = unsafe handle?.pointee.data else { return }
    unsafe Unmanaged<SignalHandle>.fromOpaque(data).takeRetainedValue().free()
}
