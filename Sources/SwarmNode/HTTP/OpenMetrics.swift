/// The text exposition of OpenMetrics 1.0.
package enum OpenMetrics {
    package static var contentType: String { "application/openmetrics-text; version=1.0.0; charset=utf-8" }

    package static func render(_ report: MetricsReport) -> String {
        var text = ""
        for family in report.families {
            text += "# TYPE \(family.name) \(family.kind.rawValue)\n"
            if let unit = unit(of: family.name) { text += "# UNIT \(family.name) \(unit)\n" }
            text += "# HELP \(family.name) \(escaped(family.help))\n"
            let suffix = family.kind == .counter ? "_total" : ""
            for sample in family.samples.prefix(HTTPLimits.samplesPerFamily) {
                text += "\(family.name)\(suffix)\(labels(sample.labels)) \(number(sample.value))\n"
            }
        }
        return text + "# EOF\n"
    }

    /// The unit is the name's last word where that is one of the base units.
    private static func unit(of name: String) -> String? {
        guard let last = name.split(separator: "_").last else { return nil }
        return ["bytes", "seconds", "ratio"].contains(last) ? String(last) : nil
    }

    private static func labels(_ labels: [MetricsReport.Label]) -> String {
        guard !labels.isEmpty else { return "" }
        return "{" + labels.map { "\($0.name)=\"\(escaped($0.value))\"" }.joined(separator: ",") + "}"
    }

    private static func escaped(_ text: String) -> String {
        var out = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\"": out += "\\\""
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return value == value.rounded() && value.magnitude < 1e15 ? Int64(value).description : value.description
    }
}
