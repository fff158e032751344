import SwarmCore
import SwarmCrypto
import Testing

struct LinkCipherTests {
    @Test func aes256GCMMatchesNISTTestCases13And14() {
        // McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13 and 14: all zero.
        let cases = [
            (0, "530f8afbc74536b9a963b4f1c4cb738b"),
            (16, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"),
        ]
        for (count, expected) in cases {
            var cipher = LinkCipher(.aes256GCM, key: .zero, direction: .sealing)
            var packet = [UInt8](repeating: 0, count: count + 16)
            var span = packet.mutableSpan
            cipher.seal(counter: 0, headerByteCount: 0, packet: &span)
            #expect(packet == hex(expected))
        }
    }

    @Test(arguments: [LinkCipherKind.aes256GCM, .chaCha20Poly1305], SuiteChoice.allCases)
    func whatIsSealedOpensOnceUnchangedAndOnlySo(_ kind: LinkCipherKind, _ choice: SuiteChoice) {
        let suite = choice.suite
        let key = Bytes32(1, 2, 3, 4)
        var sealing = LinkCipher(kind, key: key, direction: .sealing, suite: suite)
        var opening = LinkCipher(kind, key: key, direction: .opening, suite: suite)
        var foreign = LinkCipher(kind, key: Bytes32(1, 2, 3, 5), direction: .opening, suite: suite)
        for (header, text) in [(0, 0), (0, 1), (13, 0), (13, 1200), (13, 1), (40, 160), (1, 65)] {
            let plain = (0..<(header + text)).map { UInt8(truncatingIfNeeded: $0) }
            var sealed = plain + [UInt8](repeating: 0, count: 16)
            var span = sealed.mutableSpan
            sealing.seal(counter: 77, headerByteCount: header, packet: &span)
            #expect(Array(sealed[..<header]) == Array(plain[..<header]))
            if choice == .real && text > 8 { #expect(sealed[header...].prefix(text) != plain[header...].prefix(text)) }
            #expect(!opens(&foreign, sealed, counter: 77, header: header))
            #expect(!opens(&opening, sealed, counter: 78, header: header))
            for index in stride(from: 0, to: sealed.count, by: 11) {
                var changed = sealed
                changed[index] ^= 1
                #expect(!opens(&opening, changed, counter: 77, header: header))
            }
            for count in 0..<min(header + 16, sealed.count) {
                #expect(!opens(&opening, Array(sealed[..<count]), counter: 77, header: header))
            }
            var opened = sealed
            var openedSpan = opened.mutableSpan
            let isGenuine = opening.open(counter: 77, headerByteCount: header, packet: &openedSpan)
            #expect(isGenuine)
            #expect(Array(opened[..<plain.count]) == plain)
        }
    }

    private func opens(_ cipher: inout LinkCipher, _ packet: [UInt8], counter: UInt64, header: Int) -> Bool {
        var packet = packet
        var span = packet.mutableSpan
        return cipher.open(counter: counter, headerByteCount: header, packet: &span)
    }

    @Test func theReplayWindowTakesEveryCounterOnce() {
        // (counter, accepted), in order.
        let width = ReplayWindow.width
        let steps: [(UInt64, Bool)] = [
            (0, true), (0, false), (1, true), (5, true), (4, true), (4, false), (width, true), (1, false), (2, true),
            (width + 4, true), (3, false), (4, false), (6, true), (6, false), (width + 3, true), (10_000_000, true),
            (10_000_000 - width, false), (10_000_000 - width + 1, true), (10_000_000 - width + 1, false),
            (width + 4, false), (UInt64.max - 1, true), (UInt64.max - 1, false), (UInt64.max, false),
            (UInt64.max - 2, true), (10_000_001, false),
        ]
        var window = ReplayWindow()
        for (index, step) in steps.enumerated() {
            #expect(window.isFresh(step.0) == step.1, "step \(index)")
            let isAccepted = window.accept(step.0)
            #expect(isAccepted == step.1, "step \(index): \(step.0)")
        }
    }

    @Test func theReplayWindowAgreesWithASet() {
        var generator = SeededGenerator(seed: 3)
        var window = ReplayWindow()
        var seen: Set<UInt64> = []
        var newest: UInt64 = 0
        for _ in 0..<50_000 {
            let back = UInt64(generator.integer(below: 2200))
            let forward = generator.integer(below: 50) == 0 ? UInt64(generator.integer(below: 5000)) : 2
            let counter = generator.next() & 1 == 0 ? newest + forward : (newest > back ? newest - back : 0)
            let isInside = counter > newest || newest - counter < ReplayWindow.width || seen.isEmpty
            let expected = isInside && !seen.contains(counter)
            let isAccepted = window.accept(counter)
            #expect(isAccepted == expected, "\(counter) behind \(newest)")
            if isAccepted {
                seen.insert(counter)
                newest = max(newest, counter)
            }
        }
        #expect(seen.count > 20_000)
    }
}
