/// A place in latency space: Vivaldi with height (Dabek et al. 2004, §5.4). Distances are round-trip milliseconds.
///
/// Held in the steps of the wire (1/16 ms), so that what a node computes with is exactly what it tells. Only
/// + − × ÷ √ are used, and sums run in a fixed order: every CPU computes the same coordinate.
package struct Coordinate: Hashable, Sendable {
    package static var dimensions: Int { 8 }
    /// 8 × 2 bytes position, 2 bytes height, 2 bytes error.
    package static var byteCount: Int { 20 }
    /// One step of the wire, in milliseconds.
    private static var step: Double { 0.0625 }

    /// Position in steps of 1/16 ms: ±2,048 ms.
    private var position = SIMD8<Int16>(repeating: 0)
    /// The way from the core of the network to the node, in steps: 0 … 4,096 ms.
    private var heightSteps: UInt16 = 1
    /// Own estimate of the relative error, in 1/1000: 0 … 1.5.
    private var errorPerMille: UInt16 = Self.worstError

    package static var worstError: UInt16 { 1500 }
    /// Where every node starts, with the worst error.
    package static var origin: Coordinate { Coordinate() }

    package var heightMilliseconds: Double { Double(heightSteps) * Self.step }
    package var relativeError: Double { Double(errorPerMille) / 1000 }

    /// Predicted round trip in milliseconds.
    package func distance(to other: Coordinate) -> Double {
        flatDistance(to: other) + heightMilliseconds + other.heightMilliseconds
    }

    private func flatDistance(to other: Coordinate) -> Double {
        var sum = 0.0
        for index in 0..<Self.dimensions {
            let difference = Double(position[index]) - Double(other.position[index])
            sum += difference * difference
        }
        return sum.squareRoot() * Self.step
    }

    /// Moves towards agreement with one measured round trip to `other`.
    ///
    /// Robust against lies and bursts: the sample is bounded, and one step moves by at most `largestStep`.
    package mutating func update(
        roundTripMilliseconds sample: Double, to other: Coordinate, using generator: inout SeededGenerator
    ) {
        guard sample.isFinite, sample > 0, sample < 4000 else { return }
        let adaptation = 0.25
        let largestStep = 50.0
        let predicted = distance(to: other)
        let ownError = max(relativeError, 0.01)
        let otherError = max(other.relativeError, 0.01)
        let weight = ownError / (ownError + otherError)
        // Below a millisecond the clock and the scheduler are measured, not the network.
        let sampleError = min(1.5, abs(predicted - sample) / max(sample, 1))
        let newError = sampleError * adaptation * weight + ownError * (1 - adaptation * weight)
        var force = adaptation * weight * (sample - predicted)
        force = min(max(force, -largestStep), largestStep)

        let flat = flatDistance(to: other)
        var direction = SIMD8<Double>(repeating: 0)
        if flat > Self.step {
            for index in 0..<Self.dimensions {
                direction[index] = (Double(position[index]) - Double(other.position[index])) * Self.step / flat
            }
        } else {
            direction = Self.randomDirection(using: &generator)
        }
        for index in 0..<Self.dimensions {
            position[index] = Self.quantise(Double(position[index]) + direction[index] * force / Self.step)
        }
        let combined = flat + heightMilliseconds + other.heightMilliseconds
        if combined > 0 {
            let height = heightMilliseconds + (heightMilliseconds + other.heightMilliseconds) * force / combined
            heightSteps = UInt16(min(max((height / Self.step).rounded(), 1), 65535))
        }
        errorPerMille = UInt16(min(max((newError * 1000).rounded(), 1), Double(Self.worstError)))
    }

    /// Whether the difference is worth telling everybody: more than 10 ms, or a clearly better error.
    package func differsNotably(from other: Coordinate) -> Bool {
        let moved = flatDistance(to: other) + abs(heightMilliseconds - other.heightMilliseconds)
        return moved > 10 || abs(relativeError - other.relativeError) > 0.4
    }

    private static func quantise(_ steps: Double) -> Int16 {
        Int16(min(max(steps.rounded(), -32768), 32767))
    }

    private static func randomDirection(using generator: inout SeededGenerator) -> SIMD8<Double> {
        var direction = SIMD8<Double>(repeating: 0)
        var sum = 0.0
        for index in 0..<dimensions {
            direction[index] = generator.unitInterval() - 0.5
            sum += direction[index] * direction[index]
        }
        let length = sum.squareRoot()
        guard length > 0 else {
            direction[0] = 1
            return direction
        }
        for index in 0..<dimensions { direction[index] /= length }
        return direction
    }
}

extension Coordinate {
    /// Nil where the bytes run short or a number cannot be: a height of 0 or an error beyond 1.5.
    package init?(from reader: inout ByteReader) {
        for index in 0..<Self.dimensions {
            guard let raw = reader.readUInt16() else { return nil }
            position[index] = Int16(bitPattern: raw)
        }
        guard let height = reader.readUInt16(), let error = reader.readUInt16() else { return nil }
        guard height > 0, error <= Self.worstError else { return nil }
        heightSteps = height
        errorPerMille = error
    }

    package func write(to writer: inout ByteWriter) {
        for index in 0..<Self.dimensions { writer.append(UInt16(bitPattern: position[index])) }
        writer.append(heightSteps)
        writer.append(errorPerMille)
    }
}
