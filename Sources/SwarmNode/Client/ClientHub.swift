import EventLoop
import MediaRelay
import SwarmCore
import Synchronization

/// A client machine that can be made on a loop's thread from what signalling has settled.
protocol HeadlessClient: ~Copyable, Machine, SendableMetatype where Event == ClientEvent {
    associatedtype Parameters: Sendable
    associatedtype Report: Sendable

    static func make(_ parameters: Parameters, at now: Now) -> Self
    mutating func close(at now: Now, into out: inout Outbox)
    func report(at now: MonotonicInstant) -> Report
}

extension PublisherMachine: HeadlessClient {
    struct Parameters: Sendable {
        let clip: MediaClip
        let session: ClientOffer.Session
        let certificate: DTLSCertificate
        let generator: SeededGenerator
    }

    struct Report: Sendable {
        let statistics: Statistics
        let duration: Interval
    }

    static func make(_ parameters: Parameters, at now: Now) -> PublisherMachine {
        PublisherMachine(
            clip: parameters.clip, session: parameters.session, certificate: parameters.certificate,
            generator: parameters.generator, at: now)
    }

    func report(at now: MonotonicInstant) -> Report {
        Report(statistics: statistics, duration: statistics.connectedAt.map { now - $0 } ?? .zero)
    }
}

extension PlayerMachine: HeadlessClient {
    struct Parameters: Sendable {
        let session: ClientOffer.Session
        let certificate: DTLSCertificate
        let generator: SeededGenerator
        let startedAt: MonotonicInstant
    }

    static func make(_ parameters: Parameters, at now: Now) -> PlayerMachine {
        PlayerMachine(
            session: parameters.session, certificate: parameters.certificate, generator: parameters.generator,
            startedAt: parameters.startedAt, at: now)
    }
}

/// What a session came to.
struct ClientOutcome<Report: Sendable>: Sendable {
    let index: Int
    let report: Report
    /// Nil where the client ended it.
    let ending: SessionCloseReason?
}

/// Where the asynchronous side and the loops of one command meet.
final class ClientHub<Client: HeadlessClient & ~Copyable>: Sendable {
    struct Arrival: Sendable {
        let index: Int
        let parameters: Client.Parameters
    }

    private struct State {
        var outcomes: [ClientOutcome<Client.Report>] = []
        var openSessions: Int
        var isOver = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    /// Sessions on their way to their loops, by loop.
    let arrivals: [BoundedQueue<Arrival>]
    private let state: Mutex<State>

    init(sessions: Int, loops: Int) {
        arrivals = (0..<loops).map { _ in BoundedQueue(minimumCapacity: sessions) }
        state = Mutex(State(openSessions: sessions))
    }

    /// Any thread: the command is over (time, signal, cancellation).
    func end() {
        let waiter = state.withLock { state in
            state.isOver = true
            return state.waiter.take()
        }
        waiter?.resume()
    }

    /// A loop: one session has ended by itself; with the last one the command is over.
    func sessionEnded() {
        let isLast = state.withLock { state in
            state.openSessions -= 1
            return state.openSessions <= 0
        }
        if isLast { end() }
    }

    /// A loop that stops: its sessions' results.
    func collect(_ outcome: ClientOutcome<Client.Report>) { state.withLock { $0.outcomes.append(outcome) } }

    /// After all loops have stopped; in the order of the sessions.
    var outcomes: [ClientOutcome<Client.Report>] {
        state.withLock { $0.outcomes.sorted { $0.index < $1.index } }
    }

    /// Returns when the command is over.
    func waitForEnd() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if !state.isOver { state.waiter = continuation }
                    return state.isOver
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            end()
        }
    }
}
