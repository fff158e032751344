import DHT
import SwarmCore
import SwarmCrypto
import Testing

/// Nodes publish where they are, so that a contact with an old address can be found again.
@Suite struct AddressPublishingTests {
    private static func swarm(of count: Int, seed: UInt64) -> VirtualSwarm {
        let swarm = VirtualSwarm(seed: seed)
        var configuration = DHTConfiguration()
        configuration.bucketSize = 8
        for index in 0..<count {
            let node = swarm.addNode(configuration)
            swarm.bootstrap(node, index > 0 ? [swarm.nodes[0].contact] : [])
            swarm.run(for: .milliseconds(300))
        }
        return swarm
    }

    private func reach(_ target: VirtualNode, from node: VirtualNode, _ swarm: VirtualSwarm) -> Contact? {
        swarm.call(node) { node, now in
            _ = node.dht.reach(target.contact.id, at: now, into: &node.out, events: &node.events)
        }
        swarm.run(for: .seconds(12))
        let answers = node.log.compactMap { event -> Contact? in
            if case .reached(_, let contact) = event { contact } else { nil }
        }
        return answers.last
    }

    @Test func aChangedAddressIsFound() {
        let swarm = Self.swarm(of: 24, seed: 301)
        swarm.run(for: .seconds(30))
        let (moved, asker) = (swarm.nodes[5], swarm.nodes[17])
        #expect(reach(moved, from: asker, swarm)?.addresses == moved.contact.addresses)
        var contact = moved.contact
        contact.addresses = AddressList(NetworkAddress(ipv4: 0x0a09_0909, port: 4))
        swarm.call(moved) { node, now in
            node.dht.updateSelf(contact: contact, at: now, into: &node.out, events: &node.events)
        }
        swarm.run(for: .seconds(5))
        #expect(reach(moved, from: asker, swarm)?.addresses == contact.addresses)
        // The last known place outlives the node by two hours.
        moved.isAlive = false
        swarm.run(for: .seconds(600))
        #expect(reach(moved, from: asker, swarm)?.addresses == contact.addresses)
    }

    /// What it costs a node that publishes nothing else, in bytes of DHT messages.
    @Test func itCostsNextToNothing() {
        let swarm = Self.swarm(of: 24, seed: 302)
        swarm.run(for: .seconds(120))
        var bytes = 0
        swarm.tap = { message in if message[0] == 0x16 || message[0] == 0x17 { bytes += message.count } }
        swarm.run(for: .seconds(2 * 2400))
        swarm.tap = nil
        let each = Double(bytes) / 4800 / 24
        print("node addresses: \(each) bytes a second")
        #expect(each > 0 && each < 3)
    }
}
