import EventLoop
import Glibc
import SwarmCore
import Testing

/// A destination whose device keeps packets, `MAFALDA_TEST_STUCK_HOST=ADDRESS:PORT`. The loopback device never fills a send
/// buffer, so these tests run only where one is given. As root: `unshare -n`, `ip link add veth0 type veth peer name veth1`,
/// `ip address add 10.9.9.1/24 dev veth0`, both links up, and 10.9.9.2:9: nobody is there, and the kernel holds the
/// packets, charged to the socket, while it looks for the neighbour.
private let stuckHost: NetworkAddress? = {
    guard let text = unsafe getenv("MAFALDA_TEST_STUCK_HOST") else { return nil }
    return NetworkAddress(text: unsafe String(cString: text))
}()

@Suite(.enabled(if: stuckHost != nil)) struct FullBufferTests {
    private func fill(_ socket: inout DatagramSocket, _ host: NetworkAddress, count: Int) {
        var out = Outbox(byteCapacity: 1 << 18, datagramCapacity: 256)
        // Unequal neighbours, so that no train forms: one train would fit any buffer.
        for index in 0..<count {
            out.append(to: host, capacity: 1_200) { $0.append(repeating: 7, count: 1_000 + index) }
        }
        socket.send(&out)
    }

    @Test func mediaIsDroppedAndCounted() throws {
        let host = try #require(stuckHost)
        var socket = try DatagramSocket(bind: .unspecified, whenFull: .drop, bufferBytes: 1)
        fill(&socket, host, count: 50)
        let statistics = socket.statistics
        #expect(statistics.drops[.wouldBlock] > 0)
        #expect(statistics.datagramsSent + statistics.drops.total == 50)
        let isWaiting = socket.isWaitingForRoom
        #expect(!isWaiting)
    }

    @Test func controlIsHeldAndSentLater() throws {
        let host = try #require(stuckHost)
        var socket = try DatagramSocket(bind: .unspecified, whenFull: .hold, bufferBytes: 1)
        fill(&socket, host, count: 4)
        fill(&socket, host, count: 4)
        let isWaiting = socket.isWaitingForRoom
        #expect(isWaiting)
        let before = socket.statistics
        #expect(before.drops.total == 0 && before.datagramsSent < 8)
        for _ in 0..<300 where socket.isWaitingForRoom {
            usleep(100_000)
            socket.resume()
        }
        let after = socket.statistics
        #expect(after.datagramsSent + after.drops.total == 8)
        let isStillWaiting = socket.isWaitingForRoom
        #expect(!isStillWaiting)
    }

    @Test func whatIsHeldIsBounded() throws {
        let host = try #require(stuckHost)
        var socket = try DatagramSocket(bind: .unspecified, whenFull: .hold, bufferBytes: 1)
        for _ in 0..<5 { fill(&socket, host, count: 100) }
        let statistics = socket.statistics
        #expect(statistics.drops[.holdFull] > 0)
        #expect(statistics.drops[.wouldBlock] == 0)
    }
}
