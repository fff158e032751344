import ArgumentParser
import AsyncHTTPClient
import Foundation
import NIOCore
import NIOPosix

/// Which node a client command asks.
struct APIOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The node's URL (default: http://127.0.0.1:7780).", valueName: "url")) var api: String?
    @Option(help: ArgumentHelp("A token, where the node asks for one.", valueName: "token")) var token: String?

    func validate() throws {
        guard Self.isHTTP(baseURL) else { throw ValidationError("--api: expected http://HOST:PORT, not '\(baseURL)'") }
    }

    /// Without a slash at its end.
    var baseURL: String {
        let text = api ?? ProcessInfo.processInfo.environment["MAFALDA_API"] ?? "http://127.0.0.1:7780"
        return text.hasSuffix("/") ? String(text.dropLast()) : text
    }

    var bearer: String? { token ?? ProcessInfo.processInfo.environment["MAFALDA_TOKEN"] }

    private static func isHTTP(_ text: String) -> Bool {
        guard let url = URL(string: text), let host = url.host, !host.isEmpty else { return false }
        return url.scheme == "http" || url.scheme == "https"
    }
}

/// Asks a node over its API. Every failure is one line.
struct APIClient {
    private let options: APIOptions
    /// More than any answer the API gives.
    private static var maximumBytes: Int { 16 << 20 }

    init(_ options: APIOptions) { self.options = options }

    /// The body of `GET path`, unchanged.
    func get(_ path: String) async throws -> Data { try await send("GET", path) }

    /// The body of the answer to a request without one.
    @discardableResult
    func send(_ method: String, _ path: String) async throws -> Data {
        var request = HTTPClientRequest(url: options.baseURL + path)
        request.method = .init(rawValue: method)
        if let bearer = options.bearer { request.headers.add(name: "Authorization", value: "Bearer \(bearer)") }
        let response: HTTPClientResponse
        let body: ByteBuffer
        do {
            (response, body) = try await Self.execute(request)
        } catch {
            throw CommandError("no node answers at \(options.baseURL) (\(Self.reason(error)))")
        }
        let data = Data(body.readableBytesView)
        guard response.status == .ok || response.status == .noContent else {
            throw CommandError("\(options.baseURL) says: \(Self.message(data) ?? "\(response.status)")")
        }
        return data
    }

    /// One attempt: a port that refuses will refuse again.
    private static func execute(_ request: HTTPClientRequest) async throws -> (HTTPClientResponse, ByteBuffer) {
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.timeout.connect = .seconds(5)
        configuration.connectionPool.retryConnectionEstablishment = false
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        let outcome: Result<(HTTPClientResponse, ByteBuffer), any Error>
        do {
            let response = try await client.execute(request, timeout: .seconds(10))
            outcome = .success((response, try await response.body.collect(upTo: maximumBytes)))
        } catch {
            outcome = .failure(error)
        }
        try? await client.shutdown()
        return try outcome.get()
    }

    func decode<Value: Decodable>(_ type: Value.Type, from data: Data) throws -> Value {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            return try decoder.decode(type, from: data)
        } catch {
            throw CommandError("\(options.baseURL) does not answer as a mafalda node does")
        }
    }

    private static func message(_ data: Data) -> String? {
        (try? JSONDecoder().decode([String: String].self, from: data))?["error"]
    }

    private static func reason(_ error: any Error) -> String {
        if let error = error as? HTTPClientError {
            return error == .connectTimeout || error == .deadlineExceeded ? "no answer in time" : error.shortDescription
        }
        if let error = error as? NIOConnectionError {
            if error.dnsAError != nil || error.dnsAAAAError != nil, error.connectionErrors.isEmpty {
                return "no such host"
            }
            return error.connectionErrors.first.map { reason($0.error) } ?? "no connection"
        }
        let kind = "\(type(of: error))"
        if kind.hasPrefix("NIOSSL") { return "TLS: the certificate is not trusted, or is for another name" }
        guard let error = error as? IOError else { return kind }
        switch error.errnoCode {
        case ECONNREFUSED: return "connection refused"
        case EHOSTUNREACH, ENETUNREACH: return "no route"
        case ETIMEDOUT: return "no answer in time"
        case ECONNRESET: return "connection reset"
        default: return "error \(error.errnoCode)"
        }
    }
}
