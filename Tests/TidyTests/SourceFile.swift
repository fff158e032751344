import Foundation

/// One Swift file of the tree, read as text.
struct SourceFile {
    /// Relative to the package's root.
    let path: String
    let lines: [String]

    /// The target the file belongs to.
    var room: String {
        let parts = path.split(separator: "/").map(String.init)
        guard parts.count > 2 else { return parts.first ?? "" }
        if path.hasPrefix("Sources/Crypto/") { return "SwarmCrypto" }
        if path.hasPrefix("Sources/SwarmNode/Composition/") { return "Composition" }
        if path.hasPrefix("Simulations/") { return "Simulations" }
        return parts[1]
    }

    /// Numbered lines without comments and string contents.
    var codeLines: [(Int, String)] {
        var inBlock = false
        return lines.enumerated().compactMap { index, line in
            let trimmed = line.trimmingCharacters(in: .whitespaces)
            if trimmed.hasPrefix("\"\"\"") || trimmed.hasSuffix("\"\"\"") {
                inBlock.toggle()
                return nil
            }
            if inBlock || trimmed.hasPrefix("//") { return nil }
            var code = ""
            var inString = false
            var previous: Character = " "
            for character in line {
                if character == "\"", previous != "\\" { inString.toggle() }
                if !inString, character == "/", previous == "/" {
                    code.removeLast()
                    break
                }
                if !inString { code.append(character) }
                previous = character
            }
            return (index + 1, code)
        }
    }

    var imports: [(Int, String)] {
        lines.enumerated().compactMap { index, line in
            let words = line.split(separator: " ")
            guard let position = words.firstIndex(of: "import"), position <= 1, position + 1 < words.count else {
                return nil
            }
            return (index + 1, String(words[position + 1].split(separator: ".")[0]))
        }
    }

    /// Functions and initialisers with their first line and length, by indentation (the formatter guarantees it).
    var functions: [(String, Int, Int)] {
        var found: [(String, Int, Int)] = []
        for (index, line) in lines.enumerated() {
            let indent = line.prefix { $0 == " " }.count
            let code = line.dropFirst(indent)
            guard code.contains("func ") || code.hasPrefix("init(") || code.contains(" init("), !code.hasPrefix("//")
            else { continue }
            let closing = String(repeating: " ", count: indent) + "}"
            guard let end = lines[index...].firstIndex(where: { $0 == closing || $0.hasSuffix(" }") && $0 == line })
            else { continue }
            found.append((String(code.prefix(60)), index + 1, end - index + 1))
        }
        return found
    }

    static func all() throws -> [SourceFile] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        var files: [SourceFile] = []
        for top in ["Sources", "Simulations", "Benchmarks"] {
            let folder = root.appendingPathComponent(top)
            guard let walker = FileManager.default.enumerator(atPath: folder.path) else { continue }
            for case let name as String in walker where name.hasSuffix(".swift") {
                let text = try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
                files.append(
                    SourceFile(
                        path: "\(top)/\(name)",
                        lines: text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)))
            }
        }
        return files.sorted { $0.path < $1.path }
    }
}
