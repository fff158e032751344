/// Numbers as people and JSON readers want them, without Foundation.
package enum FigureText {
    /// At most `decimals` places (0…9), none where they are zero; `null` for nil and for what is no number.
    package static func number(_ value: Double?, decimals: Int = 3) -> String {
        guard let value, value.isFinite else { return "null" }
        var scale: Int64 = 1
        for _ in 0..<decimals { scale *= 10 }
        // Beyond 2⁵³ a double has no decimals left to round.
        guard value.magnitude * Double(scale) < 9e15 else { return value.description }
        let scaled = Int64((value.magnitude * Double(scale)).rounded())
        let sign = value < 0 && scaled > 0 ? "-" : ""
        var fraction = String(scaled % scale + scale).dropFirst()
        while fraction.last == "0" { fraction.removeLast() }
        return sign + String(scaled / scale) + (fraction.isEmpty ? "" : "." + fraction)
    }

    /// Three significant places or so: `0.0123`, `4.56`, `78.9`, `1234`.
    package static func short(_ value: Double?) -> String {
        guard let value else { return "-" }
        switch value.magnitude {
        case 1000...: return number(value, decimals: 0)
        case 100...: return number(value, decimals: 1)
        case 1...: return number(value, decimals: 2)
        default: return number(value, decimals: 6)
        }
    }

    package static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }

    /// `padded("x", 4)` is four characters wide.
    package static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
