import Foundation

/// The picture of ARCHITECTURE.md as data.
enum HouseRules {
    /// Room → the modules of ours it may import. A room is a target.
    static let allowedImports: [String: Set<String>] = [
        "SwarmCore": [],
        "SwarmCrypto": ["SwarmCore", "CSodium", "COpenSSL"],
        "EventLoop": ["SwarmCore", "CUV", "CSwarmShims"],
        "DHT": ["SwarmCore", "SwarmCrypto"],
        "Routing": ["SwarmCore", "SwarmCrypto"],
        "MediaRelay": ["SwarmCore", "SwarmCrypto", "COpenSSL"],
        "Composition": ["SwarmCore", "SwarmCrypto", "DHT", "Routing", "MediaRelay"],
        "Simulations": [
            "SwarmCore", "SwarmCrypto", "DHT", "Routing", "MediaRelay", "Composition", "CSimulationData", "CDemoClip",
        ],
        "SwarmNode": [
            "SwarmCore", "SwarmCrypto", "DHT", "Routing", "MediaRelay", "Composition", "EventLoop", "CSwarmShims",
            "CBenchFloor", "CDemoClip",
        ],
        "mafalda": ["SwarmNode", "DHT", "SwarmCore", "SwarmCrypto", "Simulations"],
    ]

    static let ownModules: Set<String> = Set(allowedImports.keys).union([
        "CUV", "CSodium", "COpenSSL", "CSRTP", "CSwarmShims", "CBenchFloor", "CDemoClip", "CAllocationCounter",
        "CSimulationData",
    ])

    static let protocolRooms: Set<String> = [
        "SwarmCore", "SwarmCrypto", "DHT", "Routing", "MediaRelay", "Composition", "Simulations",
    ]

    static let forbidden: [Rule] = protocolRules + packetPathRules + everywhereRules

    private static let protocolRules: [Rule] = [
        Rule(
            "import Foundation", .protocols, "use SwarmCore's types; Foundation belongs to SwarmNode/HTTP and mafalda"),
        Rule("Date(", .protocols, "time is an argument: take a `Now`"),
        Rule("ContinuousClock", .protocols, "time is an argument: take a `Now`"),
        Rule("clock_gettime", .protocols, "time is an argument: take a `Now`"),
        Rule("SystemRandomNumberGenerator", .protocols, "take a SeededGenerator, or Entropy for keys"),
        Rule(".random()", .protocols, "take a SeededGenerator and use random(in:using:)"),
        Rule("shuffled()", .protocols, "take a SeededGenerator and use shuffled(using:)"),
        Rule("Task {", .protocols, "a machine has no threads: return and be called again"),
        Rule("Task.", .protocols, "a machine has no threads: return and be called again"),
        Rule("AsyncStream", .protocols, "emit into the EventBuffer"),
        Rule("actor ", .protocols, "a machine is a value with one owner"),
        Rule("Mutex", .protocols, "a machine is a value with one owner"),
        Rule("print(", .protocols, "count it, or emit an event"),
        Rule("Logger", .protocols, "count it, or emit an event"),
    ]

    private static let packetPathRules: [Rule] = [
        Rule("any ", .packetPath, "bind generically"),
        Rule("Data", .packetPath, "use Span<UInt8> over an arena"),
        Rule("[UInt8](", .packetPath, "use Span<UInt8> over an arena"),
        Rule("@escaping", .packetPath, "pass values, not closures"),
    ]

    private static let everywhereRules: [Rule] = [
        Rule("try!", .everywhere, "handle the error"),
        Rule("as!", .everywhere, "use as? and handle nil"),
        Rule("import Foundation", .foundationFree, "Foundation belongs to SwarmNode/HTTP and mafalda"),
    ]
}

/// A word that some rooms may not use.
struct Rule {
    enum Scope { case protocols, packetPath, everywhere, foundationFree }

    let word: String
    let scope: Scope
    let replacement: String

    init(_ word: String, _ scope: Scope, _ replacement: String) {
        self.word = word
        self.scope = scope
        self.replacement = replacement
    }

    func applies(to file: SourceFile) -> Bool {
        switch scope {
        case .protocols: HouseRules.protocolRooms.contains(file.room)
        case .packetPath: file.path.contains("MediaRelay/PacketPath/") || file.room == "EventLoop"
        case .everywhere: file.path.hasPrefix("Sources/") || file.path.hasPrefix("Simulations/")
        case .foundationFree:
            file.room != "mafalda" && !file.path.hasPrefix("Sources/SwarmNode/HTTP/") && !file.path.hasPrefix("Tests/")
        }
    }

    /// The word as a word: not inside a longer identifier.
    func matches(_ line: String) -> Bool {
        var rest = line[...]
        while let found = rest.range(of: word) {
            let before = found.lowerBound == line.startIndex ? nil : line[line.index(before: found.lowerBound)]
            let after = found.upperBound == line.endIndex ? nil : line[found.upperBound]
            let startsInside = word.first.map(Self.isIdentifier) == true && before.map(Self.isIdentifier) == true
            let endsInside = word.last.map(Self.isIdentifier) == true && after.map(Self.isIdentifier) == true
            if !startsInside && !endsInside { return true }
            rest = rest[found.upperBound...]
        }
        return false
    }

    private static func isIdentifier(_ character: Character) -> Bool {
        character.isLetter || character.isNumber || character == "_"
    }
}
