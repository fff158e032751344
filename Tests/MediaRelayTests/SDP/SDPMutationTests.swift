import MediaRelay
import SwarmCore
import Testing

/// A hundred thousand damaged descriptions, in four parts, through every reader: none may trap, and no answer may hold a line that
/// does not parse.
struct SDPMutationTests {
    private static let rounds = 25_000
    private static let seed: UInt64 = 20_261_121

    @Test(arguments: 0..<4) func mutatedDescriptionsNeverTrap(part: UInt64) throws {
        var generator = SeededGenerator(seed: Self.seed + part)
        // Short ones, so that a hundred thousand take seconds; the long ones differ only in more of the same.
        let corpus = [
            Array(WHIPNegotiationTests.minimal().utf8), Array(WHIPNegotiationTests.minimal(direction: "recvonly").utf8),
            Array(OfferFixtures.plainH264.utf8), Array(OfferFixtures.obsPublish.utf8),
            Array(OfferFixtures.plainVP8.utf8),
        ]
        let descriptor = SDPTestSupport.descriptor(SDPTestSupport.track(.vp8), SDPTestSupport.track(.opus))
        var answered = 0
        for round in 0..<Self.rounds {
            var bytes = corpus[round % corpus.count]
            Self.damage(&bytes, &generator)
            let text = String(decoding: bytes, as: UTF8.self)
            switch round % 4 {
            case 0: if Self.isSound((try? SDPTestSupport.publish(text))?.sdp, part, round) { answered += 1 }
            case 1: if Self.isSound((try? SDPTestSupport.play(text, descriptor))?.sdp, part, round) { answered += 1 }
            case 2: _ = try? PlainRTPDescription(parsing: text, epoch: 1)
            default: _ = try? TrickleFragment(parsing: text)
            }
        }
        #expect(answered > 250, "the damage is too heavy to test what follows parsing")
    }

    /// Whether there is an answer; one that does not parse is an issue.
    private static func isSound(_ answer: String?, _ part: UInt64, _ round: Int) -> Bool {
        guard let answer else { return false }
        if (try? SessionDescription(parsing: answer)) == nil {
            Issue.record("seed \(seed + part), round \(round): an answer that does not parse")
        }
        return true
    }

    private static func damage(_ bytes: inout [UInt8], _ generator: inout SeededGenerator) {
        let poison: [UInt8] = Array("\r\n:=/; 09-,*\0\u{7f}".utf8) + [0xff, 0xc3, 0x28]
        for _ in 0..<(1 + generator.integer(below: 3)) {
            let index = generator.integer(below: bytes.count)
            switch generator.integer(below: 6) {
            case 0: bytes[index] = UInt8(truncatingIfNeeded: generator.next())
            case 1: bytes[index] = poison[generator.integer(below: poison.count)]
            case 2: bytes.insert(poison[generator.integer(below: poison.count)], at: index)
            case 3: bytes.remove(at: index)
            case 4:
                let end = min(bytes.count, index + generator.integer(below: 24))
                bytes.insert(contentsOf: bytes[index..<end], at: generator.integer(below: bytes.count))
            default:
                let end = min(bytes.count, index + generator.integer(below: 24))
                if end - index < bytes.count { bytes.removeSubrange(index..<end) }
            }
        }
    }
}
