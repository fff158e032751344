import SwarmCore

/// A body for fuzzers and tests: two link tables, the bytes between them at the mercy of the input.
package enum LinkFuzz {
    private struct End: ~Copyable {
        let identity: Identity
        let address: NetworkAddress
        var links: LinkTable
        var out = Outbox(byteCapacity: 64 * 1024, datagramCapacity: 32)
        var events = EventBuffer<LinkEvent>()
        /// The last datagrams it sent, oldest first.
        var sent: [[UInt8]] = []

        init(_ number: UInt64) {
            identity = Identity(seed: Bytes32(number, 0, 0, 0), suite: .counted())
            address = NetworkAddress(ipv4: UInt32(number), port: 7788)
            links = LinkTable(
                identity: identity, secret: SwarmSecret(current: Bytes32(7, 7, 7, 7)),
                entropy: .seeded(SeededGenerator(seed: number)), generator: SeededGenerator(seed: number + 9))
        }

        mutating func receive(_ datagram: [UInt8], from source: NetworkAddress, at now: Now) {
            var bytes = datagram
            var span = bytes.mutableSpan
            if let delivery = links.receive(&span, from: source, at: now, into: &out, events: &events) {
                let answer: [UInt8] = [0x11, 1, 2, 3]
                links.send(
                    answer.span, to: delivery.peer.contact, isIdempotent: true, at: now, into: &out, events: &events)
            }
            links.finishReceive(at: now, into: &out, events: &events)
            collect()
        }

        mutating func collect() {
            while events.popFirst() != nil {}
            for index in 0..<out.count { sent.append(out.bytes(of: index).copied()) }
            if sent.count > 8 { sent.removeFirst(sent.count - 8) }
            out.removeAll()
        }
    }

    /// Each step is a verb, a choice and a length, then that many bytes: time passes, a message is sent, a datagram of the
    /// other end arrives (whole, changed, cut or again), or the bytes themselves arrive.
    package static func drive(_ input: Span<UInt8>) {
        var a = End(1)
        var b = End(2)
        var now = Now(monotonic: MonotonicInstant(nanoseconds: 1), wallMilliseconds: 1_800_000_000_000)
        var reader = ByteReader(input)
        while let verb = reader.readUInt8(), let choice = reader.readUInt8() {
            let bytes = reader.read(min(Int(choice & 0x7f), reader.remaining))?.copied() ?? []
            now = now + .milliseconds(Int64(verb >> 4) * Int64(verb >> 4) * 100)
            if verb & 1 == 0 {
                step(verb, choice, bytes, at: now, from: &a, to: &b)
            } else {
                step(verb, choice, bytes, at: now, from: &b, to: &a)
            }
        }
        now = now + .seconds(400)
        advance(&a, to: now)
        advance(&b, to: now)
    }

    private static func step(
        _ verb: UInt8, _ choice: UInt8, _ bytes: [UInt8], at now: Now, from sender: inout End, to receiver: inout End
    ) {
        switch verb >> 1 & 7 {
        case 0:
            advance(&receiver, to: now)
        case 1:
            let contact = receiver.identity.contact(at: AddressList(receiver.address))
            sender.links.send(
                bytes.span, to: contact, isIdempotent: choice & 0x80 != 0, at: now, into: &sender.out,
                events: &sender.events)
            sender.collect()
        case 2:
            receiver.receive(bytes, from: sender.address, at: now)
        case 3:
            guard let last = sender.sent.last else { return }
            receiver.receive(last, from: sender.address, at: now)
        default:
            guard !sender.sent.isEmpty else { return }
            var datagram = sender.sent[Int(choice) % sender.sent.count]
            for (index, byte) in bytes.enumerated() where !datagram.isEmpty {
                datagram[(index &* 37 &+ Int(choice)) % datagram.count] ^= byte
            }
            if choice & 0x80 != 0, let cut = bytes.first { datagram.removeLast(min(Int(cut), datagram.count)) }
            receiver.receive(datagram, from: sender.address.withPort(UInt16(choice)), at: now)
        }
    }

    private static func advance(_ end: inout End, to now: Now) {
        end.links.advance(to: now, into: &end.out, events: &end.events)
        end.collect()
        if let deadline = end.links.nextDeadline {
            precondition(deadline > now.monotonic, "a deadline is left behind")
        }
    }
}
