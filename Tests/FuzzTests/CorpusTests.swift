import DHT
import Foundation
import MediaRelay
import Routing
import SwarmCore
import SwarmCrypto
import Testing

/// Whatever a fuzzer has found (scripts/fuzz) stays found: its corpus and its crashers run as tests.
@Suite struct CorpusTests {
    private static let bodies: [(name: String, body: @Sendable (Span<UInt8>) -> Void)] = [
        ("dht-messages", { DHTFuzz.parse($0) }), ("dht-records", { DHTFuzz.records($0) }),
        ("dht-store", { DHTFuzz.store($0) }), ("routing", { RoutingFuzz.parse($0) }), ("link", { LinkFuzz.drive($0) }),
        ("sdp", { SDPFuzz.parse($0) }),
    ]

    @Test(arguments: bodies.indices) func corpusAndCrashersPass(index: Int) throws {
        let target = Self.bodies[index]
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Fuzz/corpus/\(target.name)")
        let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
        var count = 0
        while let file = files?.nextObject() as? URL {
            guard let data = try? Data(contentsOf: file) else { continue }
            target.body(Array(data).span)
            count += 1
        }
        #expect(count > 0, "no corpus of \(target.name)")
    }

    /// Noise of every length, and noise behind each first byte.
    @Test(arguments: bodies.indices) func noisePasses(index: Int) {
        var generator = SeededGenerator(seed: 40 + UInt64(index))
        for round in 0..<2000 {
            let length = generator.integer(below: 400)
            var bytes = (0..<length).map { _ in UInt8(truncatingIfNeeded: generator.next() >> 24) }
            if length > 0 { bytes[0] = UInt8(round & 0xff) }
            Self.bodies[index].body(bytes.span)
        }
    }
}
