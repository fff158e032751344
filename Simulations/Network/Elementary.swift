/// Exponential, logarithm and normal quantiles from + − × ÷ √ alone: libm's last digit differs by CPU and version, and
/// a digest must not.
package enum Elementary {
    private static var naturalLogarithmOfTwo: Double { 0.693_147_180_559_945_3 }

    /// eˣ for |x| ≤ 700, relative error below 1e-15: Taylor's series on |r| ≤ ln 2 / 2, then a power of two.
    package static func exponential(_ x: Double) -> Double {
        let power = (x / naturalLogarithmOfTwo).rounded()
        let rest = x - power * naturalLogarithmOfTwo
        var sum = 1.0
        var divisor = 18.0
        while divisor >= 1 {
            sum = 1 + sum * rest / divisor
            divisor -= 1
        }
        return Double(sign: .plus, exponent: Int(power), significand: sum)
    }

    /// ln x for a normal x > 0, absolute error below 1e-15 × (1 + |ln x|): 2 artanh((m − 1) / (m + 1)) on m in 2/3 … 4/3.
    package static func logarithm(_ x: Double) -> Double {
        var exponent = x.exponent
        var mantissa = x.significand
        if mantissa > 4.0 / 3 {
            mantissa /= 2
            exponent += 1
        }
        let ratio = (mantissa - 1) / (mantissa + 1)
        let square = ratio * ratio
        var sum = 0.0
        var order = 39.0
        while order >= 1 {
            sum = sum * square + 1 / order
            order -= 2
        }
        return Double(exponent) * naturalLogarithmOfTwo + 2 * ratio * sum
    }

    /// `base` raised to a real `exponent`; `base` > 0.
    package static func power(_ base: Double, _ exponent: Double) -> Double {
        exponential(exponent * logarithm(base))
    }

    /// The standard normal distribution's quantiles at (i + ½) / `count`, for an even `count`.
    ///
    /// Simpson's rule sums the density outwards from 0; where the sum passes a probability, the density there gives
    /// the rest of the way. The error is below 1e-6 up to 4,096 quantiles (|z| ≤ 3.7).
    package static func normalQuantiles(_ count: Int) -> [Double] {
        precondition(count > 0 && count % 2 == 0, "normal quantiles need an even count, not \(count)")
        let step = 1.0 / 1_024
        let halfCount = count / 2
        var upper: [Double] = []
        upper.reserveCapacity(halfCount)
        var position = 0.0
        var area = 0.0
        var density = normalDensity(0)
        while upper.count < halfCount {
            let middle = normalDensity(position + step / 2)
            let next = normalDensity(position + step)
            let slice = (density + 4 * middle + next) * step / 6
            while upper.count < halfCount {
                let wanted = (Double(upper.count) + 0.5) / Double(count)
                guard wanted <= area + slice else { break }
                upper.append(position + step * (wanted - area) / slice)
            }
            area += slice
            position += step
            density = next
        }
        return upper.reversed().map { -$0 } + upper
    }

    private static func normalDensity(_ z: Double) -> Double {
        0.398_942_280_401_432_7 * exponential(-z * z / 2)
    }

    /// The exponential distribution's quantiles of mean 1 at (i + ½) / `count`.
    package static func exponentialQuantiles(_ count: Int) -> [Double] {
        precondition(count > 0, "exponential quantiles need a positive count, not \(count)")
        return (0..<count).map { -logarithm(1 - (Double($0) + 0.5) / Double(count)) }
    }
}
