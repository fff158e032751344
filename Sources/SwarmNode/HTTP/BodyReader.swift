import Hummingbird
import NIOCore

/// Reads a request's body within the bounds of `HTTPLimits`: size and time.
enum BodyReader {
    /// The body as text. Throws 408, 413 or 400.
    static func text(of request: Request) async throws(Refusal) -> String {
        let declared = request.headers[.contentLength].flatMap(Int.init)
        if let declared, declared > HTTPLimits.drainedBytes { throw closing(.tooLarge) }
        let buffer: ByteBuffer
        do {
            buffer = try await withDeadline(seconds: HTTPLimits.bodySeconds) { try await collect(request.body) }
        } catch let refusal as Refusal {
            throw refusal
        } catch is CancellationError {
            throw closing(Refusal(.requestTimeout, "the body did not arrive in time"))
        } catch {
            throw closing(Refusal(.badRequest, "the body could not be read"))
        }
        guard let text = String(validating: buffer.readableBytesView, as: UTF8.self) else {
            throw Refusal(.badRequest, "the body is not UTF-8")
        }
        return text
    }

    /// A little more than what is accepted is read and discarded, so that a client which sends first and reads
    /// afterwards gets to see the refusal.
    private static func collect(_ body: RequestBody) async throws -> ByteBuffer {
        var buffer = ByteBuffer()
        var count = 0
        for try await var part in body {
            count += part.readableBytes
            guard count <= HTTPLimits.drainedBytes else { throw closing(.tooLarge) }
            if count <= HTTPLimits.bodyBytes { buffer.writeBuffer(&part) }
        }
        guard count <= HTTPLimits.bodyBytes else { throw Refusal.tooLarge }
        return buffer
    }

    private static func withDeadline<Value: Sendable>(
        seconds: Int64, _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value.self) { group in
            group.addTask { try await work() }
            group.addTask {
                try await Task.sleep(for: .seconds(seconds))
                throw CancellationError()
            }
            defer { group.cancelAll() }
            guard let value = try await group.next() else { throw CancellationError() }
            return value
        }
    }

    private static func closing(_ refusal: Refusal) -> Refusal {
        var refusal = refusal
        refusal.closesConnection = true
        return refusal
    }
}
