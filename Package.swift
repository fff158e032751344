// swift-tools-version: 6.2
import PackageDescription

/// Every target of ours: Swift 6, strict memory safety, no warnings. Cross-module optimisation is what makes
/// the packet path's small generic types as cheap as C (ARCHITECTURE.md, "Measured").
let house: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableExperimentalFeature("Lifetimes"),
    .enableExperimentalFeature("RawLayout"),
    .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
]

/// `MAFALDA_CORE=1 swift build` leaves out whatever needs HTTP, and with it nine tenths of the dependencies: the
/// protocol modules, the simulator and their tests build in a fraction of the time. `simulate` is then a program of its
/// own, made of the same files as `mafalda simulate`.
let isCoreOnly = Context.environment["MAFALDA_CORE"] == "1"

/// Scenario files, which the simulator carries within itself (`ScenarioLibrary` names them too).
let scenarios = [
    "quiet", "discovery", "churn", "liars", "crash", "partition", "mass-death", "paths", "tree", "flash-crowd",
    "balance", "everything", "calibrate", "dht-latency", "dht-publish", "dht-absence", "dht-churn-10min",
    "dht-churn-1.4min", "dht-liars-20", "dht-liars-30", "dht-liars-50", "dht-ground-ids",
    "dht-ground-silent", "dht-ground-publish", "dht-hot", "dht-rest",
]

/// `MAFALDA_FUZZ=1 swift build` (scripts/fuzz) builds the core alone, instrumented, and one libFuzzer program.
let isFuzzing = Context.environment["MAFALDA_FUZZ"] == "1"
let instrumented: [SwiftSetting] = isFuzzing ? [.unsafeFlags(["-sanitize=fuzzer,address"])] : []

func module(
    _ name: String, _ dependencies: [Target.Dependency], path: String? = nil, exclude: [String] = [],
    resources: [Resource]? = nil, settings: [SwiftSetting] = []
) -> Target {
    .target(
        name: name, dependencies: dependencies, path: path ?? "Sources/\(name)", exclude: exclude,
        resources: resources, swiftSettings: house + instrumented + settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, path: "Tests/\(name)", swiftSettings: house)
}

/// In release builds the compiler's static proof of exclusive access is enough: the checks at run time are a twentieth of a
/// simulation's time. Debug builds, and with them the sanitizers' runs, keep them.
let unchecked: [SwiftSetting] = [
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))
]

let core: [Target] = [
    .systemLibrary(name: "CUV", path: "Sources/CUV", pkgConfig: "libuv", providers: [.apt(["libuv1-dev"])]),
    .systemLibrary(
        name: "CSodium", path: "Sources/CSodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
    .systemLibrary(
        name: "COpenSSL", path: "Sources/COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(
        name: "CSRTP", path: "Sources/CSRTP", pkgConfig: "libsrtp2", providers: [.apt(["libsrtp2-dev"])]),
    .target(name: "CSwarmShims", path: "Sources/CSwarmShims"),
    .target(name: "CDemoClip", path: "Sources/CDemoClip", exclude: ["demo.webm"]),
    .target(name: "CBenchFloor", dependencies: ["COpenSSL"], path: "Sources/CBenchFloor"),
    .target(name: "CAllocationCounter", path: "Sources/CAllocationCounter"),
    .target(name: "CSimulationData", path: "Sources/CSimulationData", exclude: ["data"]),
    module("SwarmCore", []),
    module("SwarmCrypto", ["SwarmCore", "CSodium", "COpenSSL"], path: "Sources/Crypto"),
    module("EventLoop", ["SwarmCore", "CUV", "CSwarmShims"]),
    module("DHT", ["SwarmCore", "SwarmCrypto"]),
    module("Routing", ["SwarmCore", "SwarmCrypto"]),
    module("MediaRelay", ["SwarmCore", "SwarmCrypto", "COpenSSL"]),
    module(
        "Composition", ["SwarmCore", "SwarmCrypto", "DHT", "Routing", "MediaRelay"],
        path: "Sources/SwarmNode/Composition", settings: unchecked),
    module(
        "Simulations",
        [
            "SwarmCore", "SwarmCrypto", "DHT", "Routing", "MediaRelay", "Composition", "CSimulationData", "CDemoClip",
            .product(name: "Yams", package: "Yams"),
        ], path: "Simulations", resources: scenarios.map { .embedInCode("Scenarios/\($0).yaml") },
        settings: unchecked),
    tests("TidyTests", []),
    tests("SwarmCoreTests", ["SwarmCore"]),
    tests("SwarmCryptoTests", ["SwarmCrypto", "SwarmCore"]),
    tests("EventLoopTests", ["EventLoop", "SwarmCore", "CSwarmShims"]),
    tests("ToolingTests", ["SwarmCore", "EventLoop", "CBenchFloor", "CAllocationCounter"]),
    tests("DHTTests", ["DHT", "SwarmCrypto", "SwarmCore"]),
    tests("FuzzTests", ["DHT", "Routing", "MediaRelay", "SwarmCrypto", "SwarmCore"]),
    tests("RoutingTests", ["Routing", "SwarmCrypto", "SwarmCore"]),
    tests(
        "MediaRelayTests", ["MediaRelay", "SwarmCrypto", "SwarmCore", "CSRTP", "CDemoClip", "CAllocationCounter"]),
    tests(
        "CompositionTests", ["Composition", "MediaRelay", "Routing", "SwarmCrypto", "SwarmCore", "CDemoClip"]),
    tests(
        "SimulationTests",
        ["Simulations", "Composition", "DHT", "Routing", "MediaRelay", "SwarmCrypto", "SwarmCore"]),
]

let coreCommand: [Target] = [
    .executableTarget(
        name: "simulate",
        dependencies: [
            "Simulations", "SwarmCore", .product(name: "ArgumentParser", package: "swift-argument-parser"),
        ],
        path: "Sources/mafalda", sources: ["Simulate", "SimulateCore"], swiftSettings: house)
]

let node: [Target] = [
    module(
        "SwarmNode",
        [
            "SwarmCore", "SwarmCrypto", "DHT", "EventLoop", "MediaRelay", "Composition", "CDemoClip", "CBenchFloor",
            .product(name: "Hummingbird", package: "hummingbird"),
            .product(name: "HummingbirdTLS", package: "hummingbird"),
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
            .product(name: "NIOSSL", package: "swift-nio-ssl"),
            .product(name: "Logging", package: "swift-log"),
            .product(name: "Yams", package: "Yams"),
            .product(name: "AsyncHTTPClient", package: "async-http-client"),
            .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            .product(name: "JWTKit", package: "jwt-kit"),
        ], exclude: ["Composition"],
        resources: [
            .embedInCode("Page/page.html"), .embedInCode("Page/page.css"), .embedInCode("Page/page.js"),
        ]),
    .executableTarget(
        name: "mafalda",
        dependencies: [
            "SwarmNode", "DHT", "SwarmCore", "SwarmCrypto", "Simulations",
            .product(name: "ArgumentParser", package: "swift-argument-parser"),
            .product(name: "AsyncHTTPClient", package: "async-http-client"),
        ],
        path: "Sources/mafalda", exclude: ["SimulateCore"], swiftSettings: house),
    tests(
        "SwarmNodeTests",
        [
            "SwarmNode", "Composition", "SwarmCore", "SwarmCrypto",
            .product(name: "HummingbirdTesting", package: "hummingbird"),
        ]),
]

let always: [Package.Dependency] = [
    .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
]

let services: [Package.Dependency] = [
    .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
    .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", exact: "2.37.6"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1"),
    .package(url: "https://github.com/swift-server/async-http-client", exact: "1.37.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
    .package(url: "https://github.com/vapor/jwt-kit", exact: "5.7.1"),
]

let fuzzing: [Target] = [
    .executableTarget(
        name: "fuzz", dependencies: ["SwarmCore", "SwarmCrypto", "DHT", "Routing", "MediaRelay"], path: "Tests/Fuzz",
        exclude: ["corpus"], swiftSettings: house + instrumented + [.unsafeFlags(["-parse-as-library"])],
        linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])])
]

let package = Package(
    name: "mafalda-swarm",
    products: isCoreOnly ? [] : [.executable(name: "mafalda", targets: ["mafalda"])],
    dependencies: isCoreOnly ? always : always + services,
    targets: (isCoreOnly ? core + coreCommand : core + node) + (isFuzzing ? fuzzing : [])
)
