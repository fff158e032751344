import AsyncHTTPClient
import Glibc
import MediaRelay
import NIOCore
import NIOPosix
import SwarmCore

/// The HTTP side of a headless client: WHIP (RFC 9725) and WHEP requests.
///
/// A 307 is followed once, by hand, so that POST stays POST and the token goes along, as OBS does. A player waits for a
/// stream that is not live yet as long as the node says (409 or 503 with Retry-After), for a short while in all.
struct Signaller: Sendable {
    enum Verb: String, Sendable {
        case publish = "whip"
        case play = "whep"
    }

    struct Answer: Sendable {
        let sdp: String
        let sessionURL: String?
    }

    /// What a player spends at most on waiting for its stream.
    private static var patienceSeconds: Int { 15 }
    private static var answerBytes: Int { SDPLimits.textBytes }

    private let options: MediaClientOptions
    private let verb: Verb
    private let client: HTTPClient

    init(options: MediaClientOptions, verb: Verb) {
        self.options = options
        self.verb = verb
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.timeout.connect = .seconds(5)
        client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    func shutdown() async { try? await client.shutdown() }

    func post(_ offer: String) async throws -> Answer {
        var waited = 0
        while true {
            let (response, url) = try await postFollowing(offer)
            if response.status == .created {
                let location = response.headers.first(name: "location")
                return Answer(sdp: try await text(of: response), sessionURL: location.map { Self.resolve($0, at: url) })
            }
            let retryAfter = response.headers.first(name: "retry-after").flatMap { Int($0) }
            let isTemporary = response.status == .conflict || response.status == .serviceUnavailable
            guard verb == .play, isTemporary, let retryAfter, waited < Self.patienceSeconds else {
                throw MediaClientError(try await refusal(response))
            }
            let pause = min(max(retryAfter, 1), 5)
            waited += pause
            _ = try? await text(of: response)
            try await Task.sleep(for: .seconds(pause))
        }
    }

    /// Gives a session back. The node may have dropped it already.
    func delete(_ url: String) async {
        var request = HTTPClientRequest(url: url)
        request.method = .DELETE
        authorise(&request)
        guard let response = try? await client.execute(request, timeout: .seconds(3)) else { return }
        _ = try? await response.body.collect(upTo: Self.answerBytes)
    }

    // MARK: Private

    private func postFollowing(_ offer: String) async throws -> (HTTPClientResponse, String) {
        let url = "\(options.apiURL)/\(verb.rawValue)/\(options.stream.text)"
        let response = try await send(offer, to: url)
        guard response.status == .temporaryRedirect, let location = response.headers.first(name: "location") else {
            return (response, url)
        }
        let target = Self.resolve(location, at: url)
        return (try await send(offer, to: target), target)
    }

    private func send(_ offer: String, to url: String) async throws -> HTTPClientResponse {
        var request = HTTPClientRequest(url: url)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/sdp")
        request.headers.add(name: "Accept", value: "application/sdp")
        authorise(&request)
        request.body = .bytes(ByteBuffer(string: offer))
        do {
            return try await client.execute(request, timeout: .seconds(15))
        } catch {
            throw MediaClientError("no node answers at \(options.apiURL) (\(Self.reason(error)))")
        }
    }

    private func authorise(_ request: inout HTTPClientRequest) {
        if let token = options.token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
    }

    private func text(of response: HTTPClientResponse) async throws -> String {
        do {
            let buffer = try await response.body.collect(upTo: Self.answerBytes)
            return String(decoding: buffer.readableBytesView, as: UTF8.self)
        } catch {
            throw MediaClientError("the answer of \(options.apiURL) breaks off or is too long")
        }
    }

    /// The node's own words where it has some: its first line, within reason.
    private func refusal(_ response: HTTPClientResponse) async throws -> String {
        let body = (try? await text(of: response)) ?? ""
        let line = body.utf8.split(separator: UInt8(ascii: "\n")).first
            .map { String(decoding: $0.prefix(200), as: UTF8.self) }
        let says = line.map { ": \($0)" } ?? ""
        return "\(options.apiURL) refuses to \(verb == .publish ? "take" : "play") \(options.stream)"
            + " (\(response.status.code) \(response.status.reasonPhrase)\(says))"
    }

    /// RFC 3986 §5.2 for the two forms that occur: a whole URL, or a path from the root.
    static func resolve(_ location: String, at base: String) -> String {
        guard location.hasPrefix("/"), let scheme = base.firstRange(of: "://") else { return location }
        let rest = base[scheme.upperBound...]
        let origin = rest.firstIndex(of: "/").map { base[..<$0] } ?? base[...]
        return origin + location
    }

    private static func reason(_ error: any Error) -> String {
        if let error = error as? HTTPClientError {
            let isLate = error == .connectTimeout || error == .deadlineExceeded || error == .readTimeout
            return isLate ? "no answer in time" : error.shortDescription
        }
        if let error = error as? NIOConnectionError {
            guard let first = error.connectionErrors.first else { return "no such host" }
            return reason(first.error)
        }
        guard let error = error as? IOError else { return "connection failed" }
        switch error.errnoCode {
        case ECONNREFUSED: return "connection refused"
        case EHOSTUNREACH, ENETUNREACH: return "no route"
        case ETIMEDOUT: return "no answer in time"
        case ECONNRESET, EPIPE: return "connection reset"
        default: return "error \(error.errnoCode)"
        }
    }
}
