import SwarmCore

/// How values are written in scenario files.
enum ScenarioValue {
    /// `250ms`, `10s`, `1.5min`, `2h`; a number alone is seconds. May be negative.
    static func interval(_ text: String) -> Interval? {
        let units: [(String, Double)] = [("ms", 1e6), ("us", 1e3), ("min", 60e9), ("h", 3600e9), ("s", 1e9), ("", 1e9)]
        guard let value = scaled(text, units), value.magnitude <= 1e17 else { return nil }
        return Interval(nanoseconds: Int64(value))
    }

    /// `1%` or `0.01`, from 0 to 1.
    static func share(_ text: String) -> Double? {
        guard let value = scaled(text, [("%", 0.01), ("", 1)]), (0...1).contains(value) else { return nil }
        return value
    }

    /// Per second: `50/s`, `3/min`, `1/h`; a number alone is per second. Not negative.
    static func rate(_ text: String) -> Double? {
        guard let value = scaled(text, [("/s", 1), ("/min", 1.0 / 60), ("/h", 1.0 / 3600), ("", 1)]), value >= 0 else {
            return nil
        }
        return value
    }

    /// Bits per second: `64kbit/s`, `10Mbit/s`, `1Gbit/s`. Positive.
    static func bitRate(_ text: String) -> Double? {
        guard let value = scaled(text, [("kbit/s", 1e3), ("Mbit/s", 1e6), ("Gbit/s", 1e9), ("bit/s", 1)]), value > 0
        else { return nil }
        return value
    }

    /// `100ppm`, `-20ppm`.
    static func partsPerMillion(_ text: String) -> Double? { scaled(text, [("ppm", 1), ("", 1)]) }

    static func number(_ text: String) -> Double? { scaled(text, [("", 1)]) }

    static func boolean(_ text: String) -> Bool? {
        switch text {
        case "true", "yes", "on": true
        case "false", "no", "off": false
        default: nil
        }
    }

    /// A decimal number, a space or none, and one of the units. Written out by hand: hexadecimal, `inf` and `nan` are
    /// numbers to the standard library, and to nobody else.
    private static func scaled(_ text: String, _ units: [(suffix: String, factor: Double)]) -> Double? {
        for unit in units where text.hasSuffix(unit.suffix) {
            var digits = text.dropLast(unit.suffix.count)
            while digits.last == " " { digits.removeLast() }
            let isPlain = digits.utf8.allSatisfy { byte in
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: ".")
                    || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "e") || byte == UInt8(ascii: "+")
            }
            if isPlain, let value = Double(digits), value.isFinite { return value * unit.factor }
        }
        return nil
    }
}
