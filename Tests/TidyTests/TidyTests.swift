import Foundation
import Testing

/// Reads the tree and fails, with the replacement in its message, where a file breaks a rule of the house
/// (ARCHITECTURE.md, "The house").
@Suite struct TidyTests {
    @Test func theTreeIsRead() throws {
        let files = try SourceFile.all()
        #expect(files.count > 200 && Set(files.map(\.room)).isSuperset(of: HouseRules.allowedImports.keys))
    }

    @Test func importsFollowThePicture() throws {
        for file in try SourceFile.all() {
            guard let allowed = HouseRules.allowedImports[file.room] else { continue }
            for (line, module) in file.imports where HouseRules.ownModules.contains(module) || module.hasPrefix("C") {
                guard HouseRules.ownModules.contains(module), module != file.room else { continue }
                #expect(
                    allowed.contains(module),
                    "\(file.path):\(line): \(file.room) may not import \(module); it may import \(allowed.sorted()): meet in Composition instead"
                )
            }
        }
    }

    @Test func everyRoomIsOnThePicture() throws {
        for file in try SourceFile.all() where file.path.hasPrefix("Sources/") {
            #expect(
                HouseRules.allowedImports[file.room] != nil,
                "\(file.path): the room \(file.room) has no row in HouseRules.allowedImports; add it, and to ARCHITECTURE.md"
            )
        }
    }

    @Test func forbiddenWordsStayOut() throws {
        for file in try SourceFile.all() {
            for rule in HouseRules.forbidden where rule.applies(to: file) {
                for (number, line) in file.codeLines where rule.matches(line) {
                    Issue.record("\(file.path):\(number): `\(rule.word)` is not for this room; \(rule.replacement)")
                }
            }
        }
    }

    @Test func filesAndFunctionsStayShort() throws {
        for file in try SourceFile.all() {
            #expect(file.lines.count <= 600, "\(file.path) has \(file.lines.count) lines; split it by idea (limit 600)")
            for (name, start, length) in file.functions {
                #expect(length <= 80, "\(file.path):\(start): \(name) has \(length) lines; split it by step (limit 80)")
            }
        }
    }

    /// The rules must be able to fail: each is run over a line that breaks it.
    @Test func rulesCatchPlantedFaults() {
        let planted = [
            "import Foundation", "let t = Date()", "let c = ContinuousClock()", "clock_gettime(0, &t)",
            "var g = SystemRandomNumberGenerator()", "Bool.random()", "x.shuffled()", "Task { }",
            "AsyncStream<Int>", "actor Foo {", "Mutex(0)", "print(1)", "Logger(label: 1)", "let p: any P",
            "var d: Data", "[UInt8](repeating: 0, count: 1)", "f: @escaping () -> Void", "try! f()", "x as! Int",
        ]
        for line in planted {
            #expect(HouseRules.forbidden.contains { $0.matches(line) }, "no rule catches: \(line)")
        }
        for line in ["let database = 1", "actors", "UInt64.random(in: 0..<4, using: &generator)", "fingerprint(x)"] {
            #expect(!HouseRules.forbidden.contains { $0.matches(line) }, "a rule wrongly catches: \(line)")
        }
    }
}
