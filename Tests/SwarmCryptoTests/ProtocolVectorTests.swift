import SwarmCore
import SwarmCrypto
import Testing

/// The test vector of PROTOCOL.md, "Links": whoever changes a byte on the wire breaks this. An implementation in another
/// language, written from the text of PROTOCOL.md, has opened and remade these packets.
struct ProtocolVectorTests {
    @Test func theLinkHandshakeIsThePublishedOne() throws {
        let (wire, alice, bob) = makePair(.real)
        bob.answersPerRequest = 1
        alice.send([0x10, 0x2a], to: bob.contact, at: wire.now)
        let initiation = drain(&alice.out)[0].bytes
        bob.receive(initiation, from: alice.address, at: wire.now)
        let response = drain(&bob.out)[0].bytes
        alice.receive(response, from: bob.address, at: wire.now)
        let transport = drain(&alice.out)[0].bytes
        let secret = try #require(alice.mediaSecret(with: bob))
        #expect(alice.identity.key.bytes == bytes32("e4e2e4de674ba1c9043e8bf2afb5ad838b86bc223353c6b3cddb4728caaeae17"))
        #expect(bob.identity.key.bytes == bytes32("9bdfd43d5d65818e65e967248949902571c8aafdc75b66c9c3f52c03c5fcd3fa"))
        #expect(alice.identity.id.description == "farso4iyyipkusut7jkrpc34hgj2kin32fy5dhwwvj2b6kkwfgia")
        #expect(initiation == Self.initiation)
        #expect(response == Self.response)
        #expect(transport == Self.transport)
        #expect(secret.epoch == 0x9be4_3821_08a0_8f03)
        #expect(secret.secret == bytes32("1e5c385dbcf4bd64c94b812f1be64a2ddccfa1adafc4282ca866e439fe8e5aa6"))
    }

    /// B is under load, so it answers A's message 1, the one above, by a cookie reply; A's copy differs in its mac2 alone.
    @Test func theCookieReplyIsThePublishedOne() {
        var limits = LinkLimits()
        limits.handshakeRate = HandshakeRate(perSecond: 1, burst: 1)
        let (wire, alice, bob) = makePair(.real, limits: limits)
        for number in 3...4 as ClosedRange<UInt8> {
            let other = LinkNode(number, suite: .real, secret: homeSecret)
            other.send([0x10], to: bob.contact, at: wire.now)
            bob.receive(drain(&other.out)[0].bytes, from: other.address, at: wire.now)
        }
        _ = drain(&bob.out)
        alice.send([0x10, 0x2a], to: bob.contact, at: wire.now)
        let initiation = drain(&alice.out)[0].bytes
        #expect(initiation == Self.initiation)
        bob.receive(initiation, from: alice.address, at: wire.now)
        let reply = drain(&bob.out)[0].bytes
        alice.receive(reply, from: bob.address, at: wire.now)
        let copy = drain(&alice.out)[0].bytes
        #expect(reply == Self.cookieReply)
        #expect(copy == Self.initiation.dropLast(16) + Self.mac2)
    }

    private static let cookieReply = hex(
        """
        c3010fc710c5ae346b9196e12cc7f5f45afc1af068edff75eccacfb37519dbe39f0526bf6543957506e8da55618afb37
        806ecebebd063aaa1f14e41c7d51
        """)
    private static let mac2 = hex("b331896e29f435d3b86dc495fe69f8cf")
    private static let initiation = hex(
        """
        c1010fc710c53079926e1dfe50ec25cb4968200f6cfafd5acb426a438af17ad0a608c0573e36b88a967501b8c4fe37a1
        94e6c1237ae3c85fbdd2aa75372aeeab4d745d75edf4c80527c7fe864a30e90c03aaeb26b1c38103443505c0614d39bd
        afdda18eb85db8851587368b8128a602ef4ec70d7b6ac3421973203496cfc30c7c04d810250089ba2dbf9372d67ac08b
        56e42a0ff99cca0a0094fb68bdd45683e23be4ae2bf0559d81b1bcb7d1046e842bec7474ff3f785d73d16875c7be816f
        96b4870196616924249f3e586253757310ff4408456b713308279011434a790c46d993a605fed84d9ee7fc3f46981a6a
        cf76591aec2f6dfe10f5cf45f70b009682b654d198267d7e442e846d4870ad2acca74d5c0208c943e28b555eb8457c50
        c17ed404945b539aa4bba8182f6df6ac7da1d403e20ba410ac5a597b56f40193d1cba3edaa8f012a3ebd0cb118ac2de4
        2a3a455d014ee3a161b630cbd76ae78c401e5a7e5adae8db4dd328122f42e5fdf52378f188b9f6029d2368ba5b37573b
        a0efd7c5e843ca5018465dd12e5f444f00000000000000000000000000000000
        """)
    private static let response = hex(
        """
        c201c6a820340fc710c516498f885c101d0f70776429d41db006c8c3002833dbd078ccbf1b2e617dc87957fc2b2b8454
        78bff71370068d70192e03fdae90837eca9841833b1d62565e1364929300000000000000000000000000000000
        """)
    private static let transport = hex(
        """
        c4c6a820340000000000000000356437448d8876180293ddb92da87b0424072c40a6055fe833
        """)
}
