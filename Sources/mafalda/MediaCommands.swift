import ArgumentParser
import Foundation
import SwarmCore
import SwarmNode

/// What `publish` and `play` share.
struct MediaOptions: ParsableArguments {
    @Argument(help: "The stream's name.") var stream: String
    @Option(help: ArgumentHelp("Stop after this long: 30s, 5m (default: on Ctrl-C).", valueName: "duration"))
    var duration: String?
    @OptionGroup var api: APIOptions
    @Flag(help: "Print the result as JSON.") var json = false

    func validate() throws {
        _ = try name()
        _ = try seconds()
    }

    func name() throws -> StreamName {
        guard let name = StreamName(stream) else { throw ValidationError("'\(stream)' is not a stream name") }
        return name
    }

    func seconds() throws -> Double? {
        guard let duration else { return nil }
        guard let seconds = DurationText.seconds(duration), seconds > 0 else {
            throw ValidationError("--duration: expected a duration such as 30s, not '\(duration)'")
        }
        return Double(seconds)
    }
}

struct PublishCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "publish", abstract: "Publish a test source: a built-in clip in a loop, or a WebM file.")

    @OptionGroup var media: MediaOptions
    @Option(help: ArgumentHelp("A WebM file with VP8 or VP9 and Opus.", valueName: "file")) var file: String?

    func run() async throws {
        let report = try await MediaClient.publish(
            MediaClientOptions(
                apiURL: media.api.baseURL, token: media.api.bearer, stream: try media.name(), file: file,
                durationSeconds: try media.seconds()))
        print(media.json ? report.json : report.text)
    }
}

struct PlayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "play", abstract: "Play a stream without showing it, and measure how it arrives.")

    /// One socket loop serves them all; more would measure this machine rather than the node.
    private static var viewerLimit: Int { 500 }

    @OptionGroup var media: MediaOptions
    @Option(help: ArgumentHelp("Viewers at once, 1 to 500.", valueName: "count")) var viewers = 1

    func validate() throws {
        guard (1...Self.viewerLimit).contains(viewers) else {
            throw ValidationError("--viewers: expected 1 to \(Self.viewerLimit)")
        }
    }

    func run() async throws {
        let report = try await MediaClient.play(
            MediaClientOptions(
                apiURL: media.api.baseURL, token: media.api.bearer, stream: try media.name(),
                durationSeconds: try media.seconds(), viewers: viewers))
        print(media.json ? report.json : report.text)
        guard report.isComplete else {
            throw CommandError(
                viewers == 1 ? "no media of \(media.stream) arrived" : "not every viewer received \(media.stream)")
        }
    }
}
