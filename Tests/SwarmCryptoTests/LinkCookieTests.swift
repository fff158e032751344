import SwarmCore
import SwarmCrypto
import Testing

/// First messages under load: cookies, shares, and what an insider who knows the swarm's secret can do with them.
struct LinkCookieTests {
    /// Ever new first messages to one node that nobody will confirm: what a member can make without end.
    private final class Flooder {
        private let node: LinkNode
        private let victim: Contact
        private var now = Now(monotonic: MonotonicInstant(nanoseconds: 1), wallMilliseconds: 1_600_000_000_000)

        init(_ number: UInt8, against victim: LinkNode, suite: CryptoSuite = .counted()) {
            node = LinkNode(number, suite: suite, secret: homeSecret)
            self.victim = victim.contact
        }

        func message() -> [UInt8] {
            node.links.forget(victim.id)
            now = now + .milliseconds(1)
            node.send([0x10], to: victim, at: now)
            return drain(&node.out).last?.bytes ?? []
        }

        /// The same message with the mac2 that `reply`, a cookie reply to it, asks for.
        func answer(_ reply: [UInt8], from address: NetworkAddress) -> [UInt8]? {
            node.receive(reply, from: address, at: now)
            return drain(&node.out).last?.bytes
        }
    }

    /// What a served handshake costs a responder under `.counted`: five operations of the curve and some sealing.
    private static var handshakeNanoseconds: UInt64 { 210_000 }

    /// Limits under which the third message 1 within a second must have a cookie.
    private static var strict: LinkLimits {
        var limits = LinkLimits()
        limits.handshakeRate = HandshakeRate(perSecond: 1, burst: 1)
        return limits
    }

    /// A node that is under load from now on for a second or two.
    private func makeLoadedPair(_ choice: SuiteChoice) -> (VirtualWire, LinkNode, LinkNode) {
        let suite = choice.suite
        let alice = LinkNode(1, suite: suite, secret: homeSecret)
        let bob = LinkNode(2, suite: suite, secret: homeSecret, limits: Self.strict)
        let wire = VirtualWire([alice, bob])
        let flooder = Flooder(3, against: bob, suite: suite)
        for _ in 0..<2 {
            bob.receive(flooder.message(), from: NetworkAddress(ipv4: 0x0a00_0003, port: 1), at: wire.now)
        }
        _ = drain(&bob.out)
        return (wire, alice, bob)
    }

    @Test(arguments: SuiteChoice.allCases)
    func underLoadAnHonestPeerGetsThroughByACookie(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makeLoadedPair(choice)
        bob.answersPerRequest = 1
        alice.send([0x10, 1], to: bob.contact, at: wire.now)
        wire.run(.seconds(1))
        #expect(alice.messages == [[0x11, 1]])
        #expect(alice.isEstablished(with: bob) && bob.isEstablished(with: alice))
        #expect(wire.log.map { $0.bytes[0] } == [0xc1, 0xc3, 0xc1, 0xc2, 0xc4, 0xc4])
        #expect(wire.log[1].bytes.count == 62)
        // The copy is the same message but for mac2.
        #expect(wire.log[0].bytes.dropLast(16) == wire.log[2].bytes.dropLast(16))
        #expect(wire.log[2].bytes.suffix(16) != ArraySlice([UInt8](repeating: 0, count: 16)))
        #expect(bob.refusals(.cookieAsked) == 2 && alice.refusalTotal == 0)
    }

    @Test(arguments: SuiteChoice.allCases)
    func aCookieIsKeptForLaterHandshakes(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makeLoadedPair(choice)
        let flooder = Flooder(4, against: bob, suite: choice.suite)
        alice.send([0x10, 1], to: bob.contact, at: wire.now)
        wire.run(.milliseconds(200))
        let asked = bob.refusals(.cookieAsked)
        for seconds in [20, 90] as [Int64] {
            wire.run(.seconds(seconds))
            alice.links.forget(bob.identity.id)
            bob.links.forget(alice.identity.id)
            for _ in 0..<2 {
                bob.receive(flooder.message(), from: NetworkAddress(ipv4: 0x0a00_0004, port: 1), at: wire.now)
            }
            _ = drain(&bob.out)
            alice.send([0x10, 2], to: bob.contact, at: wire.now)
            wire.run(.milliseconds(200))
            #expect(bob.isEstablished(with: alice))
        }
        // None was asked of alice again: one of each pair of the flooder's.
        #expect(bob.refusals(.cookieAsked) == asked + 2)
        #expect(alice.messages.isEmpty && bob.refusals(.invalidCookie) == 0)
    }

    @Test(arguments: SuiteChoice.allCases)
    func anOutdatedCookieIsReplacedAtOnce(_ choice: SuiteChoice) throws {
        let (wire, alice, bob) = makeLoadedPair(choice)
        alice.send([0x10, 1], to: bob.contact, at: wire.now)
        wire.run(.milliseconds(200))
        let copy = try #require(wire.log.last { $0.bytes[0] == 0xc1 }).bytes
        let flooder = Flooder(4, against: bob, suite: choice.suite)
        for (wait, isGood) in [(100, true), (400, false)] as [(Int64, Bool)] {
            bob.links.forget(alice.identity.id)
            wire.run(.seconds(wait))
            for _ in 0..<2 {
                bob.receive(flooder.message(), from: NetworkAddress(ipv4: 0x0a00_0004, port: 1), at: wire.now)
            }
            _ = drain(&bob.out)
            bob.receive(copy, from: alice.address, at: wire.now)
            let answers = drain(&bob.out).map { $0.bytes[0] }
            #expect(answers == (isGood ? [0xc2] : [0xc3]), "after \(wait) s")
            wire.run(.seconds(11))
        }
        #expect(bob.refusals(.invalidCookie) == 1)
    }

    @Test(arguments: SuiteChoice.allCases)
    func aCookieServesOnlyTheAddressItWasGivenTo(_ choice: SuiteChoice) throws {
        let (wire, alice, bob) = makeLoadedPair(choice)
        alice.send([0x10, 1], to: bob.contact, at: wire.now)
        bob.receive(drain(&alice.out)[0].bytes, from: alice.address, at: wire.now)
        alice.receive(drain(&bob.out)[0].bytes, from: bob.address, at: wire.now)
        let copy = drain(&alice.out)[0].bytes
        let others = [
            alice.address.withPort(9), NetworkAddress(ipv4: 0x0a00_0101, port: 7788), .loopback(port: 7788),
        ]
        for (index, other) in others.enumerated() {
            bob.receive(copy, from: other, at: wire.now)
            #expect(bob.refusals(.invalidCookie) == UInt64(index + 1))
            #expect(drain(&bob.out).map { $0.bytes[0] } == [0xc3])
        }
        // A changed mac2 is no cookie either.
        var changed = copy
        changed[copy.count - 1] ^= choice == .real ? 1 : 0
        changed[copy.count - 16] ^= 1
        bob.receive(changed, from: alice.address, at: wire.now)
        #expect(bob.refusals(.invalidCookie) == 4 && bob.pendingCount == 1)
        _ = drain(&bob.out)
        bob.receive(copy, from: alice.address, at: wire.now)
        #expect(drain(&bob.out).map { $0.bytes[0] } == [0xc2])
    }

    @Test(arguments: SuiteChoice.allCases)
    func forgedAndRepeatedCookieRepliesChangeNothing(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makeLoadedPair(choice)
        alice.send([0x10, 1], to: bob.contact, at: wire.now)
        bob.receive(drain(&alice.out)[0].bytes, from: alice.address, at: wire.now)
        let reply = drain(&bob.out)[0].bytes
        for index in reply.indices {
            var changed = reply
            changed[index] ^= 0x20
            alice.receive(changed, from: bob.address, at: wire.now)
            #expect(alice.out.isEmpty && alice.received.isEmpty, "byte \(index)")
        }
        for count in [61, 63] {
            alice.receive(Array((reply + [0]).prefix(count)), from: bob.address, at: wire.now)
        }
        #expect(alice.refusals(.undecryptableCookie) == 56 && alice.refusals(.unknownConnection) == 4)
        #expect(alice.refusals(.unknownType) + alice.refusals(.unsupportedVersion) == 2)
        #expect(alice.refusals(.wrongLength) == 2 && alice.out.isEmpty)
        // The reply to another message 1 of the same node is not the reply to this one.
        let other = LinkNode(1, suite: choice.suite, secret: homeSecret, entropySeed: 99)
        other.send([0x10, 1], to: bob.contact, at: wire.now)
        bob.receive(drain(&other.out)[0].bytes, from: alice.address, at: wire.now)
        var foreign = drain(&bob.out)[0].bytes
        foreign.replaceSubrange(2..<6, with: reply[2..<6])
        alice.receive(foreign, from: bob.address, at: wire.now)
        #expect(alice.refusals(.undecryptableCookie) == 57 && alice.out.isEmpty)
        for copies in 1...5 {
            alice.receive(reply, from: bob.address, at: wire.now)
            #expect(drain(&alice.out).count == (copies <= 3 ? 1 : 0))
        }
        #expect(alice.refusals(.cookieRepeated) == 2)
    }

    @Test(arguments: SuiteChoice.allCases)
    func cookiesWorkWithEitherEpochOfTheSecret(_ choice: SuiteChoice) {
        let (old, new) = (Bytes32(7, 7, 7, 7), Bytes32(9, 9, 9, 9))
        let both = SwarmSecret(current: new, previous: old)
        let cases = [
            (both, SwarmSecret(current: old)), (SwarmSecret(current: old), both), (SwarmSecret(current: new), both),
        ]
        for (ofAlice, ofBob) in cases {
            let suite = choice.suite
            let alice = LinkNode(1, suite: suite, secret: ofAlice)
            let bob = LinkNode(2, suite: suite, secret: ofBob, limits: Self.strict)
            bob.answersPerRequest = 1
            let wire = VirtualWire([alice, bob])
            for number in 3...4 as ClosedRange<UInt8> {
                let other = LinkNode(number, suite: suite, secret: ofBob)
                other.send([0x10], to: bob.contact, at: wire.now)
                bob.receive(drain(&other.out)[0].bytes, from: other.address, at: wire.now)
            }
            _ = drain(&bob.out)
            alice.send([0x10, 1], to: bob.contact, at: wire.now)
            wire.run(.seconds(3))
            #expect(alice.messages == [[0x11, 1]])
            #expect(wire.log.contains { $0.bytes[0] == 0xc3 })
        }
    }

    // MARK: Floods

    private struct FloodResult {
        var handshakes: Double
        var victim: LinkNode
        var known: LinkNode
        var newcomer: LinkNode
        var wire: VirtualWire
    }

    /// A thousand first messages a second for five seconds. In the middle a peer that the victim knows begins anew, and
    /// one that it never met arrives.
    private func flood(with messages: Flooder, from address: (Int) -> NetworkAddress) -> FloodResult {
        let own = CryptoSuite.counted()
        let victim = LinkNode(2, suite: own, secret: homeSecret)
        victim.answersPerRequest = 1
        let known = LinkNode(1, suite: .counted(), secret: homeSecret)
        let newcomer = LinkNode(9, suite: .counted(), secret: homeSecret)
        let wire = VirtualWire([victim, known, newcomer])
        known.send([0x10, 1], to: victim.contact, at: wire.now)
        wire.run(.seconds(1))
        known.received = []
        let before = own.costNanoseconds
        for index in 0..<5000 {
            wire.inject(messages.message(), from: address(index), to: victim.address)
            wire.run(.milliseconds(1))
            if index == 2500 {
                // It has lost its keys; the victim has not.
                known.links.forget(victim.identity.id)
                known.send([0x10, 2], to: victim.contact, at: wire.now)
                newcomer.send([0x10, 3], to: victim.contact, at: wire.now)
            }
        }
        let spent = own.costNanoseconds - before
        return FloodResult(
            handshakes: Double(spent) / Double(Self.handshakeNanoseconds), victim: victim, known: known,
            newcomer: newcomer, wire: wire)
    }

    private func expectService(_ result: FloodResult) {
        #expect(result.known.messages == [[0x11, 2]])
        #expect(result.newcomer.messages == [[0x11, 3]])
        // Message 1, cookie, message 1, answer: two round trips of 40 ms, not a second of repeats.
        for node in [result.known, result.newcomer] {
            let sent = MonotonicInstant(nanoseconds: 1_000_000_000) + .milliseconds(1000 + 2501)
            #expect(node.received.allSatisfy { $0.at - sent <= .milliseconds(90) })
        }
    }

    @Test func aFloodFromOneSpoofedAddressCostsABoundedNumberOfKeyAgreements() {
        let spoofed = NetworkAddress(ipv4: 0xc633_6401, port: 5)
        let victim = LinkNode(2, suite: .counted(), secret: homeSecret)
        let result = flood(with: Flooder(7, against: victim)) { _ in spoofed }
        expectService(result)
        // 5,000 arrive at 1,000 a second; 400 a second and a burst of 200 are the rate: the first 334 are served. To seal
        // 4,700 cookies costs as much as thirty more.
        #expect(result.handshakes < 334 + 30 + 4, "\(result.handshakes)")
        #expect(result.victim.refusals(.cookieAsked) > 4_600)
        let (received, sent) = (result.victim.bytesIn[spoofed] ?? 0, result.victim.bytesOut[spoofed] ?? 0)
        #expect(sent < received / 4, "\(sent) for \(received)")
        // Five seconds after the flood nobody needs a cookie.
        result.wire.run(.seconds(5))
        let asked = result.victim.refusals(.cookieAsked)
        let late = LinkNode(10, suite: .counted(), secret: homeSecret)
        result.wire.nodes.append(late)
        late.send([0x10, 4], to: result.victim.contact, at: result.wire.now)
        result.wire.run(.seconds(1))
        #expect(late.messages == [[0x11, 4]] && result.victim.refusals(.cookieAsked) == asked)
    }

    @Test func aFloodFromManySpoofedAddressesCostsABoundedNumberOfKeyAgreements() {
        let victim = LinkNode(2, suite: .counted(), secret: homeSecret)
        let result = flood(with: Flooder(7, against: victim)) { index in
            NetworkAddress(ipv4: 0xc000_0000 &+ UInt32(truncatingIfNeeded: index &* 7919), port: 5)
        }
        expectService(result)
        #expect(result.handshakes < 334 + 30 + 4, "\(result.handshakes)")
        #expect(result.victim.pendingCount <= 512 && result.victim.relationCount == 2)
    }

    /// A member with one real address collects a cookie and floods with good mac2.
    @Test func aHostWithACookieHasOnlyItsOwnRate() {
        let (wire, _, bob) = makeLoadedPair(.counted)
        let flooder = Flooder(7, against: bob)
        let address = NetworkAddress(ipv4: 0x0a00_0707, port: 7)
        var served = 0
        for _ in 0..<500 {
            bob.receive(flooder.message(), from: address, at: wire.now)
            // The first is asked for a cookie, which the later ones carry.
            for answer in drain(&bob.out) {
                guard answer.bytes[0] == 0xc3 else {
                    served += 1
                    continue
                }
                guard let copy = flooder.answer(answer.bytes, from: bob.address) else { continue }
                bob.receive(copy, from: address, at: wire.now)
                served += drain(&bob.out).count { $0.bytes[0] == 0xc2 }
            }
            wire.run(.milliseconds(2))
        }
        // A second: the burst of 20 and 20 more.
        #expect(served >= 38 && served <= 42, "\(served)")
        #expect(bob.refusals(.sourceLimited) == UInt64(500 - served))
        let other = LinkNode(11, suite: .counted(), secret: homeSecret)
        other.address = NetworkAddress(ipv4: 0x0a00_0708, port: 7)
        wire.nodes.append(other)
        other.send([0x10, 3], to: bob.contact, at: wire.now)
        wire.run(.milliseconds(200))
        #expect(bob.isEstablished(with: other))
    }

    /// Hosts without number, each with a good cookie: the handshakes of all are bounded, and peers that are known have a
    /// share of their own.
    @Test func manyHostsWithCookiesLeaveKnownPeersTheirShare() {
        let (wire, alice, bob) = makePair(.counted)
        bob.answersPerRequest = 1
        alice.send([0x10, 1], to: bob.contact, at: wire.now)
        wire.run(.seconds(1))
        let flooder = Flooder(7, against: bob)
        var replies = 0
        var served = 0
        for index in 0..<4000 {
            let address = NetworkAddress(ipv4: 0x0b00_0000 + UInt32(index), port: 7)
            bob.receive(flooder.message(), from: address, at: wire.now)
            for reply in drain(&bob.out) where reply.bytes[0] == 0xc3 {
                replies += 1
                guard let copy = flooder.answer(reply.bytes, from: bob.address) else { continue }
                bob.receive(copy, from: address, at: wire.now)
                served += drain(&bob.out).count { $0.bytes[0] == 0xc2 }
            }
            if index == 3000 {
                alice.received = []
                alice.links.forget(bob.identity.id)
                alice.send([0x10, 2], to: bob.contact, at: wire.now)
            }
            wire.run(.microseconds(500))
        }
        // Two seconds at 2,000 a second.
        #expect(replies > 3_000)
        #expect(served <= 100 + 800 && served > 700, "\(served)")
        #expect(bob.refusals(.handshakesLimited) > 2_000)
        #expect(alice.messages == [[0x11, 2]])
        #expect((alice.received.first?.at).map { $0 - wire.now.monotonic } ?? .zero < .zero)
    }

    @Test func cookieRepliesAreLimitedToo() {
        let suite = CryptoSuite.counted()
        var limits = Self.strict
        limits.replyRate = HandshakeRate(perSecond: 10, burst: 5)
        let bob = LinkNode(2, suite: suite, secret: homeSecret, limits: limits)
        let now = VirtualWire([]).now
        let flooder = Flooder(7, against: bob)
        for index in 0..<50 {
            bob.receive(flooder.message(), from: NetworkAddress(ipv4: 0x0b00_0000 + UInt32(index), port: 7), at: now)
        }
        let kinds = drain(&bob.out).map { $0.bytes[0] }
        #expect(kinds == [0xc2] + [UInt8](repeating: 0xc3, count: 5))
        #expect(bob.refusals(.cookieRepliesLimited) == 44)
    }
}
