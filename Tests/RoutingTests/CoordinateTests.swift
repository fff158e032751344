import Routing
import SwarmCore
import Testing

@Suite struct CoordinateTests {
    @Test func twoNodesAgreeOnTheirDistance() {
        var generator = SeededGenerator(seed: 1)
        var a = Coordinate.origin
        var b = Coordinate.origin
        for _ in 0..<60 {
            a.update(roundTripMilliseconds: 80, to: b, using: &generator)
            b.update(roundTripMilliseconds: 80, to: a, using: &generator)
        }
        #expect(abs(a.distance(to: b) - 80) < 2)
        #expect(a.relativeError < 0.2)
    }

    @Test(arguments: [Double.nan, .infinity, -1, 0, 1e9]) func impossibleSamplesMoveNothing(sample: Double) {
        var generator = SeededGenerator(seed: 1)
        var coordinate = Coordinate.origin
        coordinate.update(roundTripMilliseconds: sample, to: .origin, using: &generator)
        #expect(coordinate == .origin)
    }

    @Test func extremesStayBounded() {
        var generator = SeededGenerator(seed: 2)
        var a = Coordinate.origin
        for _ in 0..<5000 { a.update(roundTripMilliseconds: 3999, to: .origin, using: &generator) }
        for _ in 0..<5000 { a.update(roundTripMilliseconds: 0.001, to: .origin, using: &generator) }
        #expect(a.distance(to: .origin).isFinite)
        #expect(a.relativeError <= 1.5)
    }

    @Test func theWireRefusesWhatCannotBe() {
        let good = [UInt8](repeating: 0, count: 16) + [0, 1, 0x05, 0xdc]
        var reader = ByteReader(good.span)
        #expect(Coordinate(from: &reader) == .origin)
        for bad in [
            [UInt8](repeating: 0, count: 16) + [0, 0, 0, 1], [UInt8](repeating: 0, count: 16) + [0, 1, 0x05, 0xdd],
            [UInt8](repeating: 0, count: 19),
        ] {
            var reader = ByteReader(bad.span)
            #expect(Coordinate(from: &reader) == nil)
        }
    }

    @Test func qualityFollowsRFC6298() {
        var quality = LinkQuality()
        quality.answered(after: .milliseconds(100))
        #expect(quality.roundTrip == .milliseconds(100))
        #expect(quality.deviation == .milliseconds(50))
        quality.answered(after: .milliseconds(180))
        #expect(quality.roundTrip == .milliseconds(110))
        #expect(quality.deviation == .microseconds(57_500))
        for index in 0..<40 { quality.probeEnded(lost: index >= 36) }
        #expect(quality.lossPerMille == 125)
    }
}
