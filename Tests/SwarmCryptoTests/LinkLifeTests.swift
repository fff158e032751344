import SwarmCore
import SwarmCrypto
import Testing

/// Two link tables over a virtual wire: loss, age, silence, movement.
struct LinkLifeTests {
    @Test(arguments: SuiteChoice.allCases, [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64])
    func lossDuplicationAndReorderingDeliverAtMostOnceOverASession(_ choice: SuiteChoice, seed: UInt64) {
        let (wire, alice, bob) = makePair(choice, seed: seed)
        wire.lossRatio = 0.1
        wire.duplicateRatio = 0.1
        wire.jitter = .milliseconds(60)
        let count = 300
        for index in 0..<count {
            let number = [UInt8(index >> 8), UInt8(index & 0xff)]
            alice.send([0x30] + number, to: bob.contact, isIdempotent: false, at: wire.now)
            bob.send([0x31] + number, to: alice.contact, isIdempotent: false, at: wire.now)
            wire.run(.milliseconds(100))
        }
        wire.run(.seconds(2))
        for node in [alice, bob] {
            var times: [[UInt8]: Int] = [:]
            for message in node.messages { times[message, default: 0] += 1 }
            #expect(times.values.allSatisfy { $0 == 1 }, "seed \(seed)")
            // Ten in a hundred are lost for good: control messages are not repeated by the link.
            #expect(times.count > count * 8 / 10, "seed \(seed): \(times.count) of \(count)")
            #expect(node.refusals(.undecryptableTransport) == 0)
        }
        #expect(alice.establishedCount == 1 && bob.establishedCount == 1)
    }

    @Test(arguments: SuiteChoice.allCases)
    func everySingleLostHandshakePacketIsMadeGood(_ choice: SuiteChoice) {
        // Datagram number `lost` of the exchange vanishes: message 1, message 2, the probe, its answer.
        for lost in 0..<4 {
            let (wire, alice, bob) = makePair(choice)
            bob.answersPerRequest = 1
            wire.loseDatagram = lost
            alice.send([0x10, 1], to: bob.contact, at: wire.now)
            wire.run(.seconds(2))
            #expect(alice.messages == [[0x11, 1]], "lost \(lost)")
            #expect(bob.messages == [[0x10, 1]], "a repeated request is not delivered again: lost \(lost)")
            #expect(alice.isEstablished(with: bob) && bob.isEstablished(with: alice), "lost \(lost)")
            #expect(bob.pendingCount == 0, "lost \(lost)")
        }
    }

    @Test(arguments: SuiteChoice.allCases)
    func aLinkInUseIsRekeyedWithoutLoss(_ choice: SuiteChoice) throws {
        let (wire, alice, bob) = makePair(choice)
        alice.send([0x30, 0, 0], to: bob.contact, at: wire.now)
        wire.run(.seconds(1))
        let first = try #require(alice.mediaSecret(with: bob))
        for index in 1...1000 {
            let number = [UInt8(index >> 8), UInt8(index & 0xff)]
            alice.send([0x30] + number, to: bob.contact, at: wire.now)
            bob.send([0x31] + number, to: alice.contact, at: wire.now)
            wire.run(.milliseconds(500))
            // The session before still has its media secret while a new one takes over.
            if index == 248 { #expect(alice.mediaSecret(with: bob, epoch: first.epoch) == first.secret) }
        }
        #expect(bob.messages.count == 1001 && alice.messages.count == 1000)
        #expect(alice.mediaSecret(with: bob, epoch: first.epoch) == nil)
        #expect(alice.mediaSecret(with: bob) == bob.mediaSecret(with: alice))
        // 501 s: one handshake at the start, one every 120 s.
        #expect(alice.completedHandshakes == 5)
        #expect(wire.log.count { $0.bytes[0] == 0xc1 } == 5)
        #expect(alice.establishedCount == 1 && bob.establishedCount == 1)
        #expect(alice.refusalTotal == 0 && bob.refusalTotal == 0)
    }

    @Test(arguments: SuiteChoice.allCases)
    func aReceiverThatBeganTheLinkRekeysIt(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makePair(choice)
        alice.send([0x30], to: bob.contact, at: wire.now)
        wire.run(.seconds(1))
        for _ in 0..<400 {
            bob.send([0x31], to: alice.contact, at: wire.now)
            wire.run(.seconds(1))
        }
        #expect(alice.messages.count == 400)
        #expect(alice.completedHandshakes == 4)
    }

    @Test(arguments: SuiteChoice.allCases)
    func anIdleLinkClosesQuietly(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makePair(choice)
        alice.send([0x30], to: bob.contact, at: wire.now)
        wire.run(.seconds(1))
        let packets = wire.log.count
        wire.run(.seconds(28))
        #expect(alice.isEstablished(with: bob) && bob.isEstablished(with: alice))
        wire.run(.seconds(2))
        // No longer sent on, still received on.
        #expect(alice.relationCount == 1 && bob.relationCount == 1)
        wire.run(.seconds(10))
        #expect(wire.log.count == packets)
        #expect(alice.told.last == .closed(bob.identity.id) && bob.told.last == .closed(alice.identity.id))
        #expect(alice.relationCount == 0 && bob.relationCount == 0)
        #expect(alice.nextDeadline == nil && bob.nextDeadline == nil)
    }

    /// An hour in which nobody says anything: no keep-alive, no timed rekey, and nothing that wakes the node.
    @Test(arguments: SuiteChoice.allCases)
    func aSilentHourCostsNothing(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makePair(choice)
        bob.answersPerRequest = 1
        alice.send([0x10, 1], to: bob.contact, at: wire.now)
        wire.run(.seconds(1))
        let (packets, handshakes) = (wire.log.count, alice.completedHandshakes)
        wire.run(.seconds(3600))
        #expect(wire.log.count == packets && alice.completedHandshakes == handshakes)
        #expect(alice.nextDeadline == nil && bob.nextDeadline == nil)
        #expect(alice.relationCount == 0 && bob.relationCount == 0)
        // The next request opens the link again without an extra round trip.
        alice.received = []
        let start = wire.now.monotonic
        alice.send([0x10, 2], to: bob.contact, at: wire.now)
        wire.run(.seconds(1))
        #expect(alice.messages == [[0x11, 2]])
        #expect(alice.received.first.map { $0.at - start } == .milliseconds(40))
    }

    /// After a silence in which the peer may have forgotten, a request rides in a new message 1; whatever the peer still
    /// sends on the old session arrives.
    @Test(arguments: SuiteChoice.allCases)
    func anIdleSessionIsNotSentOnButStillHeard(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makePair(choice)
        bob.answersPerRequest = 1
        alice.send([0x10, 1], to: bob.contact, at: wire.now)
        wire.run(.seconds(1))
        wire.run(.seconds(29))
        // On the wire while alice's trust ends.
        bob.send([0x30, 5], to: alice.contact, at: wire.now)
        let late = drain(&bob.out)
        bob.links.forget(alice.identity.id)
        wire.run(.seconds(2))
        alice.received = []
        let start = wire.now.monotonic
        alice.send([0x10, 2], to: bob.contact, at: wire.now)
        alice.send([0x10, 3], to: bob.contact, at: wire.now)
        wire.inject(late[0].bytes, from: bob.address, to: alice.address)
        wire.run(.milliseconds(30))
        #expect(alice.messages == [[0x30, 5]])
        wire.run(.seconds(1))
        #expect(alice.messages == [[0x30, 5], [0x11, 2], [0x11, 3]])
        #expect(alice.received[1].at - start == .milliseconds(40))
        #expect(alice.establishedCount == 1 && alice.isEstablished(with: bob))
    }

    @Test(arguments: SuiteChoice.allCases)
    func repliesFollowTheNewestAuthenticatedAddress(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makePair(choice)
        alice.send([0x30], to: bob.contact, at: wire.now)
        wire.run(.seconds(1))
        let old = alice.address
        alice.address = NetworkAddress(ipv4: 0xc633_6407, port: 4242)
        alice.send([0x30, 1], to: bob.contact, at: wire.now)
        wire.run(.seconds(1))
        #expect(bob.address(of: alice) == alice.address)
        #expect(bob.received.last?.peer.address == alice.address)
        bob.send([0x31, 1], to: alice.identity.contact(at: AddressList(old)), at: wire.now)
        wire.run(.seconds(1))
        #expect(alice.messages == [[0x31, 1]])
        // A copy of an old packet from elsewhere moves nothing.
        let copy = wire.log.first { $0.bytes[0] == 0xc4 && $0.source == old }
        let stranger = NetworkAddress(ipv4: 0xc633_6408, port: 1)
        wire.inject(copy?.bytes ?? [], from: stranger, to: bob.address)
        wire.run(.seconds(1))
        #expect(bob.refusals(.replayedTransport) == 1)
        #expect(bob.address(of: alice) == alice.address)
    }

    @Test(arguments: SuiteChoice.allCases)
    func aLatePacketFromTheOldAddressDoesNotMoveRepliesBack(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makePair(choice)
        alice.send([0x30], to: bob.contact, at: wire.now)
        wire.run(.seconds(1))
        let old = alice.address
        alice.send([0x30, 1], to: bob.contact, at: wire.now)
        let late = drain(&alice.out)
        alice.address = NetworkAddress(ipv4: 0xc633_6407, port: 4242)
        alice.send([0x30, 2], to: bob.contact, at: wire.now)
        wire.run(.seconds(1))
        wire.inject(late[0].bytes, from: old, to: bob.address)
        wire.run(.seconds(1))
        #expect(bob.messages == [[0x30], [0x30, 2], [0x30, 1]])
        #expect(bob.address(of: alice) == alice.address)
    }

    @Test(arguments: SuiteChoice.allCases)
    func aPeerThatForgotUsIsFoundAgain(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makePair(choice)
        bob.answersPerRequest = 1
        alice.send([0x10, 0], to: bob.contact, at: wire.now)
        wire.run(.seconds(20))
        bob.links.forget(alice.identity.id)
        alice.received = []
        for index in 0..<30 {
            alice.send([0x10, UInt8(index)], to: bob.contact, at: wire.now)
            wire.run(.milliseconds(500))
        }
        // 5 s of silence, 3 s of probes, a handshake; then all is answered again.
        #expect(alice.messages.contains([0x11, 20]))
        #expect(alice.messages.count >= 10)
        #expect(bob.refusals(.unknownConnection) > 0)
        #expect(!alice.told.contains(.unreachable(bob.identity.id)))
    }

    /// Whoever has the lower id: of sessions begun by both sides, the one that the restarted peer lacks is not sent on.
    @Test(arguments: SuiteChoice.allCases, [false, true])
    func aPeerThatRestartsAndCallsIsReachedOnTheNewSession(_ choice: SuiteChoice, swapped: Bool) {
        let (wire, one, two) = makePair(choice)
        let (caller, other) = swapped ? (two, one) : (one, two)
        other.send([0x30], to: caller.contact, at: wire.now)
        wire.run(.milliseconds(500))
        caller.links.forget(other.identity.id)
        wire.run(.milliseconds(300))
        caller.send([0x30], to: other.contact, at: wire.now)
        wire.run(.milliseconds(500))
        expectExchange(wire, caller, other)
    }

    /// The question whether the old session still lives must not end the one that the peer has begun meanwhile.
    @Test(arguments: SuiteChoice.allCases, [false, true])
    func aPeerThatRestartsAndCallsWhileItIsProbedKeepsTheNewSession(_ choice: SuiteChoice, swapped: Bool) {
        let (wire, one, two) = makePair(choice)
        let (caller, other) = swapped ? (two, one) : (one, two)
        caller.send([0x30], to: other.contact, at: wire.now)
        wire.run(.seconds(10))
        caller.links.forget(other.identity.id)
        // Five seconds of silence, and the first probe of three seconds.
        for _ in 0..<12 {
            other.send([0x31], to: caller.contact, at: wire.now)
            wire.run(.milliseconds(500))
        }
        caller.send([0x30], to: other.contact, at: wire.now)
        wire.run(.seconds(4))
        #expect(other.completedHandshakes == 2 && caller.completedHandshakes == 2)
        expectExchange(wire, caller, other)
    }

    /// Messages both ways, once every half second, none of them lost.
    private func expectExchange(_ wire: VirtualWire, _ one: LinkNode, _ two: LinkNode) {
        for index in 0..<20 {
            let text = UInt8(index)
            one.send([0x20, text], to: two.contact, at: wire.now)
            two.send([0x21, text], to: one.contact, at: wire.now)
            wire.run(.milliseconds(500))
            #expect(two.count([0x20, text]) == 1 && one.count([0x21, text]) == 1, "message \(text)")
        }
    }

    @Test(arguments: SuiteChoice.allCases)
    func aPeerThatDiesIsReportedUnreachable(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makePair(choice)
        alice.send([0x30], to: bob.contact, at: wire.now)
        wire.run(.seconds(1))
        wire.unreachable = [bob.address]
        for _ in 0..<40 {
            alice.send([0x30], to: bob.contact, at: wire.now)
            wire.run(.milliseconds(500))
            if alice.told.contains(.unreachable(bob.identity.id)) { break }
        }
        #expect(alice.told.last == .unreachable(bob.identity.id))
        #expect(alice.relationCount == 0)
    }

    @Test(arguments: SuiteChoice.allCases)
    func oneWayTrafficKeepsALinkWithoutNewHandshakes(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makePair(choice)
        for _ in 0..<100 {
            alice.send([0x30], to: bob.contact, at: wire.now)
            wire.run(.seconds(1))
        }
        #expect(bob.messages.count == 100)
        #expect(wire.log.count { $0.bytes[0] == 0xc1 } == 1)
    }

    @Test(arguments: SuiteChoice.allCases)
    func aSlowPathIsOpenedByOneHandshake(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makePair(choice)
        wire.delay = .milliseconds(700)
        bob.answersPerRequest = 1
        alice.send([0x10, 1], to: bob.contact, at: wire.now)
        wire.run(.seconds(8))
        #expect(alice.messages == [[0x11, 1]])
        #expect(bob.messages == [[0x10, 1]])
        #expect(bob.completedHandshakes == 1)
        #expect(alice.isEstablished(with: bob) && bob.isEstablished(with: alice))
    }

    @Test(arguments: SuiteChoice.allCases)
    func waitingMessagesAreBounded(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makePair(choice)
        for index in 0..<100 {
            alice.send([0x30, UInt8(index)], to: bob.contact, isIdempotent: false, at: wire.now)
        }
        wire.run(.seconds(1))
        #expect(bob.messages == (84..<100).map { [0x30, UInt8($0)] })
        #expect(alice.refusals(.queueDropped) == 84)
    }

    @Test(arguments: SuiteChoice.allCases)
    func aFullTableGivesUpTheIdlestRelation(_ choice: SuiteChoice) {
        var limits = LinkLimits()
        limits.relations = 4
        limits.trustedIdle = .seconds(180)
        limits.idleLifetime = .seconds(180)
        let suite = choice.suite
        let hub = LinkNode(200, suite: suite, secret: homeSecret, limits: limits)
        let others = (1...6).map { LinkNode(UInt8($0), suite: suite, secret: homeSecret) }
        let wire = VirtualWire([hub] + others)
        for other in others {
            other.send([0x30], to: hub.contact, at: wire.now)
            wire.run(.seconds(11))
        }
        #expect(hub.relationCount == 4)
        #expect(hub.messages.count == 6)
        #expect(hub.told.contains(.closed(others[0].identity.id)))
        #expect(hub.told.contains(.closed(others[1].identity.id)))
        #expect(hub.isEstablished(with: others[5]))
        // All of them busy: the newcomer is refused instead.
        for other in others[2...] { other.send([0x30], to: hub.contact, at: wire.now) }
        wire.run(.seconds(1))
        others[0].links.forget(hub.identity.id)
        others[0].send([0x30], to: hub.contact, isIdempotent: false, at: wire.now)
        wire.run(.seconds(1))
        #expect(hub.refusals(.tableFull) > 0)
        #expect(hub.relationCount == 4)
    }

    @Test func oneSeedGivesOneHistory() {
        func history() -> [[UInt8]] {
            let (wire, alice, bob) = makePair(.real, seed: 42)
            wire.lossRatio = 0.2
            wire.jitter = .milliseconds(30)
            bob.answersPerRequest = 2
            for index in 0..<50 {
                alice.send([0x10, UInt8(index)], to: bob.contact, at: wire.now)
                wire.run(.milliseconds(300))
            }
            return wire.log.map(\.bytes)
        }
        #expect(history() == history())
    }
}
