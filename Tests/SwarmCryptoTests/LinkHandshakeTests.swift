import SwarmCore
import SwarmCrypto
import Testing

/// Two link tables over a virtual wire: opening a link.
struct LinkHandshakeTests {
    @Test(arguments: SuiteChoice.allCases)
    func anEarlyRequestIsAnsweredInOneRoundTrip(_ choice: SuiteChoice) throws {
        let (wire, alice, bob) = makePair(choice)
        bob.answersPerRequest = 1
        let start = wire.now.monotonic
        alice.send([0x10, 1, 2, 3], to: bob.contact, at: wire.now)
        wire.run(.seconds(1))
        #expect(bob.messages == [[0x10, 1, 2, 3]])
        #expect(bob.received.first?.peer.isConfirmed == false)
        #expect(bob.received.first?.peer.id == alice.identity.id)
        #expect(bob.received.first?.peer.address == alice.address)
        #expect(alice.messages == [[0x11, 1, 2, 3]])
        #expect(alice.received.first?.peer.isConfirmed == true)
        let answeredAt = try #require(alice.received.first?.at)
        #expect(answeredAt - start == .milliseconds(40))
        #expect(alice.establishedCount == 1)
        #expect(bob.establishedCount == 1)
        #expect(alice.roundTrip(to: bob) == .milliseconds(40))
        #expect(bob.isEstablished(with: alice))
        #expect(bob.pendingCount == 0)
        // Message 1, message 2, probe, its answer: nothing else, and silence after.
        #expect(wire.log.map { $0.bytes[0] } == [0xc1, 0xc2, 0xc4, 0xc4])
        #expect(wire.log[0].bytes.count == 416)
        #expect(alice.refusalTotal == 0 && bob.refusalTotal == 0)
    }

    /// A request that is repeated before its handshake is answered repeats message 1 too, once, and not within 100 ms.
    @Test(arguments: SuiteChoice.allCases)
    func aRepeatedRequestHastensTheHandshake(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makePair(choice)
        bob.answersPerRequest = 1
        wire.loseDatagram = 0
        func initiations() -> Int { wire.log.count { $0.bytes[0] == 0xc1 } }
        alice.send([0x10, 1], to: bob.contact, at: wire.now)
        wire.run(.milliseconds(60))
        alice.send([0x10, 1], to: bob.contact, at: wire.now)
        wire.run(.milliseconds(20))
        #expect(initiations() == 1, "too soon")
        wire.run(.milliseconds(30))
        alice.send([0x30, 1], to: bob.contact, isIdempotent: false, at: wire.now)
        wire.run(.milliseconds(1))
        #expect(initiations() == 1, "what may not repeat hastens nothing")
        alice.send([0x10, 1], to: bob.contact, at: wire.now)
        wire.run(.milliseconds(1))
        #expect(initiations() == 2)
        #expect(wire.log[0].bytes == wire.log[1].bytes)
        alice.send([0x10, 1], to: bob.contact, at: wire.now)
        wire.run(.milliseconds(1))
        #expect(initiations() == 2, "once")
        wire.run(.milliseconds(60))
        #expect(alice.isEstablished(with: bob) && bob.count([0x10, 1]) >= 1 && bob.count([0x30, 1]) == 1)
    }

    @Test(arguments: SuiteChoice.allCases)
    func severalAnswersToAnEarlyRequestAllArrive(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makePair(choice)
        bob.answersPerRequest = 3
        alice.send([0x10, 9], to: bob.contact, at: wire.now)
        wire.run(.seconds(1))
        #expect(alice.messages == [[0x11, 9], [0x12, 9], [0x13, 9]])
    }

    @Test(arguments: SuiteChoice.allCases)
    func messagesOfEverySizeArriveWhole(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makePair(choice)
        bob.answersPerRequest = 1
        for size in [1, 2, 63, 64, 237, 238, 239, 1055, 1056, 1057, 1140, 1141, Limits.messageBytes] {
            let message = [0x10] + [UInt8](repeating: UInt8(truncatingIfNeeded: size), count: size - 1)
            var answer = message
            answer[0] = 0x11
            // First by a handshake, then over the session it made.
            alice.links.forget(bob.identity.id)
            bob.links.forget(alice.identity.id)
            for _ in 0..<2 {
                alice.received = []
                alice.send(message, to: bob.contact, at: wire.now)
                wire.run(.seconds(1))
                #expect(alice.messages == [answer], "\(size) bytes")
            }
        }
        #expect(wire.log.allSatisfy { $0.bytes.count <= Limits.datagramBytes })
    }

    @Test(arguments: SuiteChoice.allCases)
    func aMessageThatMayNotRepeatWaitsForTheSession(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makePair(choice)
        alice.send([0x30, 1], to: bob.contact, isIdempotent: false, at: wire.now)
        alice.send([0x30, 2], to: bob.contact, isIdempotent: true, at: wire.now)
        wire.run(.seconds(1))
        #expect(bob.messages == [[0x30, 1], [0x30, 2]])
        #expect(bob.received.allSatisfy { $0.peer.isConfirmed })
    }

    @Test(arguments: SuiteChoice.allCases)
    func simultaneousOpensLeaveOneUsableSessionEachWay(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makePair(choice)
        alice.answersPerRequest = 1
        bob.answersPerRequest = 1
        alice.send([0x10, 1], to: bob.contact, at: wire.now)
        bob.send([0x10, 2], to: alice.contact, at: wire.now)
        wire.run(.seconds(1))
        #expect(bob.messages.contains([0x10, 1]) && bob.messages.contains([0x11, 2]))
        #expect(alice.messages.contains([0x10, 2]) && alice.messages.contains([0x11, 1]))
        // Both now choose the same session, so that media keys made on one side fit the other.
        let ofAlice = alice.mediaSecret(with: bob)
        let ofBob = bob.mediaSecret(with: alice)
        #expect(ofAlice?.epoch == ofBob?.epoch)
        #expect(ofAlice?.secret == ofBob?.secret)
        for round in 0..<20 {
            alice.send([0x20, UInt8(round)], to: bob.contact, at: wire.now)
            bob.send([0x21, UInt8(round)], to: alice.contact, at: wire.now)
            wire.run(.seconds(4))
            #expect(bob.count([0x20, UInt8(round)]) == 1)
            #expect(alice.count([0x21, UInt8(round)]) == 1)
        }
        #expect(alice.establishedCount == 1 && bob.establishedCount == 1)
    }

    @Test(arguments: SuiteChoice.allCases)
    func anEarlyRequestWhoseHandshakeWasLostLeavesOverThePeersSession(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makePair(choice)
        wire.loseDatagram = 0
        alice.send([0x10, 1], to: bob.contact, at: wire.now)
        wire.run(.milliseconds(10))
        bob.send([0x10, 2], to: alice.contact, at: wire.now)
        wire.run(.milliseconds(200))
        #expect(bob.messages == [[0x10, 1]])
        #expect(bob.received.first?.peer.isConfirmed == true)
        wire.run(.seconds(8))
        #expect(bob.messages == [[0x10, 1]])
        #expect(alice.messages == [[0x10, 2]])
        #expect(wire.log.count { $0.bytes[0] == 0xc1 } == 2)
    }

    @Test(arguments: SuiteChoice.allCases)
    func aWrongSecretMeetsTotalSilence(_ choice: SuiteChoice) {
        let suite = choice.suite
        let alice = LinkNode(1, suite: suite, secret: SwarmSecret(current: Bytes32(8, 8, 8, 8)))
        let bob = LinkNode(2, suite: suite, secret: homeSecret)
        let wire = VirtualWire([alice, bob])
        alice.send([0x10, 1], to: bob.contact, at: wire.now)
        wire.run(.seconds(8))
        #expect(bob.received.isEmpty && bob.told.isEmpty)
        #expect(wire.log.allSatisfy { $0.source == alice.address })
        #expect(bob.refusals(.badMac) == UInt64(wire.log.count))
        #expect(bob.relationCount == 0 && bob.pendingCount == 0)
        #expect(alice.told == [.unreachable(bob.identity.id)])
        #expect(alice.relationCount == 0)
        #expect(alice.refusals(.unreachableDropped) == 1)
    }

    @Test(arguments: SuiteChoice.allCases)
    func twoEpochsOfTheSecretMeet(_ choice: SuiteChoice) {
        let old = Bytes32(7, 7, 7, 7)
        let new = Bytes32(9, 9, 9, 9)
        let both = SwarmSecret(current: new, previous: old)
        let cases: [(SwarmSecret, SwarmSecret)] = [
            (both, SwarmSecret(current: old)), (SwarmSecret(current: old), both), (SwarmSecret(current: new), both),
            (both, SwarmSecret(current: new)), (both, both),
        ]
        for (ofAlice, ofBob) in cases {
            let suite = choice.suite
            let alice = LinkNode(1, suite: suite, secret: ofAlice)
            let bob = LinkNode(2, suite: suite, secret: ofBob)
            bob.answersPerRequest = 1
            let wire = VirtualWire([alice, bob])
            alice.send([0x10, 1], to: bob.contact, at: wire.now)
            wire.run(.seconds(3))
            #expect(alice.messages == [[0x11, 1]])
        }
    }

    @Test(arguments: SuiteChoice.allCases)
    func aPeerWithAnotherKeyThanItsContactIsNotReached(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makePair(choice)
        let impostor = Identity(seed: Bytes32(99, 0, 0, 0), suite: choice.suite)
        let contact = CryptoSuite.real.contact(impostor.key, AddressList(bob.address))
        alice.send([0x10, 1], to: contact, at: wire.now)
        wire.run(.seconds(8))
        #expect(bob.received.isEmpty)
        #expect(alice.told == [.unreachable(contact.id)])
    }

    @Test(arguments: SuiteChoice.allCases)
    func aLaterAddressIsTriedWhenTheFirstIsDead(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makePair(choice)
        let dead = NetworkAddress(ipv4: 0x0a00_00ff, port: 1)
        let contact = bob.identity.contact(at: AddressList([dead, bob.address]))
        alice.send([0x10, 1], to: contact, at: wire.now)
        wire.run(.seconds(1))
        #expect(bob.messages == [[0x10, 1]])
        #expect(alice.address(of: bob) == bob.address)
        #expect(alice.contact(of: bob)?.addresses.first == bob.address)
    }

    @Test func anAddresslessOrInvalidContactIsRefusedAtOnce() {
        let (wire, alice, bob) = makePair(.real)
        alice.send([0x10], to: bob.identity.contact(at: AddressList()), at: wire.now)
        #expect(alice.told == [.unreachable(bob.identity.id)])
        // The point of order one: a key nobody owns.
        let invalid = CryptoSuite.real.contact(PublicKey(Bytes32(1 << 56, 0, 0, 0)), AddressList(bob.address))
        alice.send([0x10], to: invalid, at: wire.now)
        #expect(alice.told.last == .unreachable(invalid.id))
        alice.send([0x10], to: alice.contact, at: wire.now)
        #expect(alice.refusals(.unusableContact) == 3)
        alice.send([], to: bob.contact, at: wire.now)
        alice.send([0x01, 1], to: bob.contact, at: wire.now)
        alice.send([UInt8](repeating: 0x10, count: Limits.messageBytes + 1), to: bob.contact, at: wire.now)
        #expect(alice.refusals(.unsendableMessage) == 3)
        #expect(alice.relationCount == 0)
        #expect(wire.log.isEmpty && alice.out.isEmpty)
    }

    @Test(arguments: SuiteChoice.allCases)
    func mediaSecretsAgreeAtEveryStage(_ choice: SuiteChoice) throws {
        let (wire, alice, bob) = makePair(choice)
        alice.send([0x40], to: bob.contact, at: wire.now)
        // Drive by hand, to ask the responder while it answers.
        var datagram = drain(&alice.out)[0].bytes
        var span = datagram.mutableSpan
        let delivery = bob.links.receive(
            &span, from: alice.address, at: wire.now, into: &bob.out, events: &bob.events)
        #expect(delivery != nil)
        let pending = try #require(bob.mediaSecret(with: alice))
        bob.links.finishReceive(at: wire.now, into: &bob.out, events: &bob.events)
        #expect(bob.mediaSecret(with: alice, epoch: pending.epoch) == pending.secret)
        wire.run(.seconds(1))
        let ofAlice = try #require(alice.mediaSecret(with: bob))
        #expect(ofAlice == pending)
        #expect(bob.mediaSecret(with: alice, epoch: pending.epoch) == pending.secret)
        #expect(bob.mediaSecret(with: alice, epoch: pending.epoch &+ 1) == nil)
    }
}
