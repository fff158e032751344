import EventLoop
import MediaRelay
import SwarmCore

/// One command's course: loops up, sessions signalled, time passes, loops down, sessions deleted.
struct ClientRun<Client: HeadlessClient & ~Copyable>: Sendable {
    /// How many requests are under way at once.
    private static var concurrentRequests: Int { 8 }

    let options: MediaClientOptions
    let verb: Signaller.Verb
    let sessions: Int
    let loops: Int

    /// `join` signals the session of an index and returns what its machine needs, and the session's URL.
    func perform(
        _ join: @escaping @Sendable (Signaller, Int) async throws -> (Client.Parameters, String?)
    ) async throws -> [ClientOutcome<Client.Report>] {
        let hub = ClientHub<Client>(sessions: sessions, loops: loops)
        let perLoop = (sessions + loops - 1) / loops
        var threads: [LoopThread] = []
        for index in 0..<loops {
            threads.append(
                try LoopThread(
                    name: "client-\(index)",
                    driver: ClientDriver<Client>(hub: hub, loopIndex: index, capacity: perLoop)))
        }
        let signaller = Signaller(options: options, verb: verb)
        var urls: [String] = []
        var failure: (any Error)?
        do {
            try await signal(signaller, hub, threads, &urls, join)
            await wait(hub)
        } catch {
            failure = error
        }
        for thread in threads { thread.stopAndJoin() }
        for url in urls { await signaller.delete(url) }
        await signaller.shutdown()
        if let failure { throw failure }
        return hub.outcomes
    }

    private func signal(
        _ signaller: Signaller, _ hub: ClientHub<Client>, _ threads: [LoopThread], _ urls: inout [String],
        _ join: @escaping @Sendable (Signaller, Int) async throws -> (Client.Parameters, String?)
    ) async throws {
        let loops = loops
        var failure: (any Error)?
        await withTaskGroup(of: Result<String?, any Error>.self) { group in
            var next = 0
            func addOne() {
                guard next < sessions, failure == nil else { return }
                let index = next
                next += 1
                group.addTask {
                    do {
                        let (parameters, url) = try await join(signaller, index)
                        hub.arrivals[index % loops].push(
                            ClientHub<Client>.Arrival(index: index, parameters: parameters))
                        threads[index % loops].wakeup.signal()
                        return .success(url)
                    } catch {
                        return .failure(error)
                    }
                }
            }
            for _ in 0..<Self.concurrentRequests { addOne() }
            while let result = await group.next() {
                switch result {
                case .success(let url): if let url { urls.append(url) }
                case .failure(let error): failure = failure ?? error
                }
                addOne()
            }
        }
        if let failure { throw failure }
    }

    private func wait(_ hub: ClientHub<Client>) async {
        let seconds = options.durationSeconds
        await withTaskGroup(of: Void.self) { group in
            if let seconds {
                group.addTask {
                    try? await Task.sleep(for: .seconds(seconds))
                    hub.end()
                }
            }
            await hub.waitForEnd()
            group.cancelAll()
        }
    }
}
