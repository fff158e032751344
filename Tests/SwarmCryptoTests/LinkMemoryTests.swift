import SwarmCore
import SwarmCrypto
import Testing

/// What open links cost.
struct LinkMemoryTests {
    /// Issue 4's target: at most 512 bytes for each open idle link, whatever their number, all tables included.
    @Test func anIdleLinkTakesAtMost512Bytes() {
        let suite = CryptoSuite.counted()
        let hub = LinkNode(200, suite: suite, secret: homeSecret)
        var now = Now(monotonic: MonotonicInstant(nanoseconds: 1_000_000_000), wallMilliseconds: 1_700_000_000_000)
        var worst = 0
        for number in 1...1000 as ClosedRange<UInt64> {
            let identity = Identity(seed: Bytes32(number, 5, 5, 5), suite: suite)
            let address = NetworkAddress(ipv4: 0x0a01_0000 + UInt32(number), port: 7788)
            let peer = LinkNode(identity, at: address, secret: homeSecret, seed: number)
            now = now + .milliseconds(10)
            hub.send([0x10, 1], to: peer.contact, at: now)
            for _ in 0..<4 {
                for (bytes, _) in drain(&hub.out) { peer.receive(bytes, from: hub.address, at: now) }
                for (bytes, _) in drain(&peer.out) { hub.receive(bytes, from: address, at: now) }
            }
            // The one deadline of the handshake that still stands: the last links are at rest after it.
            hub.advance(to: now)
            if number >= 64 { worst = max(worst, hub.links.linkBytes / Int(number)) }
        }
        now = now + .seconds(1)
        hub.advance(to: now)
        let (count, bytes) = (hub.relationCount, hub.links.linkBytes)
        #expect(count == 1000 && hub.establishedCount == 1000)
        #expect(worst <= 512 && bytes / count <= 512, "\(worst) at worst, \(bytes / count) of a thousand")
    }

    @Test func aTableAtBirthHoldsNextToNothing() {
        let node = LinkNode(1, suite: .counted(), secret: homeSecret)
        let bytes = node.links.linkBytes
        #expect(bytes <= 64, "\(bytes)")
    }
}
