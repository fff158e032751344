import Routing
import SwarmCore
import Testing

/// Swift hashes differently in every process, so only two processes can show that no hash order reaches the wire.
@Suite struct DeterminismTests {
    static func trace() -> String {
        let swarm = RouteSwarm(seed: 21, maxChildren: Array(repeating: 2, count: 10), lossPerMille: 30)
        let streams = [name("a"), name("b"), name("c")]
        for (index, stream) in streams.enumerated() { swarm.publish(stream, at: index) }
        for node in 3..<10 { for stream in streams { swarm.subscribe(stream, at: node) } }
        swarm.wire.run(for: .seconds(3))
        swarm.kill(4)
        swarm.wire.run(for: .seconds(10))
        let members = makeSwarm(8, seed: 22)
        members.nodes[3].isUp = false
        members.run(for: .seconds(12))
        return "trace \(swarm.wire.trace) \(members.trace) \(swarm.wire.messagesSent + members.messagesSent)\n"
    }

    @Test func twoProcessesSendTheSame() async {
        let own = Self.trace()
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            print(DeterminismTests.trace())
        }
        let text = String(decoding: result?.standardOutputContent ?? [], as: UTF8.self)
        #expect(text.contains(own), "\(text)")
    }
}
