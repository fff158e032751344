import Simulations
import SwarmCore
import Testing

@Suite struct NetworkQueueTests {
    private static let second: UInt64 = 1_000_000_000
    private static let header = NetworkLimits.headerBytes

    private static func model(nodes: Int, milliseconds: Double = 10) -> NetworkModel {
        var model = NetworkModel(
            .undisturbed, matrix: LatencyMatrix(name: "flat", everywhere: milliseconds), seed: 1)
        for index in 0..<nodes { model.addNode(index, site: nil) }
        return model
    }

    /// Offers `rate` bits per second for one second and returns what arrived: bytes by arrival, the last arrival and
    /// the longest delay.
    private static func offer(
        _ rate: Double, to model: inout NetworkModel, senders: Range<Int>, receiver: Int
    ) -> (bytes: Int, last: UInt64, longest: UInt64, sent: Int) {
        let size = 952
        let gap = UInt64(Double((size + header) * 8) / rate * 1e9)
        var result = (bytes: 0, last: UInt64(0), longest: UInt64(0), sent: 0)
        var now: UInt64 = 0
        while now < second {
            let from = senders.lowerBound + result.sent % senders.count
            if case .arrives(let at, _, _) = model.send(from: from, to: receiver, byteCount: size, at: now, ordinal: 0)
            {
                result.bytes += size + header
                result.last = max(result.last, at)
                result.longest = max(result.longest, at - now)
            }
            result.sent += 1
            now += gap
        }
        return result
    }

    @Test func anUplinkCarriesWhatItCanAndDropsTheRest() {
        var model = Self.model(nodes: 2)
        model.setCapacity(of: 0, uplinkBitsPerSecond: 8_000_000, downlinkBitsPerSecond: nil)
        let (bytes, last, longest, sent) = Self.offer(16_000_000, to: &model, senders: 0..<1, receiver: 1)
        // One second at 8 Mbit/s, and the queue of 100 ms that drains afterwards.
        #expect(abs(bytes - 1_100_000) <= 2_000, "\(bytes) bytes")
        #expect(abs(Int64(last) - 1_105_000_000) < 3_000_000)
        #expect(longest <= 107_000_000)
        #expect(Int(model.drops[.queueFull] + model.delivered) == sent && model.drops[.queueFull] > 800)
    }

    @Test func anIdleUplinkCostsOnlyItsSerialization() {
        var model = Self.model(nodes: 2)
        model.setCapacity(of: 0, uplinkBitsPerSecond: 8_000_000, downlinkBitsPerSecond: nil)
        guard case .arrives(let at, _, _) = model.send(from: 0, to: 1, byteCount: 952, at: 7, ordinal: 0) else {
            Issue.record("dropped")
            return
        }
        #expect(at == 7 + 1_000_000 + 5_000_000)
    }

    @Test func aDownlinkIsSharedByItsSenders() {
        var model = Self.model(nodes: 9)
        model.setCapacity(of: 8, uplinkBitsPerSecond: nil, downlinkBitsPerSecond: 8_000_000)
        let (bytes, last, longest, sent) = Self.offer(32_000_000, to: &model, senders: 0..<8, receiver: 8)
        #expect(abs(bytes - 1_100_000) <= 12_000, "\(bytes) bytes")
        #expect(abs(Int64(last) - 1_105_000_000) < 12_000_000)
        #expect(longest <= 118_000_000)
        #expect(Int(model.drops[.queueFull] + model.delivered) == sent)
    }

    /// What comes from afar was sent first and arrives last: it must not delay what comes from near.
    @Test func aDownlinkServesInTheOrderOfArrival() throws {
        let matrix = try LatencyMatrix(name: "near and far", csv: "0,20,400\n20,0,400\n400,400,0")
        var model = NetworkModel(.undisturbed, matrix: matrix, seed: 1)
        for index in 0..<3 { model.addNode(index, site: index) }
        model.setCapacity(of: 0, uplinkBitsPerSecond: nil, downlinkBitsPerSecond: 8_000_000)
        for step in 0..<50 as Range<UInt64> {
            _ = model.send(from: 2, to: 0, byteCount: 952, at: step * 1_000_000, ordinal: 0)
        }
        let now: UInt64 = 60_000_000
        guard case .arrives(let at, _, _) = model.send(from: 1, to: 0, byteCount: 952, at: now, ordinal: 0) else {
            Issue.record("dropped")
            return
        }
        #expect(Double(at - now) / 1_000_000 < model.oneWayMilliseconds(from: 1, to: 0) + 1.1)
    }

    /// Any window of time holds at most its share of bytes and one bin's more.
    @Test func aDownlinkNeverExceedsItsRate() {
        var model = Self.model(nodes: 5, milliseconds: 40)
        model.setCapacity(of: 4, uplinkBitsPerSecond: nil, downlinkBitsPerSecond: 4_000_000)
        var generator = SeededGenerator(seed: 3)
        var arrivals: [(UInt64, Int)] = []
        var now: UInt64 = 0
        for _ in 0..<20_000 {
            now += UInt64(generator.integer(below: 2_000_000))
            let size = 50 + generator.integer(below: 1_200)
            let from = generator.integer(below: 4)
            if case .arrives(let at, _, _) = model.send(from: from, to: 4, byteCount: size, at: now, ordinal: 0) {
                arrivals.append((at, size + Self.header))
            }
        }
        #expect(model.drops[.queueFull] > 1_000)
        arrivals.sort { $0.0 < $1.0 }
        var lower = 0
        var bytes = 0
        var most = 0
        for (at, size) in arrivals {
            bytes += size
            while arrivals[lower].0 + 200_000_000 < at {
                bytes -= arrivals[lower].1
                lower += 1
            }
            most = max(most, bytes)
        }
        #expect(most <= 100_000 + 4_200 + 1_300, "\(most) bytes in 200 ms at 500 bytes/ms")
        #expect(most > 97_000)
    }

    @Test func aPathHasItsOwnCapacity() {
        var model = Self.model(nodes: 3)
        #expect(model.setPathCapacity(from: 0, to: 1, bitsPerSecond: 800_000) == true)
        let slow = Self.offer(1_600_000, to: &model, senders: 0..<1, receiver: 1)
        #expect(abs(slow.bytes - 110_000) <= 2_000)
        #expect(model.drops[.queueFull] > 0)
        let before = model.drops.total
        _ = Self.offer(1_600_000, to: &model, senders: 0..<1, receiver: 2)
        _ = Self.offer(1_600_000, to: &model, senders: 1..<2, receiver: 0)
        #expect(model.drops.total == before)
        #expect(model.setPathCapacity(from: 0, to: 1, bitsPerSecond: nil) == true)
        _ = Self.offer(1_600_000, to: &model, senders: 0..<1, receiver: 1)
        #expect(model.drops.total == before)
    }

    @Test func theLargestDatagramFits() {
        var configuration = NetworkConfiguration.undisturbed
        configuration.smallMTUShare = 0.5
        var model = NetworkModel(configuration, matrix: LatencyMatrix(name: "flat", everywhere: 1), seed: 2)
        for index in 0..<40 { model.addNode(index, site: nil) }
        var small = 0
        for to in 1..<40 {
            #expect(
                model.send(from: 0, to: to, byteCount: Limits.datagramBytes, at: 0, ordinal: 0) != .dropped(.tooLarge))
            if model.send(from: 0, to: to, byteCount: 1_233, at: 0, ordinal: 0) == .dropped(.tooLarge) { small += 1 }
            #expect(model.send(from: 0, to: to, byteCount: 1_453, at: 0, ordinal: 0) == .dropped(.tooLarge))
        }
        #expect(small == 39 || (8...32).contains(small), "\(small) of 39 paths are small; all if node 0 is")
    }
}
