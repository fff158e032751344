import Composition
import Simulations
import SwarmCore
import SwarmCrypto
import Testing

/// One seed, one digest, in every process; and what depends on Swift's hashing, which differs from process to process,
/// is found out.
@Suite struct CheckDigestTests {
    /// A life with faults and adversaries in it.
    private static func life() -> String {
        var menu = LifePlan.Menu()
        menu.nodes = 8...10
        var plan = LifePlan(seed: 4, menu: menu)
        plan.insiders = [.lying, .forging]
        plan.hasHandshakeFlood = true
        let life = RandomLife(plan)
        let outcome = life.run()
        return "\(outcome.digest)/\(outcome.events)/\(outcome.violationCount)"
    }

    @Test func theSameSeedGivesTheSameDigestInThreeProcesses() async throws {
        let here = Self.life()
        for _ in 0..<2 {
            let child = try await #require(processExitsWith: .success, observing: [\.standardOutputContent]) {
                print("digest=\(CheckDigestTests.life());")
            }
            let output = String(decoding: child.standardOutputContent, as: UTF8.self)
            #expect(output.contains("digest=\(here);"))
        }
    }

    /// A node that greets its peers in the order of a dictionary.
    private static func planted() -> String {
        let swarm = CheckedSwarm(seed: 9)
        swarm.grow(to: 4)
        var isDone = false
        swarm.add { node in
            PlantedHost(swarm.honest(node)) { out, now in
                guard !isDone, now.monotonic > MonotonicInstant(nanoseconds: 5_000_000_000) else { return }
                isDone = true
                let packets = Dictionary(uniqueKeysWithValues: (0..<64).map { ($0, UInt8($0)) })
                for (_, byte) in packets {
                    let packet = [0xc4, 0, 0, 0, 1] + [UInt8](repeating: byte, count: 40)
                    out.append(to: AddressPlan.address(of: Int(byte) % 4), copying: packet.span)
                }
            }
        }
        swarm.simulation.run(for: .seconds(10))
        return swarm.simulation.digest.text
    }

    @Test func aPlantedDictionaryIsCaughtByComparingProcesses() async throws {
        var digests: Set<String> = [Self.planted()]
        for _ in 0..<2 {
            let child = try await #require(processExitsWith: .success, observing: [\.standardOutputContent]) {
                print("digest=\(CheckDigestTests.planted());")
            }
            let output = String(decoding: child.standardOutputContent, as: UTF8.self)
            let digest = try #require(output.split(separator: "digest=").last?.split(separator: ";").first)
            digests.insert(String(digest))
        }
        #expect(digests.count == 3, "64! orders: no two processes agree")
    }
}
