import ArgumentParser
import Foundation
import SwarmNode

/// The command line. Exit status 0: done; 2: the command line or the configuration is wrong; 1: anything else.
/// Results go to standard output, talk to standard error, and an error is one line.
@main
struct Mafalda: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mafalda", abstract: "A node of a Mafalda swarm: media relays that organise themselves.",
        version: MafaldaVersion.text,
        subcommands: [
            RunCommand.self, IDCommand.self, JoinKeyCommand.self, MembersCommand.self, StreamsCommand.self,
            RouteCommand.self, DHTCommand.self, PublishCommand.self, PlayCommand.self, TokenCommand.self,
            DelegateCommand.self, CheckConfigCommand.self, BenchCommand.self, SimulateCommand.self, VersionCommand.self,
        ], defaultSubcommand: RunCommand.self)

    static func main() async {
        let status = await status(of: Array(CommandLine.arguments.dropFirst()))
        Foundation.exit(status)
    }

    /// Runs the command that `arguments` name and returns the process's exit status.
    private static func status(of arguments: [String]) async -> Int32 {
        do {
            var command = try parseAsRoot(arguments)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            return 0
        } catch let error as ConfigurationError {
            complain(error.description)
            return 2
        } catch {
            return status(of: error)
        }
    }

    private static func status(of error: any Error) -> Int32 {
        switch exitCode(for: error) {
        case .success:
            // `--help` and `--version` come as errors.
            print(fullMessage(for: error))
            return 0
        case .validationFailure:
            complain(message(for: error) + " (see mafalda --help)")
            return 2
        default:
            complain(OneLine.of(error))
            return 1
        }
    }

    private static func complain(_ text: String) {
        FileHandle.standardError.write(Data("mafalda: \(OneLine.of(text))\n".utf8))
    }
}

/// Whatever went wrong, in one line.
enum OneLine {
    static func of(_ error: any Error) -> String {
        of("\(error)")
    }

    static func of(_ text: String) -> String {
        text.split(whereSeparator: \.isNewline).joined(separator: " ")
    }
}

/// Something a command could not do: exit status 1.
struct CommandError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "Print the version.")

    @Flag(help: "As JSON.") var json = false

    func run() {
        print(json ? JSONWriter.object { $0.member("version", MafaldaVersion.text) } : MafaldaVersion.text)
    }
}
