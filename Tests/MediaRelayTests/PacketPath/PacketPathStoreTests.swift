import MediaRelay
import SwarmCore
import Testing

@Suite struct PacketPathStoreTests {
    private func packet(_ sequence: UInt64, extensions: Int, payload: Int) -> StoredPacket {
        StoredPacket(
            sequence: sequence, timestamp: UInt32(truncatingIfNeeded: sequence), arrival: .zero, marker: false,
            place: FramePlace(startsFrame: false, startsKeyFrame: false), extensionCount: extensions,
            payloadCount: payload)
    }

    private func insert(
        _ sequence: UInt64, _ bytes: [UInt8], extensions: Int = 0, into store: inout PacketStore
    ) -> PacketStore.Insertion {
        store.insert(
            packet(sequence, extensions: extensions, payload: bytes.count - extensions),
            extensions: bytes.span.extracting(0..<extensions),
            payload: bytes.span.extracting(extensions..<bytes.count))
    }

    private func content(_ sequence: UInt64, count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: sequence &* 31 &+ UInt64($0)) }
    }

    @Test func wrapsWithoutEverShowingForeignBytes() {
        var store = PacketStore(byteCapacity: 10_000, packetCapacity: 64)
        var generator = SeededGenerator(seed: 1)
        var sizes: [UInt64: Int] = [:]
        for step in 0..<600 {
            let sequence = UInt64(1000 + step) &- UInt64(step % 7 == 3 ? 2 : 0)
            let count = 10 + generator.integer(below: 1190)
            let bytes = content(sequence, count: count)
            let extensions = min(4, count)
            let result = insert(sequence, bytes, extensions: extensions, into: &store)
            if result == .stored { sizes[sequence] = count }
            // Whatever is found is what was stored under that number.
            for back: UInt64 in [0, 1, 5, 6, 7, 8, 9, 10, 20, 63, 64] where store.highest > back {
                guard let found = store.packet(store.highest - back) else { continue }
                let held = store.bytes(of: found).copied()
                #expect(held == content(found.sequence, count: found.byteCount))
                #expect(sizes[found.sequence] == found.byteCount)
            }
            let newest = store.packet(store.highest)
            #expect(newest != nil)
        }
    }

    @Test func aSequenceEntersOnce() {
        var store = PacketStore(byteCapacity: 4_000, packetCapacity: 16)
        let bytes = [UInt8](repeating: 1, count: 1000)
        var stored: Set<UInt64> = []
        var generator = SeededGenerator(seed: 2)
        for step in 0..<5_000 {
            let sequence = UInt64(max(0, step / 3 + generator.integer(below: 40) - 20))
            if insert(sequence, bytes, into: &store) == .stored {
                #expect(stored.insert(sequence).inserted, "\(sequence) twice")
            }
        }
        let highest = store.highest
        let results = [highest, highest - 16, 0, .max - 1, 5].map { insert($0, bytes, into: &store) }
        #expect(results == [.duplicate, .late, .late, .stored, .late])
        let never = store.packet(.max)
        #expect(never == nil)
    }

    @Test func arrivalsAreRememberedInOrder() {
        var store = PacketStore(byteCapacity: 4_000, packetCapacity: 8)
        for sequence: UInt64 in [10, 12, 11, 13] { _ = insert(sequence, [1], into: &store) }
        let first = (0..<5).map { store.sequence(ofArrival: $0) }
        #expect(first == [10, 12, 11, 13, nil])
        for sequence: UInt64 in 14..<22 { _ = insert(sequence, [1], into: &store) }
        let later = [3, 4].map { store.sequence(ofArrival: $0) }
        #expect(later == [nil, 14])
    }

    @Test func lossesAreAskedForBoundedly() {
        var tracker = LossTracker()
        var now = MonotonicInstant(nanoseconds: 1_000_000)
        tracker.arrived(100, at: now)
        tracker.arrived(104, at: now)
        tracker.arrived(102, at: now)
        func due() -> [UInt64] {
            var asked: [UInt64] = []
            tracker.collectDue(at: now, roundTrip: .milliseconds(40), limit: 10) { asked.append($0) }
            return asked
        }
        let early = due()
        #expect(early.isEmpty, "a number may be late")
        now = now + .milliseconds(5)
        let first = due()
        #expect(first == [101, 103])
        let second = due()
        #expect(second.isEmpty)
        tracker.arrived(101, at: now)
        var attempts = 1
        for _ in 0..<20 {
            now = now + .milliseconds(61)
            let asked = due()
            #expect(asked == [103] || asked.isEmpty)
            attempts += asked.count
        }
        #expect(attempts == PacketLimits.repairAttempts)
        #expect(tracker.isEmpty)
        #expect(tracker.abandoned == 1)
    }

    @Test func lossesBeyondTheCapacityAreGivenUp() {
        var tracker = LossTracker(capacity: 16)
        let now = MonotonicInstant(nanoseconds: 1_000_000)
        tracker.arrived(0, at: now)
        tracker.arrived(10, at: now)
        tracker.arrived(30, at: now)
        #expect(tracker.isEmpty, "nineteen missing at once are a restart")
        tracker.arrived(40, at: now)
        tracker.arrived(50, at: now)
        #expect(tracker.count == 16)
        #expect(tracker.detected == 9 + 19 + 18)
        #expect(tracker.abandoned == 9 + 19 + 2)
        tracker.arrived(.max, at: now)
        #expect(tracker.isEmpty)
    }

    @Test func mediaLimitsFitTheirDatagrams() {
        let fixed = PacketLimits.linkHeaderBytes + PacketLimits.mediaFrameBytes + PacketLimits.tagBytes
        #expect(PacketLimits.mediaBytes + fixed == PacketLimits.linkDatagramBytes)
        #expect(PacketLimits.linkDatagramBytes + 28 == 1280)
        #expect(PacketLimits.mediaBytes >= 1200, "OBS fills payloads of 1,200 bytes")
    }
}
