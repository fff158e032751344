/// Decimal numbers: digits with an optional fraction and an optional exponent.
enum DecimalText {
    /// Nil for anything else, NaN and infinities included. Up to 15 digits with a small power of ten are exact, as one
    /// rounding of an exact quotient.
    static func parse(_ text: Span<UInt8>, _ range: Range<Int>) -> Double? {
        var index = range.lowerBound
        var mantissa: UInt64 = 0
        var digits = 0
        var scale = 0
        var hasPoint = false
        while index < range.upperBound {
            let byte = text[index]
            if byte == 0x2e, !hasPoint {
                hasPoint = true
            } else if (0x30...0x39).contains(byte) {
                digits += 1
                if mantissa < 1_000_000_000_000_000 {
                    mantissa = mantissa * 10 + UInt64(byte - 0x30)
                    if hasPoint { scale -= 1 }
                } else if !hasPoint {
                    scale += 1
                }
            } else {
                break
            }
            index += 1
        }
        guard digits > 0 else { return nil }
        if index < range.upperBound {
            guard text[index] | 0x20 == 0x65, let exponent = exponent(text, index + 1..<range.upperBound) else {
                return nil
            }
            scale += exponent
        }
        return scaled(Double(mantissa), by: scale)
    }

    /// The numbers of a text with one a line, up to the first line that is none.
    static func lines(_ text: Span<UInt8>) -> [Double] {
        var numbers: [Double] = []
        var begin = 0
        for index in 0..<text.count where text[index] == 0x0a {
            guard let number = parse(text, begin..<index) else { break }
            numbers.append(number)
            begin = index + 1
        }
        return numbers
    }

    private static func exponent(_ text: Span<UInt8>, _ range: Range<Int>) -> Int? {
        var index = range.lowerBound
        var isNegative = false
        if index < range.upperBound, text[index] == 0x2b || text[index] == 0x2d {
            isNegative = text[index] == 0x2d
            index += 1
        }
        guard index < range.upperBound else { return nil }
        var value = 0
        while index < range.upperBound {
            guard (0x30...0x39).contains(text[index]) else { return nil }
            value = min(value * 10 + Int(text[index] - 0x30), 1_000)
            index += 1
        }
        return isNegative ? -value : value
    }

    private static func scaled(_ value: Double, by power: Int) -> Double {
        var scale = 1.0
        for _ in 0..<min(power.magnitude, 400) { scale *= 10 }
        return power < 0 ? value / scale : value * scale
    }
}
