import SwarmCore
import SwarmCrypto
import Testing

/// What strangers, recorders and liars can do to a link table: be counted.
struct LinkHostilityTests {
    private let stranger = NetworkAddress(ipv4: 0xc633_6409, port: 9)

    @Test(arguments: SuiteChoice.allCases)
    func garbageOfEveryLengthMeetsSilence(_ choice: SuiteChoice) {
        let (wire, _, bob) = makePair(choice)
        var generator = SeededGenerator(seed: 5)
        var sent: UInt64 = 0
        for length in 0...Limits.receiveBytes {
            // Every kind at the lengths where they begin and end; elsewhere by turns.
            let kinds = [0xc1, 0xc2, 0xc3, 0xc4, Int(generator.next() & 0xff)]
            for first in length < 140 || (410...420).contains(length) ? kinds : [kinds[length % 5]] {
                var bytes = (0..<length).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
                if length > 0 { bytes[0] = UInt8(first) }
                if length > 1 && generator.next() & 1 == 0 { bytes[1] = 1 }
                bob.receive(bytes, from: stranger, at: wire.now)
                sent += 1
            }
        }
        #expect(bob.refusalTotal == sent)
        #expect(bob.out.isEmpty && bob.received.isEmpty && bob.told.isEmpty)
        #expect(bob.relationCount == 0 && bob.pendingCount == 0 && bob.nextDeadline == nil)
    }

    @Test(arguments: SuiteChoice.allCases)
    func aChangedByteOfAnyPacketIsRefused(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makePair(choice)
        bob.answersPerRequest = 1
        alice.send([0x10, 1], to: bob.contact, at: wire.now)
        let initiation = drain(&alice.out)[0].bytes
        // mac2, the last 16 bytes, is not looked at yet.
        for index in stride(from: 0, to: initiation.count - 16, by: choice == .real ? 7 : 1) {
            var changed = initiation
            changed[index] ^= 0x40
            bob.receive(changed, from: alice.address, at: wire.now)
            #expect(bob.out.isEmpty && bob.received.isEmpty, "byte \(index)")
        }
        bob.receive(initiation, from: alice.address, at: wire.now)
        let response = drain(&bob.out)[0].bytes
        for index in stride(from: 0, to: response.count - 16, by: 3) {
            var changed = response
            changed[index] ^= 0x40
            alice.receive(changed, from: bob.address, at: wire.now)
            #expect(alice.out.isEmpty && alice.received.isEmpty, "byte \(index)")
        }
        alice.receive(response, from: bob.address, at: wire.now)
        #expect(alice.messages == [[0x11, 1]])
        let transport = drain(&alice.out)[0].bytes
        for index in transport.indices {
            var changed = transport
            changed[index] ^= 0x40
            bob.receive(changed, from: alice.address, at: wire.now)
            #expect(bob.out.isEmpty && bob.relationCount == 0, "byte \(index)")
        }
        bob.receive(transport, from: alice.address, at: wire.now)
        #expect(bob.isEstablished(with: alice))
    }

    @Test(arguments: SuiteChoice.allCases)
    func aReplayedMessageOneLeavesNoState(_ choice: SuiteChoice) throws {
        let (wire, alice, bob) = makePair(choice)
        bob.answersPerRequest = 1
        alice.send([0x10, 1], to: bob.contact, at: wire.now)
        wire.run(.seconds(1))
        let recorded = try #require(wire.log.first { $0.bytes[0] == 0xc1 }).bytes
        let epoch = try #require(bob.mediaSecret(with: alice)).epoch
        // While the session lives: refused outright.
        wire.inject(recorded, from: stranger, to: bob.address)
        wire.run(.seconds(1))
        #expect(bob.refusals(.replayedInitiation) == 1)
        #expect(bob.messages.count == 1 && bob.pendingCount == 0)
        // Also when nothing was heard for a while, so that its age alone would not tell.
        wire.run(.seconds(20))
        wire.inject(recorded, from: stranger, to: bob.address)
        wire.run(.seconds(1))
        #expect(bob.refusals(.replayedInitiation) == 2)
        #expect(bob.messages.count == 1 && bob.pendingCount == 0)
        // When all is forgotten: answered, as a first message would be, and forgotten again.
        wire.run(.seconds(300))
        #expect(bob.relationCount == 0)
        let before = bob.told
        for _ in 0..<5 { wire.inject(recorded, from: stranger, to: bob.address) }
        wire.run(.seconds(5))
        #expect(bob.pendingCount == 1, "copies of one message share one place")
        #expect(bob.messages.count == 2)
        #expect(bob.received.last?.peer.isConfirmed == false)
        #expect(bob.relationCount == 0 && bob.told == before)
        #expect(!bob.isEstablished(with: alice))
        wire.run(.seconds(10))
        #expect(bob.pendingCount == 0)
        #expect(bob.refusals(.pendingExpired) == 1)
        #expect(bob.mediaSecret(with: alice, epoch: epoch) == nil)
    }

    @Test(arguments: SuiteChoice.allCases)
    func anOlderMessageOneThatNeverArrivedIsNotTakenForANewOne(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makePair(choice)
        alice.send([0x10, 1], to: bob.contact, at: wire.now)
        let kept = drain(&alice.out)[0].bytes
        alice.links.forget(bob.identity.id)
        wire.run(.seconds(1))
        alice.send([0x10, 2], to: bob.contact, at: wire.now)
        wire.run(.seconds(1))
        wire.inject(kept, from: stranger, to: bob.address)
        wire.run(.seconds(1))
        #expect(bob.refusals(.replayedInitiation) == 1)
        #expect(bob.messages == [[0x10, 2]])
    }

    @Test(arguments: SuiteChoice.allCases)
    func aRestartedPeerIsTakenBackAtOnce(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makePair(choice)
        bob.answersPerRequest = 1
        alice.send([0x10, 1], to: bob.contact, at: wire.now)
        wire.run(.seconds(7))
        // The same key with empty tables and other random numbers, at another port.
        let reborn = LinkNode(1, suite: choice.suite, secret: homeSecret, entropySeed: 77)
        reborn.address = alice.address.withPort(9999)
        wire.nodes = [reborn, bob]
        reborn.send([0x10, 2], to: bob.contact, at: wire.now)
        wire.run(.seconds(1))
        #expect(reborn.messages == [[0x11, 2]])
        bob.send([0x30], to: alice.contact, at: wire.now)
        wire.run(.seconds(1))
        #expect(reborn.messages == [[0x11, 2], [0x30]])
    }

    @Test(arguments: SuiteChoice.allCases)
    func replaysDoNotKeepTwoNodesApart(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makePair(choice)
        bob.answersPerRequest = 1
        var recorded: [[UInt8]] = []
        for index in 0..<20 {
            alice.send([0x10, UInt8(index)], to: bob.contact, at: wire.now)
            wire.run(.milliseconds(500))
            recorded = wire.log.filter { $0.bytes[0] == 0xc1 && $0.source == alice.address }.map(\.bytes)
            alice.links.forget(bob.identity.id)
            bob.links.forget(alice.identity.id)
        }
        #expect(recorded.count == 20)
        alice.received = []
        bob.links.forget(alice.identity.id)
        for _ in 0..<5 { for message in recorded { wire.inject(message, from: stranger, to: bob.address) } }
        alice.send([0x10, 99], to: bob.contact, at: wire.now)
        wire.run(.seconds(1))
        #expect(alice.messages == [[0x11, 99]])
        #expect(bob.isEstablished(with: alice))
        #expect(bob.pendingCount <= 4)
    }

    @Test(arguments: SuiteChoice.allCases)
    func anUnvalidatedAddressGetsAtMostThreeTimesItsBytes(_ choice: SuiteChoice) {
        for size in [1, 100, 200, 1000] {
            let (wire, alice, bob) = makePair(choice)
            bob.answersPerRequest = 4
            // The sender's address is somebody else's: it never confirms.
            alice.send([0x10] + [UInt8](repeating: 1, count: size - 1), to: bob.contact, at: wire.now)
            let initiation = drain(&alice.out)[0].bytes
            for _ in 0..<10 {
                bob.receive(initiation, from: stranger, at: wire.now)
                wire.collect()
            }
            wire.run(.seconds(20))
            let (received, sent) = (bob.bytesIn[stranger] ?? 0, bob.bytesOut[stranger] ?? 0)
            #expect(received > 0 && sent > 0)
            #expect(sent <= 3 * received, "\(sent) for \(received)")
        }
    }

    @Test(arguments: SuiteChoice.allCases)
    func theLargestAnswerStaysWithinThreeTimesTheSmallestQuestion(_ choice: SuiteChoice) {
        let (wire, alice, bob) = makePair(choice)
        alice.send([0x10], to: bob.contact, at: wire.now)
        var datagram = drain(&alice.out)[0].bytes
        let question = datagram.count
        var span = datagram.mutableSpan
        _ = bob.links.receive(&span, from: alice.address, at: wire.now, into: &bob.out, events: &bob.events)
        for _ in 0..<20 {
            bob.send([UInt8](repeating: 0x11, count: 1140), to: alice.contact, at: wire.now)
        }
        bob.links.finishReceive(at: wire.now, into: &bob.out, events: &bob.events)
        let answers = drain(&bob.out)
        #expect(answers.map(\.bytes.count) == [Limits.datagramBytes])
        #expect(Limits.datagramBytes <= 3 * question)
        #expect(bob.refusals(.queueFull) == 3)
    }

    @Test(arguments: SuiteChoice.allCases)
    func aFloodOfHandshakesIsBounded(_ choice: SuiteChoice) {
        var limits = LinkLimits()
        limits.pendingResponses = 8
        let suite = choice.suite
        let bob = LinkNode(200, suite: suite, secret: homeSecret, limits: limits)
        let wire = VirtualWire([bob])
        for number in 1...40 {
            let member = LinkNode(UInt8(number), suite: suite, secret: homeSecret)
            member.send([0x10], to: bob.contact, at: wire.now)
            bob.receive(drain(&member.out)[0].bytes, from: member.address, at: wire.now)
        }
        #expect(bob.pendingCount == 8)
        #expect(bob.refusals(.pendingEvicted) == 32)
        #expect(bob.relationCount == 0)
        wire.run(.seconds(11))
        #expect(bob.pendingCount == 0 && bob.nextDeadline == nil)
    }
}
