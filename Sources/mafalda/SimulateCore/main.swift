import ArgumentParser
import Foundation

/// The core-only build's program (MAFALDA_CORE=1): `simulate …` for `mafalda simulate …`, with the same exit statuses.
/// The word `simulate` may stand first, so that whoever calls `mafalda` can call this instead.
let arguments = Array(CommandLine.arguments.dropFirst().drop { $0 == "simulate" })

func complain(_ text: String) {
    FileHandle.standardError.write(Data("simulate: \(text)\n".utf8))
}

func status(of error: any Error) -> Int32 {
    switch SimulateCommand.exitCode(for: error) {
    case .success:
        print(SimulateCommand.fullMessage(for: error))
        return 0
    case .validationFailure:
        complain(SimulateCommand.message(for: error) + " (see simulate --help)")
        return 2
    default:
        complain("\(error)")
        return 1
    }
}

do {
    var command = try SimulateCommand.parseAsRoot(arguments)
    try command.run()
} catch {
    exit(status(of: error))
}
